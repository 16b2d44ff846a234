"""Which day owns which event: each event is in `fixtures` once, on the latest loaded of the days that claim it."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import TZPATH, ZoneInfo

import pytest

from fixtures_pipeline.judge import Judge
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline_tests.conftest import Judged, MakeStore
from fixtures_pipeline_tests.days import MONDAY, TUESDAY, WEDNESDAY
from fixtures_pipeline_tests.fault_server import body_of, event, noon
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.stores import SOFASCORE, rows_breaking, table

pytestmark = pytest.mark.both_stores

SEVEN = 7


def list_day(day: date, *more: dict[str, Any]) -> bytes:
    """Return an answer with two events of the day itself, and more."""
    return body_of([event(day.day * 10, noon(day)), event(day.day * 10 + 1, noon(day)), *more])


def owner(store: FixtureStore) -> date:
    """Return the day that owns event seven."""
    [row] = [row for row in table(store, "fixtures") if row["event_id"] == SEVEN]
    day: date = row["date"]
    return day


class TestAnEventThatMoves:
    """An event is in the table once; the latest load owns it."""

    def test_goes_to_the_day_that_was_loaded_last_and_returns_when_that_no_longer_lists_it(
        self, store: FixtureStore, judged: Judged
    ) -> None:
        store.put([judged(MONDAY, list_day(MONDAY, event(SEVEN, noon(MONDAY))))])
        store.put([judged(TUESDAY, list_day(TUESDAY, event(SEVEN, noon(TUESDAY))))])
        assert owner(store) == TUESDAY
        assert_rules(store)
        store.put([judged(TUESDAY, list_day(TUESDAY))])
        assert owner(store) == MONDAY
        assert_rules(store)
        [seven] = [row for row in table(store, "fixtures") if row["event_id"] == SEVEN]
        [_, tuesday] = table(store, "fixture_days", "date, updated_at")
        assert seven["updated_at"] == tuesday["updated_at"]

    def test_belongs_to_one_day_when_several_of_one_load_claim_it(self, store: FixtureStore, judged: Judged) -> None:
        days = (MONDAY, TUESDAY, WEDNESDAY)
        store.put([judged(day, list_day(day, event(SEVEN, noon(day)))) for day in days])
        assert owner(store) == WEDNESDAY
        assert_rules(store)


class TestAnEventWithoutAKickoff:
    """It belongs to the day that it is listed under."""

    def test_is_kept_without_one(self, store: FixtureStore, judged: Judged) -> None:
        store.put([judged(MONDAY, list_day(MONDAY, event(SEVEN, None)))])
        [seven] = [row for row in table(store, "fixtures") if row["event_id"] == SEVEN]
        assert (seven["date"], seven["kickoff"]) == (MONDAY, None)

    def test_that_two_days_of_one_load_list_belongs_to_the_earlier_in_whatever_order_they_arrive(
        self, store: FixtureStore, judged: Judged
    ) -> None:
        outcomes = [judged(day, list_day(day, event(SEVEN, None))) for day in (MONDAY, TUESDAY)]
        versions = set()
        for arrived in (outcomes, outcomes[::-1]):
            stored = {one.day: one for one in store.put(arrived)}
            versions.add((stored[MONDAY].fixtures_version, stored[TUESDAY].fixtures_version))
            assert owner(store) == MONDAY
        assert len(versions) == 1
        assert_rules(store)

    @pytest.mark.parametrize("days", [(MONDAY, TUESDAY), (TUESDAY, MONDAY)])
    def test_that_two_loads_list_belongs_to_the_earlier_day_in_whatever_order_they_come(
        self, days: tuple[date, date], store: FixtureStore, judged: Judged
    ) -> None:
        for day in days:
            store.put([judged(day, list_day(day, event(SEVEN, None)))])
            assert_rules(store)
        assert owner(store) == MONDAY

    @pytest.mark.parametrize("days", [(MONDAY, TUESDAY), (TUESDAY, MONDAY)])
    def test_yields_to_the_day_that_names_a_kickoff(
        self, days: tuple[date, date], store: FixtureStore, judged: Judged
    ) -> None:
        kickoffs = {MONDAY: None, TUESDAY: noon(TUESDAY)}
        for day in days:
            store.put([judged(day, list_day(day, event(SEVEN, kickoffs[day])))])
            assert_rules(store)
        assert owner(store) == TUESDAY


def test_days_of_a_time_zone_that_only_python_knows_match_their_answers(make_store: MakeStore) -> None:
    """DuckDB brings time zones of its own, which may be of another year than Python's."""
    with (Path(TZPATH[0]) / "Europe" / "Istanbul").open("rb") as file:
        zone = ZoneInfo.from_file(file, key="Nowhere/Else")
    store, judge = make_store("nowhere.duckdb", SOFASCORE, zone), Judge(SOFASCORE, zone)
    evening = event(1, noon(MONDAY) + 9 * 3600 + 1800)
    for day in (MONDAY, TUESDAY):
        more = [event(number + day.day, noon(day)) for number in (100, 200)]
        store.put([judge.judge(day, body_of([evening, *more])).outcome])
    [rule] = [rule for rule in RULES if rule.name == "days_match_answers"]
    assert rows_breaking(store, rule, None, datetime.now(UTC)) == []
    assert {row["event_id"]: row["date"] for row in table(store, "fixtures")}[1] == TUESDAY
