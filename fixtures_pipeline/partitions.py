"""The days that can be loaded: one partition each."""

from datetime import date, timedelta

from dagster import DailyPartitionsDefinition

from fixtures_pipeline.settings import Settings

#: Days after today that can be loaded: fixtures of the coming week are known.
DAYS_AHEAD = 7


def daily_partitions(settings: Settings) -> DailyPartitionsDefinition:
    """Return the partitions: every day from `FIXTURES_START_DATE` to a week from today, in `FIXTURES_TIMEZONE`."""
    # end_offset 1 adds today, which has not ended yet.
    return DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(), timezone=settings.timezone, end_offset=1 + DAYS_AHEAD
    )


def window(settings: Settings, today: date, behind: int, ahead: int = DAYS_AHEAD) -> tuple[date, date]:
    """Return the first and the last of the days around today that are loaded without anybody naming them.

    Args:
        settings: From when on days can be loaded, and from whom. A free plan that serves only a few days is kept to
            unless `FIXTURES_REQUESTS_PER_DAY` says that it is another plan.
        today: Today in the configured time zone.
        behind: Days before today, if they can be had.
        ahead: Days after today, if they can be had.
    """
    served = settings.source.free_days if settings.requests_per_day is None else None
    if served is not None:
        behind, ahead = min(behind, served[0]), min(ahead, served[1])
    return max(today - timedelta(days=behind), settings.start_date), today + timedelta(days=ahead)
