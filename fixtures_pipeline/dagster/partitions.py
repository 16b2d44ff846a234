"""The days that can be loaded: one partition each."""

from dagster import DailyPartitionsDefinition

from fixtures_pipeline.settings import Settings


def daily_partitions(settings: Settings) -> DailyPartitionsDefinition:
    """Return the partitions: every day from `FIXTURES_START_DATE` to `FIXTURES_DAYS_AHEAD` days after today."""
    # end_offset 1 adds today, which has not ended yet.
    return DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(), timezone=settings.timezone, end_offset=1 + settings.days_ahead
    )
