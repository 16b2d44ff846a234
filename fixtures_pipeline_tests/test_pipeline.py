"""Runs of the real Dagster op, in process: what the run page, the partitions and the checks then say."""

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterEventType, DagsterInstance

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.rules import RULES
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import FixtureStore, StoreLockedError
from fixtures_pipeline_tests.conftest import REAL_DAYS, events, table
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.oracle import assert_rules, fixture_of, own_events
from fixtures_pipeline_tests.runs import check_alone, evaluations, run, stale_states

FIRST = date(2025, 3, 1)


def materialized(instance: DagsterInstance, asset: str) -> set[str]:
    return set(instance.get_materialized_partitions(AssetKey(asset)))


def test_a_range_is_one_run_and_only_days_that_loaded_are_materialized(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    days = [FIRST + timedelta(days=n) for n in range(6)]
    api.plan(days[1], b"<html>Please log in</html>")
    api.plan(days[4], b'{"events": []}')
    result = run(settings, instance, days[0], days[-1])
    assert result.success
    good = {day.isoformat() for day in days} - {days[1].isoformat(), days[4].isoformat()}
    assert materialized(instance, "fixture_days") == materialized(instance, "fixtures") == good
    assert materialized(instance, "fixture_errors") == {day.isoformat() for day in days}
    assert_rules(open_store(settings))


def test_every_day_has_a_check_result_of_its_own(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    api.plan(FIRST, b"<html>Please log in</html>")
    result = run(settings, instance, FIRST, FIRST + timedelta(days=2))
    checked = evaluations(result, "day_loaded")
    assert {key: one.passed for key, one in checked.items()} == {
        "2025-03-01": False,
        "2025-03-02": True,
        "2025-03-03": True,
    }
    red = checked["2025-03-01"]
    assert red.metadata["error_type"].value == "JSON_DECODE_ERROR"
    assert red.metadata["attempts"].value == 1
    assert red.metadata["http_status"].value == 200
    assert "2025-03-01 is not JSON" in red.description
    assert checked["2025-03-02"].target_materialization_data is not None


def test_materializations_tell_rows_events_bytes_and_time(settings: Settings, instance: DagsterInstance) -> None:
    result = run(settings, instance, FIRST)
    told: dict[str, Any] = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in result.all_events
        if event.event_type == DagsterEventType.ASSET_MATERIALIZATION and event.asset_key
    }
    assert told["fixtures"]["dagster/partition_row_count"].value == 5 == told["fixtures"]["dagster/row_count"].value
    assert told["fixture_days"]["events"].value >= 5
    assert told["fixture_days"]["bytes"].value > 500
    assert {"milliseconds", "provider"} <= set(told["fixture_days"])
    assert told["fixture_errors"]["dagster/partition_row_count"].value == 0


def test_a_failed_fetch_of_a_loaded_day_keeps_its_rows_and_turns_its_check_red(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    run(settings, instance, FIRST)
    store = open_store(settings)
    before = table(store, "fixture_days"), table(store, "fixtures")
    api.plan(FIRST, b"{}")
    result = run(settings, instance, FIRST)
    assert result.success
    assert (table(store, "fixture_days"), table(store, "fixtures")) == before
    red = evaluations(result, "day_loaded")["2025-03-01"]
    assert not red.passed
    assert "What an earlier load brought is kept" in red.description


def test_a_day_that_loads_again_empties_the_error_table_and_turns_green(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    api.plan(FIRST, b"{}")
    red = run(settings, instance, FIRST)
    assert not evaluations(red, "no_open_errors")[None].passed
    api.plan(FIRST, good_body(FIRST))
    green = run(settings, instance, FIRST)
    assert table(open_store(settings), "fixture_errors") == []
    assert evaluations(green, "day_loaded")["2025-03-01"].passed
    assert evaluations(green, "no_open_errors")[None].passed


def test_what_was_committed_is_materialized_though_somebody_takes_the_database_right_afterwards(
    settings: Settings, api: FaultServer, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*args: Any) -> Any:
        raise StoreLockedError("It has been taken.")

    monkeypatch.setattr(FixtureStore, "query", taken)
    api.plan(FIRST, b"{}")
    assert not run(settings, instance, FIRST, FIRST + timedelta(days=2)).success
    monkeypatch.undo()
    loaded = {row["date"].isoformat() for row in table(open_store(settings), "fixture_days")}
    assert loaded == {"2025-03-02", "2025-03-03"} == materialized(instance, "fixtures")
    assert materialized(instance, "fixture_errors") == {"2025-03-01", *loaded}


@pytest.mark.parametrize("damage", [Path.mkdir, lambda path: path.write_text("no database")])
def test_a_count_of_requests_that_cannot_be_kept_fails_the_run_with_a_sentence(
    settings: Settings, instance: DagsterInstance, damage: Callable[[Path], object]
) -> None:
    path = settings.database.with_suffix(".requests.sqlite")
    damage(path)
    result = run(settings, instance, FIRST)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert f"{path}, where requests are counted, cannot be used" in str(failure.step_failure_data.user_failure_data)


def test_nothing_is_left_marked_unsynced_and_an_unchanged_day_keeps_its_version(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    def version() -> str:
        [record] = instance.fetch_materializations(AssetKey("fixtures"), limit=1).records
        materialization = record.asset_materialization
        assert materialization is not None
        assert materialization.tags is not None
        return materialization.tags["dagster/data_version"]

    run(settings, instance, FIRST)
    first = version()
    run(settings, instance, FIRST)
    assert version() == first
    assert stale_states(settings, instance, FIRST) == {"FRESH"}
    api.plan(FIRST, good_body(FIRST, events=9))
    run(settings, instance, FIRST)
    assert version() != first
    assert stale_states(settings, instance, FIRST) == {"FRESH"}
    api.plan(FIRST, b"{}")
    run(settings, instance, FIRST)
    assert stale_states(settings, instance, FIRST) == {"FRESH"}


def test_each_table_rule_gives_one_result_a_run(settings: Settings, instance: DagsterInstance) -> None:
    result = run(settings, instance, FIRST, FIRST + timedelta(days=3))
    for rule in RULES:
        assert list(evaluations(result, rule.name)) == [None], rule.name


def test_open_errors_are_shown_as_a_table_with_the_next_retry(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    api.plan(FIRST, b"{}")
    api.plan(FIRST + timedelta(days=1), b"<html>")
    result = run(settings, instance, FIRST, FIRST + timedelta(days=1))
    found = evaluations(result, "no_open_errors")[None]
    assert found.metadata["offending_rows"].value == 2
    assert found.metadata["JSON_DECODE_ERROR"].value == 1
    rows = [record.data for record in found.metadata["rows"].records]
    assert {record["day"] for record in rows} == {"2025-03-01", "2025-03-02"}
    assert all(record["attempts"] == 1 and "UTC" in record["next_retry"] for record in rows)


def test_every_red_check_brings_the_page_about_checks_with_it(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    found = [evaluations(check_alone(settings, instance, rule.name), rule.name)[None] for rule in RULES]
    api.plan(FIRST, b"{}")
    result = run(settings.model_copy(update={"provider": "sample"}), instance, FIRST)
    found += result.get_asset_check_evaluations()
    red = [one for one in found if not one.passed]
    assert {one.check_name for one in red} == {*(rule.name for rule in RULES), "day_loaded", "real_provider"}
    for one in red:
        assert one.description is not None
        assert one.description.endswith("See docs/checks.md."), one.check_name
        assert f"`{one.check_name}`" in one.metadata["docs/checks.md"].value


def test_every_check_can_be_executed_alone_and_fetches_nothing(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    run(settings, instance, FIRST, FIRST + timedelta(days=1))
    asked = len(api.requests)
    for name in ["day_loaded", *(rule.name for rule in RULES)]:
        result = check_alone(settings, instance, name)
        assert result.success
        assert evaluations(result, name), name
    assert len(api.requests) == asked


def test_checks_without_a_database_say_that_nothing_is_loaded(settings: Settings, instance: DagsterInstance) -> None:
    for rule in RULES:
        result = check_alone(settings, instance, rule.name)
        assert result.success
        assert "Nothing has been loaded yet" in evaluations(result, rule.name)[None].description
    assert check_alone(settings, instance, "day_loaded").success


def test_sample_data_say_that_they_are_no_real_fixtures(tmp_path: Path, instance: DagsterInstance) -> None:
    settings = Settings.load(db=tmp_path / "sample.duckdb")
    result = run(settings, instance, date(2025, 3, 8))
    warning = evaluations(result, "real_provider")[None]
    assert (warning.passed, warning.severity.value) == (False, "WARN")


def test_a_database_that_cannot_be_used_fails_the_run_with_a_sentence(
    settings: Settings, instance: DagsterInstance
) -> None:
    settings.database.write_text("no database at all, and long enough to be looked at" * 100)
    result = run(settings, instance, FIRST)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "cannot be used" in str(failure.step_failure_data.user_failure_data)


def test_nothing_is_printed(settings: Settings, instance: DagsterInstance, capfd: pytest.CaptureFixture[str]) -> None:
    run(settings, instance, FIRST)
    out, _ = capfd.readouterr()
    assert out == ""


class TestRecordedDays:
    """The seven recorded days, served over HTTP and loaded through the real run."""

    @pytest.fixture
    def replay(self, api: FaultServer, real_days: dict[date, bytes]) -> dict[date, bytes]:
        for day, body in real_days.items():
            api.plan(day, body)
        return real_days

    def expected(self, replay: dict[date, bytes]) -> dict[int, dict[str, Any]]:
        return {
            event["id"]: fixture_of(event) | {"date": day, "provider": "sofascore"}
            for day, body in sorted(replay.items())
            for event in own_events(events(body), day)
        }

    def found(self, settings: Settings) -> dict[int, dict[str, Any]]:
        return {row["event_id"]: row for row in table(open_store(settings), "fixtures", "* EXCLUDE (updated_at)")}

    def test_hold_what_an_independent_reading_says(
        self, settings: Settings, instance: DagsterInstance, replay: dict[date, bytes]
    ) -> None:
        for day in replay:
            run(settings, instance, day)
        assert self.found(settings) == self.expected(replay)
        stored = {row["date"]: row for row in table(open_store(settings), "fixture_days")}
        for day, body in replay.items():
            assert events(f'{{"events": {stored[day]["data"]}}}') == events(body)
        assert_rules(open_store(settings))

    def test_hold_the_same_after_loading_twice_in_another_order_and_as_a_range(
        self, settings: Settings, instance: DagsterInstance, replay: dict[date, bytes]
    ) -> None:
        for day in sorted(replay, reverse=True):
            run(settings, instance, day)
        run(settings, instance, date(2025, 5, 5), date(2025, 5, 6))
        for day in replay:
            run(settings, instance, day)
        assert self.found(settings) == self.expected(replay)


def test_recorded_refusals_have_their_error_type(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    recorded = sorted((REAL_DAYS / "sofascore").glob("error_*.json"))
    if not recorded:
        pytest.skip("the recorded answers are not beside this checkout (../shared/real_days)")
    for n, path in enumerate(recorded):
        api.plan(FIRST + timedelta(days=2 * n), (int(path.name.split("_")[1]), path.read_bytes()))
        run(settings, instance, FIRST + timedelta(days=2 * n))
    types = Counter(row["error_type"] for row in table(open_store(settings), "fixture_errors"))
    assert types == {"AUTH_ERROR": 2, "API_ERROR": 1}
