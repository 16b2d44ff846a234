"""The end of one request's time, whatever the request is doing when it comes.

Timeouts of sockets count from one piece to the next, so a server that drips bytes would never meet one: a timer shuts
the socket in use. While a connection is made and TLS agreed on there is none to shut, so these get no more than the
time that is left, and every step looks at the clock. Only resolving a name cannot be cut short; the request ends after
it.
"""

import socket
import threading
import time
from types import TracebackType

from urllib3.connection import HTTPConnection


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
        current.deadline = self
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._connection = self._socket = None

    @property
    def has_passed(self) -> bool:
        """Whether the time is over, or was ended."""
        return self._is_cut or time.monotonic() >= self._end

    @property
    def is_connected(self) -> bool:
        """Whether a connection has been made, TLS and all."""
        return self._socket is not None

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
current = threading.local()
