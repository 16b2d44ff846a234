"""What an exception of the HTTP stack means. What a complete answer means is not judged here."""

import http.client
import re
import socket
import ssl
from dataclasses import dataclass

from urllib3.exceptions import ConnectTimeoutError, DecodeError, ReadTimeoutError

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.text import excerpt
from fixtures_pipeline.transport.limits import Limits


@dataclass(frozen=True, slots=True)
class Broken:
    """A request that brought no complete answer.

    Attributes:
        error_type: The kind of failure.
        seen: What was seen, for a message; part of a sentence.
        transient: Whether asking again may help.
    """

    error_type: ErrorType
    seen: str
    transient: bool = True


#: A kind of exception, what it means, what was seen, and whether asking again may help. What counts is the first row
#: that fits the innermost exception that any row fits.
_CAUSES: tuple[tuple[type[BaseException], ErrorType, str, bool], ...] = (
    (ssl.SSLEOFError, ErrorType.CONNECTION_RESET_ERROR, "the TLS connection was cut off", True),
    (ssl.SSLZeroReturnError, ErrorType.CONNECTION_RESET_ERROR, "the TLS connection was cut off", True),
    (ssl.SSLSyscallError, ErrorType.CONNECTION_RESET_ERROR, "the TLS connection was cut off", True),
    (ssl.SSLError, ErrorType.API_ERROR, "no trustworthy TLS connection: {reason}", False),
    (socket.gaierror, ErrorType.API_ERROR, "the name of the host cannot be resolved", True),
    (ConnectTimeoutError, ErrorType.TIMEOUT_ERROR, "no connection within {limits.connect:g} seconds", True),
    (ReadTimeoutError, ErrorType.TIMEOUT_ERROR, "nothing came for {limits.read:g} seconds", True),
    (TimeoutError, ErrorType.TIMEOUT_ERROR, "nothing came for {limits.read:g} seconds", True),
    (ConnectionRefusedError, ErrorType.CONNECTION_RESET_ERROR, "the connection was refused", True),
    (ConnectionError, ErrorType.CONNECTION_RESET_ERROR, "the connection was cut off", True),
    (http.client.IncompleteRead, ErrorType.CONNECTION_RESET_ERROR, "the answer ended before it was complete", True),
    (DecodeError, ErrorType.API_ERROR, "the compressed answer cannot be unpacked", False),
    (http.client.HTTPException, ErrorType.API_ERROR, "the response is not HTTP", False),
)


def explain(error: Exception, limits: Limits) -> Broken:
    """Say which kind of failure an exception of the HTTP stack stands for."""
    for link in _unwrap(error):
        for kind, error_type, seen, transient in _CAUSES:
            if isinstance(link, kind):
                reason = re.sub(r"\s*\(_ssl\.c:\d+\)", "", excerpt(str(link)))
                return Broken(error_type, seen.format(reason=reason, limits=limits), transient)
    return Broken(ErrorType.API_ERROR, f"the request failed ({type(error).__name__})", transient=False)


def _unwrap(error: BaseException) -> list[BaseException]:
    """Return an exception and all that it wraps or was caused by, the innermost first."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and link not in found:
            found.append(link)
            waiting += [*link.args, getattr(link, "reason", None), link.__cause__, link.__context__]
    return found[::-1]
