"""What an exception of the HTTP stack means. What a complete answer means is not judged here."""

import http.client
import re
import socket
import ssl
from dataclasses import dataclass, replace

import requests
import urllib3.exceptions

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.text import excerpt
from fixtures_pipeline.transport.limits import Limits

#: What to do where a proxy is in the way.
CHECK_PROXY = "Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY, then load the day again."


class AuthoritiesError(Exception):
    """The authorities that certificates are checked against cannot be read."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A request that brought no complete answer.

    Attributes:
        error_type: The kind of failure.
        seen: What was seen, for a message; part of a sentence.
        transient: Whether asking again may help.
        advice: What to do, if that is not what the kind of failure says already.
        retry_at: When it is worth asking again, in seconds since 1970; None if unknown.
    """

    error_type: ErrorType
    seen: str
    transient: bool = True
    advice: str | None = None
    retry_at: float | None = None


_PROXY_ERRORS = (
    urllib3.exceptions.ProxyError,
    urllib3.exceptions.ProxySchemeUnknown,
    urllib3.exceptions.ProxySchemeUnsupported,
)
#: The addresses that are asked for have been checked by then, so these are about the proxy's.
_PROXY_ADDRESS_ERRORS = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)

#: What TLS refuses for good while it is agreed on, and later if the other side says so; all else is a connection that
#: broke.
_FINAL_TLS = re.compile(
    "CERTIFICATE|UNKNOWN_CA|KEY_TOO_SMALL|HANDSHAKE_FAILURE|PROTOCOL|VERSION|CIPHER|INSUFFICIENT_SECURITY|"
    "UNRECOGNIZED_NAME|LEGACY_RENEGOTIATION|HTTP_REQUEST"
)
_CUT_OFF_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)

#: The first row that fits the innermost exception that any row fits.
_CAUSES: tuple[tuple[tuple[type[BaseException], ...], ErrorType, str, bool], ...] = (
    (_CUT_OFF_TLS, ErrorType.CONNECTION_RESET_ERROR, "the TLS connection was cut off", True),
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
    ((http.client.HTTPException,), ErrorType.API_ERROR, "the response is not HTTP", False),
)


def explain(error: Exception, limits: Limits, *, is_connected: bool) -> Broken:
    """Say which kind of failure an exception of the HTTP stack stands for.

    Args:
        error: The exception.
        limits: Those that the request kept to.
        is_connected: Whether it came after the connection had been made.
    """
    if isinstance(error, AuthoritiesError):
        advice = "Check REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE, then load the day again."
        return Broken(ErrorType.API_ERROR, str(error), transient=False, advice=advice)
    links = _unwrap(error)
    if any(isinstance(link, _PROXY_ERRORS) for link in links) or isinstance(error, _PROXY_ADDRESS_ERRORS):
        return _explain_proxy(error, links, limits)
    return _explain(error, links, limits, is_connected=is_connected)


def _explain_proxy(error: Exception, links: list[BaseException], limits: Limits) -> Broken:
    """Say what is wrong with the proxy, whichever kind of failure it would be without one."""
    said = re.search(r"Tunnel connection failed: (?P<status>\d{3})(?P<reason>.*)", " ".join(map(str, links)))
    if said is not None:
        seen = f"the proxy answered {excerpt(said['status'] + said['reason'])}"
        return Broken(ErrorType.API_ERROR, seen, transient=said["status"].startswith("5"), advice=CHECK_PROXY)
    if isinstance(error, _PROXY_ADDRESS_ERRORS):
        seen = "the address of the proxy cannot be used"
        return Broken(ErrorType.API_ERROR, seen, transient=False, advice=CHECK_PROXY)
    cause = _explain(error, links, limits, is_connected=False)
    seen = f"the proxy cannot be reached: {cause.seen}"
    return replace(cause, error_type=ErrorType.API_ERROR, seen=seen, advice=CHECK_PROXY)


def _explain(error: Exception, links: list[BaseException], limits: Limits, *, is_connected: bool) -> Broken:
    for link in links:
        if isinstance(link, ssl.SSLError) and not isinstance(link, _CUT_OFF_TLS):
            reason = re.sub(r"\s*\(_ssl\.c:\d+\)", "", excerpt(str(link)))
            if _FINAL_TLS.search(str(link.reason)) and (not is_connected or "ALERT" in str(link.reason)):
                return Broken(ErrorType.API_ERROR, f"no trustworthy TLS connection: {reason}", transient=False)
            return Broken(ErrorType.CONNECTION_RESET_ERROR, f"the TLS connection broke: {reason}")
        for kinds, error_type, seen, transient in _CAUSES:
            if isinstance(link, kinds):
                return Broken(error_type, seen.format(limits=limits), transient)
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
