"""What Dagster is told of one day: its materializations, and the result of its check."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from dagster import AssetCheckEvaluation, AssetKey, AssetRecordsFilter, DagsterInstance

from fixtures_pipeline.dagster.events import describe_tables, evaluate_days
from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.outcome import NEVER, DayFailed, DayFixtures, DayLoaded, DayState, OpenError, Stored
from fixtures_pipeline_tests.runs import FIRST, RangeRun, check_alone, evaluations, metadata_of, plain
from fixtures_pipeline_tests.stores import SOFASCORE

NOON = datetime(2025, 3, 2, 12, tzinfo=UTC)
ROWS = {"fixture_days": 60, "fixtures": 1800, "fixture_errors": 3}
SHOWN = {"time": "12:00", "competition": "Cup", "home": "Ark", "score": "2-1", "away": "Bay", "status": "finished"}
COUNTED: dict[str, str | int | None] = {"country": "Land", "competition": "Cup", "fixtures": 30}
BROKEN = OpenError("API_ERROR", "It broke.", 503, 0, attempts=2, failing_since=NOON, failed_at=NOON, retry_at=None)


def told(stored: Stored) -> dict[str, dict[str, Any]]:
    """Return the metadata of each table's materialization, as plain values."""
    return {one.asset_key.path[0]: plain(one.metadata) for one in describe_tables(stored, SOFASCORE, "4c")}


class TestMaterializations:
    STATE = DayState(FIRST, NOON, events=40, fixtures=30, in_progress=True)
    MADE = DayFixtures(STATE, "2b", changes=4, total=1800, first=[SHOWN], competitions=[COUNTED])
    LOADED = Stored(
        DayLoaded(FIRST, b"{}", events=40, in_progress=True, size=9000, elapsed_ms=120),
        STATE,
        before=BROKEN,
        days_version="1a",
        fixtures=MADE,
        rows=ROWS,
    )
    FAILED = Stored(
        DayFailed(FIRST, ErrorType.API_ERROR, "It broke.", http_status=503, elapsed_ms=120),
        DayState(FIRST, error=BROKEN),
        rows=ROWS,
    )

    def test_of_a_day_that_loaded_tell_rows_events_bytes_and_time(self) -> None:
        tables = told(self.LOADED)
        tables["fixtures"].pop("first_fixtures")
        tables["fixture_days"].pop("competitions")
        fetched = {"provider": "sofascore", "events": 40, "bytes": 9000, "milliseconds": 120}
        assert tables == {
            "fixture_days": {
                "dagster/partition_row_count": 1,
                "dagster/row_count": 60,
                "in_progress": True,
                **fetched,
            },
            "fixtures": {"dagster/partition_row_count": 30, "dagster/row_count": 1800, "changes": 4, **fetched},
            "fixture_errors": {
                "dagster/partition_row_count": 0,
                "dagster/row_count": 3,
                "healed": True,
                "provider": "sofascore",
            },
        }

    def test_of_fixtures_show_the_first_of_them(self) -> None:
        table = told(self.LOADED)["fixtures"]["first_fixtures"]
        assert [record.data for record in table.records] == [SHOWN]
        assert [column.name for column in table.schema.columns] == list(SHOWN)

    def test_of_a_day_show_how_many_fixtures_each_competition_has(self) -> None:
        table = told(self.LOADED)["fixture_days"]["competitions"]
        assert [record.data for record in table.records] == [COUNTED]

    def test_of_a_day_without_fixtures_have_no_table(self) -> None:
        empty = replace(self.LOADED, fixtures=replace(self.MADE, first=(), competitions=()))
        assert "first_fixtures" not in told(empty)["fixtures"]
        assert "competitions" not in told(empty)["fixture_days"]

    def test_of_an_outcome_that_is_stale_are_none(self) -> None:
        assert told(replace(self.LOADED, stale=True, fixtures=None)) == {}
        assert told(replace(self.FAILED, stale=True)) == {}

    def test_of_a_day_that_has_failed_since_it_was_fetched_leave_its_error_alone(self) -> None:
        failing = replace(self.LOADED, state=replace(self.STATE, error=BROKEN))
        assert list(told(failing)) == ["fixture_days", "fixtures"]
        assert not failing.healed

    def test_of_a_run_show_the_fixtures_of_the_day(self, six_days: RangeRun) -> None:
        shown = [record.data for record in metadata_of(six_days.result, "fixtures", FIRST)["first_fixtures"].records]
        assert len(shown) == 5
        assert shown[0] == {
            "time": "12:00",
            "competition": "League",
            "home": "Home",
            "score": "1-0",
            "away": "Away",
            "status": "finished",
        }

    def test_are_of_one_day_and_of_its_content(self) -> None:
        made = list(describe_tables(self.LOADED, SOFASCORE, "4c"))
        assert {one.partition for one in made} == {"2025-03-01"}
        assert [(one.tags or {})["dagster/data_version"] for one in made] == ["1a", "2b", "no error"]

    def test_come_in_the_order_in_which_tables_depend_on_each_other(self) -> None:
        """The UI calls a table out of date if its upstream was materialized later."""
        assert list(told(self.LOADED))[:2] == ["fixture_days", "fixtures"]

    def test_of_a_day_that_failed_tell_the_error_and_leave_the_other_tables_alone(self) -> None:
        [(table, metadata)] = told(self.FAILED).items()
        assert table == "fixture_errors"
        assert metadata["dagster/partition_row_count"] == 1
        assert (metadata["error_type"], metadata["error_message"]) == ("API_ERROR", "It broke.")
        assert (metadata["http_status"], metadata["attempts"], metadata["milliseconds"]) == (503, 2, 120)

    def test_of_a_day_that_nobody_answered_for_have_no_status(self) -> None:
        silent = replace(self.FAILED, outcome=DayFailed(FIRST, ErrorType.TIMEOUT_ERROR, "Nobody is there."))
        assert "http_status" not in told(silent)["fixture_errors"]


def evaluate(*states: DayState, retries_on: bool = False) -> Sequence[AssetCheckEvaluation]:
    with DagsterInstance.ephemeral() as instance:
        return list(evaluate_days(instance, states, retries_on=retries_on))


class TestDayLoaded:
    @pytest.mark.parametrize(
        ("state", "passed", "description"),
        [
            (DayState(FIRST, NOON, events=40, fixtures=30), True, "30 fixtures, 40 events listed."),
            (DayState(FIRST), False, "2025-03-01 has not been loaded yet. Materialize it."),
            (DayState(FIRST, error=BROKEN), False, "API_ERROR: It broke. See docs/errors.md."),
            (
                DayState(FIRST, NOON, events=40, fixtures=30, error=BROKEN),
                False,
                "API_ERROR: It broke. Data from the earlier load is kept. See docs/errors.md.",
            ),
        ],
    )
    def test_says_what_is_and_what_to_do(self, state: DayState, passed: bool, description: str) -> None:
        [result] = evaluate(state)
        assert (result.partition, result.passed, result.description) == ("2025-03-01", passed, description)

    def test_tells_the_error_in_numbers(self) -> None:
        [result] = evaluate(DayState(FIRST, error=BROKEN))
        numbers = plain(result.metadata)
        assert numbers["failing_since"] == NOON.timestamp()
        assert {name: numbers[name] for name in ("error_type", "error_message", "attempts", "http_status")} == {
            "error_type": "API_ERROR",
            "error_message": "It broke.",
            "attempts": 2,
            "http_status": 503,
        }

    @pytest.mark.parametrize(
        ("error", "retries_on", "said"),
        [
            (BROKEN, True, "2025-03-02 14:00 UTC, by the sensor retry_failed_days"),
            (
                BROKEN,
                False,
                "none: the sensor retry_failed_days is off; switch it on, or load the day by hand",
            ),
            (replace(BROKEN, retry_at=NEVER), True, "none: load the day by hand"),
            (replace(BROKEN, attempts=8), False, "none: load the day by hand"),
        ],
    )
    def test_says_who_will_act_on_a_failed_day(self, error: OpenError, retries_on: bool, said: str) -> None:
        [result] = evaluate(DayState(FIRST, error=error), retries_on=retries_on)
        assert result.metadata["next_retry"].value == said

    def test_is_given_for_each_day_of_a_run(self, six_days: RangeRun) -> None:
        found = evaluations(six_days.result, "day_loaded")
        failing = {"2025-03-02", "2025-03-05"}
        assert {key: one.passed for key, one in found.items()} == {
            day.isoformat(): day.isoformat() not in failing for day in six_days.days
        }
        red = found["2025-03-02"]
        numbers = plain(red.metadata)
        assert (numbers["error_type"], numbers["http_status"]) == ("JSON_DECODE_ERROR", 200)
        assert "2025-03-02 is not JSON" in str(red.description)

    @pytest.mark.parametrize("alone", [False, True], ids=["in the run that loads", "executed alone"])
    def test_is_about_the_materialization_of_the_day(self, six_days: RangeRun, alone: bool) -> None:
        """The UI links to its run, and shows a day as passed only with it."""
        instance = six_days.instance
        result = check_alone(six_days.settings, instance, "day_loaded") if alone else six_days.result
        made = instance.fetch_materializations(AssetRecordsFilter(AssetKey("fixture_days")), limit=100).records
        expected = {one.partition_key: (one.storage_id, six_days.result.run_id, one.timestamp) for one in made}
        assert len(expected) == 4
        found = {
            key: (about.storage_id, about.run_id, about.timestamp)
            for key, one in evaluations(result, "day_loaded").items()
            if (about := one.target_materialization_data) is not None
        }
        assert found == expected
