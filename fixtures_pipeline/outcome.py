"""What becomes of one day: how its fetch ended, and what the database then holds for it.

Only values belong here, and nothing that opens, sends or draws. How an answer is fetched is in `fetching`, how it is
judged in `judge`, how it is kept in `store`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from fixtures_pipeline.errors import ErrorType

#: `DayFailed.retry_at` of a day that asking again cannot help, such as one outside the plan that was paid for.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)

#: The provider refuses whoever asks, whatever the day.
REFUSALS = frozenset({ErrorType.AUTH_ERROR, ErrorType.RATE_LIMIT_ERROR})


@dataclass(frozen=True, slots=True)
class DayLoaded:
    """A day whose answer is good.

    Attributes:
        day: The day, in the configured time zone.
        body: The whole answer: JSON in UTF-8 that the provider's mapping can read.
        events: Events that the answer lists, the neighbours' included.
        in_progress: Whether some event of the day itself can still change.
        size: Bytes of the answer as it came, unpacked.
        elapsed_ms: From the first request for the day to its last byte, retries and pauses included.
        fetched_at: When the answer was asked for: what it tells is at least as recent. None: just now.
    """

    day: date
    body: bytes
    events: int
    in_progress: bool
    size: int = 0
    elapsed_ms: int = 0
    fetched_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DayFailed:
    """A day that could not be had, and why.

    Attributes:
        day: The day, in the configured time zone.
        error_type: The kind of failure.
        message: What was seen and what to do; for people; never holds a key.
        http_status: Status of the last response; None where none came.
        body: The offending body where it is JSON, else None.
        events: Events that the answer listed, 0 where it had none.
        size: Bytes of the answer as it came, unpacked.
        elapsed_ms: From the first request for the day to giving up, retries and pauses included.
        retry_at: Not worth asking before this; `NEVER` for a day that asking again cannot help; None if unknown.
        asked: Whether a request was sent for the day; one that was not asked for has not failed once more.
        fetched_at: When the day was asked for. None: just now.
    """

    day: date
    error_type: ErrorType
    message: str
    http_status: int | None = None
    body: bytes | None = None
    events: int = 0
    size: int = 0
    elapsed_ms: int = 0
    retry_at: datetime | None = None
    asked: bool = True
    fetched_at: datetime | None = None


Outcome = DayLoaded | DayFailed


@dataclass(frozen=True, slots=True)
class OpenError:
    """A day's row in `fixture_errors`: its latest fetch failed.

    Attributes:
        error_type: The kind of failure.
        message: What was seen and what to do.
        http_status: Status of the last response; None where none came.
        events: Events in the offending answer.
        attempts: Failures in a row; 0 for a day that could not be asked for yet.
        failing_since: The first of them.
        failed_at: The latest of them.
        retry_at: Not worth asking before this, as in `DayFailed`.
    """

    error_type: str
    message: str
    http_status: int | None
    events: int
    attempts: int
    failing_since: datetime
    failed_at: datetime
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class DayState:
    """What the database holds for one day; a day can have loaded once and be failing now.

    Attributes:
        day: The day.
        loaded_at: Latest load; None for a day that never loaded.
        events: Events that the stored answer lists.
        fixtures: Rows of the day in `fixtures`.
        in_progress: Whether some event of the day can still change.
        error: Its row in `fixture_errors`; None if its latest fetch was good.
    """

    day: date
    loaded_at: datetime | None = None
    events: int = 0
    fixtures: int = 0
    in_progress: bool = False
    error: OpenError | None = None


@dataclass(frozen=True, slots=True)
class DayFixtures:
    """A day's rows in `fixtures`, made from its stored answer.

    Attributes:
        state: What the database holds for the day now.
        version: Hash of the rows, the same whenever the rows are.
        changes: Values of the day's events that changed: rows that were added to `fixture_changes`.
        total: Rows in `fixtures` in all.
        first: The first of them by kickoff, for people to look at.
        competitions: How many of them each competition has, the largest first.
    """

    state: DayState
    version: str
    changes: int = 0
    total: int = 0
    first: Sequence[Mapping[str, str | None]] = ()
    competitions: Sequence[Mapping[str, str | int | None]] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one day's outcome in the database.

    Attributes:
        outcome: The outcome; a `DayLoaded` that the database refused has become a `DayFailed`.
        state: What the database holds for the day now.
        before: The day's error row before this outcome; None if it had none.
        days_version: Hash of the day's stored answer; None for a day that failed.
        fixtures: Its rows in `fixtures`; None for a day that failed.
        rows: Rows of each of the three tables of days in all, after the transaction.
        stale: Whether a newer answer was stored already, so that this outcome changed nothing but the log.
    """

    outcome: Outcome
    state: DayState
    before: OpenError | None = None
    days_version: str | None = None
    fixtures: DayFixtures | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    stale: bool = False

    @property
    def day(self) -> date:
        """The day."""
        return self.outcome.day

    @property
    def fixtures_version(self) -> str | None:
        """Hash of the day's rows in `fixtures`; None for a day that failed."""
        return self.fixtures.version if self.fixtures else None

    @property
    def attempts(self) -> int:
        """Failures in a row up to now; 0 for a day that loaded."""
        return self.state.error.attempts if self.state.error else 0

    @property
    def healed(self) -> bool:
        """Whether the day loaded and had an error row before, which is gone."""
        return isinstance(self.outcome, DayLoaded) and self.before is not None and self.state.error is None
