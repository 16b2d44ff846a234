"""TLS for tests: an authority that the pipeline trusts, and servers that it vouches for."""

import ssl
from pathlib import Path

import pytest
import trustme


def trust_authority(monkeypatch: pytest.MonkeyPatch, folder: Path) -> trustme.CA:
    """Return a new authority that is trusted in requests' own way: loopback is asked without the environment."""
    authority = trustme.CA()
    bundle = folder / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(bundle))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    return authority


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return the TLS of a server that shows a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
