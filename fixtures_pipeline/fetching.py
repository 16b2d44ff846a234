"""Fetches many days at once, with retries and an end after refusals; gives one outcome per day, whatever comes.

How a request is sent is in `transport`, what came of it in `attempts`, how seasons become days in `seasons`. What is
done with an outcome is left to the caller.
"""

import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from zoneinfo import ZoneInfo

import tenacity

from fixtures_pipeline.attempts import Attempt, Examiner
from fixtures_pipeline.errors import ErrorType, FixturesError
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.outcome import DayFailed, DayLoaded, Outcome
from fixtures_pipeline.providers.provider import Provider, Request
from fixtures_pipeline.seasons import Almanac
from fixtures_pipeline.transport.client import Client
from fixtures_pipeline.transport.failures import Broken
from fixtures_pipeline.transport.limits import LIMITS, Limits
from fixtures_pipeline.transport.redaction import Redactor
from fixtures_pipeline.transport.turns import Turns

#: Most outcomes that `Fetcher.fetch` gives at once, and the seconds it gathers them for.
BATCH_DAYS = 24
BATCH_SECONDS = 1.0

_log = logging.getLogger(__name__)


class _Backlog:
    """The bytes of answers that wait to be stored; while there are too many, no more is asked for."""

    def __init__(self, most: float) -> None:
        self._most = most
        self._bytes = 0
        self._changed = threading.Condition()

    def wait(self) -> None:
        """Wait until there is room."""
        with self._changed:
            self._changed.wait_for(lambda: self._bytes < self._most)

    def add(self, size: int) -> None:
        """Count bytes in, or out again if there are fewer than none."""
        with self._changed:
            self._bytes += size
            self._changed.notify_all()

    def open(self) -> None:
        """Let everybody through."""
        self._most = math.inf
        self.add(0)


class Fetcher:
    """Fetches days of one provider, for one run; a context manager: leaving it ends every request under way."""

    def __init__(
        self,
        provider: Provider,
        base_url: str,
        *,
        zone: ZoneInfo,
        key: str | None = None,
        key_header: str | None = None,
        concurrency: int = 8,
        requests_per_second: float | None = None,
        requests_per_day: int | None = None,
        counted_in: Path | str | None = None,
        patience: float = 60,
        least_events: int = 2,
        warn: Callable[[str], None] = _log.warning,
        limits: Limits = LIMITS,
    ) -> None:
        """Prepare to ask; nothing is sent before `fetch`.

        Args:
            provider: Whose request, envelope and mapping to use.
            base_url: Scheme, host, port and perhaps a path, without a slash at the end.
            zone: Time zone in which days begin and end.
            key: The account's key; goes where the provider takes it and nowhere else. None for its public one, if any.
            key_header: Header for the key; the provider's own if None.
            concurrency: Days under way at once.
            requests_per_second: Requests begun per second at most; the provider's own figure if None.
            requests_per_day: Requests within 24 hours at most; the provider's own figure if None.
            counted_in: Where requests are counted, across runs: a file, or what libpq connects by. Without it,
                only this run's count.
            patience: Seconds to wait while another process holds that.
            least_events: Events that a day needs to count as loaded, if it is asked for by day.
            warn: Takes a sentence about what was odd though nothing failed; called by whoever iterates `fetch`.
            limits: Times, sizes and counts.

        Raises:
            StoreError: `counted_in` cannot be used; later, `fetch` may raise it as well.
        """
        self._provider = provider
        self._base_url = base_url
        self._zone = zone
        self._limits = limits
        self._redactor = Redactor(key)
        least_events = 0 if provider.seasons else least_events
        self._judge = Judge(provider, zone, least_events=least_events, quote=self._redactor.quote)
        self._examiner = Examiner(provider, base_url, self._judge, self._redactor, limits)
        self._turns = Turns(
            requests_per_second or provider.plan.requests_per_second,
            requests_per_day or provider.plan.requests_per_day,
            counted_in,
            patience=patience,
        )
        in_path = provider.key_in_path
        self._client = Client(
            base_url,
            secret={key_header or provider.key_header or "X-API-Key": key} if key and not in_path else {},
            path_key=(key or provider.public_key or "") if in_path else "",
            connections=concurrency,
            limits=limits,
            redactor=self._redactor,
        )
        self._warn = warn
        self._warnings: SimpleQueue[str] = SimpleQueue()
        self._almanac = (
            Almanac(provider, provider.seasons, zone, judge=self._judge, ask=self._ask, warn=self._warnings.put)
            if provider.seasons
            else None
        )
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="fetch")
        self._backlog = _Backlog(limits.waiting)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._refused: list[DayFailed] = []

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Fetcher({self._provider.name!r}, {self._base_url!r})"

    def stop(self) -> None:
        """End every request under way; whoever is in `fetch` gets no more outcomes. Any thread may ask for it."""
        self._stop.set()
        self._backlog.open()
        self._client.close()

    def close(self) -> None:
        """End every request under way, wait until all has ended, and release what was held."""
        self.stop()
        self._pool.shutdown(cancel_futures=True)
        self._turns.close()
        self._judge.close()

    def fetch(self, days: Sequence[date]) -> Generator[list[Outcome], None, None]:
        """Fetch each of `days` once and give every day's outcome, in batches, in the order of arrival.

        A batch is what arrived within a second, at most 24 days and `Limits.batch` bytes. No more than a few batches,
        and no more than `Limits.waiting` bytes and what is under way, wait for a caller that is slower than the API, so
        memory does not grow with the number of days.

        Raises:
            StoreError: what requests are counted in cannot be used.
        """
        remaining = iter(days)
        pending: set[Future[Outcome]] = set()
        try:
            # Once it is stopped, a day may have failed because of that.
            while (batch := self._gather(remaining, pending)) and not self._stop.is_set():
                while not self._warnings.empty():
                    self._warn(self._warnings.get())
                yield batch
                self._backlog.add(-sum(map(_measure, batch)))
        finally:
            # The caller has gone, or an interrupt came: what is still under way is of no use any more.
            if pending:
                self.close()

    def _gather(self, remaining: Iterator[date], pending: set[Future[Outcome]]) -> list[Outcome]:
        """Return the next batch; empty when there is nothing more. Keep as many days under way as there may be."""
        batch: list[Outcome] = []
        space = self._limits.batch
        until = time.monotonic() + BATCH_SECONDS
        while len(batch) < BATCH_DAYS:
            room = 2 * BATCH_DAYS - len(pending) - len(batch)
            pending.update(self._pool.submit(self._fetch_safely, day) for day in islice(remaining, room))
            if not pending or (batch and time.monotonic() >= until):
                break
            done, _ = wait(pending, max(until - time.monotonic(), 0) if batch else None, FIRST_COMPLETED)
            for future in islice(done, BATCH_DAYS - len(batch)):
                # What ends the run, and what is too much for this batch, can wait until the batch is stored.
                if batch and (future.exception() is not None or _measure(future.result()) > space):
                    return batch
                pending.remove(future)
                batch.append(future.result())
                space -= _measure(batch[-1])
        return batch

    def _fetch_safely(self, day: date) -> Outcome:
        """Fetch a day; whatever goes wrong with it is its own outcome and nobody else's."""
        self._backlog.wait()
        try:
            outcome = self._fetch_day(day)
        except FixturesError:
            raise
        except Exception as error:  # noqa: BLE001 - the last net: one day may not cost the others
            message = (
                f"Could not fetch {day}: this project cannot deal with what came ({type(error).__name__}). Report it, "
                "with the log of the run."
            )
            trace = traceback.format_exc()
            _log.warning("%s\n%s", message, "" if self._redactor.finds(trace) else trace)
            outcome = DayFailed(day, ErrorType.API_ERROR, message)
        self._backlog.add(_measure(outcome))
        return outcome

    def _fetch_day(self, day: date) -> Outcome:
        """Ask for a day, or say why it is not asked for."""
        with self._lock:
            refused = self._refused[-1] if len(self._refused) >= self._limits.refusals else None
        if refused is not None:
            message = (
                f"{day} was not requested: {self._limits.refusals} days in a row had been refused before, the last "
                f"being {refused.day}. {refused.message}"
            )
            retry_at = refused.retry_at
            return DayFailed(day, refused.error_type, message, refused.http_status, retry_at=retry_at, asked=False)
        if self._almanac is not None:
            return self._almanac.cut(day)
        requests = self._provider.requests(day, str(self._zone))
        if len(requests) == 1:
            return self._ask(day, requests[0])
        return self._join(day, requests)

    def _join(self, day: date, requests: Sequence[Request]) -> Outcome:
        """Ask for the parts of a day and judge them as one answer; the day is as good as all of them."""
        parts: list[DayLoaded] = []
        for request in requests:
            part = self._ask(day, request)
            if isinstance(part, DayFailed):
                return part
            parts.append(part)
        elements = [element.text for part in parts for element in self._judge.list_elements(part.body)]
        fetched_at = min(filter(None, (part.fetched_at for part in parts)))
        outcome = self._judge.judge(day, self._provider.compose(elements), fetched_at=fetched_at).outcome
        size, elapsed = sum(part.size for part in parts), sum(part.elapsed_ms for part in parts)
        return replace(outcome, size=size, elapsed_ms=elapsed, fetched_at=fetched_at)

    def _ask(self, day: date, request: Request) -> Outcome:
        """Send a request for a day until its answer is there, refused, or not worth another try."""
        begun: list[float] = []
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda attempt: attempt.may_help),
            # What a server asks to wait for is waited for together with all other days: see `_try`.
            wait=tenacity.wait_exponential(multiplier=self._limits.pause, max=self._limits.retry_after),
            stop=tenacity.stop_after_attempt(self._limits.tries) | tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        attempt: Attempt = retrying(self._try, day, request, begun)
        elapsed = time.monotonic() - begun[0] if begun else 0
        outcome = replace(attempt.outcome, elapsed_ms=round(elapsed * 1000))
        if isinstance(outcome, DayFailed):
            outcome = replace(outcome, asked=bool(begun))
            with self._lock:
                if attempt.refuses:
                    self._refused.append(outcome)
        if attempt.refuses is False:
            with self._lock:
                self._refused.clear()
        return outcome

    def _try(self, day: date, request: Request, begun: list[float]) -> Attempt:
        """Send a request for a day when it is its turn, and examine the answer; note in `begun` when it was sent."""
        if (no_turn := self._turns.wait(self._stop)) is not None:
            return self._examiner.examine_broken(day, request, no_turn, len(begun))
        begun.append(time.monotonic())
        fetched_at = datetime.now(UTC)
        answer = self._client.get(request.path, request.query)
        if isinstance(answer, Broken):
            attempt = self._examiner.examine_broken(day, request, answer, len(begun))
        else:
            attempt = self._examiner.examine_answer(day, request, answer, fetched_at)
            # A server that wants to be left alone for a while means all requests, not only those for this day.
            self._turns.hold(attempt.pause)
        return replace(attempt, outcome=replace(attempt.outcome, fetched_at=fetched_at))


def _measure(outcome: Outcome) -> int:
    return len(outcome.body or b"")
