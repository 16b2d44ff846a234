"""The end of one request's time, whatever the request is doing when it comes.

Timeouts of sockets count from one piece to the next, so a server that drips bytes would never meet one: a timer shuts
the socket in use. While a connection is made and TLS negotiated there is none to shut, so these get no more than the
time that is left, and every step looks at the clock. Resolving a name cannot be cut short; the request ends after it.
"""

import http.client
import socket
import threading
import time
from collections.abc import Mapping
from typing import cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection


class Deadline:
    """The end of the time of one request, which is sent within its `with` block, by the thread that enters it."""

    def __init__(self, seconds: float) -> None:
        """Let the time begin now."""
        self._end = time.monotonic() + seconds
        self._is_cut = False
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self.cut)
        self._timer.daemon = True

    def __enter__(self) -> "Deadline":
        _current.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._connection = self._socket = None

    @property
    def has_passed(self) -> bool:
        """Whether the time is over, or was ended."""
        return self._is_cut or time.monotonic() >= self._end

    def check(self) -> None:
        """Raise a TimeoutError if the time is over."""
        if self.has_passed:
            raise TimeoutError

    def shorten(self, timeout: float | None) -> float:
        """Return a timeout that does not exceed the time that is left."""
        left = max(self._end - time.monotonic(), 0.001)
        return left if timeout is None else min(timeout, left)

    def watch(self, connection: HTTPConnection) -> None:
        """Note the connection in use; raise a TimeoutError if the time is over."""
        with self._lock:
            self._connection = connection
            # The connection itself forgets a socket that the server is going to close.
            self._socket = connection.sock
        self.check()

    def cut(self) -> None:
        """End the time now: whoever waits for the connection in use stops waiting."""
        self._is_cut = True
        with self._lock:
            sock = self._socket or getattr(self._connection, "sock", None)
            if sock is None:
                return
            try:
                # Not the method of a TLS socket, after which its reader would go on without TLS.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return  # closed in the meantime, which is what was wanted


#: The deadline of the request that a thread is sending.
_current = threading.local()


#: Interim answers that are read past for one request.
_MOST_INTERIM = 20


class _OnlyResponse(http.client.HTTPResponse):
    """The only answer on its connection: whatever a server sends beyond it is never taken for the next one.

    It reads past interim answers, of which Python knows only 100 (https://www.rfc-editor.org/rfc/rfc9110#section-15.2).
    """

    def begin(self) -> None:
        super().begin()
        self.will_close = True

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MOST_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == http.client.SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.BadStatusLine("interim answers without an end")


class _WatchedConnection(HTTPConnection):
    """A connection that keeps to the current deadline and serves one request."""

    response_class = _OnlyResponse

    def connect(self) -> None:
        _current.deadline.watch(self)
        self.timeout = _current.deadline.shorten(self.timeout)
        super().connect()
        _current.deadline.watch(self)

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:
        _current.deadline.watch(self)
        super().putrequest(method, url, skip_host, skip_accept_encoding)


class _WatchedTLSConnection(_WatchedConnection, HTTPSConnection):
    """A TLS connection that keeps to the current deadline."""


class DeadlineAdapter(HTTPAdapter):
    """requests' adapter over connections that keep to the current deadline, through proxies as well."""

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> urllib3.HTTPConnectionPool:
        """Return the pool of connections that a request is sent over."""
        pool = cast(
            "urllib3.HTTPConnectionPool", super().get_connection_with_tls_context(request, verify, proxies, cert)
        )
        pool.ConnectionCls = _WatchedTLSConnection if pool.scheme == "https" else _WatchedConnection
        return pool
