"""What happened to an event, which answer of a day counts, and rows made again from stored answers."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from time_machine import TimeMachineFixture

from fixtures_pipeline.outcome import Outcome
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline_tests.conftest import Judged
from fixtures_pipeline_tests.days import MONDAY, TUESDAY, WEDNESDAY, failure
from fixtures_pipeline_tests.fault_server import body_of, event, good_body, noon, own
from fixtures_pipeline_tests.oracle import assert_rules, read_fixtures
from fixtures_pipeline_tests.stores import SOFASCORE, execute, query, rows_breaking, table, tables

pytestmark = pytest.mark.both_stores

SEVEN = 7
LIVE: Mapping[str, Any] = {"status": {"code": 6, "type": "inprogress", "description": "1st half"}}
ODD: Mapping[str, Any] = {"status": {"code": 999, "type": "decided on paper", "description": "Decided"}}

#: Sofascore's mapping after it has learned a word.
TAUGHT = replace(
    SOFASCORE,
    columns={
        **SOFASCORE.columns,
        "status": f"CASE WHEN kind = 'decidedonpaper' THEN 'finished' ELSE {SOFASCORE.columns['status']} END",
    },
)


def scored(home: int, **changes: Any) -> dict[str, Any]:
    """Return event seven on Monday with so many goals of the home team."""
    return event(SEVEN, noon(MONDAY), homeScore={"current": home, "display": home}, **changes)


class Loads:
    """Loads of a store, and what they changed."""

    def __init__(self, store: FixtureStore, judged: Judged) -> None:
        self.store = store
        self._judged = judged

    def answer(self, day: date, *more: dict[str, Any]) -> Outcome:
        """Return an answer that lists two events of the day, and more."""
        return self._judged(day, body_of([*own(day, 2), *more]))

    def load(self, day: date, *more: dict[str, Any]) -> int:
        """Load such an answer; return how many values it changed."""
        [stored] = self.store.put([self.answer(day, *more)], "run")
        assert stored.fixtures is not None
        return stored.fixtures.changes

    def changes(self) -> list[tuple[Any, ...]]:
        """Return `date`, `field`, `before` and `after` of all changes, in order."""
        rows = query(self.store, "SELECT date, field, before, after FROM fixture_changes ORDER BY changed_at, field")
        return [tuple(row.values()) for row in rows]


@pytest.fixture
def loads(store: FixtureStore, judged: Judged) -> Loads:
    return Loads(store, judged)


class TestAChange:
    """One row per value of an event that a load changed."""

    def test_is_none_when_an_event_appears(self, loads: Loads) -> None:
        assert loads.load(MONDAY, scored(1)) == 0
        assert loads.load(MONDAY, scored(1)) == 0
        assert loads.changes() == []

    def test_of_a_score_tells_it_before_and_after_and_which_answer_brought_it(self, loads: Loads) -> None:
        loads.load(MONDAY, scored(1))
        assert loads.load(MONDAY, scored(2)) == 1
        assert loads.changes() == [(MONDAY, "home_score", "1", "2")]
        [change] = table(loads.store, "fixture_changes")
        [day] = table(loads.store, "fixture_days")
        assert (change["event_id"], change["run_id"]) == (SEVEN, "run")
        assert (change["changed_at"], change["fetched_at"]) == (day["updated_at"], day["fetched_at"])

    def test_of_a_kickoff_on_the_day_is_one_value(self, loads: Loads) -> None:
        loads.load(MONDAY, scored(1))
        loads.load(MONDAY, scored(1, startTimestamp=noon(MONDAY) + 3600))
        assert loads.changes() == [(MONDAY, "kickoff", "2025-03-03 12:00:00+00", "2025-03-03 13:00:00+00")]

    def test_of_the_day_names_both_days(self, loads: Loads) -> None:
        loads.load(MONDAY, scored(1))
        assert loads.load(TUESDAY, scored(1, startTimestamp=noon(TUESDAY))) == 2
        assert loads.changes() == [
            (TUESDAY, "date", "2025-03-03", "2025-03-04"),
            (TUESDAY, "kickoff", "2025-03-03 12:00:00+00", "2025-03-04 12:00:00+00"),
        ]
        # Tuesday no longer lists it, so that it goes back: a change that Tuesday's answer has brought.
        assert loads.load(TUESDAY) == 2
        assert loads.changes()[2:] == [
            (MONDAY, "date", "2025-03-04", "2025-03-03"),
            (MONDAY, "kickoff", "2025-03-04 12:00:00+00", "2025-03-03 12:00:00+00"),
        ]

    def test_of_an_event_that_vanishes_keeps_all_it_was(self, loads: Loads) -> None:
        loads.load(MONDAY, scored(1))
        [row] = [row for row in read_fixtures(loads.store) if row["event_id"] == SEVEN]
        assert loads.load(MONDAY) > 1
        gone = loads.changes()
        assert (MONDAY, "date", "2025-03-03", None) in gone
        assert {field: before for _, field, before, _ in gone} == {
            name: value for name, value in row.items() if value and name not in {"event_id", "updated_at"}
        }
        loads.load(MONDAY, scored(1))
        back = [(day, field, after, before) for day, field, before, after in loads.changes()[len(gone) :]]
        assert [row for row in back if row[1] != "created_at"] == [row for row in gone if row[1] != "created_at"]
        assert_rules(loads.store)

    def test_is_kept_of_each_day_of_a_batch(self, loads: Loads) -> None:
        loads.load(MONDAY, scored(1))
        loads.load(TUESDAY, event(8, noon(TUESDAY)))
        both = [loads.answer(MONDAY, scored(3)), loads.answer(TUESDAY, event(8, noon(TUESDAY), winnerCode=3))]
        made = {one.day: one.fixtures for one in loads.store.put(both)}
        assert {day: one and one.changes for day, one in made.items()} == {MONDAY: 1, TUESDAY: 1}


class TestAnAnswerThatIsOlder:
    """Whatever the order in which runs commit, what was asked for last counts."""

    NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)

    def at(self, hours: int, outcome: Outcome) -> Outcome:
        return replace(outcome, fetched_at=self.NOON + timedelta(hours=hours))

    def test_changes_nothing_but_the_log(self, loads: Loads) -> None:
        loads.store.put([self.at(2, loads.answer(MONDAY, scored(2)))])
        names = ("fixture_days", "fixtures", "fixture_errors", "fixture_changes", "superseded_fixtures")
        before = tables(loads.store, *names)
        for older in (loads.answer(MONDAY, scored(1)), failure(MONDAY)):
            [stored] = loads.store.put([self.at(1, older)])
            assert stored.stale
            assert stored.state.error is None
            assert tables(loads.store, *names) == before
        log = query(loads.store, 'SELECT outcome, error_type FROM load_log ORDER BY "at"')
        assert [tuple(row.values()) for row in log] == [("loaded", None), ("stale", None), ("stale", "API_ERROR")]
        assert_rules(loads.store)

    def test_does_not_take_an_event_from_a_day_that_was_fetched_later(self, loads: Loads) -> None:
        loads.store.put([self.at(2, loads.answer(MONDAY, scored(1)))])
        loads.store.put([self.at(1, loads.answer(TUESDAY, scored(1, startTimestamp=noon(TUESDAY))))])
        assert {row["date"] for row in table(loads.store, "fixtures") if row["event_id"] == SEVEN} == {MONDAY}
        assert_rules(loads.store)

    def test_is_stored_if_the_day_has_only_failed_since_and_the_day_is_still_failing(self, loads: Loads) -> None:
        loads.store.put([self.at(2, failure(MONDAY))])
        [stored] = loads.store.put([self.at(1, loads.answer(MONDAY))])
        assert stored.fixtures is not None
        assert stored.state.loaded_at is not None
        assert stored.state.error is not None
        assert not stored.healed

    def test_is_none_by_a_clock_that_was_ahead(self, loads: Loads, time_machine: TimeMachineFixture) -> None:
        time_machine.move_to(self.NOON + timedelta(days=365))
        loads.store.put([loads.answer(MONDAY, scored(1)), failure(TUESDAY)])
        time_machine.move_to(self.NOON)
        stored = loads.store.put([loads.answer(MONDAY, scored(2)), loads.answer(TUESDAY)])
        assert [one.stale for one in stored] == [False, False]
        assert [one.state.error for one in stored] == [None, None]


class TestAReplay:
    """The rows of days are made again from their stored answers by today's mapping."""

    def test_by_the_same_mapping_changes_nothing(self, loads: Loads) -> None:
        loads.load(MONDAY, scored(1))
        loads.load(TUESDAY, scored(1, startTimestamp=noon(TUESDAY)))
        loads.store.put([failure(WEDNESDAY)])
        names = ("fixture_days", "fixtures", "fixture_errors", "fixture_changes", "superseded_fixtures", "load_log")
        before = tables(loads.store, *names)
        for days in ([MONDAY], [TUESDAY], [MONDAY, TUESDAY, WEDNESDAY]):
            made = loads.store.replay(days, "replay")
            assert [one.state.day for one in made] == [day for day in days if day != WEDNESDAY]
            assert [one.changes for one in made] == [0] * len(made)
            after = tables(loads.store, *names)
            for name, one, other in zip(names, before, after, strict=True):
                if name != "superseded_fixtures":
                    assert one == other, name
        assert_rules(loads.store)

    def test_by_a_mapping_that_has_learned_a_word_ends_the_day(self, loads: Loads) -> None:
        loads.load(MONDAY, scored(1, **ODD))
        [day] = table(loads.store, "fixture_days")
        assert day["in_progress"]
        loads.store.provider = TAUGHT
        [made] = loads.store.replay([MONDAY], "replay")
        assert (made.changes, made.state.in_progress) == (1, False)
        [change] = table(loads.store, "fixture_changes")
        assert (change["field"], change["before"], change["after"]) == ("status", "unknown", "finished")
        assert (change["fetched_at"], change["run_id"]) == (day["fetched_at"], "replay")
        assert table(loads.store, "fixture_days") == [{**day, "in_progress": False}]
        assert len(table(loads.store, "load_log")) == 1

    def test_of_rows_that_somebody_else_has_changed_puts_them_right(self, loads: Loads) -> None:
        loads.load(MONDAY, scored(1))
        before = table(loads.store, "fixtures", "* EXCLUDE (updated_at, created_at)")
        if loads.store.database.engine == "postgres":
            # Which would not let all of it happen.
            execute(loads.store, "ALTER TABLE fixtures DROP CONSTRAINT fixtures_pkey")
        for damage in (
            "UPDATE fixtures SET home_score = 99",
            "INSERT INTO fixtures SELECT * FROM fixtures",
            f"UPDATE fixtures SET event_id = 1 WHERE event_id = {SEVEN}",
            "DELETE FROM fixtures",
        ):
            execute(loads.store, damage)
            loads.store.replay([MONDAY])
            assert table(loads.store, "fixtures", "* EXCLUDE (updated_at, created_at)") == before, damage


@pytest.mark.file_only
class TestResultsCorrected:
    """They set this machine's clock, and Postgres has its own."""

    RULE = next(rule for rule in RULES if rule.name == "results_corrected")
    START = datetime(2025, 3, 3, 12, tzinfo=UTC)

    @pytest.fixture(autouse=True)
    def _clock(self, time_machine: TimeMachineFixture, loads: Loads) -> None:
        self.clock = time_machine
        self.loads = loads
        self.now = self.START

    def load(self, hours: float, *more: dict[str, Any]) -> None:
        """Load Monday so many hours after noon."""
        self.now = self.START + timedelta(hours=hours)
        self.clock.move_to(self.now, tick=False)
        self.loads.load(MONDAY, *more)

    def find(self, days: int = 0) -> list[tuple[Any, ...]]:
        """Return field, before and after of what the rule finds so many days later."""
        rows = rows_breaking(self.loads.store, self.RULE, None, self.now + timedelta(days=days))
        return [(row["field"], row["before"], row["after"]) for row in rows]

    def test_are_those_that_changed_more_than_an_hour_after_the_end_was_seen(self) -> None:
        self.load(0, scored(0, **LIVE))
        self.load(1, scored(1, **LIVE))
        self.load(2, scored(2))
        self.load(2.9, scored(3))
        assert self.find() == []
        self.load(3.1, scored(4))
        assert self.find() == [("home_score", "3", "4")]
        assert self.find(days=6) == [("home_score", "3", "4")]
        assert self.find(days=8) == []

    def test_are_those_of_events_that_had_ended_when_they_were_first_seen(self) -> None:
        self.load(0, scored(1))
        self.load(1.1, scored(1, winnerCode=2))
        assert self.find() == [("winner", "home", "away")]

    def test_are_not_those_that_came_late(self) -> None:
        self.load(0, scored(1) | {"homeScore": {}, "awayScore": {}, "winnerCode": None})
        self.load(5, scored(1))
        assert self.find() == []

    def test_are_not_those_of_an_event_that_was_gone_for_a_while(self) -> None:
        self.load(0, scored(1))
        self.load(5)
        self.load(6, scored(1))
        assert self.find() == []

    def test_are_not_those_of_a_replay(self) -> None:
        self.load(0, scored(1))
        self.load(5, scored(1))
        self.now += timedelta(hours=1)
        self.clock.move_to(self.now, tick=False)
        self.loads.store.provider = replace(SOFASCORE, columns={**SOFASCORE.columns, "home_score": "9"})
        [made] = self.loads.store.replay([MONDAY])
        assert made.changes == 3
        assert self.find() == []


def test_a_good_day_is_replayed_as_it_was_loaded(store: FixtureStore, judged: Judged) -> None:
    [stored] = store.put([judged(MONDAY, good_body(MONDAY))])
    assert store.replay([MONDAY]) == [stored.fixtures]
