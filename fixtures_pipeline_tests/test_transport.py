"""One request: when it may begin, what it carries where, and that it ends in time."""

import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import urllib3
from filelock import FileLock
from pyrate_limiter import Duration, Limiter

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.transport.client import Answer, Client
from fixtures_pipeline.transport.failures import Broken
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline.transport.turns import Turns, to_rate
from fixtures_pipeline_tests.fault_server import Exchange, FaultServer, closed_port, head_of
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


class TestRedirects:
    """They are followed where nothing can come of it."""

    def test_a_server_elsewhere_gets_no_key_and_the_answer_says_so(self, api: FaultServer) -> None:
        with FaultServer(host="127.0.0.2") as other:
            other.plan_any((401, b""))
            api.plan(DAY, lambda exchange: exchange.answer(302, b"", Location=f"{other.url}{PATH}?secret=1"))
            answer = get(api.url)
        assert isinstance(answer, Answer)
        assert (answer.status, answer.stranger) == (401, f"{other.url}{PATH}")

    def test_the_key_does_not_come_back(self, api: FaultServer) -> None:
        with FaultServer(host="127.0.0.2") as other:
            other.plan_any(lambda exchange: exchange.answer(302, b"", Location=f"{api.url}{PATH}?again"))
            api.plan(
                DAY,
                lambda exchange: exchange.answer(
                    *((302, b"") if not exchange.request.before else (200, b"{}")), Location=f"{other.url}{PATH}"
                ),
            )
            get(api.url)
        assert [KEY in request.headers.values() for request in api.requests] == [True, False]

    @pytest.mark.parametrize(
        ("url", "other", "keeps"),
        [
            ("http://api.example/x", "https://api.example/x", True),
            ("http://api.example:80/x", "https://api.example:443/x", True),
            ("https://api.example/x", "https://api.example:443/y", True),
            ("https://api.example/x", "https://api.example:8443/x", False),
            ("http://api.example:8080/x", "https://api.example/x", False),
            ("https://api.example/x", "https://www.api.example/x", False),
        ],
    )
    def test_the_key_is_kept_on_the_way_to_the_same_host_only(
        self, url: str, other: str, keeps: bool, api: FaultServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys: list[bool] = []

        def answer(adapter: object, request: requests.PreparedRequest, **_: object) -> requests.Response:
            keys.append(KEY in request.headers.values())
            response = requests.Response()
            response.url, response.raw = str(request.url), urllib3.HTTPResponse(b"{}", preload_content=False)
            response.status_code = 200 if len(keys) > 1 else 302
            response.headers["Location"] = other
            return response

        monkeypatch.setattr("fixtures_pipeline.transport.connections.Adapter.send", answer)
        assert isinstance(get(url), Answer)
        assert keys == [True, keeps]

    def test_from_https_to_http_is_not_followed(self, api: FaultServer, authority: trustme.CA) -> None:
        with FaultServer(context_of(authority.issue_cert("127.0.0.1"))) as secure:
            secure.plan(DAY, lambda exchange: exchange.answer(302, b"", Location=f"{api.url}{PATH}"))
            result = get(secure.url)
        assert isinstance(result, Broken)
        assert (result.error_type, result.transient) == (ErrorType.API_ERROR, False)
        assert f"from https to {api.url}{PATH}, which is not followed" in result.seen
        assert not api.requests

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "[::1]", "127.1", "2130706433", "0x7f.1", "0.0.0.0",
            "[::ffff:127.0.0.1]", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "[fe80::1]", "[fd00::1]",
        ],
    )  # fmt: skip
    def test_from_outside_into_the_own_network_is_not_followed(
        self, host: str, api: FaultServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", api.url)  # by which a server of the world outside can be had here
        api.plan(DAY, lambda exchange: exchange.answer(302, b"", Location=f"http://{host}{PATH}"))
        result = get("http://api.invalid")
        assert isinstance(result, Broken)
        assert (result.error_type, result.transient) == (ErrorType.API_ERROR, False)
        assert "into the network of this machine" in result.seen
        assert len(api.requests) == 1


class TestProxies:
    """What a proxy does to a request is told as such, and so is where the proxy is named."""

    def assert_told(self, result: Answer | Broken, seen: str, *, transient: bool) -> None:
        assert isinstance(result, Broken)
        assert (result.error_type, result.transient) == (ErrorType.API_ERROR, transient)
        assert seen in result.seen
        assert "HTTPS_PROXY" in (result.advice or "")

    @pytest.mark.parametrize(
        ("answer", "seen", "transient"),
        [
            (b"HTTP/1.1 407 Log in\r\n\r\n", "the proxy answered 407 Log in", False),
            (b"HTTP/1.1 403 \x1b[31mForbidden\r\n\r\n", "the proxy answered 403 [31mForbidden", False),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "the proxy answered 502 Bad Gateway", True),
            (b"HTTP/1.1 503 \r\n\r\n", "the proxy answered 503", True),
        ],
    )
    def test_that_refuses_a_tunnel(
        self, answer: bytes, seen: str, transient: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with FaultServer() as proxy:
            proxy.greet = lambda sock, _: (sock.recv(4096), sock.sendall(answer), sock.close())  # type: ignore[assignment,func-returns-value]
            monkeypatch.setenv("https_proxy", proxy.url)
            self.assert_told(get("https://api.invalid"), seen, transient=transient)

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_that_nobody_answers_for(self, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{closed_port()}")
        result = get(f"{scheme}://api.invalid")
        self.assert_told(result, "the proxy cannot be reached: the connection was refused", transient=True)

    def test_that_cannot_be_resolved(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("https_proxy", "http://no-such-proxy.invalid:3128")
        result = get("https://api.invalid")
        self.assert_told(result, "the proxy cannot be reached: the name of the host", transient=True)

    @pytest.mark.parametrize(
        "address", ["socks5://127.0.0.1:1080", "ftp://127.0.0.1:1", "http://127.0.0.1:port", "http://"]
    )
    def test_whose_address_cannot_be_used(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("https_proxy", address)
        self.assert_told(get("https://api.invalid"), "the address of the proxy cannot be used", transient=False)

    def test_that_wants_a_login_for_plain_http(self, api: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
        api.plan(DAY, (407, b""))
        monkeypatch.setenv("http_proxy", api.url)
        answer = get("http://api.invalid")
        assert isinstance(answer, Answer)
        assert answer.status == 407

    def test_that_is_spoken_to_over_tls_is_trusted_like_a_server(
        self, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for issuer, seen in ((authority, "the proxy answered 407"), (trustme.CA(), "certificate verify failed")):
            with FaultServer(context_of(issuer.issue_cert("127.0.0.1"))) as proxy:
                proxy.refuse_all = head_of(407)
                monkeypatch.setenv("https_proxy", proxy.url)
                self.assert_told(get("https://api.invalid"), seen, transient=False)


class TestTheAuthorities:
    """Files of certificates that cannot be used are named, with the variables that name them."""

    @pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
    def test_that_cannot_be_read(self, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "bundle.pem"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
        result = get("https://api.invalid")
        assert isinstance(result, Broken)
        assert (result.error_type, result.transient) == (ErrorType.API_ERROR, False)
        assert str(path) in result.seen
        assert "REQUESTS_CA_BUNDLE" in (result.advice or "")

    @pytest.mark.parametrize("kind", ["file", "folder"])
    def test_that_the_environment_names_are_trusted(
        self, kind: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bundle = tmp_path / "authority.pem"
        if kind == "folder":
            subprocess.run(["openssl", "rehash", str(tmp_path)], check=True)
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", "/nowhere")
        monkeypatch.setattr("fixtures_pipeline.transport.client._is_loopback", lambda url: False)
        monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path if kind == "folder" else bundle))
        with FaultServer(context_of(authority.issue_cert("127.0.0.1"))) as server:
            assert isinstance(get(server.url), Answer)


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
        assert time.monotonic() - begun < 60
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
            with closing(Turns(per_second=2, counted_in=tmp_path / "requests.sqlite")) as turns:
                return [time.monotonic() for _ in range(3) if turns.wait(threading.Event()) is None]

        with ThreadPoolExecutor(2) as pool:
            taken = sorted(at for run in pool.map(take_three, range(2)) for at in run)
        assert len(taken) == 6
        assert min(later - earlier for earlier, later in zip(taken, taken[2:], strict=False)) > 0.9

    def test_a_pause_holds_for_runs_at_the_same_time(self, tmp_path: Path) -> None:
        path = tmp_path / "requests.sqlite"
        with closing(Turns(1000, counted_in=path)) as one, closing(Turns(1000, counted_in=path)) as other:
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
        with closing(Turns(1000, per_day=6, counted_in=path)) as turns, ThreadPoolExecutor(1) as pool:
            with FileLock(f"{path}.lock"):
                turn = pool.submit(turns.wait, threading.Event())
                time.sleep(1.5)
            assert turn.result() is None
