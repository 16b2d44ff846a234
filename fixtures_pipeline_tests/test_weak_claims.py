"""An event without a kickoff that several days list has one owner, whatever the order in which the days arrive."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline_tests.conftest import Judged
from fixtures_pipeline_tests.days import MONDAY, TUESDAY, WEDNESDAY
from fixtures_pipeline_tests.fault_server import body_of, event, noon, own
from fixtures_pipeline_tests.stores import empty, kept_open, rows_breaking, table
from fixtures_pipeline_tests.strategies import leisurely

pytestmark = pytest.mark.both_stores

#: The event without a kickoff.
VAGUE = 77
DAYS = (MONDAY, TUESDAY, WEDNESDAY)


def day_with(day: date, judged: Judged, start: Any = None, *, listed: bool = True) -> Any:
    """Return the outcome of a day that has two events of its own and may list the vague one."""
    return judged(day, body_of([*own(day, 2), *([event(VAGUE, start)] if listed else [])]))


def owner(store: FixtureStore) -> date | None:
    """Return the day that owns the vague event; assert that it stands once and that the days match their answers."""
    [rule] = [rule for rule in RULES if rule.name == "days_match_answers"]
    assert rows_breaking(store, rule, None, datetime.now(UTC)) == []
    owners = [row["date"] for row in table(store, "fixtures") if row["event_id"] == VAGUE]
    assert len(owners) <= 1
    return owners[0] if owners else None


@pytest.mark.parametrize("order", list(itertools.permutations(DAYS)))
def test_the_earliest_day_owns_it_in_whatever_order_and_batches_the_days_arrive(
    order: tuple[date, ...], store: FixtureStore, judged: Judged
) -> None:
    with kept_open(store):
        for cut in range(4):
            empty(store)
            versions = {}
            for batch in (order[:cut], order[cut:]):
                if batch:
                    store.put([day_with(day, judged) for day in batch])
                    assert owner(store) == min(order[: cut if batch == order[:cut] else 3])
            # Nor does loading any of them again change it, or anything.
            for day in order:
                [stored] = store.put([day_with(day, judged)])
                versions[day] = stored.fixtures_version
                assert owner(store) == MONDAY
            [stored] = store.put([day_with(order[0], judged)])
            assert stored.fixtures_version == versions[order[0]]
            assert len(table(store, "superseded_fixtures")) == 2


def test_a_day_that_knows_the_kickoff_owns_it_in_whatever_order(store: FixtureStore, judged: Judged) -> None:
    with kept_open(store):
        for order in itertools.permutations(DAYS):
            empty(store)
            for day in order:
                store.put([day_with(day, judged, noon(TUESDAY) if day == TUESDAY else None)])
            assert owner(store) == TUESDAY


def test_goes_to_the_next_day_that_lists_it_when_its_day_no_longer_does(store: FixtureStore, judged: Judged) -> None:
    with kept_open(store):
        for order in itertools.permutations(DAYS[1:]):
            empty(store)
            store.put([day_with(MONDAY, judged)])
            for day in order:
                store.put([day_with(day, judged)])
            store.put([day_with(MONDAY, judged, listed=False)])
            assert owner(store) == TUESDAY
            store.put([day_with(TUESDAY, judged, listed=False)])
            assert owner(store) == WEDNESDAY
            store.put([day_with(WEDNESDAY, judged, listed=False)])
            assert owner(store) is None


def test_an_old_claim_yields_to_a_new_one(store: FixtureStore, judged: Judged) -> None:
    begin = datetime.now(UTC) - timedelta(days=3)

    def load(day: date, hours: int) -> None:
        store.put([replace(day_with(day, judged), fetched_at=begin + timedelta(hours=hours))])

    load(MONDAY, 0)
    load(TUESDAY, 23)
    assert owner(store) == MONDAY
    load(TUESDAY, 46)
    assert owner(store) == TUESDAY, "Monday's answer is two days old"


def test_an_event_that_gets_its_kickoff_goes_to_that_day(store: FixtureStore, judged: Judged) -> None:
    store.put([day_with(day, judged) for day in DAYS])
    assert owner(store) == MONDAY
    store.put([day_with(WEDNESDAY, judged, noon(WEDNESDAY))])
    assert owner(store) == WEDNESDAY
    store.put([day_with(MONDAY, judged, noon(WEDNESDAY)), day_with(TUESDAY, judged, noon(WEDNESDAY))])
    assert owner(store) == WEDNESDAY
    assert table(store, "superseded_fixtures") == []


@given(
    loads=st.lists(
        st.tuples(st.sampled_from(DAYS), st.none() | st.sampled_from(["unlisted", *DAYS]), st.integers(0, 30)),
        min_size=1,
        max_size=10,
    )
)
@leisurely
def test_every_history_leaves_it_once_and_the_days_as_their_answers_say(
    loads: list[tuple[date, Any, int]], store: FixtureStore, judged: Judged
) -> None:
    asked = datetime(2025, 3, 10, tzinfo=UTC)
    with kept_open(store):
        empty(store)
        for day, start, hours in loads:
            asked += timedelta(hours=hours, seconds=1)
            kickoff = noon(start) if isinstance(start, date) else None
            outcome = day_with(day, judged, kickoff, listed=start != "unlisted")
            store.put([replace(outcome, fetched_at=asked)])
            found = owner(store)
        claims = {
            row["date"]: listed
            for row in table(store, "fixture_days")
            for listed in json.loads(row["data"])
            if listed["id"] == VAGUE
            and (listed["startTimestamp"] is None or listed["startTimestamp"] == noon(row["date"]))
        }
        assert (found in claims) if claims else found is None
