"""What loads days without anybody pressing a button: two schedules and a sensor, all off until switched on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from dagster import (
    AssetSelection,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    define_asset_job,
    schedule,
    sensor,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import contiguous
from fixtures_pipeline.partitions import DAYS_AHEAD
from fixtures_pipeline.providers.base import OPEN_STATUSES
from fixtures_pipeline.retries import next_retry
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import StoreError, StoreMissingError

#: Days before today that the schedule loads again: results arrive late.
DAYS_BEHIND = 2

_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"


def load_days_job() -> UnresolvedAssetJobDefinition:
    """Return the job that schedules and sensors start."""
    return define_asset_job(
        "load_days_job",
        selection=AssetSelection.assets("fixture_days", "fixtures", "fixture_errors"),
        description="Loads a range of days in one run.",
    )


def window_schedule(settings: Settings, job: UnresolvedAssetJobDefinition) -> ScheduleDefinition:
    """Return the schedule that loads two past days, today and the coming week, as one run a tick."""

    @schedule(
        name="load_window",
        cron_schedule="15 5 * * *",
        job=job,
        execution_timezone=settings.timezone,
        default_status=DefaultScheduleStatus.STOPPED,
        description="Loads two past days, today and the coming week every morning.",
    )
    def load_window(context: ScheduleEvaluationContext) -> RunRequest:
        today = context.scheduled_execution_time.astimezone(settings.zone).date()
        first = max(today - timedelta(days=DAYS_BEHIND), settings.start_date)
        return _request(first, today + timedelta(days=DAYS_AHEAD), run_key=today.isoformat())

    return load_window


def progress_schedule(settings: Settings, job: UnresolvedAssetJobDefinition) -> ScheduleDefinition:
    """Return the schedule that loads days again whose events are still going on."""

    @schedule(
        name="refresh_days_in_progress",
        cron_schedule="*/15 * * * *",
        job=job,
        execution_timezone=settings.timezone,
        default_status=DefaultScheduleStatus.STOPPED,
        description="Loads yesterday and today again every quarter of an hour while events of theirs can change.",
    )
    def refresh_days_in_progress(context: ScheduleEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        now = context.scheduled_execution_time.astimezone(settings.zone)
        try:
            rows = open_store(settings).query(
                _IN_PROGRESS, {"now": now, "today": now.date(), "open_statuses": list(OPEN_STATUSES)}
            )
        except StoreMissingError:
            yield SkipReason("Nothing has been loaded yet.")
            return
        except StoreError as error:
            yield SkipReason(str(error))
            return
        if not rows:
            yield SkipReason("No event is going on.")
        for first, last in contiguous([row["date"] for row in rows]):
            yield _request(first, last, run_key=f"{now:%Y-%m-%dT%H:%M} {first}")

    return refresh_days_in_progress


#: Days with an event that has begun, or is about to, and can still change.
_IN_PROGRESS = """
    SELECT date FROM fixture_days
    WHERE in_progress AND date BETWEEN $today::DATE - 2 AND $today::DATE
        AND date NOT IN (SELECT date FROM fixture_errors)
        AND date IN (
            SELECT date FROM fixtures
            WHERE list_contains($open_statuses, status)
                AND (kickoff IS NULL OR kickoff < $now + INTERVAL 15 MINUTE)
        )
    ORDER BY date
"""


def retry_sensor(settings: Settings, job: UnresolvedAssetJobDefinition) -> SensorDefinition:
    """Return the sensor that asks again for failed days, with growing pauses and an end.

    Its cursor names, for each failed day, the failure that it has already asked for again, so that none is asked for
    twice, however long the run waits in the queue.
    """

    @sensor(
        name="retry_failed_days",
        job=job,
        minimum_interval_seconds=60,
        default_status=DefaultSensorStatus.STOPPED,
        description="Loads failed days again after 1, 2, 4, … up to 24 hours; gives a day up after 8 failures.",
    )
    def retry_failed_days(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        try:
            rows = open_store(settings).query(_OPEN_ERRORS)
        except StoreMissingError:
            yield SkipReason("Nothing has been loaded yet.")
            return
        except StoreError as error:
            yield SkipReason(str(error))
            return
        asked: dict[str, str] = json.loads(context.cursor or "{}")
        failures = {row["date"]: row["updated_at"].astimezone(UTC).isoformat() for row in rows}
        due = due_days(rows, asked, datetime.now(UTC))
        # Days that have loaded since are forgotten.
        known = {day.isoformat(): asked[day.isoformat()] for day in failures if day.isoformat() in asked}
        context.update_cursor(json.dumps(known | {day.isoformat(): failures[day] for day in due}))
        if not due:
            yield SkipReason(f"{len(rows)} days are failing, none is due." if rows else "No day is failing.")
        for first, last in contiguous(due):
            yield _request(first, last, run_key=f"{first} {last} {failures[last]}")

    return retry_failed_days


_OPEN_ERRORS = "SELECT date, attempts, updated_at, retry_at FROM fixture_errors ORDER BY date"


def due_days(rows: Sequence[Mapping[str, Any]], asked: Mapping[str, str], now: datetime) -> list[date]:
    """Return the failed days to ask for again now.

    Args:
        rows: `date`, `attempts`, `updated_at` and `retry_at` of each row in `fixture_errors`.
        asked: Day and time of the failures that were already asked for again, both in ISO format.
        now: This moment.
    """
    due = []
    for row in rows:
        day, failed_at = row["date"], row["updated_at"]
        retry = next_retry(row["attempts"], failed_at, row["retry_at"])
        if retry is not None and retry <= now and asked.get(day.isoformat()) != failed_at.astimezone(UTC).isoformat():
            due.append(day)
    return due


def _request(first: date, last: date, run_key: str) -> RunRequest:
    """Ask for one run over all days from `first` to `last`."""
    return RunRequest(run_key=run_key, tags={_RANGE_START: first.isoformat(), _RANGE_END: last.isoformat()})
