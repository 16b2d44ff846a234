"""One HTTP request: out with the key in its header, through redirects, and back within a size and a time.

Knows addresses, queries and headers. When a request may begin is in `turns`, what an answer is worth in `fetching`.
"""

import http.client
import io
import ipaddress
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.transport.connections import Adapter
from fixtures_pipeline.transport.deadline import Deadline
from fixtures_pipeline.transport.failures import AuthoritiesError, Broken, explain
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline.transport.redaction import Redactor, strip_url

_USER_AGENT = f"fixtures-pipeline/{version('fixtures-pipeline')} (daily football fixtures; requests)"
_PIECE = 64 * 1024
#: All that can go wrong between here and the server.
_REQUEST_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    AuthoritiesError,
)
#: Reads `Retry-After`, and takes whatever is beyond a year for a year.
_HEADERS = urllib3.Retry(retry_after_max=366 * 86400)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer.

    Attributes:
        status: Its status.
        headers: Its headers; their names are in lower case.
        content: Its body, unpacked.
        stranger: The other server that it came from, to which the request was redirected without its secret headers;
            None if it came from the one that was asked.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    stranger: str | None = None

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait; None if it does not say, or not legibly."""
        try:
            return _HEADERS.parse_retry_after(self.headers["retry-after"])
        except (KeyError, ValueError, OverflowError, urllib3.exceptions.InvalidHeader):
            return None


class Client:
    """Sends requests to one server; can be called from many threads at once."""

    def __init__(
        self,
        base_url: str,
        *,
        secret: Mapping[str, str],
        path_key: str = "",
        connections: int,
        limits: Limits,
        redactor: Redactor | None = None,
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            base_url: Scheme, host, port and perhaps a path, without a slash at the end.
            secret: Headers that no other server gets to see.
            path_key: What `{key}` in a path stands for; no other server gets to see that either.
            connections: Requests at the same time.
            limits: Times, sizes and counts.
            redactor: Knows the key, and makes what a server sent fit to be shown.
        """
        self._base_url = base_url
        self._redactor = redactor or Redactor(None)
        self._secret = secret
        self._path_key = quote(path_key, safe="")
        self._limits = limits
        self._lock = threading.Lock()
        self._is_closed = False
        self._under_way: set[Deadline] = set()
        self._session = requests.Session()
        # Proxies and such from the environment are for the world outside, not for a server on this machine.
        self._session.trust_env = not _is_loopback(base_url)
        self._session.auth = _leave_unchanged
        self._session.headers.update({"User-Agent": _USER_AGENT, "Accept": "application/json"})
        options = self._session.merge_environment_settings(base_url, {}, stream=True, verify=True, cert=None)
        named = options["verify"]
        authorities = named if isinstance(named, str) else requests.adapters.DEFAULT_CA_BUNDLE_PATH
        self._adapter = Adapter(authorities, connections)

    def close(self) -> None:
        """End every request under way, let no further one begin, and release the connections."""
        with self._lock:
            self._is_closed = True
            under_way = list(self._under_way)
        for deadline in under_way:
            deadline.cut()
        self._adapter.close()

    def get(self, path: str, query: Mapping[str, str]) -> Answer | Broken:
        """Send one request, follow its redirects and read the answer whole."""
        with Deadline(self._limits.deadline) as deadline:
            with self._lock:
                self._under_way.add(deadline)
                if self._is_closed:
                    deadline.cut()
            try:
                result = self._follow(self._base_url + path.replace("{key}", self._path_key), query, deadline)
            except _REQUEST_ERRORS as error:
                result = explain(error, self._limits, is_connected=deadline.is_connected)
            finally:
                with self._lock:
                    self._under_way.discard(deadline)
            if deadline.has_passed:
                seen = f"the answer was not complete within {self._limits.deadline:g} seconds"
                return Broken(ErrorType.TIMEOUT_ERROR, seen)
        return result

    def _follow(self, url: str, query: Mapping[str, str], deadline: Deadline) -> Answer | Broken:
        secret, stranger = self._secret, None
        for _ in range(self._limits.redirects + 1):
            request = self._session.prepare_request(requests.Request("GET", url, headers=secret, params=query))
            url, query = str(request.url), {}
            options = self._session.merge_environment_settings(url, {}, stream=True, verify=True, cert=None)
            # Sent past the session, which would read the body of a redirect whole and carry the key to other hosts.
            with self._adapter.send(
                request,
                timeout=(self._limits.connect, self._limits.read),
                stream=True,
                proxies=options["proxies"],
            ) as response:
                if not response.is_redirect:
                    return self._read(response, stranger, deadline)
                following = self._find_target(response)
            if following is None:
                return Broken(ErrorType.API_ERROR, "it redirects to an invalid address", transient=False)
            if (forbidden := self._forbid(url, following)) is not None:
                return Broken(ErrorType.API_ERROR, f"it redirects {forbidden}, which is not followed", transient=False)
            if self._session.should_strip_auth(url, following):  # type: ignore[no-untyped-call]
                if self._path_key and self._redactor.finds(following):
                    seen = "it redirects to another server with the key in the address, which is not followed"
                    return Broken(ErrorType.API_ERROR, seen, transient=False)
                if secret:
                    secret, stranger = {}, self._show(following)
            url = following
        seen = f"more than {self._limits.redirects} redirects, the last to {self._show(url)}"
        return Broken(ErrorType.API_ERROR, seen, transient=False)

    def _show(self, url: str) -> str:
        return self._redactor.quote(strip_url(url))

    def _find_target(self, response: requests.Response) -> str | None:
        """Return the address that an answer redirects to; None if it is none of HTTP."""
        try:
            target = urljoin(response.url, self._session.get_redirect_target(response))
            prepared = requests.Request("GET", target).prepare().url or ""
        except ValueError:
            return None
        return prepared if urlsplit(prepared).scheme in {"http", "https"} else None

    def _forbid(self, url: str, following: str) -> str | None:
        """Say where a redirect leads that may not lead there; None if it may."""
        if urlsplit(url).scheme == "https" and urlsplit(following).scheme == "http":
            return f"from https to {self._show(following)}"
        if _is_inside(following) and not _is_inside(self._base_url):
            return f"from outside into the network of this machine, to {self._show(following)}"
        return None

    def _read(self, response: requests.Response, stranger: str | None, deadline: Deadline) -> Answer | Broken:
        body = io.BytesIO()
        # read1() gives what is there; read() would wait for a whole piece, however slowly it drips.
        while piece := response.raw.read1(_PIECE, decode_content=True):
            deadline.check()
            if body.tell() + len(piece) > self._limits.size:
                seen = f"the answer is larger than {self._limits.size // 1024 // 1024} MiB"
                return Broken(ErrorType.API_ERROR, seen, transient=False)
            body.write(piece)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, body.getvalue(), stranger)


def _leave_unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from adding a password of ~/.netrc that nobody configured here."""
    return request


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _is_inside(url: str) -> bool:
    """Say whether an address leads to this machine or its network rather than to the world, however it is written."""
    try:
        found = socket.getaddrinfo((urlsplit(url).hostname or "").rstrip("."), None)
    except (OSError, UnicodeError):
        return False  # nothing that could be reached, but for a proxy
    return not all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global for *_, address in found)
