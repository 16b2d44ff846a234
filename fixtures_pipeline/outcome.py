"""What becomes of one day: it loaded, or it failed in one of a few named ways.

Only values belong here. How an answer is fetched is in `events_api`, how it is judged in `judge`, how it is kept in
`store`.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum

#: `DayFailed.retry_at` of a day that asking again cannot help, such as one outside the plan that was paid for.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)


class ErrorType(StrEnum):
    """The names under which a failed day stands in `fixture_errors`."""

    AUTH_ERROR = "AUTH_ERROR"
    RATE_LIMIT_ERROR = "RATE_LIMIT_ERROR"
    TIMEOUT_ERROR = "TIMEOUT_ERROR"
    CONNECTION_RESET_ERROR = "CONNECTION_RESET_ERROR"
    API_ERROR = "API_ERROR"
    JSON_DECODE_ERROR = "JSON_DECODE_ERROR"
    DATA_STRUCTURE_ERROR = "DATA_STRUCTURE_ERROR"
    DEFAULT_DATA_ERROR = "DEFAULT_DATA_ERROR"
    INTEGRITY_ERROR = "INTEGRITY_ERROR"


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
    """

    day: date
    body: bytes
    events: int
    in_progress: bool
    size: int = 0
    elapsed_ms: int = 0


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


Outcome = DayLoaded | DayFailed
