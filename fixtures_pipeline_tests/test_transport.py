"""One request: when it may begin, what it carries where, and that it ends in time."""

import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from filelock import FileLock
from pyrate_limiter import Duration, Limiter

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.transport.client import Answer, Client
from fixtures_pipeline.transport.failures import Broken
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline.transport.turns import Turns, to_rate
from fixtures_pipeline_tests.fault_server import Exchange, FaultServer
from fixtures_pipeline_tests.tls import context_of, trust_authority

DAY = date(2025, 3, 3)
PATH = f"/days/{DAY}"
KEY = "s3cret/key+with=signs"
#: Longer than any test waits, but for the deadline.
ONE_SECOND = Limits(connect=20, read=20, deadline=1)


def get(url: str, limits: Limits = ONE_SECOND) -> Answer | Broken:
    """Send one request with a key."""
    with closing(Client(url, secret={"X-Key": KEY}, connections=1, limits=limits)) as client:
        return client.get(PATH, {})


def drip(exchange: Exchange, data: bytes) -> None:
    """Send a byte each tenth of a second."""
    with suppress(OSError):
        for n in range(len(data)):
            exchange.send(data[n : n + 1])
            time.sleep(0.1)


def drip_body(exchange: Exchange) -> None:
    exchange.head(200, Content_Length="100")
    drip(exchange, b" " * 100)


class SlowContext:
    """A server's TLS that lets its clients wait before it answers their greeting."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_socket(self, sock: socket.socket, **options: Any) -> ssl.SSLSocket:
        time.sleep(0.5)
        return self._context.wrap_socket(sock, **options)


class CutContext:
    """A server's TLS that reads its client's greeting and hangs up."""

    def wrap_socket(self, sock: socket.socket, **options: Any) -> ssl.SSLSocket:
        sock.recv(4096)
        sock.close()
        raise ConnectionAbortedError


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """Return an authority that is trusted."""
    return trust_authority(monkeypatch, tmp_path)


class TestTls:
    """TLS is always verified."""

    def get_over(self, certificate: "trustme.LeafCert | CutContext") -> Answer | Broken:
        context = certificate if isinstance(certificate, CutContext) else context_of(certificate)
        with FaultServer(context) as server:  # type: ignore[arg-type]
            return get(server.url)

    def test_a_good_certificate_is_accepted(self, authority: trustme.CA) -> None:
        assert isinstance(self.get_over(authority.issue_cert("127.0.0.1")), Answer)

    def test_a_connection_that_is_cut_in_the_handshake_was_cut(self, authority: trustme.CA) -> None:
        result = self.get_over(CutContext())
        assert isinstance(result, Broken)
        assert (result.error_type, result.transient) == (ErrorType.CONNECTION_RESET_ERROR, True)

    def test_an_expired_one_is_not(self, authority: trustme.CA) -> None:
        past = datetime.now(UTC) - timedelta(days=1)
        self.assert_refused(self.get_over(authority.issue_cert("127.0.0.1", not_after=past)), "expired")

    def test_one_of_another_host_is_not(self, authority: trustme.CA) -> None:
        self.assert_refused(self.get_over(authority.issue_cert("127.0.0.2")), "127.0.0.1")

    def test_a_self_signed_one_is_not(self) -> None:
        self.assert_refused(self.get_over(trustme.CA().issue_cert("127.0.0.1")), "verify failed")

    def assert_refused(self, result: Answer | Broken, reason: str) -> None:
        assert isinstance(result, Broken)
        assert result.error_type == ErrorType.API_ERROR
        assert "TLS" in result.seen
        assert reason in result.seen


class TestTheKeysHeader:
    """It goes to the one server that it is for."""

    def test_is_sent(self, api: FaultServer) -> None:
        get(api.url)
        assert api.requests[0].headers["X-Key"] == KEY
        assert KEY not in api.requests[0].path

    def test_is_not_carried_to_another_host(self, api: FaultServer) -> None:
        with FaultServer(host="127.0.0.2") as other:
            api.plan(DAY, lambda exchange: exchange.answer(302, b"", Location=f"{other.url}{PATH}"))
            assert isinstance(get(api.url), Answer)
            assert KEY in api.requests[0].headers.values()
            assert KEY not in other.requests[0].headers.values()


class TestRetryAfter:
    """Both forms are read, and nothing else is taken for one."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("0", 0),
            (" 120 ", 120),
            ("9" * 4000, 366 * 86400),
            ("%a, %d %b %Y %H:%M:%S GMT", 3600),
            ("%a %b %d %H:%M:%S %Y", 3600),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
            ("Fri, 31 Dec 9999 23:59:59 -1200", 366 * 86400),
        ],
        ids=["none", "seconds", "too many", "date", "date of C", "past", "beyond the calendar"],
    )
    def test_is_read(self, value: str, expected: float) -> None:
        in_an_hour = datetime.now(UTC) + timedelta(hours=1)
        header = in_an_hour.strftime(value) if "%" in value else value
        assert Answer(429, {"retry-after": header}, b"").retry_after == pytest.approx(expected, abs=60)

    @pytest.mark.parametrize(
        "value", ["", "soon", "-5", "1.5", "٣", "9" * 5000, "1 Jan 99999999999999999999 00:00:00 GMT"]
    )
    def test_is_left_alone(self, value: str) -> None:
        assert Answer(429, {"retry-after": value}, b"").retry_after is None
        assert Answer(429, {}, b"").retry_after is None


def resolve_slowly(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    resolve = socket.getaddrinfo

    def slow(*args: Any, **options: Any) -> Any:
        time.sleep(seconds)
        return resolve(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)


class TestTheDeadline:
    """It holds whatever the request is doing when it comes."""

    def assert_holds(self, url: str) -> None:
        begun = time.monotonic()
        result = get(url)
        assert time.monotonic() - begun < 5
        assert isinstance(result, Broken)
        assert result.seen == "the answer was not complete within 1 seconds"

    def test_while_a_name_is_resolved(self, api: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
        api.plan(DAY, drip_body)
        resolve_slowly(monkeypatch, 1.3)
        self.assert_holds(api.url)
        assert not api.requests

    def test_while_a_connection_is_made(self) -> None:
        with (
            socket.create_server(("127.0.0.1", 0), backlog=0) as full,
            socket.socket() as first,
            socket.socket() as more,
        ):
            for waiting in (first, more):
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            self.assert_holds(f"http://127.0.0.1:{full.getsockname()[1]}")

    def test_while_tls_is_agreed_on(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.assert_holds(f"https://127.0.0.1:{silent.getsockname()[1]}")

    def test_over_redirects(self, api: FaultServer, authority: trustme.CA) -> None:
        def redirect(exchange: Exchange) -> None:
            time.sleep(0.8)
            exchange.answer(302, b"", Location=f"{slow.url}{PATH}")

        context = SlowContext(context_of(authority.issue_cert("127.0.0.1")))
        with FaultServer(context) as slow:  # type: ignore[arg-type]
            api.plan(DAY, redirect)
            slow.plan(DAY, drip_body)
            self.assert_holds(api.url)

    @pytest.mark.parametrize("connection", ["keep-alive", "close"])
    def test_while_a_body_drips(self, connection: str, api: FaultServer) -> None:
        def drip_trailers(exchange: Exchange) -> None:
            exchange.head(200, Transfer_Encoding="chunked", Connection=connection)
            exchange.send(b"2\r\n{}\r\n0\r\n")
            drip(exchange, b"X: y\r\n" * 10)

        api.plan(DAY, drip_trailers)
        self.assert_holds(api.url)

    def test_through_a_proxy(self, api: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
        api.plan(DAY, drip_body)
        monkeypatch.setenv("http_proxy", api.url)
        self.assert_holds("http://api.invalid")
        assert len(api.requests) == 1

    def test_closing_ends_a_request_whose_name_is_being_resolved(
        self, api: FaultServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        api.plan(DAY, lambda exchange: exchange.idle())
        resolve_slowly(monkeypatch, 1)
        client = Client(api.url, secret={}, connections=1, limits=Limits(read=5))
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(client.get, PATH, {})
            time.sleep(0.3)
            client.close()
            assert isinstance(result.result(timeout=5), Broken)
        assert not api.requests


class TestTurns:
    """No run begins a request earlier than it may."""

    @pytest.mark.parametrize("per_second", [0.15, 0.999, 1, 1.5, 2.5, 10, 999.5, 1000])
    def test_no_rate_is_exceeded(self, per_second: float) -> None:
        rate = to_rate(per_second)
        assert rate.limit / rate.interval <= per_second / 1000

    def test_runs_at_the_same_time_keep_to_one_rate(self, tmp_path: Path) -> None:
        def take_three(_: int) -> list[float]:
            with closing(Turns(per_second=2, file=tmp_path / "requests.sqlite")) as turns:
                return [time.monotonic() for _ in range(3) if turns.wait(threading.Event()) is None]

        with ThreadPoolExecutor(2) as pool:
            taken = sorted(at for run in pool.map(take_three, range(2)) for at in run)
        assert len(taken) == 6
        assert min(later - earlier for earlier, later in zip(taken, taken[2:], strict=False)) > 0.9

    def test_a_pause_holds_for_runs_at_the_same_time(self, tmp_path: Path) -> None:
        path = tmp_path / "requests.sqlite"
        with closing(Turns(1000, file=path)) as one, closing(Turns(1000, file=path)) as other:
            one.hold(1)
            one.hold(0.1)
            begun = time.monotonic()
            assert other.wait(threading.Event()) is None
            assert time.monotonic() - begun > 0.9

    def test_a_pause_that_begins_in_the_future_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with closing(Turns(1000)) as turns:
            with monkeypatch.context() as patched:
                patched.setattr(time, "time", lambda: datetime(2100, 1, 1, tzinfo=UTC).timestamp())
                turns.hold(60)
            assert turns.wait(threading.Event()) is None

    def test_a_count_that_another_process_holds_for_a_while_is_no_spent_quota(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        acquire = Limiter.try_acquire

        def acquire_quota_only(limiter: Limiter, *args: Any, **options: Any) -> Any:
            # The rate is counted in the same file: here only the quota waits for it.
            return limiter.buckets()[0].rates[0].interval != Duration.DAY or acquire(limiter, *args, **options)

        monkeypatch.setattr(Limiter, "try_acquire", acquire_quota_only)
        path = tmp_path / "requests.sqlite"
        with closing(Turns(1000, per_day=6, file=path)) as turns, ThreadPoolExecutor(1) as pool:
            with FileLock(f"{path}.lock"):
                turn = pool.submit(turns.wait, threading.Event())
                time.sleep(1.5)
            assert turn.result() is None
