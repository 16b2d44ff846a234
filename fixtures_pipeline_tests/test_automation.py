"""What the schedules and the sensor ask for, at pinned times."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from dagster import DagsterInstance, RunRequest, build_schedule_context, build_sensor_context

# What the UI's switch writes; Dagster has no public way but a running server.
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType
from time_machine import TimeMachineFixture

from fixtures_pipeline.dagster.automation import is_retrying
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import NEVER, Outcome
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.conftest import Judged
from fixtures_pipeline_tests.fault_server import body_of, event
from fixtures_pipeline_tests.processes import holding
from fixtures_pipeline_tests.runs import FIRST
from fixtures_pipeline_tests.stores import fail

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def ranges(requests: Any) -> list[tuple[str, str]]:
    """Return the range of each run request."""
    return [(one.tags[START], one.tags[END]) for one in requests or [] if isinstance(one, RunRequest)]


def tick(settings: Settings, name: str, at: datetime) -> Any:
    """Evaluate a schedule at a time."""
    schedule = build_definitions(settings).resolve_schedule_def(name)
    return schedule.evaluate_tick(build_schedule_context(scheduled_execution_time=at))


class Sensor:
    """The retry sensor with its cursor, as the daemon keeps it."""

    def __init__(self, settings: Settings, instance: DagsterInstance) -> None:
        self._sensor = build_definitions(settings).resolve_sensor_def("retry_failed_days")
        self._instance = instance
        self._cursor: str | None = None

    def tick(self) -> list[tuple[str, str]]:
        context = build_sensor_context(instance=self._instance, cursor=self._cursor)
        result = self._sensor.evaluate_tick(context)
        self._cursor = result.cursor
        return ranges(result.run_requests)


@pytest.fixture
def clock(time_machine: TimeMachineFixture) -> TimeMachineFixture:
    """Return the clock that the sensor and the store read; it stands still until it is shifted."""
    time_machine.move_to(datetime(2025, 3, 20, 12, tzinfo=UTC), tick=False)
    return time_machine


def test_the_window_is_one_run_over_two_past_days_today_and_the_coming_week(settings: Settings) -> None:
    asked = tick(settings, "load_window", datetime(2025, 6, 15, 5, 15, tzinfo=UTC))
    assert ranges(asked.run_requests) == [("2025-06-13", "2025-06-22")]


@pytest.mark.parametrize("day", [date(2025, 3, 30), date(2025, 10, 26), date(2025, 12, 31)])
def test_the_window_is_counted_in_the_configured_time_zone(settings: Settings, day: date) -> None:
    berlin = settings.model_copy(update={"timezone": "Europe/Berlin"})
    late_the_evening_before_in_utc = datetime.combine(day, datetime.min.time(), UTC) - timedelta(minutes=30)
    asked = tick(berlin, "load_window", late_the_evening_before_in_utc)
    assert ranges(asked.run_requests) == [
        ((day - timedelta(days=2)).isoformat(), (day + timedelta(days=7)).isoformat())
    ]


def test_failed_days_are_asked_for_again_after_growing_pauses(
    settings: Settings, instance: DagsterInstance, clock: TimeMachineFixture
) -> None:
    sensor = Sensor(settings, instance)
    for pause in (1, 2, 4, 8, 16, 24, 24):
        fail(settings, FIRST)
        clock.shift(timedelta(hours=pause, minutes=-1))
        assert sensor.tick() == [], pause
        clock.shift(timedelta(minutes=2))
        assert sensor.tick() == [("2025-03-01", "2025-03-01")], pause
    fail(settings, FIRST)
    clock.shift(timedelta(days=365))
    assert sensor.tick() == [], "given up after eight failures in a row"


def test_each_contiguous_stretch_is_one_run(
    settings: Settings, instance: DagsterInstance, clock: TimeMachineFixture
) -> None:
    fail(settings, *(FIRST + timedelta(days=n) for n in (0, 1, 2, 5, 7, 8)))
    clock.shift(timedelta(hours=2))
    assert Sensor(settings, instance).tick() == [
        ("2025-03-01", "2025-03-03"),
        ("2025-03-06", "2025-03-06"),
        ("2025-03-08", "2025-03-09"),
    ]


def test_no_failure_is_asked_for_twice(
    settings: Settings, instance: DagsterInstance, clock: TimeMachineFixture
) -> None:
    sensor = Sensor(settings, instance)
    fail(settings, FIRST)
    clock.shift(timedelta(hours=2))
    assert sensor.tick() == [("2025-03-01", "2025-03-01")]
    # A neighbour becomes due while the run still waits in the queue.
    fail(settings, FIRST + timedelta(days=1))
    clock.shift(timedelta(hours=2))
    assert sensor.tick() == [("2025-03-02", "2025-03-02")]
    assert sensor.tick() == []


def test_a_day_whose_run_came_to_nothing_is_asked_for_again_a_day_later(
    settings: Settings, instance: DagsterInstance, clock: TimeMachineFixture
) -> None:
    sensor = Sensor(settings, instance)
    fail(settings, FIRST)
    for hours, asked in ((2, True), (22, False), (2, True), (22, False), (2, True)):
        clock.shift(timedelta(hours=hours))
        assert sensor.tick() == ([("2025-03-01", "2025-03-01")] if asked else []), hours


def test_a_day_that_said_when_to_come_back_is_left_alone_until_then(
    settings: Settings, instance: DagsterInstance, clock: TimeMachineFixture
) -> None:
    sensor = Sensor(settings, instance)
    fail(settings, FIRST, retry_at=datetime.now(UTC) + timedelta(days=3))
    clock.shift(timedelta(days=2))
    assert sensor.tick() == []
    clock.shift(timedelta(days=1, minutes=1))
    assert sensor.tick() == [("2025-03-01", "2025-03-01")]


def test_a_day_that_asking_again_cannot_help_is_left_alone(
    settings: Settings, instance: DagsterInstance, clock: TimeMachineFixture
) -> None:
    fail(settings, FIRST, retry_at=NEVER)
    clock.shift(timedelta(days=365))
    assert Sensor(settings, instance).tick() == []


def test_days_before_the_first_partition_are_left_alone(
    settings: Settings, instance: DagsterInstance, clock: TimeMachineFixture
) -> None:
    fail(settings, *(FIRST + timedelta(days=n) for n in range(4)))
    clock.shift(timedelta(hours=2))
    later = settings.model_copy(update={"start_date": FIRST + timedelta(days=2)})
    assert Sensor(later, instance).tick() == [("2025-03-03", "2025-03-04")]


def test_a_database_that_somebody_holds_is_a_reason_to_skip(settings: Settings, instance: DagsterInstance) -> None:
    fail(settings, FIRST)
    hasty = settings.model_copy(update={"lock_timeout": 0.1})
    with holding(settings.database, seconds=60):
        assert "has been held by" in tick(hasty, "refresh_days_in_progress", datetime.now(UTC)).skip_message
        assert Sensor(hasty, instance).tick() == []


class TestAPlanOfFewDaysAndRequests:
    """The free plan of api-football: yesterday to tomorrow, a hundred requests a day."""

    @pytest.fixture
    def free(self, settings: Settings) -> Settings:
        return Settings.load(provider="api-football", api_key="a-key", api_url=settings.api_url, db=settings.database)

    def test_the_window_is_what_the_plan_serves(self, free: Settings) -> None:
        asked = tick(free, "load_window", datetime(2025, 6, 15, 5, 15, tzinfo=UTC))
        assert ranges(asked.run_requests) == [("2025-06-14", "2025-06-16")]

    def test_days_in_progress_are_loaded_again_every_hour(self, free: Settings) -> None:
        schedule = build_definitions(free).resolve_schedule_def("refresh_days_in_progress")
        assert schedule.cron_schedule == "0 * * * *"

    def test_another_plan_is_used_as_it_is(self, free: Settings) -> None:
        paid = free.model_copy(update={"requests_per_day": 7500})
        asked = tick(paid, "load_window", datetime(2025, 6, 15, 5, 15, tzinfo=UTC))
        assert ranges(asked.run_requests) == [("2025-06-13", "2025-06-22")]
        schedule = build_definitions(paid).resolve_schedule_def("refresh_days_in_progress")
        assert schedule.cron_schedule == "*/15 * * * *"


def test_without_a_database_there_is_a_reason_to_skip(settings: Settings, instance: DagsterInstance) -> None:
    assert Sensor(settings, instance).tick() == []
    skipped = tick(settings, "refresh_days_in_progress", datetime.now(UTC))
    assert skipped.skip_message.startswith("Nothing has been loaded yet")


def test_days_in_progress_are_loaded_again(settings: Settings, judged: Judged) -> None:
    now = datetime(2025, 3, 20, 12, tzinfo=UTC)
    today = now.date()
    live = {"status": {"code": 6, "type": "inprogress", "description": "1st half"}}

    def day(of: date, **status: Any) -> Outcome:
        start = int(datetime.combine(of, time(11), UTC).timestamp())
        return judged(of, body_of([event(of.toordinal() * 10 + n, start, **status) for n in (0, 1)]))

    store = open_store(settings)
    store.put([day(today, **live), day(today - timedelta(days=1))])
    asked = tick(settings, "refresh_days_in_progress", now)
    assert ranges(asked.run_requests) == [("2025-03-20", "2025-03-20")]
    store.put([day(today)])
    assert ranges(tick(settings, "refresh_days_in_progress", now).run_requests) == []


class TestIsRetrying:
    """What a failed day's check says of who will act depends on it."""

    def test_is_false_where_nobody_has_switched_anything_on(
        self, instance: DagsterInstance, instance_in_files: DagsterInstance
    ) -> None:
        assert not is_retrying(instance)
        assert not is_retrying(instance_in_files)

    @pytest.mark.parametrize(
        ("name", "status", "retrying"),
        [
            ("retry_failed_days", InstigatorStatus.RUNNING, True),
            ("retry_failed_days", InstigatorStatus.STOPPED, False),
            ("another_sensor", InstigatorStatus.RUNNING, False),
        ],
    )
    def test_follows_the_switch_of_the_sensor(
        self, name: str, status: InstigatorStatus, retrying: bool, instance_in_files: DagsterInstance
    ) -> None:
        location = RemoteRepositoryOrigin(
            RegisteredCodeLocationOrigin("fixtures_pipeline.definitions"), "__repository__"
        )
        state = InstigatorState(RemoteInstigatorOrigin(location, name), InstigatorType.SENSOR, status)
        instance_in_files.add_instigator_state(state)
        assert is_retrying(instance_in_files) == retrying
