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

from fixtures_pipeline.days import contiguous
from fixtures_pipeline.errors import StoreError
from fixtures_pipeline.loading import choose_window, open_store
from fixtures_pipeline.retries import next_retry
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.questions import list_days_in_progress, list_open_errors

#: Days before today that the schedules load again: results arrive late.
DAYS_BEHIND = 2

#: How long a run that was asked for may take to show in `fixture_errors`.
LONGEST_WAIT = timedelta(days=1)

#: Requests per day that are too few for three days to be loaded again every quarter of an hour.
SMALL_QUOTA = 3 * 24 * 4

_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"

#: What schedules and sensor start.
LOAD_DAYS_JOB = define_asset_job(
    "load_days_job",
    selection=AssetSelection.assets("fixture_days", "fixtures", "fixture_errors"),
    description="Loads a range of days in one run.",
)


def build_schedules(settings: Settings) -> list[ScheduleDefinition]:
    """Return the schedules."""
    return [_build_window(settings), _build_refresh(settings)]


def build_sensors(settings: Settings) -> list[SensorDefinition]:
    """Return the sensors."""
    return [_build_retry(settings)]


def _build_window(settings: Settings) -> ScheduleDefinition:
    """Return the schedule that loads two past days, today and the coming week, as one run per tick."""

    @schedule(
        name="load_window",
        cron_schedule="15 5 * * *",
        job=LOAD_DAYS_JOB,
        execution_timezone=settings.timezone,
        default_status=DefaultScheduleStatus.STOPPED,
        description="Loads two past days, today and the coming week every morning.",
    )
    def load_window(context: ScheduleEvaluationContext) -> RunRequest:
        today = context.scheduled_execution_time.astimezone(settings.zone).date()
        return _request(*choose_window(settings, today, DAYS_BEHIND), run_key=today.isoformat())

    return load_window


def _build_refresh(settings: Settings) -> ScheduleDefinition:
    """Return the schedule that loads days again whose events are still going on: each hour if the quota is small."""
    quota = settings.requests_per_day or settings.source.requests_per_day
    cron, minutes = ("0 * * * *", 60) if quota is not None and quota < SMALL_QUOTA else ("*/15 * * * *", 15)

    @schedule(
        name="refresh_days_in_progress",
        cron_schedule=cron,
        job=LOAD_DAYS_JOB,
        execution_timezone=settings.timezone,
        default_status=DefaultScheduleStatus.STOPPED,
        description=f"Loads today and the two days before again every {minutes} minutes while their events can change.",
    )
    def refresh_days_in_progress(context: ScheduleEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        now = context.scheduled_execution_time.astimezone(settings.zone)
        first, last = choose_window(settings, now.date(), DAYS_BEHIND, ahead=0)
        try:
            days = list_days_in_progress(_open_store(settings), first, last, soon=now + timedelta(minutes=minutes))
        except StoreError as error:
            yield SkipReason(str(error))
            return
        if not days:
            yield SkipReason("No event is in progress.")
        for begin, end in contiguous(days):
            yield _request(begin, end, run_key=f"{now:%Y-%m-%dT%H:%M} {begin}")

    return refresh_days_in_progress


def _build_retry(settings: Settings) -> SensorDefinition:
    """Return the sensor that asks again for failed days, with growing pauses and an end.

    Its cursor holds, for each failed day, the moment at which it was last asked for again.
    """

    @sensor(
        name="retry_failed_days",
        job=LOAD_DAYS_JOB,
        minimum_interval_seconds=60,
        default_status=DefaultSensorStatus.STOPPED,
        description="Loads failed days again after 1, 2, 4, … up to 24 hours; gives a day up after 8 failures.",
    )
    def retry_failed_days(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        try:
            rows = list_open_errors(_open_store(settings), settings.start_date)
        except StoreError as error:
            yield SkipReason(str(error))
            return
        before: dict[str, str] = json.loads(context.cursor or "{}")
        due, asked = choose_due(rows, before, datetime.now(UTC))
        context.update_cursor(json.dumps(asked))
        if not due:
            yield SkipReason(f"{len(rows)} days are failing, none is due." if rows else "No day is failing.")
        failed_at = {row["date"]: row["updated_at"].astimezone(UTC).isoformat() for row in rows}
        for first, last in contiguous(due):
            yield _request(first, last, run_key=f"{first} {last} {failed_at[last]} {before.get(last.isoformat(), '')}")

    return retry_failed_days


def choose_due(
    rows: Sequence[Mapping[str, Any]], asked: Mapping[str, str], now: datetime
) -> tuple[list[date], dict[str, str]]:
    """Return the failed days to ask for again now, and `asked` as it is then.

    A day that was asked for is left alone until it has failed once more, however long its run waits in the queue; but
    not for longer than a day, as the run may have come to nothing.

    Args:
        rows: What `list_open_errors` gives.
        asked: Days that were asked for, and when, both in ISO format.
        now: This moment.
    """
    due: list[date] = []
    remembered: dict[str, str] = {}
    for row in rows:
        key, failed_at = row["date"].isoformat(), row["updated_at"]
        if key in asked:
            remembered[key] = asked[key]
        asked_at = datetime.fromisoformat(asked[key]) if key in asked else None
        waiting = asked_at is not None and failed_at < asked_at and now < asked_at + LONGEST_WAIT
        retry = next_retry(row["attempts"], failed_at, row["retry_at"])
        if retry is not None and retry <= now and not waiting:
            due.append(row["date"])
            remembered[key] = now.isoformat()
    return due, remembered


def _open_store(settings: Settings) -> FixtureStore:
    """Return the store, to be waited for no longer than Dagster waits for a tick (60 seconds)."""
    return open_store(settings.model_copy(update={"lock_timeout": min(settings.lock_timeout, 10)}))


def _request(first: date, last: date, run_key: str) -> RunRequest:
    """Ask for one run over all days from `first` to `last`."""
    return RunRequest(run_key=run_key, tags={_RANGE_START: first.isoformat(), _RANGE_END: last.isoformat()})
