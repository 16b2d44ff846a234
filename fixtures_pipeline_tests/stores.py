"""Stores to test with: making, reading, filling and emptying them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.outcome import DayFailed
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.providers.provider import Provider
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.connection import fetch_records
from fixtures_pipeline.store.database import FileDatabase
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.questions import find_offending_rows
from fixtures_pipeline.store.rules import Rule

UTC = ZoneInfo("UTC")
SOFASCORE = PROVIDERS["sofascore"]

#: All tables of a file: those of `COLUMNS`, and what the store keeps for itself.
TABLES = (
    "fixture_days", "fixtures", "fixture_errors", "fixture_changes", "load_log", "superseded_fixtures", "store_info"
)  # fmt: skip


def store_at(
    path: Path, provider: Provider = SOFASCORE, zone: ZoneInfo = UTC, *, lock_timeout: float = 5
) -> FixtureStore:
    """Return the store of a file. Tests make their stores with the fixtures `store` and `make_store` where they can."""
    return FixtureStore(path, provider, zone, lock_timeout=lock_timeout)


def query(store: FixtureStore, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a query, each by column name."""
    with store.database.reading() as connection:
        return fetch_records(connection.execute(sql, parameters or {}))


def table(store: FixtureStore, name: str, columns: str = "*") -> list[dict[str, Any]]:
    """Return the rows of a table in the order of its columns."""
    return tables(store, name, columns=columns)[0]


def tables(store: FixtureStore, *names: str, columns: str = "*") -> list[list[dict[str, Any]]]:
    """Return the rows of several tables, read in one session."""
    with store.database.reading() as connection:
        return [fetch_records(connection.execute(f"SELECT {columns} FROM {name} ORDER BY ALL")) for name in names]


def rows_breaking(store: FixtureStore, rule: Rule, days: Sequence[date] | None, now: datetime) -> list[dict[str, Any]]:
    """Return the rows that break one rule."""
    [rows] = find_offending_rows(store, [rule], days, now)
    return rows


def empty(store: FixtureStore) -> None:
    """Delete every row that loads have left."""
    with store.database.writing() as connection:
        for name in TABLES[:-1]:
            connection.execute(f"DELETE FROM {name}")


class OpenDatabase(FileDatabase):
    """A database whose one session serves everybody."""

    def __init__(self, database: FileDatabase, connection: duckdb.DuckDBPyConnection) -> None:
        self.path = database.path
        self._connection = connection

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        yield self._connection

    reading = writing


@contextmanager
def kept_open(store: FixtureStore) -> Iterator[FixtureStore]:
    """Open the file of a store once for all that is asked of it.

    Opening is more than half of the cost of a small load. Tests of what loads do to the tables can do without.
    """
    database = store.database
    with database.writing() as connection:
        store.database = OpenDatabase(database, connection)
        try:
            yield store
        finally:
            store.database = database


def events(body: bytes | str) -> list[dict[str, Any]]:
    """Return the events of an answer of Sofascore's."""
    listed: list[dict[str, Any]] = json.loads(body)["events"]
    return listed


def fail(settings: Settings, *days: date, retry_at: datetime | None = None) -> None:
    """Store that these days have failed."""
    # Imported here: a loader needs nothing of what fetches.
    from fixtures_pipeline.loading import open_store

    open_store(settings).put([DayFailed(day, ErrorType.API_ERROR, "It broke.", retry_at=retry_at) for day in days])
