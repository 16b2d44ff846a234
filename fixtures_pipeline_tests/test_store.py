"""The store keeps its four rules, whatever is put into it and in whatever order."""

import json
from datetime import date
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import duckdb
import pandas
import pytest

from fixtures_pipeline.judge import Judge
from fixtures_pipeline.outcome import NEVER, DayFailed, DayLoaded, ErrorType
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.rules import RULES
from fixtures_pipeline.store import FixtureStore, StoreError, StoreLockedError, StoreMissingError
from fixtures_pipeline.tables import COLUMNS
from fixtures_pipeline_tests.conftest import SOFASCORE, UTC, Judged, table
from fixtures_pipeline_tests.fault_server import event, good_body
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.processes import holding

MONDAY, TUESDAY, WEDNESDAY = date(2025, 3, 3), date(2025, 3, 4), date(2025, 3, 5)
NOON = {MONDAY: 1741003200, TUESDAY: 1741089600, WEDNESDAY: 1741176000}


def failure(day: date, error_type: ErrorType = ErrorType.API_ERROR, message: str = "It broke.") -> DayFailed:
    return DayFailed(day, error_type, message, http_status=500, body=b'{"error": 1}')


def answer(*listed: dict[str, object]) -> str:
    return json.dumps({"events": listed})


def test_a_loaded_day_stands_in_fixture_days_and_its_events_in_fixtures(store: FixtureStore, judged: Judged) -> None:
    [stored] = store.load([judged(MONDAY, good_body(MONDAY, events=5))], run_id="run")
    [row] = table(store, "fixture_days")
    assert (row["data_id"], row["date"], row["provider"]) == ("20250303", MONDAY, "sofascore")
    assert row["created_at"] == row["updated_at"]
    assert stored.fixtures == 5 == len(table(store, "fixtures"))
    [logged] = table(store, "load_log")
    assert (logged["outcome"], logged["run_id"], logged["http_status"]) == ("loaded", "run", 200)
    assert_rules(store)


def test_a_failed_day_gets_one_row_and_counts_its_attempts(store: FixtureStore) -> None:
    for n in range(1, 4):
        [stored] = store.load([failure(MONDAY, message=f"time {n}")])
        assert stored.attempts == n
    [row] = table(store, "fixture_errors")
    assert (row["attempts"], row["error_message"], row["http_status"]) == (3, "time 3", 500)
    assert row["created_at"] < row["updated_at"]
    assert json.loads(row["data"]) == {"error": 1}
    assert len(table(store, "load_log")) == 3


def test_an_error_row_goes_by_itself_once_the_day_loads(store: FixtureStore, judged: Judged) -> None:
    store.load([failure(MONDAY), failure(TUESDAY)])
    [stored] = store.load([judged(MONDAY, good_body(MONDAY))])
    assert stored.healed
    assert [row["date"] for row in table(store, "fixture_errors")] == [TUESDAY]
    [again] = store.load([judged(MONDAY, good_body(MONDAY))])
    assert not again.healed


def test_a_failure_leaves_what_was_loaded_as_it_was(store: FixtureStore, judged: Judged) -> None:
    store.load([judged(MONDAY, good_body(MONDAY)), judged(TUESDAY, good_body(TUESDAY))])
    before = table(store, "fixture_days"), table(store, "fixtures")
    store.load([failure(MONDAY)])
    assert (table(store, "fixture_days"), table(store, "fixtures")) == before
    assert_rules(store)


def test_loading_the_same_answer_twice_changes_only_the_time_of_the_load(store: FixtureStore, judged: Judged) -> None:
    outcome = judged(MONDAY, good_body(MONDAY))
    [first] = store.load([outcome])
    days, fixtures = table(store, "fixture_days", "* EXCLUDE (updated_at)"), table(store, "fixtures")
    [second] = store.load([outcome])
    assert table(store, "fixture_days", "* EXCLUDE (updated_at)") == days
    assert table(store, "fixtures") == fixtures
    assert (first.days_version, first.fixtures_version) == (second.days_version, second.fixtures_version)


def test_a_changed_event_changes_its_row_and_the_version_but_not_its_neighbours(
    store: FixtureStore, judged: Judged
) -> None:
    one, two = event(1, NOON[MONDAY]), event(2, NOON[MONDAY])
    [before] = store.load([judged(MONDAY, answer(one, two))])
    times = {row["event_id"]: row["updated_at"] for row in table(store, "fixtures")}
    [after] = store.load([judged(MONDAY, answer(one, {**two, "winnerCode": 2}))])
    assert before.fixtures_version != after.fixtures_version
    changed = {row["event_id"]: row["updated_at"] for row in table(store, "fixtures")}
    assert changed[1] == times[1]
    assert changed[2] > times[2]


def test_only_the_days_own_rows_are_replaced(store: FixtureStore, judged: Judged) -> None:
    store.load([judged(day, good_body(day)) for day in (MONDAY, TUESDAY)])
    tuesday = [row for row in table(store, "fixtures") if row["date"] == TUESDAY]
    store.load([judged(MONDAY, answer(event(901, NOON[MONDAY]), event(902, NOON[MONDAY])))])
    rows = table(store, "fixtures")
    assert [row for row in rows if row["date"] == TUESDAY] == tuesday
    assert {row["event_id"] for row in rows if row["date"] == MONDAY} == {901, 902}


class TestAnEventThatMoves:
    """An event stands once; the latest load owns it."""

    def test_goes_to_the_day_that_was_loaded_last(self, store: FixtureStore, judged: Judged) -> None:
        moving = event(7, NOON[MONDAY])
        fill = {day: [event(n, NOON[day]) for n in (day.day * 10, day.day * 10 + 1)] for day in (MONDAY, TUESDAY)}
        store.load([judged(MONDAY, answer(moving, *fill[MONDAY]))])
        store.load([judged(TUESDAY, answer({**moving, "startTimestamp": NOON[TUESDAY]}, *fill[TUESDAY]))])
        [row] = [row for row in table(store, "fixtures") if row["event_id"] == 7]
        assert row["date"] == TUESDAY
        assert_rules(store)

    def test_returns_when_the_new_day_no_longer_lists_it(self, store: FixtureStore, judged: Judged) -> None:
        moving = event(7, NOON[MONDAY])
        fill = {day: [event(n, NOON[day]) for n in (day.day * 10, day.day * 10 + 1)] for day in (MONDAY, TUESDAY)}
        store.load([judged(MONDAY, answer(moving, *fill[MONDAY]))])
        store.load([judged(TUESDAY, answer({**moving, "startTimestamp": NOON[TUESDAY]}, *fill[TUESDAY]))])
        store.load([judged(TUESDAY, answer(*fill[TUESDAY]))])
        [row] = [row for row in table(store, "fixtures") if row["event_id"] == 7]
        [_, tuesday] = table(store, "fixture_days", "date, updated_at")
        assert (row["date"], row["updated_at"]) == (MONDAY, tuesday["updated_at"])
        assert_rules(store)

    def test_stands_once_when_two_days_of_one_load_claim_it(self, store: FixtureStore, judged: Judged) -> None:
        outcomes = [
            judged(day, answer(event(7, NOON[day]), event(day.day, NOON[day]), event(day.day + 50, NOON[day])))
            for day in (MONDAY, TUESDAY, WEDNESDAY)
        ]
        store.load(outcomes)
        [row] = [row for row in table(store, "fixtures") if row["event_id"] == 7]
        assert row["date"] == WEDNESDAY
        assert_rules(store)


def test_an_event_without_a_kickoff_belongs_to_the_day_it_was_listed_under(store: FixtureStore, judged: Judged) -> None:
    store.load([judged(MONDAY, answer(event(1, NOON[MONDAY]), {**event(2, 0), "startTimestamp": None}))])
    assert [(row["event_id"], row["date"], row["kickoff"]) for row in table(store, "fixtures")][1] == (2, MONDAY, None)


def test_days_of_a_time_zone_that_only_python_knows_match_their_answers(tmp_path: Path) -> None:
    """DuckDB brings time zones of its own, which may be of another year than Python's."""
    with (Path(TZPATH[0]) / "Europe" / "Istanbul").open("rb") as file:
        zone = ZoneInfo.from_file(file, key="Nowhere/Else")
    store = FixtureStore(tmp_path / "nowhere.duckdb", SOFASCORE, zone, lock_timeout=5)
    evening = event(1, NOON[MONDAY] + 9 * 3600 + 1800)
    answers = [answer(evening, event(2, NOON[day]), event(3 + day.day, NOON[day])) for day in (MONDAY, TUESDAY)]
    store.load([DayLoaded(day, body.encode(), 3, False) for day, body in zip((MONDAY, TUESDAY), answers, strict=True)])
    [rule] = [rule for rule in RULES if rule.name == "days_match_answers"]
    assert store.query(rule.query, {"days": None}) == []
    assert {row["event_id"]: row["date"] for row in table(store, "fixtures")}[1] == TUESDAY


def test_a_day_that_breaks_a_constraint_fails_alone(store: FixtureStore, judged: Judged) -> None:
    store.load([judged(MONDAY, good_body(MONDAY))])
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("DELETE FROM fixtures")
        connection.execute("CREATE UNIQUE INDEX odd ON fixtures (home_team)")
    twins = answer(*({**event(n, NOON[TUESDAY]), "homeTeam": {"id": 1, "name": "Twin"}} for n in (1, 2)))
    unlike = answer(*({**event(n, NOON[WEDNESDAY]), "homeTeam": {"id": n, "name": f"Team {n}"}} for n in (3, 4)))
    stored = store.load([judged(TUESDAY, twins), judged(WEDNESDAY, unlike)])
    assert [type(one.outcome).__name__ for one in stored] == ["DayFailed", "DayLoaded"]
    assert isinstance(stored[0].outcome, DayFailed)
    assert stored[0].outcome.error_type == ErrorType.INTEGRITY_ERROR


def test_a_day_that_asking_again_cannot_help_says_so(store: FixtureStore) -> None:
    store.load([DayFailed(MONDAY, ErrorType.AUTH_ERROR, "Not in the plan.", retry_at=NEVER)])
    [row] = store.query("SELECT year(retry_at) AS year FROM fixture_errors")
    assert row["year"] == 9999


def test_many_loads_leave_the_file_compact(store: FixtureStore, judged: Judged) -> None:
    outcome = judged(MONDAY, good_body(MONDAY))
    for _ in range(60):
        store.load([outcome])
    [row] = store.query("SELECT count(DISTINCT row_group_id) AS blocks FROM pragma_storage_info('load_log')")
    assert row["blocks"] <= 33
    assert len(table(store, "load_log")) == 60


class TestADataFrame:
    """A table for notebooks: the same types whatever it holds, and the file free again."""

    ISTANBUL = ZoneInfo("Europe/Istanbul")

    @pytest.fixture
    def store(self, tmp_path: Path) -> FixtureStore:
        return FixtureStore(tmp_path / "istanbul.duckdb", SOFASCORE, self.ISTANBUL, lock_timeout=5)

    def load(self, store: FixtureStore) -> None:
        judge = Judge(SOFASCORE, self.ISTANBUL)
        unplayed = {**event(2, None), "homeScore": {}, "awayScore": {}, "homeTeam": {"name": "New"}}
        store.load([judge.judge(MONDAY, answer(event(1, NOON[MONDAY]), unplayed).encode())])
        store.load([DayFailed(TUESDAY, ErrorType.AUTH_ERROR, "Not in the plan.", retry_at=NEVER)])

    def test_has_the_columns_and_rows_of_each_table(self, store: FixtureStore) -> None:
        self.load(store)
        for name in COLUMNS:
            frame = store.dataframe(name)
            assert list(frame.columns) == [column.name for column in COLUMNS[name]]
            assert len(frame) == len(table(store, name)) > 0

    @pytest.mark.parametrize("filled", [True, False])
    def test_has_types_that_do_not_depend_on_its_rows(self, store: FixtureStore, filled: bool) -> None:
        self.load(store) if filled else store.load([])
        types = {"DATE": "datetime64[us]", "TIMESTAMPTZ": "datetime64[us, Europe/Istanbul]", "INTEGER": "Int32"}
        types |= {"BIGINT": "Int64", "BOOLEAN": "bool"}
        for name in COLUMNS:
            shown = store.dataframe(name).dtypes.astype(str).to_dict()
            for column in COLUMNS[name]:
                assert shown[column.name] == types.get(column.type, shown[column.name]), (name, column.name)

    def test_has_times_of_the_stores_zone_whole_numbers_and_gaps(self, store: FixtureStore) -> None:
        self.load(store)
        fixtures = store.dataframe("fixtures").set_index("event_id")
        assert fixtures.loc[1, "kickoff"] == pandas.Timestamp("2025-03-03 15:00", tz="Europe/Istanbul")
        assert fixtures.loc[1, "date"] == pandas.Timestamp("2025-03-03")
        assert str(fixtures.loc[1, "home_score"]) == "1"
        assert fixtures.loc[2, "kickoff"] is pandas.NaT
        assert fixtures.loc[2, "home_score"] is pandas.NA
        assert fixtures.loc[2, "home_team_id"] is pandas.NA
        errors = store.dataframe("fixture_errors")
        assert errors.loc[0, "retry_at"] == NEVER
        assert errors.loc[0, "http_status"] is pandas.NA

    def test_leaves_the_file_to_others(self, store: FixtureStore) -> None:
        self.load(store)
        frame = store.dataframe("fixtures")
        with holding(store.path, seconds=30):
            assert len(frame) == 2

    def test_is_made_while_others_read(self, store: FixtureStore) -> None:
        self.load(store)
        with holding(store.path, seconds=30, read_only=True):
            assert len(store.dataframe("fixtures")) == 2

    def test_of_no_table_of_the_project_is_refused(self, store: FixtureStore) -> None:
        self.load(store)
        with pytest.raises(ValueError, match="no table 'store_info', only fixture_days, fixtures"):
            store.dataframe("store_info")

    def test_of_nothing_says_that_nothing_has_been_loaded(self, store: FixtureStore) -> None:
        with pytest.raises(StoreMissingError, match="Nothing has been loaded yet"):
            store.dataframe("fixtures")


class TestTheFile:
    """Who may open it, and what is said when it cannot be used."""

    def test_is_not_made_by_reading(self, store: FixtureStore) -> None:
        with pytest.raises(StoreMissingError, match="Nothing has been loaded yet"):
            store.query("SELECT 1")
        assert not store.path.exists()

    def test_that_is_empty_counts_as_none(self, store: FixtureStore) -> None:
        duckdb.connect(str(store.path)).close()
        with pytest.raises(StoreMissingError):
            store.query("SELECT 1")

    def test_of_another_provider_is_refused(self, store: FixtureStore, judged: Judged) -> None:
        store.load([judged(MONDAY, good_body(MONDAY))])
        other = FixtureStore(store.path, PROVIDERS["sample"], UTC)
        with pytest.raises(StoreError, match="holds days of the provider sofascore"):
            other.load([failure(MONDAY)])
        with pytest.raises(StoreError, match="holds days of the provider sofascore"):
            other.query("SELECT 1")

    def test_of_another_time_zone_is_refused(self, store: FixtureStore, judged: Judged) -> None:
        store.load([judged(MONDAY, good_body(MONDAY))])
        other = FixtureStore(store.path, SOFASCORE, ZoneInfo("Europe/Istanbul"))
        with pytest.raises(StoreError, match="holds days of the time zone UTC"):
            other.load([failure(MONDAY)])

    def test_of_a_newer_version_is_refused_with_a_sentence(self, store: FixtureStore, judged: Judged) -> None:
        store.load([judged(MONDAY, good_body(MONDAY))])
        with duckdb.connect(str(store.path)) as connection:
            connection.execute("UPDATE store_info SET schema_version = 99")
        with pytest.raises(StoreError, match="newer version of this project"):
            store.load([failure(MONDAY)])
        with pytest.raises(StoreError, match="newer version of this project"):
            store.query("SELECT 1")

    def test_that_is_no_database_is_named(self, store: FixtureStore) -> None:
        store.path.write_text("something else, and long enough to be looked at" * 100)
        with pytest.raises(StoreError, match="cannot be used"):
            store.load([failure(MONDAY)])

    def test_that_is_no_database_is_not_waited_for_whatever_its_name(self, tmp_path: Path) -> None:
        path = tmp_path / "locks.duckdb"
        path.write_text("something else, and long enough to be looked at" * 100)
        patient = FixtureStore(path, SOFASCORE, UTC, lock_timeout=3600)
        with pytest.raises(StoreError, match="cannot be used"):
            patient.load([failure(MONDAY)])

    def test_held_by_another_process_is_waited_for(self, store: FixtureStore, judged: Judged) -> None:
        store.load([judged(MONDAY, good_body(MONDAY))])
        with holding(store.path, seconds=1.0):
            store.load([judged(TUESDAY, good_body(TUESDAY))])
        assert len(table(store, "fixture_days")) == 2

    def test_held_for_too_long_is_reported_with_who_holds_it(self, store: FixtureStore, judged: Judged) -> None:
        store.load([judged(MONDAY, good_body(MONDAY))])
        impatient = FixtureStore(store.path, SOFASCORE, UTC, lock_timeout=0.3)
        with holding(store.path, seconds=30) as holder, pytest.raises(StoreLockedError, match=str(holder.pid)):
            impatient.load([failure(MONDAY)])

    def test_can_be_opened_by_older_tools(self, store: FixtureStore, judged: Judged) -> None:
        store.load([judged(MONDAY, good_body(MONDAY))])
        with duckdb.connect(str(store.path)) as connection:
            [(tags,)] = connection.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall()
        assert tags["storage_version"].startswith("v1.5")
