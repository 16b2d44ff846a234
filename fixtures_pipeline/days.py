"""Days: when they begin and end in a time zone, and the unbroken stretches of them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the moments at which a day begins and the next one begins, in `zone`; 23 to 25 hours apart.

    >>> [moment.isoformat() for moment in day_bounds(date(2025, 3, 30), ZoneInfo("Europe/Berlin"))]
    ['2025-03-30T00:00:00+01:00', '2025-03-31T00:00:00+02:00']
    """
    return (datetime.combine(day, time(), zone), datetime.combine(day + timedelta(days=1), time(), zone))


def list_utc_days(day: date, zone: ZoneInfo) -> list[date]:
    """Return the days of UTC that a day in `zone` touches, for providers whose days are those.

    >>> [str(day) for day in list_utc_days(date(2025, 3, 1), ZoneInfo("Europe/Berlin"))]
    ['2025-02-28', '2025-03-01']
    """
    begins, ends = (moment.astimezone(UTC) for moment in day_bounds(day, zone))
    return list_days(begins.date(), (ends - timedelta(microseconds=1)).date())


def list_days(first: date, last: date) -> list[date]:
    """Return the days from `first` to `last`.

    >>> [str(day) for day in list_days(date(2025, 2, 28), date(2025, 3, 1))]
    ['2025-02-28', '2025-03-01']
    """
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def contiguous(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Yield the first and last day of each unbroken stretch in `days`, in order.

    >>> list(contiguous([date(2025, 1, 3), date(2025, 1, 1), date(2025, 1, 2), date(2025, 1, 9)]))
    [(datetime.date(2025, 1, 1), datetime.date(2025, 1, 3)), (datetime.date(2025, 1, 9), datetime.date(2025, 1, 9))]
    """
    first = last = None
    for day in sorted(set(days)):
        if first is None or last is None:
            first = last = day
        elif day == last + timedelta(days=1):
            last = day
        else:
            yield first, last
            first = last = day
    if first is not None and last is not None:
        yield first, last
