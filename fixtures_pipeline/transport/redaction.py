"""Keeps secrets out of what is stored and shown: the key, and the user and query of an address."""

import html
import re
from urllib.parse import unquote, urlsplit

from fixtures_pipeline.text import excerpt

#: So many characters in a row of a key are as good as the key.
_TELLING = 6
#: Characters that are looked through at once, and how many of them a telling part can take at most, however written.
_PIECE, _OVERLAP = 64 * 1024, 512
_HIDDEN = "(not shown, as the key is in it)"


class Redactor:
    """Knows the key, and how servers echo it."""

    def __init__(self, key: str | None) -> None:
        """Prepare to look for a key; None if there is none."""
        plain = _normalize(key) if key else ""
        self._telling = [plain[at : at + _TELLING] for at in range(max(len(plain) - _TELLING + 1, 1))] if key else []

    def finds(self, text: str | bytes) -> bool:
        """Say whether a telling part of the key is in a text, however it is written.

        Looked through: UTF-16, percent signs, JSON's escapes, HTML's entities, and one within the other.
        """
        return bool(self._telling) and any(
            self._is_in(text[at : at + _PIECE + _OVERLAP]) for at in range(0, len(text), _PIECE)
        )

    def quote(self, text: str | bytes) -> str:
        """Return the beginning of a text for a message, or a word that it is kept back."""
        return _HIDDEN if self.finds(text) else excerpt(text)

    def _is_in(self, text: str | bytes) -> bool:
        plain = text.decode("latin-1") if isinstance(text, bytes) else text
        for _ in range(3):
            shown = _normalize(plain)
            if any(part in shown for part in self._telling):
                return True
            plain = html.unescape(unquote(re.sub(r"\\u([0-9a-fA-F]{4})", _decode_escape, plain), errors="ignore"))
        return False


def _normalize(text: str) -> str:
    """Return a text without what tells one writing of it from another: case, zeros of UTF-16, marks of escapes."""
    return re.sub(r"\\+(?:x00|000?)|[\0\\]", "", text).casefold()


def _decode_escape(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


def strip_url(url: str) -> str:
    """Return the part of an address that may appear in a message: no query, no user."""
    parts = urlsplit(url)
    return excerpt(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
