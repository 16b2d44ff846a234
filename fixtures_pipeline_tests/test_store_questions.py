"""What is asked of the store: by name, and as data frames."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas
import pytest

from fixtures_pipeline.errors import ErrorType, StoreMissingError
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.outcome import NEVER, DayFailed
from fixtures_pipeline.store import questions
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline_tests.conftest import Judged, MakeStore
from fixtures_pipeline_tests.days import MONDAY, TUESDAY, WEDNESDAY, failure
from fixtures_pipeline_tests.fault_server import body_of, event, good_body, noon, own
from fixtures_pipeline_tests.stores import SOFASCORE, table

pytestmark = pytest.mark.both_stores

LIVE = {"status": {"code": 6, "type": "inprogress", "description": "1st half"}}


class TestQuestions:
    """A day that loaded and is failing now, one that never loaded, one whose events are open, one that is over."""

    OPEN, OVER = MONDAY + timedelta(days=4), MONDAY + timedelta(days=5)

    @pytest.fixture
    def store(self, store: FixtureStore, judged: Judged) -> FixtureStore:
        listed = [*own(self.OPEN, 2, **LIVE), *own(self.OPEN, 3)[2:]]
        store.put([judged(MONDAY, body_of(own(MONDAY, 2, **LIVE))), judged(self.OVER, good_body(self.OVER))])
        store.put([failure(TUESDAY), failure(MONDAY), judged(self.OPEN, body_of(listed))])
        return store

    def test_which_days_were_asked_for(self, store: FixtureStore) -> None:
        assert questions.list_asked_days(store) == [MONDAY, TUESDAY, self.OPEN, self.OVER]

    def test_which_days_are_failing(self, store: FixtureStore) -> None:
        assert questions.list_failing_days(store) == [MONDAY, TUESDAY]
        [open_error] = questions.list_open_errors(store, since=TUESDAY)
        assert (open_error["date"], open_error["attempts"], open_error["retry_at"]) == (TUESDAY, 1, None)

    def test_which_days_are_in_progress(self, store: FixtureStore) -> None:
        kickoff = datetime.fromtimestamp(noon(self.OPEN), UTC)
        soon = kickoff + timedelta(minutes=15)
        # Monday's latest fetch failed, but its events go on; Tuesday never loaded, and retries are for that.
        assert questions.list_days_in_progress(store, MONDAY, self.OVER, soon) == {MONDAY: None, self.OPEN: None}
        assert questions.list_days_in_progress(store, TUESDAY, self.OVER, kickoff) == {}
        assert questions.list_days_in_progress(store, self.OVER, self.OVER, soon) == {}

    def test_what_the_report_shows_of_each(self, store: FixtureStore) -> None:
        rows = [list(row.values()) for row in questions.summarize_days(store)]
        assert [[*row[:5], row[6]] for row in rows] == [
            [MONDAY, 2, 2, True, "API_ERROR", 1],
            [TUESDAY, None, 0, False, "API_ERROR", 1],
            [self.OPEN, 3, 2, True, None, None],
            [self.OVER, 5, 0, False, None, None],
        ]

    def test_of_a_store_without_a_file_say_that_nothing_has_been_loaded(self, make_store: MakeStore) -> None:
        store = make_store("none.duckdb")
        now = datetime.now(UTC)
        for ask in (
            lambda: questions.find_states(store, None),
            lambda: questions.list_asked_days(store),
            lambda: questions.list_failing_days(store),
            lambda: questions.list_open_errors(store, MONDAY),
            lambda: questions.list_days_in_progress(store, MONDAY, WEDNESDAY, now),
            lambda: questions.summarize_days(store),
            lambda: list(questions.find_offending_rows(store, RULES, None, now)),
            lambda: store.dataframe("fixtures"),
        ):
            with pytest.raises(StoreMissingError, match="Nothing has been loaded yet"):
                ask()


class TestADataFrame:
    """A table for notebooks: the same types whatever it holds."""

    ISTANBUL = ZoneInfo("Europe/Istanbul")

    @pytest.fixture
    def store(self, make_store: MakeStore) -> FixtureStore:
        return make_store("istanbul.duckdb", SOFASCORE, self.ISTANBUL)

    def load(self, store: FixtureStore) -> None:
        judge = Judge(SOFASCORE, self.ISTANBUL)
        unplayed = {**event(2, None), "homeScore": {}, "awayScore": {}, "homeTeam": {"name": "New"}}
        for winner in (2, 1):
            store.put([judge.judge(MONDAY, body_of([event(1, noon(MONDAY), winnerCode=winner), unplayed])).outcome])
        store.put([DayFailed(TUESDAY, ErrorType.AUTH_ERROR, "Not in the plan.", retry_at=NEVER)])

    def test_has_the_columns_and_rows_of_each_table(self, store: FixtureStore) -> None:
        self.load(store)
        for name in COLUMNS:
            frame = store.dataframe(name)
            assert list(frame.columns) == [column.name for column in COLUMNS[name]]
            assert len(frame) == len(table(store, name)) > 0

    @pytest.mark.parametrize("filled", [True, False])
    def test_has_types_that_do_not_depend_on_its_rows(self, store: FixtureStore, filled: bool) -> None:
        self.load(store) if filled else store.put([])
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

    def test_of_no_table_of_the_project_is_refused(self, store: FixtureStore) -> None:
        self.load(store)
        with pytest.raises(ValueError, match="no table 'store_info', only fixture_days, fixtures"):
            store.dataframe("store_info")
