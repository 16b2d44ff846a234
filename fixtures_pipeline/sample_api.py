"""The bundled API, so that the project works at once without an account or a network.

It answers under Sofascore's path with the invented days of `sample_days`; a few days fail, each in its own way. Only
the server belongs here. It serves on loopback only.

`python -m fixtures_pipeline.sample_api --port 8000` serves it on its own.
"""

import argparse
import logging
import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from fixtures_pipeline.sample_days import day_body

#: A failing day recovers after this many refused requests to the same server.
RECOVERS_AFTER = 5

_PATH = "/api/v1/sport/football/scheduled-events/"

#: Days that fail, by the day's ordinal modulo 22: any 22 days in a row contain each fault once.
_FAULTS = {2: "outage", 6: "login page", 11: "single event", 15: "no list", 20: "not found"}

_NOT_FOUND = b'{"error": {"code": 404, "message": "Not Found"}}'
_LOGIN = b"<!doctype html><html><title>Please log in</title><body><form>User <input name=user></form></body></html>"
_OUTAGE = b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>"


class SampleApi:
    """The sample API, served on loopback by threads of this process for as long as the context lasts."""

    def __init__(
        self,
        port: int = 0,
        *,
        failed_before: Collection[date] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Bind the port; serving begins with the context.

        Args:
            port: Port on 127.0.0.1; 0 takes a free one.
            failed_before: Days whose outage is over.
            now: The clock that events follow: scheduled, live, finished.
        """
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.recovered = frozenset(failed_before)
        self._server.now = now
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sample-api")

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "SampleApi":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """What the handlers share."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    recovered: Collection[date] = ()
    now: Callable[[], datetime]

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - passed on unchanged
        self.refused: Counter[date] = Counter()
        super().__init__(*args)


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    # An idle connection does not keep its thread for ever.
    timeout = 30
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        """Answer with a day, its fault, or 404."""
        status, kind, body = self._answer()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> tuple[int, str, bytes]:
        path = self.path.partition("?")[0]
        try:
            day = date.fromisoformat(path.removeprefix(_PATH))
        except ValueError:
            return 404, "application/json", _NOT_FOUND
        fault = _FAULTS.get(day.toordinal() % 22)
        if fault == "outage" and day not in self.server.recovered and self.server.refused[day] < RECOVERS_AFTER:
            self.server.refused[day] += 1
            return 503, "text/html", _OUTAGE
        if fault == "login page":
            return 200, "text/html", _LOGIN
        if fault == "not found":
            return 404, "application/json", _NOT_FOUND
        if fault == "no list":
            return 200, "application/json", b'{"scheduled": [], "hasNextPage": false}'
        body = day_body(day, self.server.now(), own=1 if fault == "single event" else None)
        return 200, "application/json", body

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: the pipeline logs what matters."""


def main() -> None:
    """Serve the sample API until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m fixtures_pipeline.sample_api", description="Serve the sample API.")
    parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1 (8000)")
    port = parser.parse_args().port
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        served = SampleApi(port)
    except (OSError, OverflowError):
        raise SystemExit(f"Port {port} on 127.0.0.1 cannot be used; choose another with --port.") from None
    with served as api:
        logging.getLogger(__name__).info("Serving the sample API on %s until Ctrl-C.", api.url)
        ended.wait()


if __name__ == "__main__":
    main()
