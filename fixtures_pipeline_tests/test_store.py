"""What a load leaves in the tables of days, errors and attempts."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.outcome import NEVER, DayFailed, DayLoaded
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.questions import find_states
from fixtures_pipeline_tests.answers import BODIES
from fixtures_pipeline_tests.conftest import Judged, MakeStore
from fixtures_pipeline_tests.days import MONDAY, TUESDAY, WEDNESDAY, failure
from fixtures_pipeline_tests.fault_server import body_of, event, good_body, noon
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.stores import TABLES, UTC, execute, query, table, tables

pytestmark = pytest.mark.both_stores


def test_a_loaded_day_stands_in_fixture_days_and_its_events_in_fixtures(store: FixtureStore, judged: Judged) -> None:
    [stored] = store.put([judged(MONDAY, good_body(MONDAY, events=5))], run_id="run")
    [row] = table(store, "fixture_days")
    assert (row["data_id"], row["date"], row["provider"]) == ("20250303", MONDAY, "sofascore")
    assert row["created_at"] == row["updated_at"]
    assert stored.state.fixtures == 5 == len(table(store, "fixtures"))
    [logged] = table(store, "load_log")
    assert (logged["outcome"], logged["run_id"], logged["http_status"]) == ("loaded", "run", 200)
    assert_rules(store)


def test_a_failed_day_gets_one_row_and_counts_its_attempts(store: FixtureStore) -> None:
    for n in range(1, 4):
        [stored] = store.put([failure(MONDAY, message=f"time {n}")])
        assert stored.attempts == n
    [row] = table(store, "fixture_errors")
    assert (row["attempts"], row["error_message"], row["http_status"]) == (3, "time 3", 500)
    assert row["created_at"] < row["updated_at"]
    assert json.loads(row["data"]) == {"error": 1}
    assert len(table(store, "load_log")) == 3


def test_a_day_that_could_not_be_asked_for_has_not_failed_once_more(store: FixtureStore) -> None:
    unasked = replace(failure(MONDAY), asked=False)
    [first] = store.put([unasked])
    [failed] = store.put([failure(MONDAY)])
    [later] = store.put([unasked])
    assert [one.attempts for one in (first, failed, later)] == [0, 1, 1]
    assert len(table(store, "load_log")) == 3


def test_an_error_row_goes_by_itself_once_the_day_loads(store: FixtureStore, judged: Judged) -> None:
    store.put([failure(MONDAY), failure(TUESDAY)])
    [stored] = store.put([judged(MONDAY, good_body(MONDAY))])
    assert stored.healed
    assert [row["date"] for row in table(store, "fixture_errors")] == [TUESDAY]
    [again] = store.put([judged(MONDAY, good_body(MONDAY))])
    assert not again.healed


def test_a_failure_leaves_what_was_loaded_as_it_was(store: FixtureStore, judged: Judged) -> None:
    store.put([judged(MONDAY, good_body(MONDAY)), judged(TUESDAY, good_body(TUESDAY))])
    before = tables(store, "fixture_days", "fixtures")
    store.put([failure(MONDAY)])
    assert tables(store, "fixture_days", "fixtures") == before
    assert_rules(store)


def test_loading_the_same_answer_twice_changes_only_the_time_of_the_load(store: FixtureStore, judged: Judged) -> None:
    outcome = judged(MONDAY, good_body(MONDAY))
    [first] = store.put([outcome])
    days, fixtures = table(store, "fixture_days", "* EXCLUDE (updated_at, fetched_at)"), table(store, "fixtures")
    [second] = store.put([outcome])
    assert table(store, "fixture_days", "* EXCLUDE (updated_at, fetched_at)") == days
    assert table(store, "fixtures") == fixtures
    assert table(store, "fixture_changes") == []
    assert (first.days_version, first.fixtures_version) == (second.days_version, second.fixtures_version)


def test_a_changed_event_changes_its_row_and_the_version_but_not_its_neighbours(
    store: FixtureStore, judged: Judged
) -> None:
    one, two = event(1, noon(MONDAY)), event(2, noon(MONDAY))
    [before] = store.put([judged(MONDAY, body_of([one, two]))])
    times = {row["event_id"]: row["updated_at"] for row in table(store, "fixtures")}
    [after] = store.put([judged(MONDAY, body_of([one, {**two, "winnerCode": 2}]))])
    assert before.fixtures_version != after.fixtures_version
    changed = {row["event_id"]: row["updated_at"] for row in table(store, "fixtures")}
    assert changed[1] == times[1]
    assert changed[2] > times[2]


def test_only_the_days_own_rows_are_replaced(store: FixtureStore, judged: Judged) -> None:
    store.put([judged(day, good_body(day)) for day in (MONDAY, TUESDAY)])
    tuesday = [row for row in table(store, "fixtures") if row["date"] == TUESDAY]
    store.put([judged(MONDAY, body_of([event(901, noon(MONDAY)), event(902, noon(MONDAY))]))])
    rows = table(store, "fixtures")
    assert [row for row in rows if row["date"] == TUESDAY] == tuesday
    assert {row["event_id"] for row in rows if row["date"] == MONDAY} == {901, 902}


def test_a_day_that_breaks_a_constraint_fails_alone(store: FixtureStore, judged: Judged) -> None:
    store.put([judged(MONDAY, good_body(MONDAY))])
    execute(store, "DELETE FROM fixtures", "CREATE UNIQUE INDEX odd ON fixtures (home_team)")
    twins = body_of([{**event(n, noon(TUESDAY)), "homeTeam": {"id": 1, "name": "Twin"}} for n in (1, 2)])
    unlike = body_of([{**event(n, noon(WEDNESDAY)), "homeTeam": {"id": n, "name": f"Team {n}"}} for n in (3, 4)])
    stored = store.put([judged(TUESDAY, twins), judged(WEDNESDAY, unlike)])
    assert [type(one.outcome).__name__ for one in stored] == ["DayFailed", "DayLoaded"]
    assert isinstance(stored[0].outcome, DayFailed)
    assert stored[0].outcome.error_type == ErrorType.INTEGRITY_ERROR


def test_a_day_that_asking_again_cannot_help_says_so(store: FixtureStore) -> None:
    store.put([DayFailed(MONDAY, ErrorType.AUTH_ERROR, "Not in the plan.", retry_at=NEVER)])
    [row] = query(store, "SELECT retry_at FROM fixture_errors")
    assert row["retry_at"].year == 9999


@pytest.mark.file_only
def test_many_loads_leave_the_file_compact(store: FixtureStore, judged: Judged) -> None:
    outcome = judged(MONDAY, good_body(MONDAY))
    for _ in range(36):
        store.put([outcome])
    for name, blocks in (("load_log", 33), ("fixture_days", 18)):
        [row] = query(store, f"SELECT count(DISTINCT row_group_id) AS blocks FROM pragma_storage_info('{name}')")
        assert row["blocks"] <= blocks
    assert len(table(store, "load_log")) == 36


def test_what_became_of_a_batch_is_told_in_its_order(store: FixtureStore, judged: Judged) -> None:
    store.put([failure(MONDAY), failure(MONDAY + timedelta(days=9))])
    stored = store.put([failure(TUESDAY), judged(MONDAY, good_body(MONDAY)), failure(WEDNESDAY)])
    assert [one.day for one in stored] == [TUESDAY, MONDAY, WEDNESDAY]
    assert [one.attempts for one in stored] == [1, 0, 1]
    assert [one.before.attempts if one.before else None for one in stored] == [None, 1, None]
    assert all(one.rows == {"fixture_days": 1, "fixtures": 5, "fixture_errors": 3} for one in stored)


def test_the_state_that_is_told_is_the_one_that_is_stored(store: FixtureStore, judged: Judged) -> None:
    stored = store.put([judged(MONDAY, good_body(MONDAY)), failure(TUESDAY)])
    assert find_states(store, None) == [one.state for one in stored]
    assert find_states(store, [TUESDAY, WEDNESDAY]) == [stored[1].state]


def test_nothing_to_put_makes_the_tables_and_nothing_else(store: FixtureStore) -> None:
    assert store.put([]) == []
    assert tables(store, *TABLES[:-1]) == [[]] * 6


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_good_day_of_every_provider_is_stored(name: str, make_store: MakeStore) -> None:
    store = make_store("fixtures.duckdb", PROVIDERS[name])
    outcome = Judge(PROVIDERS[name], UTC).judge(MONDAY, BODIES[name](MONDAY)).outcome
    assert isinstance(outcome, DayLoaded)
    [stored] = store.put([outcome])
    fixtures = table(store, "fixtures")
    assert stored.state.fixtures == len(fixtures) >= 3
    assert {row["provider"] for row in fixtures} == {name}
