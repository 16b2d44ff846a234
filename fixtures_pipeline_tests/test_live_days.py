"""A day whose events go on is refreshed whatever became of its last refresh, and no tick asks for too many runs."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from dagster import DagsterInstance, RunRequest, build_schedule_context, build_sensor_context
from dagster._utils.schedules import cron_string_iterator
from time_machine import TimeMachineFixture

from fixtures_pipeline.dagster.automation import STRETCHES_AT_ONCE
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import NEVER, Outcome
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.conftest import Judged
from fixtures_pipeline_tests.fault_server import body_of, event
from fixtures_pipeline_tests.runs import FIRST
from fixtures_pipeline_tests.stores import fail

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
NOW = datetime(2025, 3, 20, 18, tzinfo=UTC)
TODAY = NOW.date()
LIVE = {"code": 7, "type": "inprogress", "description": "2nd half"}


def refresh(settings: Settings, at: datetime = NOW) -> tuple[list[str], str]:
    """Return the first days that the schedule asks for, and the reason for which it skips."""
    schedule = build_definitions(settings).resolve_schedule_def("refresh_days_in_progress")
    result = schedule.evaluate_tick(build_schedule_context(scheduled_execution_time=at))
    return [one.tags[START] for one in result.run_requests or []], result.skip_message or ""


@pytest.fixture
def load(settings: Settings, judged: Judged, time_machine: TimeMachineFixture) -> Any:
    """Return a function that stores a day with three events that kicked off some minutes ago."""
    time_machine.move_to(NOW, tick=False)

    def store(day: date, status: dict[str, Any] = LIVE, minutes: int = 40) -> None:
        start = int((datetime.combine(day, NOW.timetz()) - timedelta(minutes=minutes)).timestamp())
        outcome: Outcome = judged(
            day, body_of([event(day.toordinal() * 9 + n, start, status=status) for n in range(3)])
        )
        open_store(settings).put([outcome])

    return store


class TestADayInProgress:
    def test_is_refreshed(self, settings: Settings, load: Any) -> None:
        load(TODAY)
        assert refresh(settings) == (["2025-03-20"], "")

    @pytest.mark.parametrize("failures", [1, 2, 12])
    def test_is_refreshed_although_that_failed(self, failures: int, settings: Settings, load: Any) -> None:
        load(TODAY)
        for _ in range(failures):
            fail(settings, TODAY)
        assert refresh(settings) == (["2025-03-20"], "")

    def test_is_left_alone_for_as_long_as_its_row_says(self, settings: Settings, load: Any) -> None:
        load(TODAY)
        fail(settings, TODAY, retry_at=NOW + timedelta(minutes=50))
        asked, reason = refresh(settings)
        assert asked == []
        assert reason == (
            "Nothing is to be refreshed now: 2025-03-20 failed and is not worth asking for again before "
            "2025-03-20 18:50 UTC."
        )
        assert refresh(settings, NOW + timedelta(minutes=45)) == ([], reason)
        assert refresh(settings, NOW + timedelta(minutes=60)) == (["2025-03-20"], "")

    def test_that_asking_cannot_help_is_left_to_people(self, settings: Settings, load: Any) -> None:
        load(TODAY)
        fail(settings, TODAY, retry_at=NEVER)
        assert refresh(settings) == (
            [],
            "Nothing is to be refreshed now: 2025-03-20 failed and is not worth asking for again by itself.",
        )

    def test_holds_up_no_other(self, settings: Settings, load: Any) -> None:
        for days in range(3):
            load(TODAY - timedelta(days=days))
        fail(settings, TODAY - timedelta(days=1), retry_at=NEVER)
        assert refresh(settings) == (["2025-03-18", "2025-03-20"], "")

    def test_before_the_window_is_no_longer_refreshed(self, settings: Settings, load: Any) -> None:
        load(TODAY - timedelta(days=3))
        assert refresh(settings) == ([], "No event is in progress.")

    def test_whose_events_begin_later_is_not_yet(self, settings: Settings, load: Any) -> None:
        load(TODAY, {"code": 0, "type": "notstarted", "description": "Not started"}, minutes=-60)
        fail(settings, TODAY)
        assert refresh(settings) == ([], "No event is in progress.")
        assert refresh(settings, NOW + timedelta(minutes=50)) == (["2025-03-20"], "")

    def test_that_is_over_is_none_although_its_refresh_failed(self, settings: Settings, load: Any) -> None:
        load(TODAY, {"code": 100, "type": "finished", "description": "Ended"})
        fail(settings, TODAY)
        assert refresh(settings) == ([], "No event is in progress.")


def test_no_minute_is_a_tick_of_both_schedules(settings: Settings) -> None:
    definitions = build_definitions(settings)
    start = datetime(2025, 3, 28, tzinfo=UTC).timestamp()
    for zone in ("UTC", "Europe/Istanbul", "Asia/Kathmandu"):
        ticks = []
        for name in ("load_window", "refresh_days_in_progress"):
            cron = str(definitions.resolve_schedule_def(name).cron_schedule)
            found = cron_string_iterator(start, cron, zone)
            ticks.append({next(found) for _ in range(4 * 24 * 4)})
        assert not ticks[0] & ticks[1]


class TestManyFailingDays:
    @pytest.fixture
    def failing(self, settings: Settings, time_machine: TimeMachineFixture) -> list[date]:
        """Have 120 single days fail, two hours ago."""
        time_machine.move_to(datetime(2025, 9, 1, 12, tzinfo=UTC), tick=False)
        days = [FIRST + timedelta(days=2 * n) for n in range(120)]
        # Dagster's days end at the clock's, not at the machine's.
        days = [day for day in days if day < date(2025, 9, 1)]
        fail(settings, *days)
        time_machine.shift(timedelta(hours=2))
        return days

    def test_are_asked_for_a_few_at_a_time_until_all_are(
        self, failing: list[date], settings: Settings, instance: DagsterInstance, time_machine: TimeMachineFixture
    ) -> None:
        sensor = build_definitions(settings).resolve_sensor_def("retry_failed_days")
        cursor, asked = None, []
        for _ in range(-(-len(failing) // STRETCHES_AT_ONCE)):
            result = sensor.evaluate_tick(build_sensor_context(instance=instance, cursor=cursor))
            requests = result.run_requests or []
            assert 0 < len(requests) <= STRETCHES_AT_ONCE
            asked += [date.fromisoformat(one.tags[START]) for one in requests if isinstance(one, RunRequest)]
            cursor = result.cursor
            time_machine.shift(timedelta(minutes=1))
        assert asked == failing, "each once, the oldest first"
        result = sensor.evaluate_tick(build_sensor_context(instance=instance, cursor=cursor))
        number = len(failing)
        assert result.skip_message == (
            f"{number} days are failing, none is due; {number} of them have been asked for again."
        )

    def test_next_to_each_other_are_one_run(
        self, settings: Settings, instance: DagsterInstance, time_machine: TimeMachineFixture
    ) -> None:
        time_machine.move_to(NOW, tick=False)
        fail(settings, *(date(2025, 1, 1) + timedelta(days=n) for n in range(70)))
        time_machine.shift(timedelta(hours=2))
        sensor = build_definitions(settings).resolve_sensor_def("retry_failed_days")
        [request] = sensor.evaluate_tick(build_sensor_context(instance=instance)).run_requests or []
        assert (request.tags[START], request.tags[END]) == ("2025-01-01", "2025-03-11")
