"""Keeps secrets out of what is stored and shown: the key, and the user and query of an address."""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from fixtures_pipeline.text import excerpt


def find_forms(key: str) -> frozenset[bytes]:
    """Return a key as servers echo it: plain, in a URL, in JSON, and in JSON that is safe in HTML."""
    in_json = json.dumps(key)[1:-1]
    forms = {key, quote(key, safe=""), in_json, in_json.replace("/", r"\/")}
    for unsafe in ("[&<>]", "[&<>+'`]"):
        for code in ("{:04x}", "{:04X}"):
            forms.add(re.sub(unsafe, lambda found, code=code: r"\u" + code.format(ord(found[0])), in_json))
    return frozenset(form.encode() for form in forms)


def blot_out(forms: Iterable[bytes], text: bytes) -> bytes:
    """Return `text` with asterisks in place of every form of the key."""
    for form in forms:
        text = text.replace(form, b"***")
    return text


def strip_url(url: str) -> str:
    """Return the part of an address that may appear in a message: no query, no user."""
    parts = urlsplit(url)
    return excerpt(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
