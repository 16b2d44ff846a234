"""Fetches days over HTTP: many at once, within a rate, with retries; gives one outcome a day and raises nothing.

What HTTP itself says (transport, status, headers) is judged here, what stands in a body in `judge`. What is done with
an outcome is nobody's business here.
"""

import codecs
import http.client
import json
import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urljoin, urlsplit
from zoneinfo import ZoneInfo

import requests
import tenacity
import urllib3
from pyrate_limiter import AbstractBucket, Duration, Limiter, Rate, SQLiteBucket
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from fixtures_pipeline.judge import Judge, excerpt
from fixtures_pipeline.outcome import NEVER, REFUSALS, DayFailed, DayLoaded, ErrorType, Outcome
from fixtures_pipeline.providers.base import Provider

#: Most outcomes that `EventsApi.fetch` gives at once, and the seconds it gathers them for.
BATCH_DAYS = 24
BATCH_SECONDS = 1.0

_USER_AGENT = f"fixtures-pipeline/{version('fixtures-pipeline')} (daily football fixtures; requests)"
_PIECE = 64 * 1024
#: Seconds that a thread waits for its turn before it looks whether the run has been ended.
_PATIENCE = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """What the pipeline puts up with; times in seconds.

    Attributes:
        connect: For a connection to be made.
        read: Between two pieces of an answer.
        deadline: For one request as a whole, redirects and body included.
        tries: Requests for one day at most.
        pause: Before the second try; doubled for each further one.
        retry_after: Longest `Retry-After` that is waited for.
        size: Bytes of one answer, unpacked.
        redirects: Redirects followed for one request.
        refusals: Refused days in a row after which the run stops asking.
    """

    connect: float = 10
    read: float = 20
    deadline: float = 60
    tries: int = 4
    pause: float = 0.5
    retry_after: float = 60
    size: int = 64 * 1024 * 1024
    redirects: int = 3
    refusals: int = 3


@dataclass(frozen=True, slots=True)
class _Answer:
    """A complete HTTP answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class _Broken:
    """A request that brought no complete answer."""

    error_type: ErrorType
    seen: str
    transient: bool = True


class EventsApi:
    """One provider's API, for one run. Use it as a context manager: leaving it ends every request under way."""

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
        limits: Limits = Limits(),
    ) -> None:
        """Prepare to ask; nothing is sent before `fetch`.

        Args:
            provider: Whose request, envelope and mapping to use.
            base_url: Scheme, host, port and perhaps a path, without a slash at the end.
            zone: Time zone in which days begin and end.
            key: The account's key; goes into `key_header` and nowhere else.
            key_header: Header for the key; the provider's own if None.
            concurrency: Days under way at once.
            requests_per_second: Requests begun a second at most; the provider's own figure if None.
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
        self._key_header = key_header or provider.key_header or "X-API-Key"
        self._key = key
        self._key_forms = _forms(key) if key else frozenset()
        self._concurrency = concurrency
        self._limits = limits
        self._limiter = _limiter(_rate(requests_per_second or provider.requests_per_second), requests_file)
        quota = requests_per_day or provider.requests_per_day
        self._quota_limiter = _limiter(Rate(quota, Duration.DAY), requests_file) if quota else None
        self._judge = Judge(provider, zone)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._refused: list[DayFailed] = []
        self._not_before = 0.0
        self._under_way: set[_Deadline] = set()
        self._session = requests.Session()
        # Proxies and such from the environment are for the world outside, not for a server on this machine.
        self._session.trust_env = not _is_loopback(base_url)
        self._session.auth = _no_netrc
        self._session.headers.update({"User-Agent": _USER_AGENT, "Accept": "application/json"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(pool_maxsize=concurrency))

    def __enter__(self) -> "EventsApi":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EventsApi({self._provider.name!r}, {self._base_url!r})"

    def close(self) -> None:
        """End every request under way and release the connections."""
        self._stop.set()
        with self._lock:
            under_way = list(self._under_way)
        for deadline in under_way:
            deadline.cut()
        self._session.close()
        for limiter in filter(None, (self._limiter, self._quota_limiter)):
            limiter.close()

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
                        pending.update(pool.submit(self._outcome, day) for day in islice(remaining, max(room, 0)))
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

    def _outcome(self, day: date) -> Outcome:
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
            wait=self._wait,
            stop=tenacity.stop_after_attempt(self._limits.tries) | tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        result: _Answer | _Broken = retrying(self._ask, day, begun)
        outcome = self._broken(day, result) if isinstance(result, _Broken) else self._answered(day, result)
        size = len(result.content) if isinstance(result, _Answer) else 0
        elapsed = time.monotonic() - begun[0] if begun else 0
        outcome = replace(outcome, size=size, elapsed_ms=round(elapsed * 1000))
        if isinstance(outcome, DayFailed):
            outcome = replace(outcome, message=self._without_key(outcome.message.encode()).decode())
        with self._lock:
            if isinstance(outcome, DayFailed) and outcome.error_type in REFUSALS:
                # A day outside the plan says nothing about the other days.
                if outcome.retry_at != NEVER:
                    self._refused.append(outcome)
            else:
                self._refused.clear()
        return outcome

    # Retries

    def _is_transient(self, result: _Answer | _Broken) -> bool:
        if isinstance(result, _Broken):
            return result.transient
        if result.status != 429 and result.status < 500:
            return False
        return (_retry_after(result.headers) or 0) <= self._limits.retry_after

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return the seconds before the next try: what the server asked for, but at least the growing pause."""
        pause = tenacity.wait_exponential(multiplier=self._limits.pause, max=self._limits.retry_after)(state)
        result = state.outcome.result() if state.outcome else None
        asked = _retry_after(result.headers) if isinstance(result, _Answer) else None
        return max(pause, asked or 0)

    def _hold(self, seconds: float) -> None:
        """Let no request of this run begin within the next `seconds`."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    # One request

    def _wait_for_turn(self) -> _Broken | None:
        """Wait until a request may begin; say why if none may."""
        taken = False
        while not self._stop.is_set():
            if not taken:
                taken = bool(self._limiter.try_acquire("requests", timeout=_PATIENCE))
            elif (pause := self._not_before - time.monotonic()) > 0:
                self._stop.wait(pause)
            elif self._quota_limiter is None or self._quota_limiter.try_acquire("requests", timeout=_PATIENCE):
                return None
            elif _is_full(bucket := self._quota_limiter.buckets()[0]):
                quota = bucket.rates[0].limit
                seen = f"the {quota} requests within 24 hours that FIXTURES_REQUESTS_PER_DAY allows are spent"
                return _Broken(ErrorType.RATE_LIMIT_ERROR, seen, transient=False)
        return _Broken(ErrorType.CONNECTION_RESET_ERROR, "the run was ended before the request", transient=False)

    def _ask(self, day: date, begun: list[float]) -> _Answer | _Broken:
        """Send one request for a day and read the answer whole; note in `begun` when it was sent."""
        if (no_turn := self._wait_for_turn()) is not None:
            return no_turn
        begun.append(time.monotonic())
        request = self._provider.request(day, str(self._zone))
        deadline = _Deadline(self._limits.deadline)
        with self._lock:
            self._under_way.add(deadline)
        try:
            answer = self._send(self._base_url + request.path, dict(request.query))
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            return self._explained(error, deadline)
        except _UnacceptableError as error:
            return _Broken(ErrorType.API_ERROR, str(error), transient=False)
        finally:
            deadline.end()
            with self._lock:
                self._under_way.discard(deadline)
        if deadline.passed:
            return self._explained(TimeoutError(), deadline)
        self._hold(self._provider.pause(answer.headers))
        return answer

    def _send(self, url: str, query: dict[str, str]) -> _Answer:
        headers = {self._key_header: self._key} if self._key else {}
        for _ in range(self._limits.redirects + 1):
            request = self._session.prepare_request(requests.Request("GET", url, headers=headers, params=query))
            url = str(request.url)
            options = self._session.merge_environment_settings(url, {}, stream=True, verify=True, cert=None)
            # Sent past the session, which would read the body of a redirect whole and carry the key to other hosts.
            with self._session.get_adapter(url).send(
                request,
                timeout=(self._limits.connect, self._limits.read),
                stream=True,
                verify=options["verify"] or True,  # certificates are checked, whatever the type allows
                proxies=options["proxies"],
            ) as response:
                target = self._session.get_redirect_target(response)
                if target is None:
                    return _Answer(
                        response.status_code,
                        {name.lower(): value for name, value in response.headers.items()},
                        self._read(response),
                    )
            try:
                following = urljoin(url, target)
                if _origin(following) != _origin(url):
                    headers = {}
            except ValueError:
                raise _UnacceptableError("it redirects to something that is no address") from None
            url, query = following, {}
        raise _UnacceptableError(f"more than {self._limits.redirects} redirects, the last to {_shown(url)}")

    def _read(self, response: requests.Response) -> bytes:
        pieces = bytearray()
        # read1() gives what is there; read() would wait for a whole piece, however slowly it drips.
        while piece := response.raw.read1(_PIECE, decode_content=True):
            pieces += piece
            if len(pieces) > self._limits.size:
                raise _UnacceptableError(f"the answer is larger than {self._limits.size // 1024 // 1024} MiB")
        return bytes(pieces)

    # Judgement

    def _explained(self, error: Exception, deadline: "_Deadline") -> _Broken:
        """Say which kind of failure an exception of the HTTP stack stands for."""
        if deadline.passed:
            return _Broken(
                ErrorType.TIMEOUT_ERROR, f"the answer was not complete within {self._limits.deadline:g} seconds"
            )
        for link in _chain(error):
            for kinds, error_type, seen, transient in _CAUSES:
                if isinstance(link, kinds):
                    reason = re.sub(r"\s*\(_ssl\.c:\d+\)", "", excerpt(str(link)))
                    return _Broken(error_type, seen.format(reason=reason, limits=self._limits), transient)
        return _Broken(ErrorType.API_ERROR, f"the request failed ({type(error).__name__})", transient=False)

    def _broken(self, day: date, broken: _Broken) -> DayFailed:
        tries = f" after {self._limits.tries} tries" if broken.transient else ""
        advice = {
            ErrorType.TIMEOUT_ERROR: "The API is slow or silent; load the day again later.",
            ErrorType.RATE_LIMIT_ERROR: "Load the day again tomorrow, or allow more if the plan does.",
            ErrorType.CONNECTION_RESET_ERROR: "Check that the API is up and reachable, then load the day again.",
        }.get(broken.error_type, "Check FIXTURES_API_URL and the network, then load the day again.")
        return DayFailed(
            day, broken.error_type, f"{_shown(self._base_url)} did not give {day}{tries}: {broken.seen}. {advice}"
        )

    def _answered(self, day: date, answer: _Answer) -> DayLoaded | DayFailed:
        body = self._without_key(answer.content.removeprefix(codecs.BOM_UTF8))
        if answer.status == 200:
            return self._judge.judge(day, body)
        return self._refusal(day, answer, body)

    def _refusal(self, day: date, answer: _Answer, body: bytes) -> DayFailed:
        """Judge an answer with a status other than 200."""
        status = answer.status
        said = f" It says: {excerpt(body)}" if body.strip() else ""
        seen = f"{_shown(self._base_url)} answered {status} {http.client.responses.get(status, '')}".rstrip()
        seen = f"{seen} for {day}."
        seconds = _retry_after(answer.headers) if status in {429, 503} else None
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
        return DayFailed(day, error_type, seen + said + advice, status, kept, retry_at=retry_at)

    def _without_key(self, body: bytes) -> bytes:
        """Blot out the key where a server echoes it, plain or escaped: it must not reach a table or a message."""
        for form in self._key_forms:
            body = body.replace(form, b"***")
        return body


#: What an exception of the HTTP stack means: the first row that fits the innermost exception that any row fits.
_CAUSES: tuple[tuple[tuple[type[BaseException], ...], ErrorType, str, bool], ...] = (
    ((ssl.SSLError,), ErrorType.API_ERROR, "no trustworthy TLS connection: {reason}", False),
    ((socket.gaierror,), ErrorType.API_ERROR, "the name of the host cannot be resolved", True),
    (
        (urllib3.exceptions.ConnectTimeoutError,),
        ErrorType.TIMEOUT_ERROR,
        "no connection within {limits.connect:g} seconds",
        True,
    ),
    (
        (urllib3.exceptions.ReadTimeoutError, TimeoutError),
        ErrorType.TIMEOUT_ERROR,
        "nothing came for {limits.read:g} seconds",
        True,
    ),
    ((ConnectionRefusedError,), ErrorType.CONNECTION_RESET_ERROR, "the connection was refused", True),
    ((ConnectionError,), ErrorType.CONNECTION_RESET_ERROR, "the connection was cut off", True),
    (
        (http.client.IncompleteRead, urllib3.exceptions.InvalidChunkLength),
        ErrorType.CONNECTION_RESET_ERROR,
        "the answer ended before it was complete",
        True,
    ),
    ((urllib3.exceptions.DecodeError,), ErrorType.API_ERROR, "the compressed answer cannot be unpacked", False),
    ((http.client.HTTPException,), ErrorType.API_ERROR, "the answer is no HTTP", False),
)


class _UnacceptableError(Exception):
    """An answer that is not read to its end; the text says why."""


class _Deadline:
    """The end of one request's time: when it has come, the connection that this thread is using is cut.

    Timeouts of sockets count from one piece to the next, so a server that drips bytes would never meet one.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        #: Noted by the connections below.
        self.connection: HTTPConnection | None = None
        self._ended = False
        self._lock = threading.Lock()
        _current.deadline = self
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True
        self._timer.start()

    def _pass(self) -> None:
        self.passed = True
        self.cut()

    def cut(self) -> None:
        """Shut the connection in use, so that whoever waits for it stops waiting."""
        with self._lock:
            sock = getattr(self.connection, "sock", None)
            if self._ended or sock is None:
                return
            try:
                # The plain socket's own method: TLS would try to say goodbye first.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return  # closed in the meantime, which is what was wanted

    def end(self) -> None:
        """Call the deadline off."""
        self._timer.cancel()
        with self._lock:
            self._ended = True


#: The deadline of the request that a thread is sending.
_current = threading.local()


class _NotingConnection:
    """Notes its use with the current deadline."""

    def connect(self) -> None:
        _current.deadline.connection = self
        super().connect()  # type: ignore[misc]

    def request(self, *args: object, **kwargs: object) -> None:
        _current.deadline.connection = self
        super().request(*args, **kwargs)  # type: ignore[misc]


class _HTTPConnection(_NotingConnection, HTTPConnection):
    """A plain connection that notes its use."""


class _HTTPSConnection(_NotingConnection, HTTPSConnection):
    """A TLS connection that notes its use."""


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class _Adapter(HTTPAdapter):
    """requests' adapter over connections that note their use."""

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: object, **kwargs: object) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **kwargs)  # type: ignore[arg-type]
        manager.pool_classes_by_scheme = _POOLS
        return manager


def _rate(per_second: float) -> Rate:
    """Let the whole requests of a second begin at once, but no more than that in as long as the rate takes for them."""
    at_once = max(1, int(per_second))
    return Rate(at_once, math.ceil(1000 * at_once / per_second))


def _limiter(rate: Rate, file: Path | None) -> Limiter:
    """Count requests, across runs where there is a file for it."""
    if file is None:
        return Limiter(rate)
    file.parent.mkdir(parents=True, exist_ok=True)
    table = f"requests_in_{rate.interval}_ms"
    return Limiter(SQLiteBucket.init_from_file([rate], table=table, db_path=str(file), use_file_lock=True))


def _is_full(bucket: AbstractBucket) -> bool:
    """Say whether a bucket has no room left, rather than being held by another process for a moment."""
    count = bucket.count()
    return isinstance(count, int) and count >= bucket.rates[0].limit


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from adding a password of ~/.netrc that nobody configured here."""
    return request


def _forms(key: str) -> frozenset[bytes]:
    """Return a key as it stands in answers: plain, in a URL, in JSON, and in JSON that is safe in HTML."""
    in_json = json.dumps(key)[1:-1]
    forms = {key, quote(key, safe=""), in_json, in_json.replace("/", r"\/")}
    for unsafe in ("[&<>]", "[&<>+'`]"):
        for code in ("{:04x}", "{:04X}"):
            forms.add(re.sub(unsafe, lambda found, code=code: r"\u" + code.format(ord(found[0])), in_json))
    return frozenset(form.encode() for form in forms)


def _retry_after(headers: dict[str, str]) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait; None without one that can be read.

    Both forms of https://www.rfc-editor.org/rfc/rfc9110#field.retry-after are understood.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", value):
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max((at - datetime.now(UTC)).total_seconds(), 0)


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception and all that it wraps or was caused by, the innermost first."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and link not in found:
            found.append(link)
            waiting += [*link.args, getattr(link, "reason", None), link.__cause__, link.__context__]
    return found[::-1]


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _shown(url: str) -> str:
    """Return the part of an address that may stand in a message: no query, no user."""
    parts = urlsplit(url)
    return excerpt(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
