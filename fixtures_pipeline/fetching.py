"""Fetches many days at once, with retries and an end after refusals; gives one outcome per day and raises nothing.

What a status means, and what people are told of a day that failed, is decided here; how a request is sent is in
`transport`, what a body is worth in `judge`. What is done with an outcome is left to the caller.
"""

import codecs
import http.client
import logging
import sqlite3
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import tenacity

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.outcome import NEVER, REFUSALS, DayFailed, DayLoaded, Outcome
from fixtures_pipeline.providers.provider import Provider
from fixtures_pipeline.text import excerpt
from fixtures_pipeline.transport.client import Answer, Client
from fixtures_pipeline.transport.failures import Broken
from fixtures_pipeline.transport.limits import LIMITS, Limits
from fixtures_pipeline.transport.redaction import blot_out, find_forms, strip_url
from fixtures_pipeline.transport.turns import Turns

#: Most outcomes that `Fetcher.fetch` gives at once, and the seconds it gathers them for.
BATCH_DAYS = 24
BATCH_SECONDS = 1.0

_log = logging.getLogger(__name__)


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
        requests_file: Path | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        """Prepare to ask; nothing is sent before `fetch`.

        Args:
            provider: Whose request, envelope and mapping to use.
            base_url: Scheme, host, port and perhaps a path, without a slash at the end.
            zone: Time zone in which days begin and end.
            key: The account's key; goes into `key_header` and nowhere else.
            key_header: Header for the key; the provider's own if None.
            concurrency: Days under way at once.
            requests_per_second: Requests begun per second at most; the provider's own figure if None.
            requests_per_day: Requests within 24 hours at most; the provider's own figure if None.
            requests_file: Where requests are counted, across runs; without it, only this run's count.
            limits: Times, sizes and counts.

        Raises:
            OSError: the folder of `requests_file` cannot be made.
            sqlite3.Error: `requests_file` cannot be used; later, `fetch` may raise it as well.
        """
        self._provider = provider
        self._base_url = base_url
        self._zone = zone
        self._key_forms = find_forms(key) if key else frozenset()
        self._concurrency = concurrency
        self._limits = limits
        self._judge = Judge(provider, zone)
        self._turns = Turns(
            requests_per_second or provider.requests_per_second,
            requests_per_day or provider.requests_per_day,
            requests_file,
        )
        secret = {key_header or provider.key_header or "X-API-Key": key} if key else {}
        self._client = Client(base_url, secret=secret, connections=concurrency, limits=limits)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._refused: list[DayFailed] = []

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Fetcher({self._provider.name!r}, {self._base_url!r})"

    def close(self) -> None:
        """End every request under way and release the connections."""
        self._stop.set()
        self._client.close()
        self._turns.close()

    def fetch(self, days: Sequence[date]) -> Generator[list[Outcome], None, None]:
        """Fetch each of `days` once and give every day's outcome, in batches, in the order of arrival.

        A batch is what arrived within a second, at most 24 days. No more than a few batches wait for a caller that is
        slower than the API, so memory does not grow with the number of days.
        """
        remaining = iter(days)
        pending: set[Future[Outcome]] = set()
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="fetch") as pool:
            try:
                while True:
                    batch: list[Outcome] = []
                    until = time.monotonic() + BATCH_SECONDS
                    while len(batch) < BATCH_DAYS:
                        room = 2 * BATCH_DAYS - len(pending) - len(batch)
                        pending.update(pool.submit(self._fetch_safely, day) for day in islice(remaining, max(room, 0)))
                        if not pending or (batch and time.monotonic() >= until):
                            break
                        timeout = max(until - time.monotonic(), 0) if batch else None
                        done, _ = wait(pending, timeout, FIRST_COMPLETED)
                        ready = list(islice(done, BATCH_DAYS - len(batch)))
                        pending.difference_update(ready)
                        batch.extend(future.result() for future in ready)
                    if not batch:
                        return
                    yield batch
            finally:
                # The caller has gone, or an interrupt came: what is still under way is of no use any more.
                if pending:
                    for future in pending:
                        future.cancel()
                    self.close()

    def _fetch_safely(self, day: date) -> Outcome:
        """Fetch a day; what this project cannot deal with is that day's failure and costs no other one."""
        try:
            return self._fetch_day(day)
        except (OSError, sqlite3.Error):
            # The file where requests are counted, which is nobody's day.
            raise
        except Exception as error:  # noqa: BLE001 - the last net
            _log.debug("Fetching %s ended in an error.", day, exc_info=True)
            message = (
                f"Could not fetch {day} from {strip_url(self._base_url)}: this project cannot deal with what came "
                f"({type(error).__name__}). Report it, with the log of the run at debug level."
            )
            return DayFailed(day, ErrorType.API_ERROR, message)

    def _fetch_day(self, day: date) -> Outcome:
        """Ask for a day until it is there, refused, or not worth another try."""
        with self._lock:
            refused = self._refused[-1] if len(self._refused) >= self._limits.refusals else None
        if refused is not None:
            message = (
                f"{day} was not requested: {self._limits.refusals} days in a row had been refused before, the last "
                f"being {refused.day}. {refused.message}"
            )
            return DayFailed(day, refused.error_type, message, refused.http_status, retry_at=refused.retry_at)
        begun: list[float] = []
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(self._is_transient),
            # What `Retry-After` asks for is waited for together with all other days: see `_ask`.
            wait=tenacity.wait_exponential(multiplier=self._limits.pause, max=self._limits.retry_after),
            stop=tenacity.stop_after_attempt(self._limits.tries) | tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        result: Answer | Broken = retrying(self._ask, day, begun)
        outcome = self._judge_answer(day, result) if isinstance(result, Answer) else self._fail(day, result, len(begun))
        size = len(result.content) if isinstance(result, Answer) else 0
        elapsed = time.monotonic() - begun[0] if begun else 0
        outcome = replace(outcome, size=size, elapsed_ms=round(elapsed * 1000))
        if isinstance(outcome, DayFailed):
            outcome = replace(outcome, message=blot_out(self._key_forms, outcome.message.encode()).decode())
        with self._lock:
            if isinstance(outcome, DayFailed) and outcome.error_type in REFUSALS:
                # A day outside the plan says nothing about the other days.
                if outcome.retry_at != NEVER:
                    self._refused.append(outcome)
            else:
                self._refused.clear()
        return outcome

    def _ask(self, day: date, begun: list[float]) -> Answer | Broken:
        """Send one request for a day when it is its turn; note in `begun` when it was sent."""
        if (no_turn := self._turns.wait(self._stop)) is not None:
            return no_turn
        begun.append(time.monotonic())
        request = self._provider.request(day, str(self._zone))
        answer = self._client.get(request.path, request.query)
        if isinstance(answer, Answer):
            # A server that wants to be left alone for a while means all requests, not only those for this day.
            asked = answer.retry_after if self._is_transient(answer) else None
            self._turns.hold(max(asked or 0, self._provider.pause(answer.headers)))
        return answer

    def _is_transient(self, result: Answer | Broken) -> bool:
        if isinstance(result, Broken):
            return result.transient
        may_help = result.status == 429 or result.status >= 500
        return may_help and (result.retry_after or 0) <= self._limits.retry_after

    def _fail(self, day: date, broken: Broken, tries: int) -> DayFailed:
        """Tell of a day that got no complete answer."""
        after = f" after {tries} tries" if tries > 1 else ""
        advice = {
            ErrorType.TIMEOUT_ERROR: "The API is slow or silent; load the day again later.",
            ErrorType.RATE_LIMIT_ERROR: "Load the day again tomorrow, or raise the limit if the plan allows it.",
            ErrorType.CONNECTION_RESET_ERROR: "Check that the API is up and reachable, then load the day again.",
        }.get(broken.error_type, "Check FIXTURES_API_URL and the network, then load the day again.")
        message = f"Could not fetch {day} from {strip_url(self._base_url)}{after}: {broken.seen}. {advice}"
        return DayFailed(day, broken.error_type, message)

    def _judge_answer(self, day: date, answer: Answer) -> DayLoaded | DayFailed:
        # The key must not reach a table or a message.
        body = blot_out(self._key_forms, answer.content.removeprefix(codecs.BOM_UTF8))
        if answer.status == 200:
            return self._judge.judge(day, body)
        status = answer.status
        said = f" It says: {excerpt(body)}" if body.strip() else ""
        seen = f"{strip_url(self._base_url)} answered {status} {http.client.responses.get(status, '')}".rstrip()
        seconds = answer.retry_after if status in {429, 503} else None
        retry_at = datetime.now(UTC) + timedelta(seconds=seconds) if seconds is not None else None
        later = f" Come back after {retry_at:%Y-%m-%d %H:%M} UTC." if retry_at else " Load the day again later."
        own = self._judge.refusal(status, body)
        if own is not None:
            error_type, advice = own.error_type, f" {own.advice}"
            retry_at = NEVER if own.permanent else retry_at
        elif status in {401, 403}:
            error_type = ErrorType.AUTH_ERROR
            advice = (
                " Check FIXTURES_API_KEY and what the account may read; a provider that refuses this client is not "
                "worked around."
            )
        elif status == 429:
            error_type, advice = ErrorType.RATE_LIMIT_ERROR, f" The quota is spent.{later}"
        elif status == 404:
            error_type = ErrorType.API_ERROR
            advice = " Check FIXTURES_API_URL; if it is right, the provider no longer has this path or this day."
        else:
            error_type, advice = ErrorType.API_ERROR, later
        kept = body if body and self._judge.is_json(body) else None
        return DayFailed(day, error_type, f"{seen} for {day}.{said}{advice}", status, kept, retry_at=retry_at)
