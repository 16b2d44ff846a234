"""`fixtures` materialized alone: rows made again from stored answers, and what the UI then says of the days."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from dagster import AssetKey, DagsterInstance

from fixtures_pipeline.errors import StoreMissingError
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.providers import SOURCES
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline_tests.fault_server import FaultServer, body_of, own
from fixtures_pipeline_tests.runs import FIRST, materialized, metadata_of, run, stale_states_of
from fixtures_pipeline_tests.stores import table
from fixtures_pipeline_tests.test_store_history import ODD, TAUGHT

pytestmark = pytest.mark.both_stores

FIXTURES = [AssetKey("fixtures")]
SECOND, THIRD = FIRST + timedelta(days=1), FIRST + timedelta(days=2)


@pytest.fixture
def loaded(settings: Settings, api: FaultServer, instance: DagsterInstance) -> Iterator[Settings]:
    """Return settings of a store with two days, the first with a status that nobody knows, and a third that failed."""
    api.plan(FIRST, body_of(own(FIRST, 2, **ODD)))
    api.plan(THIRD, b"{}")
    run(settings, instance, FIRST, THIRD)
    assert len(api.requests) == 3
    yield settings


@pytest.fixture
def taught(loaded: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the same settings once the mapping has learned the status."""
    monkeypatch.setitem(SOURCES, ("sofascore", "football"), TAUGHT)
    return loaded


def test_it_asks_nobody_and_brings_the_days_up_to_date(
    taught: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    before = table(open_store(taught), "fixture_days", "* EXCLUDE (in_progress)")
    result = run(taught, instance, FIRST, THIRD, asset_selection=FIXTURES)
    assert result.success
    assert len(api.requests) == 3
    store = open_store(taught)
    assert table(store, "fixture_days", "* EXCLUDE (in_progress)") == before
    assert [(row["date"], row["attempts"]) for row in table(store, "fixture_errors")] == [(THIRD, 1)]
    assert {row["status"] for row in table(store, "fixtures")} == {"finished"}
    assert {(row["field"], row["run_id"]) for row in table(store, "fixture_changes")} == {("status", result.run_id)}
    told = metadata_of(result, "fixtures", FIRST)
    assert told["changes"] == 2
    assert [record.data["status"] for record in told["first_fixtures"].records] == ["finished"] * 2
    assert metadata_of(result, "fixtures", SECOND)["changes"] == 0


def test_a_day_without_a_stored_answer_stays_missing(loaded: Settings, instance: DagsterInstance) -> None:
    result = run(loaded, instance, FIRST, THIRD + timedelta(days=4), asset_selection=FIXTURES)
    assert result.success
    assert materialized(instance, "fixtures") == {FIRST.isoformat(), SECOND.isoformat()}
    assert {event.asset_key for event in result.asset_materializations_for_node("load_days")} == set(FIXTURES)


def test_of_no_database_at_all_makes_none(settings: Settings, instance: DagsterInstance) -> None:
    assert run(settings, instance, FIRST, asset_selection=FIXTURES).success
    with pytest.raises(StoreMissingError):
        table(open_store(settings), "fixture_days")


def test_every_check_of_the_table_is_evaluated_in_it(loaded: Settings, instance: DagsterInstance) -> None:
    result = run(loaded, instance, FIRST, asset_selection=FIXTURES)
    checked = {one.check_name for one in result.get_asset_check_evaluations()}
    assert checked == {rule.name for rule in RULES if rule.asset == "fixtures"}


@pytest.mark.parametrize("selected", ["fixture_days", "fixture_errors"])
def test_any_other_selection_fetches(
    selected: str, loaded: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    for keys in ([AssetKey(selected)], [AssetKey(selected), *FIXTURES]):
        before = len(api.requests)
        run(loaded, instance, FIRST, asset_selection=keys)
        assert len(api.requests) == before + 1


def test_after_a_change_of_the_mapping_just_the_rows_made_by_the_old_one_are_unsynced(
    taught: Settings, instance: DagsterInstance
) -> None:
    synced = {"fixture_days": "FRESH", "fixtures": "FRESH", "fixture_errors": "FRESH"}
    for day in (FIRST, SECOND):
        assert stale_states_of(taught, instance, day) == synced | {"fixtures": "STALE"}
    assert run(taught, instance, FIRST, asset_selection=FIXTURES).success
    assert stale_states_of(taught, instance, FIRST) == synced
    assert stale_states_of(taught, instance, SECOND) == synced | {"fixtures": "STALE"}
    assert run(taught, instance, SECOND).success
    assert stale_states_of(taught, instance, SECOND) == synced


def test_while_the_mapping_is_the_same_nothing_is_unsynced(loaded: Settings, instance: DagsterInstance) -> None:
    assert set(stale_states_of(loaded, instance, FIRST).values()) == {"FRESH"}
    # Nor when one table has been made after the other, with another answer or without.
    assert run(loaded, instance, FIRST, asset_selection=FIXTURES).success
    assert set(stale_states_of(loaded, instance, FIRST).values()) == {"FRESH"}
    assert run(loaded, instance, FIRST).success
    assert set(stale_states_of(loaded, instance, FIRST).values()) == {"FRESH"}
