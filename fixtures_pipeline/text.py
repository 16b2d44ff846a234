"""Text from outside, made fit to be shown: cut, and on one line."""

#: Longest piece of a text from outside that a message shows, in characters.
EXCERPT = 200


def excerpt(text: str | bytes) -> str:
    """Return the beginning of `text` on one line, for a message."""
    # A body may be large: look at little more than what is shown.
    beginning = text[: 4 * EXCERPT]
    if isinstance(beginning, bytes):
        # The cut may have gone through a character.
        beginning = beginning.decode(errors="replace").rstrip("\N{REPLACEMENT CHARACTER}")
    line = " ".join(beginning.split())
    return line[:EXCERPT]
