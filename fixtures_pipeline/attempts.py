"""What one request for a day came to: an outcome in words for people, and whether and when asking again may help.

What a status means is decided here. How the request was sent is in `transport`, what a body is worth in `judge`, and
how often and for how many days requests are sent in `fetching`.
"""

import codecs
import http.client
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.judge import Judge, Refusal
from fixtures_pipeline.outcome import NEVER, REFUSALS, DayFailed, DayLoaded, Outcome
from fixtures_pipeline.providers.provider import Provider, Request
from fixtures_pipeline.text import format_moment
from fixtures_pipeline.transport.client import Answer
from fixtures_pipeline.transport.failures import CHECK_PROXY, Broken
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline.transport.redaction import Redactor, strip_url

#: Names under which gateways say how many requests are left, and in how many seconds there are more.
_QUOTA_LEFT, _QUOTA_RESET = "x-ratelimit-requests-remaining", "x-ratelimit-requests-reset"
_LONGEST_WAIT = timedelta(days=366)

_STATUS_TYPES = {401: ErrorType.AUTH_ERROR, 403: ErrorType.AUTH_ERROR, 429: ErrorType.RATE_LIMIT_ERROR}
_ADVICE = {
    ErrorType.TIMEOUT_ERROR: "The API is slow or silent; load the day again later.",
    ErrorType.RATE_LIMIT_ERROR: "Load the day again tomorrow, or raise the limit if the plan allows it.",
    ErrorType.CONNECTION_RESET_ERROR: "Check that the API is up and reachable, then load the day again.",
    ErrorType.API_ERROR: "Check FIXTURES_API_URL and the network, then load the day again.",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one request for a day came to.

    Attributes:
        outcome: What becomes of the day, unless it is asked for again.
        may_help: Whether asking again may help.
        pause: Seconds for which the server wants no request at all.
        refuses: Whether the provider refuses whoever asks, whatever the day; None if the attempt does not tell.
    """

    outcome: Outcome
    may_help: bool = False
    pause: float = 0
    refuses: bool | None = None


class Examiner:
    """Examines what came of the requests to one provider; can be called from many threads at once."""

    def __init__(self, provider: Provider, base_url: str, judge: Judge, redactor: Redactor, limits: Limits) -> None:
        """Prepare to examine.

        Args:
            provider: Who is asked.
            base_url: Where.
            judge: Judges bodies.
            redactor: Knows the key.
            limits: Times and counts.
        """
        self._provider = provider
        self._address = redactor.quote(strip_url(base_url))
        self._judge = judge
        self._redactor = redactor
        self._limits = limits

    def examine_broken(self, day: date, request: Request, broken: Broken, tries: int) -> Attempt:
        """Tell of a request for a day that got no complete answer."""
        after = f" after {tries} tries" if tries > 1 else ""
        seen = self._redactor.quote(broken.seen)
        advice = broken.advice or _ADVICE[broken.error_type]
        message = f"Could not fetch {request.part or day} from {self._address}{after}: {seen}. {advice}"
        retry_at = None if broken.retry_at is None else datetime.fromtimestamp(broken.retry_at, UTC)
        outcome = DayFailed(day, broken.error_type, message, retry_at=retry_at)
        return Attempt(outcome, broken.transient, refuses=broken.error_type in REFUSALS or None)

    def examine_answer(self, day: date, request: Request, answer: Answer, fetched_at: datetime) -> Attempt:
        """Say what the answer to a request for a day, sent at `fetched_at`, came to."""
        body = answer.content.removeprefix(codecs.BOM_UTF8)
        if answer.status == 200:
            verdict = self._judge.judge(day, body, request.query, part=request.part, fetched_at=fetched_at)
            outcome, refusal = verdict.outcome, verdict.refusal
        else:
            refusal = self._judge.read_refusal(answer.status, body, request.query)
            outcome = self._explain_status(day, request, answer, body, refusal)
        outcome = replace(outcome, size=len(answer.content))
        pause = self._provider.pause(answer.headers)
        if isinstance(outcome, DayLoaded):
            return Attempt(outcome, pause=pause, refuses=False)
        scope = refusal.scope if refusal is not None else None
        named = _find_wait(answer, outcome)
        wait_for = self._limits.minute if named is None and scope == "minute" else named
        retry_at = self._find_retry(day, scope, wait_for)
        outcome = replace(
            outcome,
            message=f"{outcome.message} {self._advise(outcome, refusal, retry_at)}".rstrip(),
            body=None if outcome.body is None or self._redactor.finds(outcome.body) else outcome.body,
            retry_at=retry_at,
        )
        # Waiting for the quota of a day or a month is pointless within a run.
        is_short = scope != "day" and (named is None or named <= self._limits.retry_after)
        may_help = is_short and (answer.status == 429 or answer.status >= 500 or scope == "minute")
        if may_help and wait_for is not None:
            pause = max(pause, wait_for)
        return Attempt(outcome, may_help, pause, _refuses(outcome, refusal))

    def _explain_status(
        self, day: date, request: Request, answer: Answer, body: bytes, refusal: Refusal | None
    ) -> DayFailed:
        """Tell of a day whose answer has another status than 200."""
        status = answer.status
        error_type = refusal.error_type if refusal is not None else _STATUS_TYPES.get(status, ErrorType.API_ERROR)
        place = self._address
        if answer.stranger is not None:
            place += f" redirected to {answer.stranger}, which does not get the key and"
        said = f" It says: “{self._redactor.quote(body)}”." if body.strip() else ""
        seen = f"{place} answered {status} {http.client.responses.get(status, '')}".rstrip()
        return DayFailed(day, error_type, f"{seen} for {request.part or day}.{said}", status, self._judge.keep(body))

    def _find_retry(self, day: date, scope: str | None, seconds: float | None) -> datetime | None:
        """Return when a refused day is worth asking for again."""
        now = datetime.now(UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if scope == "plan":
            ahead = self._provider.plan.days[1] if self._provider.plan.days is not None else 0
            served_from = midnight + (day - now.date()) - timedelta(days=ahead)
            # A plan that reaches only so far ahead comes to a day to come, but never back to one that is over.
            return served_from if served_from > now else NEVER if day < now.date() else None
        if seconds is not None:
            return now + min(timedelta(seconds=seconds), _LONGEST_WAIT)
        return midnight + timedelta(days=1) if scope == "day" else None

    def _advise(self, outcome: DayFailed, refusal: Refusal | None, retry_at: datetime | None) -> str:
        """Say what to do about an answer that refuses; nothing where the judge has said it already."""
        if outcome.http_status == 200 and refusal is None:
            return ""
        later = f"Come back after {format_moment(retry_at)}." if retry_at else "Load the day again later."
        if retry_at == NEVER:
            return "It is not asked for again automatically; with another plan, load the day by hand."
        if refusal is not None and refusal.scope == "plan":
            return f"The plan does not reach this day yet. {later}"
        if outcome.error_type == ErrorType.AUTH_ERROR:
            return (
                "Check FIXTURES_API_KEY and what the account may read; a provider that refuses this client is not "
                "worked around."
            )
        if outcome.error_type == ErrorType.RATE_LIMIT_ERROR:
            return f"The quota is spent. {later}"
        if outcome.http_status == 404:
            return "Check FIXTURES_API_URL; if it is right, the provider no longer has this path or this day."
        return CHECK_PROXY if outcome.http_status == 407 else later


def _refuses(outcome: DayFailed, refusal: Refusal | None) -> bool | None:
    """Say whether a failure is a refusal of whoever asks; None if it does not tell."""
    if refusal is not None and refusal.scope == "plan":
        return None
    if outcome.error_type in REFUSALS or (refusal is not None and outcome.error_type == ErrorType.API_ERROR):
        return True
    return False if outcome.http_status == 200 else None


def _find_wait(answer: Answer, outcome: DayFailed) -> float | None:
    """Return the seconds that an answer asks to wait; None if it does not say."""
    waits = [answer.retry_after]
    if outcome.error_type == ErrorType.RATE_LIMIT_ERROR:
        left, reset = (answer.headers.get(name, "").strip() for name in (_QUOTA_LEFT, _QUOTA_RESET))
        if left == "0" and reset.isascii() and reset.isdigit() and len(reset) < 10:
            waits.append(float(reset))
    return max((seconds for seconds in waits if seconds is not None), default=None)
