"""What people are told about a run: one digest of what is new, sent to the receivers that FIXTURES_NOTIFY lists.

Only what is new and how it is worded and sent belongs here. When a failed day is retried is in `retries`.

`send` starts `python -m fixtures_pipeline.notify`, which sends one message to all receivers. Whatever Apprise and its
services do in that process (hang, crash, log a URL with its token) cannot reach the run.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from fixtures_pipeline.days import contiguous
from fixtures_pipeline.outcome import REFUSALS, DayFailed, Stored
from fixtures_pipeline.retries import is_given_up
from fixtures_pipeline.text import count, defuse, shorten

#: Seconds in which receivers have to accept a message.
SECONDS = 20

# Longest message in a digest, and all its messages together: one per type of error.
_MESSAGE, _MESSAGES = 400, 1200
# Stretches of days that are named one by one.
_STRETCHES = 3

# What the sending process says about a receiver.
_ASKED, _ACCEPTED, _REFUSED, _UNKNOWN = "asked", "accepted", "refused", "unknown"


@dataclass(frozen=True, slots=True)
class Digest:
    """A message: plain text, short enough for chat services.

    Attributes:
        title: What happened, in numbers.
        body: Which days, why, and what to do.
        bad: Whether a day failed; otherwise days have only recovered.
    """

    title: str
    body: str
    bad: bool


class News:
    """What a run brought that people do not know yet; true if there is anything.

    A day is news when it first fails, is first refused, is given up, or recovers.
    """

    def __init__(self, provider: str) -> None:
        """Begin without any news about `provider`'s days."""
        #: Days in `fixture_errors` after the run; None if that is not known.
        self.open_days: int | None = None
        self._provider = provider
        self._failing: dict[str, list[date]] = defaultdict(list)
        # The first message of each type, not all: a season has hundreds of days.
        self._messages: dict[str, str] = {}
        self._given_up: list[date] = []
        self._recovered: list[date] = []
        self._refused = False

    def __bool__(self) -> bool:
        return bool(self._failing or self._recovered)

    def add(self, batch: Iterable[Stored]) -> None:
        """Add what is new in a batch that was stored."""
        for stored in batch:
            self.open_days = stored.rows.get("fixture_errors")
            if stored.stale:
                continue
            if isinstance(stored.outcome, DayFailed):
                self._add_failure(stored, stored.outcome)
            elif stored.healed:
                self._recovered.append(stored.day)

    def _add_failure(self, stored: Stored, outcome: DayFailed) -> None:
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
        failed = sum(map(len, self._failing.values()))
        counts = [(failed, "failed"), (len(self._given_up), "given up"), (len(self._recovered), "recovered")]
        (first, word), *others = [(number, word) for number, word in counts if number]
        parts = [f"{count(first, 'day')} {word}", *(f"{number} {word}" for number, word in others)]
        title = f"fixtures ({self._provider}): {', '.join(parts)}"
        return Digest(title, "\n".join(self._explain()), bad=failed > 0)

    def _explain(self) -> Iterator[str]:
        if self._refused:
            yield "The provider is refusing requests: check the key, the plan and the quota."
        room = min(_MESSAGE, _MESSAGES // max(len(self._failing), 1))
        for error_type, days in sorted(self._failing.items(), key=lambda group: (group[0] not in REFUSALS, group[1])):
            yield f"{error_type}, {count(len(days), 'day')}: {_name_days(days)}"
            yield f"  {defuse(shorten(self._messages[error_type], room))}"
        if self._given_up:
            given_up = count(len(self._given_up), "day")
            yield f"{given_up} given up, no longer retried automatically: {_name_days(self._given_up)}"
        if self._recovered:
            yield f"{count(len(self._recovered), 'day')} recovered: {_name_days(self._recovered)}"
        if self.open_days is not None:
            yield f"{count(self.open_days, 'day')} failing in total"


def _name_days(days: Sequence[date]) -> str:
    stretches = list(contiguous(days))
    named = [str(first) if first == last else f"{first} to {last}" for first, last in stretches[:_STRETCHES]]
    more = sum((last - first).days + 1 for first, last in stretches[_STRETCHES:])
    return f"{', '.join(named)}{f' and {more} more' if more else ''}"


def send(digest: Digest, urls: Sequence[str]) -> list[str]:
    """Send a digest to every receiver at once; return a sentence for each that did not accept it.

    This takes `SECONDS` at most. No sentence shows more of a URL than its position and the name of its service.
    """
    order = {"urls": urls, "title": digest.title, "body": digest.body, "bad": digest.bad}
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            # On standard input, because every user of the machine can see arguments.
            input=json.dumps(order).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[1],
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        replies, unanswered = error.stdout or b"", f" within {SECONDS} seconds"
    except OSError as error:
        return [f"no receiver got the message: the sending process did not start ({error.strerror})."]
    else:
        replies, unanswered = done.stdout, ": the sending process ended early"
    reasons = {
        _ASKED: unanswered,
        _REFUSED: ": it refused it or gave no answer",
        _UNKNOWN: ": Apprise does not know a service with such a URL",
    }
    verdicts = dict.fromkeys(range(1, len(urls) + 1), ("", _ASKED))
    for position, name, verdict in map(json.loads, replies.splitlines()):
        # A later reply about a receiver replaces the earlier one.
        verdicts[position] = (f" ({name})" if name else "", verdict)
    return [
        f"receiver {position}{name} did not accept the message{reasons[verdict]}."
        for position, (name, verdict) in verdicts.items()
        if verdict != _ACCEPTED
    ]


def main() -> None:
    """Send the message on standard input; write a line of JSON whenever more is known about a receiver."""
    # Whatever Apprise and its services print goes to standard error, so that the replies stay readable.
    replies = os.dup(1)
    os.dup2(2, 1)

    def reply(position: int, name: str, verdict: str) -> None:
        # In one write, so that the reader never sees half a line.
        os.write(replies, f"{json.dumps([position, name, verdict])}\n".encode())

    from apprise import Apprise, NotifyFormat, NotifyType  # noqa: PLC0415 - slow to import, and only needed here

    order = json.load(sys.stdin)
    kind = NotifyType.FAILURE if order["bad"] else NotifyType.SUCCESS
    with ThreadPoolExecutor(max_workers=len(order["urls"])) as pool:
        asked = {}
        for position, url in enumerate(order["urls"], 1):
            service = Apprise.instantiate(url)
            if service is None:
                reply(position, "", _UNKNOWN)
                continue
            name = str(service.service_name)
            reply(position, name, _ASKED)
            # One Apprise per receiver, so that each answers for itself.
            sending = pool.submit(
                Apprise([service]).notify,
                order["body"],
                order["title"],
                notify_type=kind,
                body_format=NotifyFormat.TEXT,
            )
            asked[sending] = position, name
        for sending in as_completed(asked):
            accepted = sending.exception() is None and sending.result()
            reply(*asked[sending], _ACCEPTED if accepted else _REFUSED)


if __name__ == "__main__":
    main()
