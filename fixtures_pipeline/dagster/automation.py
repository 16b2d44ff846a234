"""What loads days without anybody pressing a button: two schedules and a sensor, all off until switched on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from dagster import (
    AssetSelection,
    DagsterInstance,
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

from fixtures_pipeline.dagster.events import DAY_LOADED
from fixtures_pipeline.days import contiguous
from fixtures_pipeline.errors import StoreError
from fixtures_pipeline.loading import choose_window, open_store
from fixtures_pipeline.outcome import NEVER
from fixtures_pipeline.retries import is_due, next_retry
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.questions import list_days_in_progress, list_open_errors
from fixtures_pipeline.text import count, format_moment

#: Days before today that the schedules load again: results arrive late.
DAYS_BEHIND = 2

#: How long a run that was asked for may take to show in `fixture_errors`.
LONGEST_WAIT = timedelta(days=1)

#: Requests per day that are too few for three days to be loaded again every quarter of an hour.
SMALL_QUOTA = 3 * 24 * 4

#: Stretches of failed days, a run each, that the sensor asks for at once: many single days would fill the queue.
STRETCHES_AT_ONCE = 10

#: Tags that make one run of a range of days.
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

#: What schedules and sensor start.
LOAD_DAYS_JOB = define_asset_job(
    "load_days_job",
    # Every load evaluates the rules, whether they are selected or not. For each that is, Dagster logs a plan per day,
    # though it has no days, and such plans are never fulfilled.
    selection=AssetSelection.assets("fixture_days", "fixtures", "fixture_errors").without_checks()
    | AssetSelection.checks(DAY_LOADED),
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
        # At no tick of the other schedule, which would fetch days of it at the same moment.
        cron_schedule="20 5 * * *",
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
    quota = settings.requests_per_day or settings.source.plan.requests_per_day
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
            found = list_days_in_progress(_open_store(settings), first, last, soon=now + timedelta(minutes=minutes))
        except StoreError as error:
            yield SkipReason(str(error))
            return
        # A day whose latest refresh failed is none of the retries' while its events go on: they pause for hours.
        days = [day for day, retry_at in found.items() if retry_at is None or retry_at <= now]
        if not days:
            yield SkipReason(_explain_rest(found))
        for begin, end in contiguous(days):
            yield _request(begin, end, run_key=f"{now:%Y-%m-%dT%H:%M} {begin}")

    return refresh_days_in_progress


def _explain_rest(found: Mapping[date, datetime | None]) -> str:
    """Say why no day is refreshed, though some may have events that can still change."""
    waiting = [
        f"{day} failed and is not worth asking for again"
        + (" by itself" if until >= NEVER else f" before {format_moment(until)}")
        for day, until in found.items()
        if until is not None
    ]
    return f"Nothing is to be refreshed now: {'; '.join(waiting)}." if waiting else "No event is in progress."


def _build_retry(settings: Settings) -> SensorDefinition:
    """Return the sensor that asks again for failed days, with growing pauses and an end.

    Its cursor holds, for each failed day, the moment at which it was last asked for again.
    """

    @sensor(
        name="retry_failed_days",
        job=LOAD_DAYS_JOB,
        minimum_interval_seconds=60,
        default_status=DefaultSensorStatus.STOPPED,
        description="Loads failed days again after 1, 2, 4, … up to 24 hours; gives a day up after 8 failures. At most "
        f"{STRETCHES_AT_ONCE} stretches of days a minute, a run each.",
    )
    def retry_failed_days(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        try:
            rows = list_open_errors(_open_store(settings), settings.start_date)
        except StoreError as error:
            yield SkipReason(str(error))
            return
        before: dict[str, str] = json.loads(context.cursor or "{}")
        now = datetime.now(UTC)
        due, asked = choose_due(rows, before, now)
        context.update_cursor(json.dumps(asked))
        if not due:
            yield SkipReason(_say_next(rows, now))
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
        rows: What `list_open_errors` gives, in order.
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
        # What is dated in the future was dated by a clock that has been set back since.
        has_failed_since = asked_at is not None and asked_at <= failed_at <= now
        waiting = asked_at is not None and asked_at <= now < asked_at + LONGEST_WAIT and not has_failed_since
        if is_due(row["attempts"], failed_at, row["retry_at"], now) and not waiting:
            due.append(row["date"])
    stretches = list(contiguous(due))
    if len(stretches) > STRETCHES_AT_ONCE:
        # The oldest first; the others are still due at the next tick.
        due = [day for day in due if day < stretches[STRETCHES_AT_ONCE][0]]
    return due, remembered | {day.isoformat(): now.isoformat() for day in due}


def _say_next(rows: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """Say of failing days, none of which is due, when the next one is."""
    if not rows:
        return "No day is failing."
    retries = [next_retry(row["attempts"], row["updated_at"], row["retry_at"]) for row in rows]
    times = [time for time in retries if time]
    coming = [time for time in times if time > now]
    parts = [f"{len(times) - len(coming)} of them have been asked for again"] if len(coming) < len(times) else []
    if coming:
        parts.append(f"the next is due at {format_moment(min(coming))}")
    failing = f"{count(len(rows), 'day')} {'is' if len(rows) == 1 else 'are'} failing"
    return f"{failing}, none is due; {'; '.join(parts) or 'all are given up'}."


def is_retrying(instance: DagsterInstance) -> bool:
    """Say whether the sensor that loads failed days again is switched on."""
    # An instance in memory, as tests and notebooks have, knows no sensors.
    return instance.schedule_storage is not None and any(
        state.instigator_name == "retry_failed_days" and state.is_running for state in instance.all_instigator_state()
    )


def _open_store(settings: Settings) -> FixtureStore:
    """Return the store, to be waited for no longer than Dagster waits for a tick (60 seconds)."""
    return open_store(settings.model_copy(update={"lock_timeout": min(settings.lock_timeout, 10)}))


def _request(first: date, last: date, run_key: str) -> RunRequest:
    """Ask for one run over all days from `first` to `last`."""
    return RunRequest(run_key=run_key, tags={RANGE_START: first.isoformat(), RANGE_END: last.isoformat()})
