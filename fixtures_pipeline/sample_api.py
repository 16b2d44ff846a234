"""The bundled API, so that the project works at once without an account or a network.

It answers under Sofascore's path with the invented days of `sample_days`; a few days fail, each in its own way, until
they are asked for again. Only the server belongs here. It serves on loopback only.

`python -m fixtures_pipeline.sample_api --port 8000` serves it on its own.
"""

import argparse
import logging
import math
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from fixtures_pipeline.sample_days import day_body

_PATH = "/api/v1/sport/football/scheduled-events/"
_NOT_FOUND = b'{"error": {"code": 404, "message": "Not Found"}}'

#: Requests that an outage outlasts: more than a load sends for a day.
OUTAGE = 5


@dataclass(frozen=True)
class _Fault:
    """What a failing day gets instead of its events.

    Attributes:
        status: The HTTP status.
        kind: The content type.
        body: The body; None for the day's good answer with only one event of its own.
        lasts: The requests that get it, the day's first ones.
    """

    status: int
    kind: str
    body: bytes | None
    lasts: float = 1


#: The faults by the day's ordinal modulo 22: any 22 days in a row have each fault once.
_FAULTS = {
    2: _Fault(
        503, "text/html", b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>", OUTAGE
    ),
    6: _Fault(
        200,
        "text/html",
        b"<!doctype html><html><title>Please log in</title><body><form>User <input name=user></form></body></html>",
    ),
    11: _Fault(200, "application/json", None),
    15: _Fault(200, "application/json", b'{"scheduled": [], "hasNextPage": false}'),
    20: _Fault(404, "text/plain", b"The sample leaves this day out on purpose", math.inf),
}


def _find_fault(day: date, today: date) -> _Fault | None:
    """Return the fault of a day that was never asked for; today has none, as it is looked at first."""
    if day == today:
        return None
    fault = _FAULTS.get(day.toordinal() % 22)
    if day == today + timedelta(days=1):
        # Today's, so that the days around today have each fault; tomorrow has none of its own then.
        fault = fault or _FAULTS.get(today.toordinal() % 22)
    return fault


class SampleApi:
    """The sample API, served on loopback by threads of this process for as long as the context lasts."""

    def __init__(
        self,
        port: int = 0,
        *,
        asked_before: Iterable[date] = (),
        loaded_before: Iterable[date] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Bind the port; serving begins with the context.

        Args:
            port: Port on 127.0.0.1; 0 takes a free one.
            asked_before: Days whose faults are over, but for those that stay.
            loaded_before: Days that have no fault at all.
            now: The clock that events follow (scheduled, live, finished), and that says which day is today in UTC.
        """
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.now = now
        self._server.refused |= dict.fromkeys(asked_before, OUTAGE) | dict.fromkeys(loaded_before, math.inf)
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
    now: Callable[[], datetime]

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - passed on unchanged
        #: Requests for each day that its fault has answered; infinitely many once the day has loaded.
        self.refused: defaultdict[date, float] = defaultdict(float)
        super().__init__(*args)

    def take_fault(self, day: date) -> _Fault | None:
        """Return what a request for a day gets instead of the day, if it does."""
        fault = _find_fault(day, self.now().date())
        if fault is None or self.refused[day] >= fault.lasts:
            self.refused[day] = math.inf
            return None
        self.refused[day] += 1
        return fault


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
        fault = self.server.take_fault(day)
        if fault is not None and fault.body is not None:
            return fault.status, fault.kind, fault.body
        return 200, "application/json", day_body(day, self.server.now(), own=1 if fault else None)

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
