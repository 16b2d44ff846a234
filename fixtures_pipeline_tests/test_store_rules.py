"""Each rule finds the rows that break it, names them, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from fixtures_pipeline.providers.provider import Plan
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline_tests.conftest import Judged
from fixtures_pipeline_tests.days import MONDAY, WEDNESDAY, failure
from fixtures_pipeline_tests.fault_server import body_of, good_body, noon, own
from fixtures_pipeline_tests.stores import execute, rows_breaking

pytestmark = pytest.mark.both_stores

#: Ten weeks of Mondays are loaded, each with five events, so that there is a usual number.
MONDAYS = [MONDAY + timedelta(weeks=n) for n in range(10)]
DAY = MONDAYS[4]
#: The week from the sixth Monday to the seventh is loaded as well.
WEEK = [MONDAYS[5] + timedelta(days=n) for n in range(1, 7)]
#: The days between the others are missing: from a Tuesday to a Sunday, but for that week.
GAPS = [
    f"[{monday + timedelta(days=1)}...{monday + timedelta(days=6)}]" for monday in MONDAYS[:-1] if monday != MONDAYS[5]
]
#: The first of the five events that fall on the day.
EVENT = DAY.toordinal() * 1000

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)

BY_NAME = {rule.name: rule for rule in RULES}


@dataclass(frozen=True)
class Case:
    """A way to break a rule.

    Attributes:
        breaking: What somebody else writes to the database.
        found: The offending rows that the rule must find, or part of what they hold.
        of_one_day: Whether the rule, asked about another day, must find nothing.
    """

    breaking: str
    found: list[dict[str, Any]]
    of_one_day: bool


CASES = {
    "unique_events": Case(
        f"INSERT INTO fixtures SELECT * FROM fixtures WHERE event_id = {EVENT}",
        [{"event_id": EVENT, "times": 2, "first_day": DAY, "last_day": DAY}],
        of_one_day=False,
    ),
    "days_match_answers": Case(
        f"UPDATE fixtures SET event_id = 1 WHERE event_id = {EVENT}",
        [{"day": DAY, "missing": 1, "surplus": 1}],
        of_one_day=True,
    ),
    "finished_with_scores": Case(
        f"UPDATE fixtures SET away_score = NULL WHERE event_id = {EVENT}",
        [{"day": DAY, "event_id": EVENT, "home_team": "Home"}],
        of_one_day=True,
    ),
    "past_kickoffs_open": Case(
        f"UPDATE fixtures SET status = 'live' WHERE event_id = {EVENT}",
        [{"day": DAY, "event_id": EVENT, "status": "live"}],
        of_one_day=False,
    ),
    "no_gaps": Case(
        f"DELETE FROM fixture_days WHERE date = '{WEEK[2]}'",
        [{"partitions": f"[{WEEK[2]}...{WEEK[2]}]", "days": 1}],
        of_one_day=False,
    ),
    "volume_in_line": Case(
        f"UPDATE fixture_days SET count = 3 WHERE date = '{DAY}'",
        [{"day": DAY, "events": 3, "usual": 7}],
        of_one_day=True,
    ),
}


@pytest.fixture
def loaded(store: FixtureStore, judged: Judged) -> FixtureStore:
    """Return a store of ten Mondays and a week."""
    store.put([judged(day, good_body(day)) for day in [*MONDAYS, *WEEK]])
    return store


Find = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def find(loaded: FixtureStore) -> Find:
    """Return a function that gives the rows that break a rule."""

    def find(name: str, *days: date) -> list[dict[str, Any]]:
        return rows_breaking(loaded, BY_NAME[name], days or None, NOW)

    return find


def without_the_gaps_between_the_mondays(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if name != "no_gaps" or row["partitions"] not in GAPS]


def test_every_rule_has_a_case() -> None:
    assert {*CASES, "no_open_errors", "results_corrected", "days_not_cut"} == set(BY_NAME)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_finds_what_breaks_it_and_nothing_else(name: str, loaded: FixtureStore, find: Find) -> None:
    assert without_the_gaps_between_the_mondays(name, find(name)) == []
    if name == "unique_events" and loaded.database.engine == "postgres":
        # Which would not let it happen.
        execute(loaded, "ALTER TABLE fixtures DROP CONSTRAINT fixtures_pkey")
    execute(loaded, CASES[name].breaking)
    found = without_the_gaps_between_the_mondays(name, find(name))
    assert [row | expected for row, expected in zip(found, CASES[name].found, strict=True)] == found
    assert without_the_gaps_between_the_mondays(name, find(name, DAY)) == found
    if CASES[name].of_one_day:
        assert find(name, MONDAYS[0]) == []


class TestDaysMatchAnswers:
    """Over all days, events are compared with the hash of what was loaded; an answer is read where that differs."""

    NAME = "days_match_answers"

    def test_finds_rows_of_a_day_that_never_loaded(self, loaded: FixtureStore, find: Find) -> None:
        execute(loaded, f"UPDATE fixtures SET date = '2025-12-24' WHERE event_id = {EVENT}")
        assert find(self.NAME) == [
            {"day": DAY, "missing": 1, "surplus": 0},
            {"day": date(2025, 12, 24), "missing": 0, "surplus": 1},
        ]

    def test_reads_the_answers_of_days_that_an_older_version_loaded(self, loaded: FixtureStore, find: Find) -> None:
        execute(loaded, "UPDATE fixture_days SET events_hash = NULL")
        assert find(self.NAME) == []
        execute(loaded, CASES[self.NAME].breaking)
        assert find(self.NAME) == CASES[self.NAME].found

    def test_reads_the_answers_of_the_days_of_a_run_but_not_all_that_there_are(
        self, loaded: FixtureStore, find: Find
    ) -> None:
        execute(loaded, f"UPDATE fixture_days SET data = '[]' WHERE date = '{DAY}'")
        assert find(self.NAME, DAY) == [{"day": DAY, "missing": 0, "surplus": 5}]
        assert find(self.NAME) == []


def test_days_between_that_were_never_loaded_are_gaps(find: Find) -> None:
    assert find("no_gaps") == [{"partitions": gap, "days": 6} for gap in GAPS]


def test_a_day_that_failed_is_not_a_gap(loaded: FixtureStore, find: Find) -> None:
    loaded.put([failure(WEDNESDAY)])
    assert find("no_gaps") == [
        {"partitions": "[2025-03-04...2025-03-04]", "days": 1},
        {"partitions": "[2025-03-06...2025-03-09]", "days": 4},
        *({"partitions": gap, "days": 6} for gap in GAPS[1:]),
    ]


def test_open_errors_are_named_the_oldest_first(loaded: FixtureStore, find: Find) -> None:
    assert find("no_open_errors") == []
    for day in (DAY, MONDAY):
        loaded.put([failure(day)])
    assert [(row["day"], row["attempts"]) for row in find("no_open_errors")] == [(DAY, 1), (MONDAY, 1)]


def test_a_kickoff_of_six_hours_ago_may_still_be_open(store: FixtureStore, judged: Judged) -> None:
    live = {"status": {"code": 6, "type": "inprogress", "description": "1st half"}}
    store.put([judged(DAY, body_of(own(DAY, 2, **live)))])
    rule = BY_NAME["past_kickoffs_open"]
    kickoff = datetime.fromtimestamp(noon(DAY), UTC)
    assert rows_breaking(store, rule, None, kickoff + timedelta(hours=6)) == []
    assert len(rows_breaking(store, rule, None, kickoff + timedelta(hours=6, minutes=1))) == 2


@pytest.mark.parametrize(("most", "cut"), [(None, []), (8, []), (7, [DAY]), (3, [DAY, MONDAY])])
def test_a_day_with_as_many_events_as_the_plan_gives_may_be_cut(
    most: int | None, cut: list[date], store: FixtureStore, judged: Judged
) -> None:
    store.put([judged(DAY, good_body(DAY)), judged(MONDAY, good_body(MONDAY, events=2))])
    store.provider = replace(store.provider, plan=Plan(most_events=most))
    found = rows_breaking(store, BY_NAME["days_not_cut"], None, NOW)
    assert [row["day"] for row in found] == cut
    assert all(row["events"] >= row["most"] == most for row in found)
    assert rows_breaking(store, BY_NAME["days_not_cut"], [WEDNESDAY], NOW) == []


def test_a_few_days_are_too_few_to_know_what_is_usual(store: FixtureStore, judged: Judged) -> None:
    few = [*((day, 20) for day in MONDAYS[:3]), (MONDAYS[3], 2)]
    store.put([judged(day, good_body(day, events=count)) for day, count in few])
    assert rows_breaking(store, BY_NAME["volume_in_line"], None, NOW) == []
