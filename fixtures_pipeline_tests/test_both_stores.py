"""The same rows from a file and from Postgres: every rule, every question, every table as a data frame."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from inspect import isfunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas
import pytest
from hypothesis import given, settings

from fixtures_pipeline.store import questions
from fixtures_pipeline.store.copying import copy_store
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline.store.session import Session
from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline_tests.conftest import Judged
from fixtures_pipeline_tests.days import MONDAY
from fixtures_pipeline_tests.fault_server import good_body
from fixtures_pipeline_tests.stores import UTC as ZONE
from fixtures_pipeline_tests.stores import kept_open, store_at
from fixtures_pipeline_tests.strategies import History, histories, sparing, tell

if TYPE_CHECKING:
    from fixtures_pipeline_tests.postgres_server import PostgresServer

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAYS = [MONDAY + timedelta(days=n) for n in (0, 1, 3, 40)]

#: What somebody else writes to the database, in words that both know; each breaks a rule or sorts names unusually.
BREAKING = (
    "UPDATE fixtures SET home_team = CASE event_id % 4 WHEN 0 THEN 'alpha' WHEN 1 THEN 'Zeta' WHEN 2 THEN '_†' END",
    "UPDATE fixtures SET country = CASE event_id % 3 WHEN 0 THEN 'åland' WHEN 2 THEN 'Zambia' END",
    "UPDATE fixtures SET home_team_id = NULL, competition_id = NULL WHERE event_id % 5 = 0",
    "UPDATE fixtures SET status = CASE event_id % 3 WHEN 0 THEN 'live' WHEN 1 THEN 'awarded' ELSE 'finished' END",
    "UPDATE fixtures SET away_score = NULL WHERE event_id % 4 = 0",
    "UPDATE fixtures SET created_at = created_at - INTERVAL '1 day'",
    """
    INSERT INTO fixture_changes
    SELECT event_id, date, $now::TIMESTAMPTZ, updated_at, 'home_score', '1', '2', NULL FROM fixtures
    UNION ALL
    SELECT event_id, date, $now::TIMESTAMPTZ, updated_at, 'winner', 'home', 'away', NULL FROM fixtures
    """,
    """
    INSERT INTO load_log
    SELECT '20250303', DATE '2025-03-03', $now::TIMESTAMPTZ, 'loaded', NULL, NULL, 200, 1, 1, 1, 'sofascore', 'run'
    """,
    "INSERT INTO fixtures SELECT * FROM fixtures WHERE event_id % 6 = 0",
    "UPDATE fixtures SET event_id = event_id + 1000, date = date + 30 WHERE event_id % 7 = 0",
    "DELETE FROM fixture_days WHERE date = DATE '2025-03-04'",
    "UPDATE fixture_days SET count = 1 WHERE date = DATE '2025-03-31'",
    "UPDATE fixture_days SET events_hash = NULL WHERE date = DATE '2025-03-24'",
)


@pytest.fixture
def address(postgres: "PostgresServer") -> str:
    """Return the address of a database with settings of its own, which sorts names as English does, not by bytes."""
    with postgres.connect("postgres") as connection:
        connection.execute("DROP DATABASE IF EXISTS english WITH (FORCE)")
        connection.execute("CREATE DATABASE english TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
        for setting in ("datestyle = 'SQL, DMY'", "timezone = 'Asia/Istanbul'", "client_encoding = 'LATIN1'"):
            connection.execute(f"ALTER DATABASE english SET {setting}")
    return postgres.address("english")


@pytest.fixture
def stores(tmp_path: Path, address: str, postgres: "PostgresServer") -> Callable[[], tuple[FixtureStore, FixtureStore]]:
    """Return a function that gives an empty file and an empty schema."""
    made = iter(range(1000))

    def make() -> tuple[FixtureStore, FixtureStore]:
        with postgres.connect("english") as connection:
            connection.execute("DROP SCHEMA IF EXISTS sofascore CASCADE")
        return store_at(tmp_path / f"{next(made)}.duckdb"), store_at(address)

    return make


def in_session(ask: Callable[[Session], Any]) -> Callable[[FixtureStore], Any]:
    def asked(store: FixtureStore) -> Any:
        with store.database.reading() as session:
            return ask(session)

    return asked


def find_rows(store: FixtureStore, days: Sequence[date] | None) -> list[list[dict[str, Any]]]:
    return list(questions.find_offending_rows(store, RULES, days, NOW + timedelta(hours=2)))


_ASKED: tuple[list[date] | None, ...] = (None, [], DAYS)

#: Each named question, asked in one way or several.
QUESTIONS: dict[str, Sequence[Callable[[FixtureStore], Any]]] = {
    "read_states": [in_session(lambda session: questions.read_states(session, DAYS))],
    "read_first_fixtures": [in_session(lambda session: questions.read_first_fixtures(session, DAYS, ZONE))],
    "count_by_competition": [in_session(lambda session: questions.count_by_competition(session, DAYS))],
    "count_rows": [in_session(questions.count_rows)],
    "find_states": [partial(questions.find_states, days=days) for days in _ASKED],
    "list_asked_days": [questions.list_asked_days],
    "list_loaded_days": [questions.list_loaded_days],
    "list_failing_days": [questions.list_failing_days],
    "list_open_errors": [lambda store: questions.list_open_errors(store, DAYS[1])],
    "list_days_in_progress": [lambda store: questions.list_days_in_progress(store, DAYS[0], DAYS[-1], NOW)],
    "summarize_days": [questions.summarize_days],
    "find_offending_rows": [partial(find_rows, days=days) for days in _ASKED],
}


def spell(value: Any) -> Any:
    """Return a value with its type, and a time with its offset, to be compared."""
    if isinstance(value, dict):
        return {name: spell(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [spell(part) for part in value]
    offset = value.utcoffset() if isinstance(value, datetime) else None
    return type(value).__name__, value, offset


def assert_same_answers(file: FixtureStore, shared: FixtureStore) -> None:
    for name, ways in QUESTIONS.items():
        for ask in ways:
            assert spell(ask(file)) == spell(ask(shared)), name


def assert_same_frames(file: FixtureStore, shared: FixtureStore) -> None:
    for table in COLUMNS:
        frames = [store.dataframe(table) for store in (file, shared)]
        order = [name for name in frames[0].columns if name != "data"]
        one, other = (frame.sort_values(order, ignore_index=True) for frame in frames)
        pandas.testing.assert_frame_equal(one, other)


def test_every_named_question_is_asked() -> None:
    named = {name for name, one in vars(questions).items() if isfunction(one) and one.__module__ == questions.__name__}
    asked = {name for name in named if not name.startswith("_")}
    # The first three make parameters, the fourth asks a file of any provider; data frames are compared by themselves.
    assert asked - {"bind_days", "divide_days", "knows_run", "read_table"} == set(QUESTIONS)


@given(history=histories)
@settings(sparing, max_examples=4)
def test_they_are_the_same_after_loads_and_after_somebody_else_has_written(
    history: History,
    stores: Callable[[], tuple[FixtureStore, FixtureStore]],
    judged: Judged,
    postgres: "PostgresServer",
) -> None:
    file, shared = stores()
    mondays = [MONDAY + timedelta(weeks=n) for n in range(6)]
    file.put([judged(day, good_body(day)) for day in mondays])
    for outcome in tell(history, judged):
        file.put([outcome])
    copy_store(file.database, shared.database)
    with kept_open(file):
        assert_same_answers(file, shared)

    with postgres.connect("english") as connection:
        connection.execute("ALTER TABLE sofascore.fixtures DROP CONSTRAINT fixtures_pkey")
    for store in (file, shared):
        with store.database.writing() as session, session.transaction():
            for statement in BREAKING:
                session.execute(statement, {"now": NOW} if "$now" in statement else None)
    found = find_rows(file, None)
    assert {rule.name for rule, rows in zip(RULES, found, strict=True) if rows} >= {
        "unique_events", "days_match_answers", "finished_with_scores", "past_kickoffs_open", "results_corrected",
        "no_gaps", "volume_in_line",
    }  # fmt: skip
    with kept_open(file):
        assert_same_answers(file, shared)
        assert_same_frames(file, shared)
