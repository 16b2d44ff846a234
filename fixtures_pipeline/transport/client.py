"""One HTTP request: out with the key in its header, through redirects, and back within a size and a time.

Knows addresses, queries and headers. When a request may begin is in `turns`, what an answer is worth in `fetching`.
"""

import http.client
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.transport.deadline import Deadline, DeadlineAdapter
from fixtures_pipeline.transport.failures import Broken, explain
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline.transport.redaction import strip_url

_USER_AGENT = f"fixtures-pipeline/{version('fixtures-pipeline')} (daily football fixtures; requests)"
_PIECE = 64 * 1024
#: Reads `Retry-After`, and takes whatever is beyond a year for a year.
_HEADERS = urllib3.Retry(retry_after_max=366 * 86400)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait; None if it does not say, or not legibly."""
        try:
            return _HEADERS.parse_retry_after(self.headers["retry-after"])
        except (KeyError, ValueError, OverflowError, urllib3.exceptions.InvalidHeader):
            return None


class Client:
    """Sends requests to one server; can be called from many threads at once."""

    def __init__(self, base_url: str, *, secret: Mapping[str, str], connections: int, limits: Limits) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            base_url: Scheme, host, port and perhaps a path, without a slash at the end.
            secret: Headers that no other server gets to see.
            connections: Connections that are kept open.
            limits: Times, sizes and counts.
        """
        self._base_url = base_url
        self._secret = secret
        self._limits = limits
        self._lock = threading.Lock()
        self._is_closed = False
        self._under_way: set[Deadline] = set()
        self._session = requests.Session()
        # Proxies and such from the environment are for the world outside, not for a server on this machine.
        self._session.trust_env = not _is_loopback(base_url)
        self._session.auth = _leave_unchanged
        self._session.headers.update({"User-Agent": _USER_AGENT, "Accept": "application/json"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, DeadlineAdapter(pool_maxsize=connections))

    def close(self) -> None:
        """End every request under way, let no further one begin, and release the connections."""
        with self._lock:
            self._is_closed = True
            under_way = list(self._under_way)
        for deadline in under_way:
            deadline.cut()
        self._session.close()

    def get(self, path: str, query: Mapping[str, str]) -> Answer | Broken:
        """Send one request, follow its redirects and read the answer whole."""
        with Deadline(self._limits.deadline) as deadline:
            with self._lock:
                self._under_way.add(deadline)
                if self._is_closed:
                    deadline.cut()
            try:
                result = self._follow(self._base_url + path, query, deadline)
            except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as e:
                result = explain(e, self._limits)
            except ValueError:
                # The base URL was checked before, so it is the server's doing.
                result = Broken(ErrorType.API_ERROR, "it redirects to an invalid address", transient=False)
            finally:
                with self._lock:
                    self._under_way.discard(deadline)
            if deadline.has_passed:
                seen = f"the answer was not complete within {self._limits.deadline:g} seconds"
                return Broken(ErrorType.TIMEOUT_ERROR, seen)
        return result

    def _follow(self, url: str, query: Mapping[str, str], deadline: Deadline) -> Answer | Broken:
        headers = self._secret
        for _ in range(self._limits.redirects + 1):
            request = self._session.prepare_request(requests.Request("GET", url, headers=headers, params=query))
            url = str(request.url)
            options = self._session.merge_environment_settings(url, {}, stream=True, verify=True, cert=None)
            # Sent past the session, which would read the body of a redirect whole and carry the key to other hosts.
            with self._session.get_adapter(url).send(
                request,
                timeout=(self._limits.connect, self._limits.read),
                stream=True,
                verify=options["verify"] or True,  # certificates are checked, whatever the type allows
                proxies=options["proxies"],
            ) as response:
                target = self._session.get_redirect_target(response)
                if target is None:
                    return self._read(response, deadline)
            following = urljoin(url, target)
            if _origin(following) != _origin(url):
                headers = {}
            url, query = following, {}
        seen = f"more than {self._limits.redirects} redirects, the last to {strip_url(url)}"
        return Broken(ErrorType.API_ERROR, seen, transient=False)

    def _read(self, response: requests.Response, deadline: Deadline) -> Answer | Broken:
        body = bytearray()
        # read1() gives what is there; read() would wait for a whole piece, however slowly it drips.
        while piece := response.raw.read1(_PIECE, decode_content=True):
            deadline.check()
            body += piece
            if len(body) > self._limits.size:
                seen = f"the answer is larger than {self._limits.size // 1024 // 1024} MiB"
                return Broken(ErrorType.API_ERROR, seen, transient=False)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, bytes(body))


def _leave_unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from adding a password of ~/.netrc that nobody configured here."""
    return request


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")
