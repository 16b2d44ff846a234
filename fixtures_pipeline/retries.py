"""When a failed day is asked for again: growing pauses, and an end."""

from datetime import datetime, timedelta

from fixtures_pipeline.outcome import NEVER

#: Failures in a row after which a day is left to people.
GIVEN_UP_AFTER = 8
LONGEST_PAUSE = timedelta(hours=24)


def is_given_up(attempts: int, retry_at: datetime | None) -> bool:
    """Whether a failed day is left to people; the arguments are those of `next_retry`."""
    return attempts >= GIVEN_UP_AFTER or (retry_at is not None and retry_at >= NEVER)


def next_retry(attempts: int, failed_at: datetime, retry_at: datetime | None) -> datetime | None:
    """Return when a failed day may be asked for again; None if it is not worth it.

    The pauses are 1, 2, 4, 8, 16 hours and then 24, counted from the latest failure; after 8 failures in a row the day
    is given up. A day that said when to come back (`retry_at`) is left alone until then.

    Args:
        attempts: Failures in a row; 0 for a day that could not be asked for yet.
        failed_at: The latest of them.
        retry_at: `fixture_errors.retry_at`.

    >>> from datetime import UTC
    >>> failed_at = datetime(2025, 1, 1, tzinfo=UTC)
    >>> [(next_retry(n, failed_at, None) - failed_at).total_seconds() / 3600 for n in range(1, 8)]
    [1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 24.0]
    >>> next_retry(8, failed_at, None) is None
    True
    """
    if is_given_up(attempts, retry_at):
        return None
    pause = min(timedelta(hours=2 ** max(attempts - 1, 0)), LONGEST_PAUSE)
    return max(failed_at + pause, retry_at or failed_at)


def is_due(attempts: int, failed_at: datetime, retry_at: datetime | None, now: datetime) -> bool:
    """Whether a failed day may be asked for again now; the other arguments are those of `next_retry`."""
    if failed_at > now:
        # Dated by a clock that has been set back since, so neither date says anything.
        return not is_given_up(attempts, retry_at)
    retry = next_retry(attempts, failed_at, retry_at)
    return retry is not None and retry <= now
