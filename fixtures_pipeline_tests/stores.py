"""Stores to test with: making, reading, filling and emptying them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.outcome import DayFailed
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.providers.provider import Provider
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.database import FileDatabase
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.questions import find_offending_rows
from fixtures_pipeline.store.rules import Rule
from fixtures_pipeline.store.session import Database, Session, WritingSession, fetch_records

UTC = ZoneInfo("UTC")
SOFASCORE = PROVIDERS["sofascore"]

#: All tables of a file: those of `COLUMNS`, and what the store keeps for itself.
TABLES = (
    "fixture_days", "fixtures", "fixture_errors", "fixture_changes", "load_log", "superseded_fixtures", "store_info"
)  # fmt: skip


class FileStore(FixtureStore):
    """A store whose tables are in a file, for tests of what is a file's alone."""

    database: FileDatabase


def store_at(
    place: Path | str, provider: Provider = SOFASCORE, zone: ZoneInfo = UTC, *, lock_timeout: float = 5
) -> FixtureStore:
    """Return the store of a file or an address. Tests make theirs with `store` and `make_store` where they can."""
    if not str(place).startswith("postgresql://"):
        return file_store_at(Path(place), provider, zone, lock_timeout=lock_timeout)
    # Imported here: it needs psycopg.
    from fixtures_pipeline.store.postgres import PostgresDatabase

    return FixtureStore(
        PostgresDatabase(str(place), provider.identity, zone, lock_timeout=lock_timeout), provider, zone
    )


def file_store_at(
    path: Path, provider: Provider = SOFASCORE, zone: ZoneInfo = UTC, *, lock_timeout: float = 5
) -> FileStore:
    """Return the store of a file."""
    return FileStore(FileDatabase(path, provider.identity, zone, lock_timeout=lock_timeout), provider, zone)


def place_of(store: FixtureStore) -> str:
    """Return what `store_at` finds the same tables by."""
    database = store.database
    return str(database.path) if isinstance(database, FileDatabase) else str(getattr(database, "address"))  # noqa: B009


def execute(store: FixtureStore, *statements: str) -> None:
    """Do to the tables what nobody should."""
    with store.database.writing() as session:
        for statement in statements:
            session.execute(statement)


def query(store: FixtureStore, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a query, each by column name."""
    with store.database.reading() as session:
        return fetch_records(session.execute(sql, parameters or {}))


def table(store: FixtureStore, name: str, columns: str = "*") -> list[dict[str, Any]]:
    """Return the rows of a table in the order of its columns, all but those after EXCLUDE."""
    return tables(store, name, columns=columns)[0]


def tables(store: FixtureStore, *names: str, columns: str = "*") -> list[list[dict[str, Any]]]:
    """Return the rows of several tables, read in one session."""
    chosen, _, excluded = columns.partition(" EXCLUDE ")
    left_out = set(re.findall(r"\w+", excluded))
    with store.database.reading() as session:
        found = [fetch_records(session.execute(f"SELECT {chosen} FROM {name}")) for name in names]
    # Postgres has no order for JSON.
    return [
        sorted(
            ({name: value for name, value in row.items() if name not in left_out} for row in rows),
            key=lambda row: [(value is None, value) for value in row.values()],
        )
        for rows in found
    ]


def rows_breaking(store: FixtureStore, rule: Rule, days: Sequence[date] | None, now: datetime) -> list[dict[str, Any]]:
    """Return the rows that break one rule."""
    [rows] = find_offending_rows(store, [rule], days, now)
    return rows


def empty(store: FixtureStore) -> None:
    """Delete every row that loads have left."""
    with store.database.writing() as session:
        for name in TABLES[:-1]:
            session.execute(f"DELETE FROM {name}")


class OpenDatabase:
    """A database whose one session serves everybody."""

    def __init__(self, database: Database, session: Session) -> None:
        self._session = session
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        yield self._session

    reading = writing


class TurnsOfOneSession(OpenDatabase):
    """The same for a session that writes: whoever reads has a transaction, as with a session of their own."""

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with cast("WritingSession", self._session).transaction():
            yield self._session


@contextmanager
def kept_open(store: FixtureStore) -> Iterator[FixtureStore]:
    """Open the file of a store once for all that is asked of it.

    Opening is more than half of the cost of a small load. Tests of what loads do to the tables can do without.
    """
    database = store.database
    with database.writing() as session:
        store.database = cast("Database", TurnsOfOneSession(database, session))
        try:
            yield store
        finally:
            store.database = database


@contextmanager
def snapshot(store: FixtureStore) -> Iterator[FixtureStore]:
    """Return a store whose tables do not change for as long as the context lasts."""
    with store.database.reading() as session:
        yield FixtureStore(cast("Database", OpenDatabase(store.database, session)), store.provider, store.zone)


def events(body: bytes | str) -> list[dict[str, Any]]:
    """Return the events of an answer of Sofascore's."""
    listed: list[dict[str, Any]] = json.loads(body)["events"]
    return listed


def fail(settings: Settings, *days: date, retry_at: datetime | None = None) -> None:
    """Store that these days have failed."""
    # Imported here: a loader needs nothing of what fetches.
    from fixtures_pipeline.loading import open_store

    open_store(settings).put([DayFailed(day, ErrorType.API_ERROR, "It broke.", retry_at=retry_at) for day in days])
