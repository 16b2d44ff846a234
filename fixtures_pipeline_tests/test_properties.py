"""Whatever a server sends, a day gets exactly one outcome, and the rules of the tables hold afterwards."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.outcome import DayFailed, Outcome
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline_tests.answers import BODIES
from fixtures_pipeline_tests.conftest import Judged, MakeStore
from fixtures_pipeline_tests.days import MONDAY, failure
from fixtures_pipeline_tests.fault_server import body_of, event, good_body, noon
from fixtures_pipeline_tests.oracle import assert_rules, go_back, read_fixtures
from fixtures_pipeline_tests.stores import SOFASCORE, empty, events, kept_open, query, rows_breaking, table, tables
from fixtures_pipeline_tests.stores import UTC as ZONE
from fixtures_pipeline_tests.strategies import (
    History,
    damage,
    days_of,
    histories,
    json_values,
    leisurely,
    mutate,
    paths,
    sparing,
    tell,
)

pytestmark = pytest.mark.both_stores

MAPPINGS = [name for name in PROVIDERS if name != "sample"]  # which has Sofascore's


@pytest.fixture
def session(store: FixtureStore) -> Iterator[FixtureStore]:
    """Return a store whose file is opened once for all examples of a test."""
    with kept_open(store) as opened:
        yield opened


def settle(store: FixtureStore, outcome: Outcome) -> None:
    """Store an outcome and assert that it is the only thing that became of the day."""
    empty(store)
    [stored] = store.put([outcome])
    # What the judge lets pass is good enough for the database.
    assert stored.outcome == outcome
    failed = isinstance(outcome, DayFailed)
    answers, errors = tables(store, "fixture_days", "fixture_errors", columns="date")
    assert [row["date"] for row in errors] == [outcome.day] * failed
    assert [row["date"] for row in answers] == [outcome.day] * (not failed)


# Answers


@leisurely
@given(body=st.binary() | st.text().map(str.encode))
def test_any_bytes_as_a_body(body: bytes, judged: Judged, session: FixtureStore) -> None:
    outcome = judged(MONDAY, body)
    assert isinstance(outcome, DayFailed)
    # Some of them are JSON.
    types = {ErrorType.JSON_DECODE_ERROR, ErrorType.DATA_STRUCTURE_ERROR, ErrorType.DEFAULT_DATA_ERROR}
    assert outcome.error_type in types
    settle(session, outcome)


@leisurely
@given(value=json_values)
def test_any_json_as_a_body(value: Any, judged: Judged, session: FixtureStore) -> None:
    outcome = judged(MONDAY, json.dumps(value).encode())
    assert isinstance(outcome, DayFailed)
    assert outcome.error_type in {ErrorType.DATA_STRUCTURE_ERROR, ErrorType.DEFAULT_DATA_ERROR}
    settle(session, outcome)


@leisurely
@given(listed=st.lists(json_values, max_size=5))
def test_any_list_of_events(listed: list[Any], judged: Judged, session: FixtureStore) -> None:
    settle(session, judged(MONDAY, json.dumps({"events": listed}).encode()))
    assert_rules(session)


@leisurely
@given(body=damage(good_body(MONDAY)))
def test_any_damaged_or_truncated_answer(body: bytes, judged: Judged, session: FixtureStore) -> None:
    settle(session, judged(MONDAY, body))
    assert_rules(session)


@pytest.mark.parametrize("name", MAPPINGS)
def test_any_part_of_a_good_answer_may_be_something_else(name: str, make_store: MakeStore) -> None:
    store = make_store("fixtures.duckdb", PROVIDERS[name])
    judge = Judge(PROVIDERS[name], ZONE)
    good = json.loads(BODIES[name](MONDAY))

    @leisurely
    @given(path=paths, new=json_values)
    def check(path: list[int], new: Any) -> None:
        settle(store, judge.judge(MONDAY, json.dumps(mutate(good, path, new)).encode()).outcome)

    with kept_open(store):
        check()


@sparing
@given(data=st.data())
def test_any_mutation_of_a_recorded_day(
    data: st.DataObject, judged: Judged, session: FixtureStore, real_days: dict[date, bytes]
) -> None:
    day = date(2025, 12, 25)
    answer = json.loads(real_days[day])
    for _ in range(data.draw(st.integers(1, 4))):
        answer = mutate(answer, [0, *data.draw(paths)], data.draw(json_values))
    settle(session, judged(day, json.dumps(answer).encode()))
    assert_rules(session)


# Histories


@sparing
@given(history=histories)
def test_the_rules_hold_after_every_load_of_any_history(history: History, judged: Judged, store: FixtureStore) -> None:
    """As it really is: the file is opened for each load."""
    empty(store)
    for outcome in tell(history, judged):
        store.put([outcome])
        assert_rules(store)


@sparing
@given(history=histories)
def test_loading_a_history_twice_equals_loading_it_once(
    history: History, judged: Judged, session: FixtureStore
) -> None:
    def load(times: int) -> list[list[dict[str, Any]]]:
        empty(session)
        for outcome in tell(history, judged):
            for _ in range(times):
                session.put([outcome])
                assert_rules(session)
        return [
            table(session, "fixture_days", "* EXCLUDE (created_at, updated_at, fetched_at)"),
            table(session, "fixtures", "* EXCLUDE (updated_at, created_at)"),
            table(session, "fixture_errors", "data_id, error_type, error_message"),
            [
                row
                for row in table(session, "fixture_changes", "event_id, date, field, before, after")
                if row["field"] != "created_at"
            ],
        ]

    assert load(times=2) == load(times=1)


@sparing
@given(history=histories)
def test_the_changes_lead_back_to_every_earlier_state(history: History, judged: Judged, session: FixtureStore) -> None:
    empty(session)
    states: dict[datetime, Any] = {}
    for outcome in tell(history, judged):
        session.put([outcome])
        states[datetime.now(UTC)] = {
            row["event_id"]: {name: value for name, value in row.items() if value is not None}
            | {"updated_at": datetime.fromisoformat(row["updated_at"])}
            for row in read_fixtures(session)
        }
    changes = table(session, "fixture_changes")
    for moment, state in states.items():
        assert go_back(read_fixtures(session), changes, moment) == state


@sparing
@given(history=histories, shuffle=st.randoms())
def test_the_order_in_which_runs_commit_does_not_matter(
    history: History, shuffle: random.Random, judged: Judged, session: FixtureStore
) -> None:
    """An outcome is of the moment at which the day was asked for."""
    begin = datetime.now(UTC) - timedelta(hours=1)
    outcomes = [
        replace(outcome, fetched_at=begin + timedelta(seconds=n)) for n, outcome in enumerate(tell(history, judged))
    ]

    def load(outcomes: list[Outcome]) -> list[list[dict[str, Any]]]:
        empty(session)
        for outcome in outcomes:
            session.put([outcome])
        return [
            table(session, "fixture_days", "* EXCLUDE (created_at, updated_at)"),
            table(session, "fixtures", "* EXCLUDE (updated_at, created_at)"),
            table(session, "superseded_fixtures", "* EXCLUDE (updated_at, created_at)"),
            table(session, "fixture_errors", "data_id, error_type, error_message, fetched_at"),
        ]

    in_order = load(outcomes)
    assert_rules(session)
    shuffle.shuffle(outcomes)
    assert load(outcomes) == in_order


@sparing
@given(
    days=st.dictionaries(st.integers(0, 5), st.sets(st.integers(1, 500), min_size=2, max_size=6), min_size=1),
    shuffle=st.randoms(),
)
def test_the_order_of_loading_does_not_matter_while_no_event_moves(
    days: dict[int, set[int]], shuffle: random.Random, judged: Judged, session: FixtureStore
) -> None:
    """Neighbours list each other's events; each has one kickoff."""
    listed = [
        event(offset * 1000 + number, noon(MONDAY + timedelta(days=offset)))
        for offset, numbers in days.items()
        for number in numbers
    ]
    outcomes = [judged(MONDAY + timedelta(days=offset), body_of(listed)) for offset in days]

    def load(*loads: list[Outcome]) -> list[list[dict[str, Any]]]:
        empty(session)
        for outcomes in loads:
            session.put(outcomes)
        assert_rules(session)
        return [
            table(session, "fixture_days", "* EXCLUDE (created_at, updated_at, fetched_at)"),
            table(session, "fixtures", "* EXCLUDE (updated_at, created_at)"),
        ]

    at_once = load(outcomes)
    shuffle.shuffle(outcomes)
    assert load(*([outcome] for outcome in outcomes)) == at_once


@sparing
@given(history=histories, offset=st.integers(0, 3))
def test_a_failure_after_a_load_leaves_the_loaded_rows_identical(
    history: History, offset: int, judged: Judged, session: FixtureStore
) -> None:
    empty(session)
    for outcome in tell(history, judged):
        session.put([outcome])
    before = tables(session, "fixture_days", "fixtures")
    session.put([failure(MONDAY + timedelta(days=offset))])
    assert tables(session, "fixture_days", "fixtures") == before


def test_a_recorded_day_comes_back_from_the_store_as_it_was(
    real_days: dict[date, bytes], judged: Judged, store: FixtureStore
) -> None:
    store.put([judged(day, body) for day, body in real_days.items()])
    stored = {row["date"]: json.loads(row["data"]) for row in table(store, "fixture_days")}
    assert stored == {day: events(body) for day, body in real_days.items()}


# Mappings and zones


def test_the_order_in_which_a_mapping_lists_its_columns_changes_nothing(store: FixtureStore) -> None:
    def load(names: list[str]) -> tuple[str | None, list[list[dict[str, Any]]]]:
        store.provider = replace(SOFASCORE, columns={name: SOFASCORE.columns[name] for name in names})
        [stored] = store.put([Judge(store.provider, ZONE).judge(MONDAY, good_body(MONDAY)).outcome])
        # With the times of the last change: loading it again marks nothing as changed.
        return stored.fixtures_version, tables(store, "fixtures", "superseded_fixtures")

    @sparing
    @given(names=st.permutations(list(SOFASCORE.columns)))
    def check(names: list[str]) -> None:
        assert load(names) == before

    with kept_open(store):
        before = load(list(SOFASCORE.columns))
        check()


@pytest.mark.parametrize(
    "key",
    [
        "Africa/Casablanca",
        "America/Havana",
        "America/New_York",
        "America/Sao_Paulo",
        "Asia/Kathmandu",
        "Atlantic/Azores",
        "Australia/Lord_Howe",
        "Europe/Berlin",
        "Europe/Istanbul",
        "Pacific/Apia",
    ],
)
def test_a_day_owns_what_kicks_off_on_it_by_the_clocks_of_its_zone(key: str, make_store: MakeStore) -> None:
    zone = ZoneInfo(key)
    store = make_store("fixtures.duckdb", SOFASCORE, zone)
    judge = Judge(SOFASCORE, zone)

    @settings(leisurely, max_examples=8)
    @given(day=days_of(zone))
    def check(day: date) -> None:
        # Clocks change, and days begin, at a quarter of an hour in UTC: just before, at, and just after.
        midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        quarters = range(midnight - 15 * 3600, midnight + 40 * 3600, 900)
        moments = [quarter + second for quarter in quarters for second in (-1, 0, 1)]
        days_by_clock = {moment: datetime.fromtimestamp(moment, UTC).astimezone(zone).date() for moment in moments}
        body = body_of([{"id": moment, "startTimestamp": moment} for moment in moments])
        near = [day, day + timedelta(days=1)]
        store.put([judge.judge(one, body).outcome for one in near])
        rows = query(store, "SELECT event_id, date FROM fixtures WHERE date = ANY($near::DATE[])", {"near": near})
        found = {row["event_id"]: row["date"] for row in rows}
        assert found == {moment: own for moment, own in days_by_clock.items() if own in near}

    with kept_open(store):
        check()
    [rule] = [rule for rule in RULES if rule.name == "days_match_answers"]
    assert rows_breaking(store, rule, None, datetime.now(UTC)) == []
