"""STAND-IN"""

import json, threading, time, socket
from dataclasses import dataclass
from datetime import date, datetime, timedelta, UTC
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def event(id: Any, start: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": id,
        "startTimestamp": start,
        "status": {"code": 100, "type": "finished", "description": "Ended"},
        "tournament": {"id": 1, "name": "League", "category": {"name": "Land"}},
        "season": {"year": "24/25"},
        "homeTeam": {"id": 10, "name": "Home"},
        "awayTeam": {"id": 20, "name": "Away"},
        "homeScore": {"current": 1, "display": 1},
        "awayScore": {"current": 0, "display": 0},
        "winnerCode": 1,
        **changes,
    }


def good_body(day: date, events: int = 5, **changes: Any) -> bytes:
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    base = day.toordinal() * 1000
    own = [event(base + n, noon, **changes) for n in range(events)]
    return json.dumps(
        {"events": [event(base - 500, noon - 18 * 3600), *own, event(base + 1500, noon + 15 * 3600)]}
    ).encode()


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    day: date
    at: float


class FaultServer:
    def __init__(self, tls: Any = None) -> None:
        self.requests: list[Request] = []
        self._plans: dict[date, Any] = {}
        outer = self

        class H(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                day = date.fromisoformat(self.path[-10:])
                outer.requests.append(Request("GET", self.path, dict(self.headers), day, time.monotonic()))
                plan = outer._plans.get(day, good_body(day))
                status, body = plan if isinstance(plan, tuple) else (200, plan)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *a: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), H)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def plan(self, day: date, fault: Any) -> None:
        self._plans[day] = fault

    def __enter__(self) -> "FaultServer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *a: Any) -> None:
        self._server.shutdown()
        self._server.server_close()
