"""Whatever a server sends, a day gets exactly one outcome, and the rules of the tables hold afterwards."""

import json
import random
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures_pipeline.judge import Judge
from fixtures_pipeline.outcome import DayFailed, DayLoaded, ErrorType, Outcome
from fixtures_pipeline.store import FixtureStore
from fixtures_pipeline_tests.conftest import SOFASCORE, UTC, events, table
from fixtures_pipeline_tests.fault_server import event, good_body
from fixtures_pipeline_tests.oracle import assert_rules

DAY = date(2025, 3, 3)
START = 1740960000
JUDGE = Judge(SOFASCORE, UTC)

leisurely = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=25)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def fresh_store() -> FixtureStore:
    return FixtureStore(Path(tempfile.mkdtemp()) / "fixtures.duckdb", SOFASCORE, UTC)


def settle(store: FixtureStore, outcome: Outcome) -> None:
    """Store an outcome and assert that it is the only thing that became of the day."""
    [stored] = store.load([outcome])
    failed = isinstance(stored.outcome, DayFailed)
    assert [row["date"] for row in table(store, "fixture_errors")] == [outcome.day] * failed
    assert [row["date"] for row in table(store, "fixture_days")] == [outcome.day] * (not failed)
    assert_rules(store)


@leisurely
@given(st.text())
def test_any_text_as_a_body(body: str) -> None:
    assert isinstance(JUDGE.judge(DAY, body.encode()), DayFailed | DayLoaded)


@leisurely
@given(json_values)
def test_any_json_as_a_body(value: Any) -> None:
    outcome = JUDGE.judge(DAY, json.dumps(value).encode())
    assert isinstance(outcome, DayFailed)
    assert outcome.error_type in {ErrorType.DATA_STRUCTURE_ERROR, ErrorType.DEFAULT_DATA_ERROR}


@leisurely
@given(st.lists(json_values, max_size=5))
def test_any_list_of_events(listed: list[Any]) -> None:
    settle(fresh_store(), JUDGE.judge(DAY, json.dumps({"events": listed}).encode()))


paths = st.lists(st.integers(min_value=0, max_value=40), min_size=1, max_size=5)


def mutated(value: Any, path: list[int], new: Any) -> Any:
    """Return a copy of a JSON value in which the part that `path` leads to is something else."""
    if not path or not isinstance(value, dict | list) or not value:
        return new
    if isinstance(value, list):
        at = path[0] % len(value)
        return [mutated(part, path[1:], new) if n == at else part for n, part in enumerate(value)]
    key = sorted(value)[path[0] % len(value)]
    return {name: mutated(part, path[1:], new) if name == key else part for name, part in value.items()}


@leisurely
@given(paths, json_values)
def test_any_part_of_a_good_answer_may_be_something_else(path: list[int], new: Any) -> None:
    answer = mutated(json.loads(good_body(DAY)), [0, *path], new)
    settle(fresh_store(), JUDGE.judge(DAY, json.dumps(answer).encode()))


@leisurely
@given(data=st.data())
def test_any_mutation_of_a_recorded_day(data: st.DataObject, real_days: dict[date, bytes]) -> None:
    day = date(2025, 12, 25)
    answer = json.loads(real_days[day])
    for _ in range(data.draw(st.integers(1, 4))):
        answer = mutated(answer, [0, *data.draw(paths)], data.draw(json_values))
    settle(fresh_store(), JUDGE.judge(day, json.dumps(answer).encode()))


@leisurely
@given(cut=st.integers(min_value=0, max_value=5000), junk=st.text(max_size=3))
def test_any_truncated_or_damaged_answer(cut: int, junk: str) -> None:
    body = good_body(DAY).decode()
    settle(fresh_store(), JUDGE.judge(DAY, (body[:cut] + junk).encode()))


#: A history: which days are loaded with which answer (events listed with which shift in days), or fail.
histories = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.none() | st.dictionaries(st.integers(1, 12), st.integers(-1, 4), min_size=0, max_size=8),
    ),
    min_size=1,
    max_size=8,
)


def outcomes_of(history: list[tuple[int, dict[int, int] | None]]) -> list[Outcome]:
    made: list[Outcome] = []
    for offset, listed in history:
        day = DAY + timedelta(days=offset)
        if listed is None:
            made.append(DayFailed(day, ErrorType.TIMEOUT_ERROR, "Too slow."))
        else:
            body = [event(number, START + shift * 86400) for number, shift in listed.items()]
            made.append(JUDGE.judge(day, json.dumps({"events": body}).encode()))
    return made


@leisurely
@given(histories)
def test_the_rules_hold_after_every_load_of_any_history(history: list[tuple[int, dict[int, int] | None]]) -> None:
    store = fresh_store()
    for outcome in outcomes_of(history):
        store.load([outcome])
        assert_rules(store)


@leisurely
@given(histories)
def test_loading_a_history_twice_equals_loading_it_once(history: list[tuple[int, dict[int, int] | None]]) -> None:
    once, twice = fresh_store(), fresh_store()
    for outcome in outcomes_of(history):
        once.load([outcome])
        twice.load([outcome])
        twice.load([outcome])
    for name, columns in (
        ("fixture_days", "* EXCLUDE (created_at, updated_at)"),
        ("fixtures", "* EXCLUDE (updated_at)"),
        ("fixture_errors", "data_id, error_type, error_message"),
    ):
        assert table(once, name, columns) == table(twice, name, columns)


@leisurely
@given(
    st.dictionaries(st.integers(0, 5), st.sets(st.integers(1, 500), min_size=2, max_size=6), min_size=1), st.randoms()
)
def test_the_order_of_loading_does_not_matter_while_no_event_moves(
    days: dict[int, set[int]], shuffle: random.Random
) -> None:
    """Neighbours list each other's events; each has one kickoff."""
    ids = {(offset, number): offset * 1000 + number for offset, numbers in days.items() for number in numbers}
    listed = [event(key, START + offset * 86400 + 3600) for (offset, _), key in ids.items()]
    history: list[Outcome] = [
        JUDGE.judge(DAY + timedelta(days=offset), json.dumps({"events": listed}).encode()) for offset in days
    ]
    sorted_store, shuffled_store = fresh_store(), fresh_store()
    sorted_store.load(history)
    shuffle.shuffle(history)
    for outcome in history:
        shuffled_store.load([outcome])
    for name in ("fixture_days", "fixtures"):
        columns = "* EXCLUDE (updated_at)" if name == "fixtures" else "* EXCLUDE (created_at, updated_at)"
        assert table(sorted_store, name, columns) == table(shuffled_store, name, columns)
    assert_rules(shuffled_store)


@leisurely
@given(histories, st.integers(0, 3))
def test_a_failure_after_a_load_leaves_the_loaded_rows_identical(
    history: list[tuple[int, dict[int, int] | None]], offset: int
) -> None:
    store = fresh_store()
    for outcome in outcomes_of(history):
        store.load([outcome])
    before = table(store, "fixture_days"), table(store, "fixtures")
    store.load([DayFailed(DAY + timedelta(days=offset), ErrorType.API_ERROR, "It broke.")])
    assert (table(store, "fixture_days"), table(store, "fixtures")) == before


def test_a_recorded_day_comes_back_from_the_store_as_it_was(real_days: dict[date, bytes]) -> None:
    for day, body in real_days.items():
        store = fresh_store()
        store.load([JUDGE.judge(day, body)])
        [row] = table(store, "fixture_days")
        assert json.loads(row["data"]) == events(body)
