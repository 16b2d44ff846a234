"""Text fit to be shown: what comes from outside printable, cut and on one line; numbers and moments in words."""

import re
from datetime import UTC, datetime

#: With what chat services call people or make links: `@all`, `<!here>`, `#room`, `[…](…)`, `http://`, `a.example`.
_FUSES = re.compile(r"[@<#\]]|:(?=//)|(?<=\w)[.](?=\w)")

#: Longest piece of a text from outside that a message shows, in characters.
EXCERPT = 200


def excerpt(text: str | bytes) -> str:
    """Return the beginning of `text` on one line, without anything that a terminal or page would obey."""
    # A body may be large: look at little more than what is shown.
    beginning = text.lstrip()[: 4 * EXCERPT]
    if isinstance(beginning, bytes):
        is_cut = len(beginning) == 4 * EXCERPT
        beginning = beginning.decode(errors="replace")
        if is_cut:
            # Perhaps through a character.
            beginning = beginning.rstrip("\N{REPLACEMENT CHARACTER}")
    return make_printable(beginning)[:EXCERPT]


def make_printable(text: str) -> str:
    """Return `text` on one line, with a blank in place of control and other invisible characters."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())


def shorten(text: str, room: int) -> str:
    """Return `text` on one line of at most `room` characters: its beginning and its end.

    A message's beginning says what was seen, its end what to do.

    >>> shorten("The answer is not JSON. It begins: <!doctype html><html><title> Open the address.", 48)
    'The answer is not JSON … tle> Open the address.'
    """
    # A text may be large: look at little more than what is shown.
    line = make_printable(text if len(text) <= 8 * room else text[: 4 * room] + text[-4 * room :])
    if len(line) <= room:
        return line
    half = (room - len(" … ")) // 2
    return f"{line[:half].rstrip()} … {line[-half:].lstrip()}"


def defuse(text: str) -> str:
    r"""Return `text` in which chat services find nobody to call and nothing to link to; it looks the same.

    >>> ascii(defuse("Ask @everyone: [log in](http://a.example)"))
    "'Ask @\\u200beveryone: [log in]\\u200b(http:\\u200b//a.\\u200bexample)'"
    """
    return _FUSES.sub("\\g<0>\N{ZERO WIDTH SPACE}", text)


def count(number: int, noun: str) -> str:
    """Return a number of things in words.

    >>> count(1, "day"), count(2, "day")
    ('1 day', '2 days')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_moment(moment: datetime) -> str:
    """Return a moment as people read it: to the minute, in UTC.

    >>> format_moment(datetime.fromisoformat("2025-03-01T12:30:59+01:00"))
    '2025-03-01 11:30 UTC'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
