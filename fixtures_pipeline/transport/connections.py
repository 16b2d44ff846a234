"""Connections to a server, directly or through a proxy: each for one request, within its deadline, over trusted TLS.

All of it is what requests and http.client leave to subclasses. What is sent over a connection is in `client`.
"""

import http.client
import logging
import ssl
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from fixtures_pipeline.transport.deadline import current
from fixtures_pipeline.transport.failures import AuthoritiesError

# What they say quotes what a server sent and where a request went, and the key may be in both.
for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).setLevel(logging.ERROR)

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


class _Connection(HTTPConnection):
    """A connection that keeps to the current deadline and serves one request."""

    response_class = _OnlyResponse

    def connect(self) -> None:
        current.deadline.watch(self)
        self.timeout = current.deadline.shorten(self.timeout)
        super().connect()
        current.deadline.watch(self)

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:
        current.deadline.watch(self)
        super().putrequest(method, url, skip_host, skip_accept_encoding)


class _TLSConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class Adapter(HTTPAdapter):
    """requests' way to such connections."""

    def __init__(self, authorities: str, connections: int) -> None:
        """Prepare to connect; nothing is opened yet.

        Args:
            authorities: File or folder of the certificates that are trusted.
            connections: Connections at the same time.
        """
        self._authorities = authorities
        super().__init__(pool_maxsize=connections)

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> urllib3.HTTPConnectionPool:
        """Return the connections to the server that a request goes to."""
        pool = cast(
            "urllib3.HTTPConnectionPool", super().get_connection_with_tls_context(request, verify, proxies, cert)
        )
        if pool.scheme == "https":
            pool.ConnectionCls = _TLSConnection
            pool.conn_kw["ssl_context"] = _trust(self._authorities)
        else:
            pool.ConnectionCls = _Connection
        return pool

    def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
        """Add nothing to the TLS above, which checks certificates already."""

    def proxy_manager_for(self, proxy: str, **options: Any) -> urllib3.ProxyManager:  # noqa: ANN401 - requests' own
        """Return the connections through a proxy, which may want TLS of its own."""
        if proxy.lower().startswith("https:"):
            options["proxy_ssl_context"] = _trust(self._authorities)
        return cast("urllib3.ProxyManager", super().proxy_manager_for(proxy, **options))


class _SharedContext(ssl.SSLContext):
    """TLS for many connections at once: it may not change any more, and urllib3 would set this for each of them."""

    def set_alpn_protocols(self, alpn_protocols: object) -> None:
        """Leave it at HTTP/1.1, which is what a server takes a client for that does not say."""


@lru_cache(maxsize=8)
def _trust(authorities: str) -> ssl.SSLContext:
    """Return the TLS that trusts these authorities; reading them takes longer than all the rest of a connection."""
    context = _SharedContext(ssl.PROTOCOL_TLS_CLIENT)
    kind = "capath" if Path(authorities).is_dir() else "cafile"
    try:
        context.load_verify_locations(**{kind: authorities})
    except OSError as error:
        raise AuthoritiesError(f"the certificates in {authorities}, which would be trusted, cannot be read") from error
    return context
