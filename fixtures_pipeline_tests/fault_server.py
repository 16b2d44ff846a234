"""An HTTP server that misbehaves in every way a server can, and answers for it to give; the catalogue is in `faults`.

Raw sockets, because most of this cannot be said with a web framework.
"""

import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

# Answers


def event(number: object, start: object, **changes: Any) -> dict[str, Any]:
    """Return a finished event of Sofascore's shape."""
    return {
        "id": number,
        "startTimestamp": start,
        "status": {"code": 100, "type": "finished", "description": "Ended"},
        "tournament": {
            "id": 1,
            "name": "League, Group A",
            "category": {"name": "Land"},
            "uniqueTournament": {"id": 2, "name": " League"},
        },
        "season": {"year": "24/25"},
        "roundInfo": {"round": 3},
        "homeTeam": {"id": 10, "name": "Home"},
        "awayTeam": {"id": 20, "name": "Away"},
        "homeScore": {"current": 1, "display": 1},
        "awayScore": {"current": 0, "display": 0},
        "winnerCode": 1,
        **changes,
    }


def noon(day: date) -> int:
    """Return noon of a day in UTC, in seconds since 1970."""
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())


def own(day: date, count: int = 5, **changes: Any) -> list[dict[str, Any]]:
    """Return events of the day itself."""
    return [event(day.toordinal() * 1000 + n, noon(day), **changes) for n in range(count)]


def neighbours(day: date) -> list[dict[str, Any]]:
    """Return an event of the day before and one of the day after."""
    first = day.toordinal() * 1000
    return [event(first - 400, noon(day) - 18 * 3600), event(first + 1600, noon(day) + 15 * 3600)]


def body_of(events: object) -> bytes:
    """Return an answer with these events."""
    return json.dumps({"events": events}).encode()


def good_body(day: date, events: int = 5, **changes: Any) -> bytes:
    """Return an answer with events of the day and of its neighbours."""
    return body_of([*own(day, events, **changes), *neighbours(day)])


def head_of(status: int, **headers: str) -> bytes:
    """Return what comes before the body of an answer; header names are given with underscores."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status} Status", *lines, "", ""]).encode("latin-1")


def answer_of(body: bytes, **headers: str) -> bytes:
    """Return a complete answer with status 200, to be sent at once."""
    return head_of(200, Content_Length=str(len(body)), **headers) + body


# The server


#: The day of a request that names none.
NO_DAY = date.min


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    day: date
    at: float
    #: How often the day had been asked for before.
    before: int


class Exchange:
    """One request and the connection that it came on."""

    def __init__(self, server: "FaultServer", sock: socket.socket, request: Request) -> None:
        self.server = server
        self.sock = sock
        self.request = request
        self.day = request.day

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Send a complete answer; header names are given with underscores."""
        self.head(status, Content_Length=str(len(body)), **headers)
        self.send(body)

    def head(self, status: int = 200, **headers: str) -> None:
        self.send(head_of(status, **headers))

    def good(self) -> bytes:
        return good_body(self.day)

    def reset(self) -> None:
        """End the connection with a reset instead of a goodbye."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.sock.close()

    def send_past_tls(self, data: bytes) -> None:
        """Send bytes that are no TLS over a TLS connection."""
        socket.socket.send(self.sock, data)

    def idle(self) -> None:
        """Do nothing until the server ends."""
        self.server.ended.wait(60)

    def drip(self, data: bytes) -> None:
        for n in range(len(data)):
            self.send(data[n : n + 1])
            if self.server.ended.wait(1):
                return


Plan = bytes | tuple[int, bytes] | Callable[[Exchange], None]


class FaultServer:
    """Gives good days unless it is told otherwise; a context manager.

    Attributes:
        requests: The requests that came.
        connections: How many connections were made.
        ended: Set when the server ends.
        greet: Called with each connection, before TLS, and with how many there were before it.
        refuse_all: What every request gets whose address is no path, as a proxy's is for a tunnel.
    """

    refuse_all = b""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.greet: Callable[[socket.socket, int], None] = lambda sock, before: None
        self.requests: list[Request] = []
        self.connections = 0
        self.ended = threading.Event()
        self._plans: dict[date, Plan] = {}
        self._default: Plan | None = None
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((host, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def plan(self, day: date, plan: Plan) -> None:
        """Say what a day gets: a body with status 200, a status and a body, or a function that answers."""
        self._plans[day] = plan

    def plan_any(self, plan: Plan) -> None:
        """Say what every day gets that nothing else is said of."""
        self._default = plan

    def __enter__(self) -> "FaultServer":
        self._start(self._accept)
        return self

    def __exit__(self, *args: object) -> None:
        self.ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.ended.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, sock, self.connections)
            self.connections += 1

    def _serve(self, plain: socket.socket, before: int) -> None:
        with suppress(OSError):
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.greet(plain, before)
            sock = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
            with self._lock:
                self._open.add(sock)
            try:
                for exchange in self._exchanges(sock):
                    self._respond(exchange)
            finally:
                with self._lock:
                    self._open.discard(sock)
                sock.close()
        plain.close()

    def _exchanges(self, sock: socket.socket) -> Iterator[Exchange]:
        waiting = b""
        while not self.ended.is_set():
            while b"\r\n\r\n" not in waiting:
                piece = sock.recv(65536)
                if not piece:
                    return
                waiting += piece
            head, _, waiting = waiting.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, path, _ = first.split(" ")
            headers = dict(line.split(": ", 1) for line in lines)
            if method == "CONNECT":
                sock.sendall(self.refuse_all)
                return
            # The first date in the address, wherever a provider puts it; some are not asked by day.
            found = re.search(r"\d{4}-\d{2}-\d{2}", path)
            day = date.fromisoformat(found[0]) if found else NO_DAY
            with self._lock:
                before = sum(request.day == day for request in self.requests)
                request = Request(method, path, headers, day, time.monotonic(), before)
                self.requests.append(request)
            yield Exchange(self, sock, request)

    def _respond(self, exchange: Exchange) -> None:
        plan = self._plans.get(exchange.day, self._default or good_body(exchange.day))
        if callable(plan):
            plan(exchange)
        elif isinstance(plan, tuple):
            exchange.answer(*plan)
        else:
            exchange.answer(200, plan, Content_Type="application/json")


def closed_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port
