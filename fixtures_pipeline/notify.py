"""What people are told of a run: one digest of what is new, for the places that FIXTURES_NOTIFY lists.

What stands in the database is `store`'s to say, when a day is asked for again is in `retries`.

`python -m fixtures_pipeline.notify` sends one message to one place; `send` starts it for each of them. In a process of
its own, whatever Apprise and its services do (hang, crash, log an address with its token) cannot reach the run.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fixtures_pipeline.days import contiguous
from fixtures_pipeline.outcome import REFUSALS, DayFailed
from fixtures_pipeline.retries import is_given_up

if TYPE_CHECKING:
    # Not for the process that sends: it should start quickly.
    from fixtures_pipeline.store import Stored

#: Seconds that a receiver has to take a message.
SECONDS = 20

# Longest message of a digest, and of all its messages together: one a type of error.
_MESSAGE, _MESSAGES = 400, 1200
# Stretches of days that are named one by one.
_STRETCHES = 3

_NOT_ACCEPTED = 3


@dataclass(frozen=True, slots=True)
class Digest:
    """A message: plain text, of a size that chat services take.

    Attributes:
        title: What has happened, in numbers.
        body: Which days, why, and what to do.
        bad: Whether something fails, rather than heals.
    """

    title: str
    body: str
    bad: bool


class News:
    """What a run brought that people have not been told yet; true if there is anything.

    A day is news when it begins to fail, when the provider begins to refuse it, when it is given up and when it heals.
    """

    def __init__(self, provider: str) -> None:
        """Begin without any news of `provider`'s days."""
        #: Days in `fixture_errors` after the run; None if that is not known.
        self.open_days: int | None = None
        self._provider = provider
        self._failing: dict[str, list[date]] = defaultdict(list)
        # The first message of each type, not all: a season has hundreds of days.
        self._messages: dict[str, str] = {}
        self._given_up: list[date] = []
        self._healed: list[date] = []
        self._refused = False

    def __bool__(self) -> bool:
        return bool(self._failing or self._healed)

    def add(self, batch: Iterable["Stored"]) -> None:
        """Take what is new from what was stored."""
        for stored in batch:
            self.open_days = stored.rows.get("fixture_errors")
            if isinstance(stored.outcome, DayFailed):
                self._add_failure(stored, stored.outcome)
            elif stored.healed:
                self._healed.append(stored.day)

    def _add_failure(self, stored: "Stored", outcome: DayFailed) -> None:
        before = stored.before
        refused = outcome.error_type in REFUSALS and not (before and before.error_type in REFUSALS)
        given_up = is_given_up(stored.attempts, outcome.retry_at) and not (
            before and is_given_up(before.attempts, before.retry_at)
        )
        if before and not refused and not given_up:
            return
        self._failing[outcome.error_type].append(outcome.day)
        self._messages.setdefault(outcome.error_type, outcome.message)
        self._refused |= refused
        if given_up:
            self._given_up.append(outcome.day)

    def digest(self) -> Digest:
        """Return the message that tells all of it."""
        failing = sum(map(len, self._failing.values()))
        counts = [
            (failing, "fails" if failing == 1 else "fail"),
            (len(self._given_up), "given up"),
            (len(self._healed), "healed"),
        ]
        (first, word), *others = [(count, word) for count, word in counts if count]
        told = [f"{_days(first)} {word}", *(f"{count} {word}" for count, word in others)]
        title = f"fixtures ({self._provider}): {', '.join(told)}"
        return Digest(title, "\n".join(self._lines()), bad=failing > 0)

    def _lines(self) -> Iterator[str]:
        if self._refused:
            yield "The provider refuses: look at the key, the plan and the quota."
        room = min(_MESSAGE, _MESSAGES // max(len(self._failing), 1))
        for error_type, days in sorted(self._failing.items(), key=lambda group: (group[0] not in REFUSALS, group[1])):
            yield f"{error_type}, {_named(days)}"
            yield f"  {_shortened(self._messages[error_type], room)}"
        if self._given_up:
            yield f"Given up, so not asked for again by itself, {_named(self._given_up)}"
        if self._healed:
            yield f"Healed, {_named(self._healed)}"
        if self.open_days is not None:
            yield f"Failing in all: {_days(self.open_days)}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _named(days: Sequence[date]) -> str:
    """Say how many days these are, and which."""
    stretches = list(contiguous(days))
    shown = [str(first) if first == last else f"{first} to {last}" for first, last in stretches[:_STRETCHES]]
    more = sum((last - first).days + 1 for first, last in stretches[_STRETCHES:])
    return f"{_days(len(days))}: {', '.join(shown)}{f' and {more} more' if more else ''}"


def _shortened(message: str, room: int) -> str:
    """Return `message` on one line of at most `room` characters: its beginning says what was seen, its end what to do.

    >>> _shortened("The answer is not JSON. It begins: <!doctype html><html><title> Open the address.", 48)
    'The answer is not JSON … tle> Open the address.'
    """
    line = " ".join("".join(character if character.isprintable() else " " for character in message).split())
    if len(line) <= room:
        return line
    half = (room - len(" … ")) // 2
    return f"{line[:half].rstrip()} … {line[-half:].lstrip()}"


# Sending


def send(digest: Digest, urls: Sequence[str]) -> list[str]:
    """Send a digest to every place, all at once; return a sentence for each that did not get it.

    It takes `SECONDS` at most. No sentence holds more of a URL than its position and the name of its service.
    """
    with ThreadPoolExecutor(max_workers=len(urls)) as pool:
        complaints = pool.map(partial(_deliver, digest), urls)
        return [
            f"entry {position}{complaint}" for position, complaint in enumerate(complaints, 1) if complaint is not None
        ]


def _deliver(digest: Digest, url: str) -> str | None:
    """Send a digest to one place; return the name of its service and what went wrong, or None."""
    order = {"url": url, "title": digest.title, "body": digest.body, "bad": digest.bad}
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            # On standard input, as every user of the machine sees arguments.
            input=json.dumps(order).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[1],
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return f"{_service(error.stdout)} did not take the message within {SECONDS} seconds."
    except OSError as error:
        return f" did not get the message: no process could be started ({error.strerror})."
    if done.returncode == 0:
        return None
    if done.returncode == _NOT_ACCEPTED:
        return " did not get the message: Apprise knows no service with such a URL."
    return f"{_service(done.stdout)} did not get the message: it refused it, or could not be reached."


def _service(said: bytes | None) -> str:
    name = (said or b"").decode(errors="replace").strip()
    return f" ({name})" if name else ""


def main() -> None:
    """Send the message on standard input; say which service that is, and end with 0 if it was taken."""
    from apprise import Apprise, NotifyFormat, NotifyType  # noqa: PLC0415 - takes its time

    order = json.load(sys.stdin)
    service = Apprise.instantiate(order["url"])
    if service is None:
        sys.exit(_NOT_ACCEPTED)
    sys.stdout.write(str(service.service_name))
    sys.stdout.flush()
    # What services print is not the run's business.
    sys.stdout = sys.stderr
    taken = Apprise([service]).notify(
        title=order["title"],
        body=order["body"],
        body_format=NotifyFormat.TEXT,
        notify_type=NotifyType.FAILURE if order["bad"] else NotifyType.SUCCESS,
    )
    sys.exit(not taken)


if __name__ == "__main__":
    main()
