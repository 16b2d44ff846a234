"""A connection to one DuckDB file: waiting for it, saying who holds it, transactions, what sessions do with it.

Only the file and the session are known here. What the tables are is in `schema`, what is in them elsewhere.

DuckDB lets one process write at a time and refuses everyone else meanwhile, so a connection is held for one short
transaction and never while anything is fetched (https://duckdb.org/docs/stable/connect/concurrency).
"""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import tenacity

from fixtures_pipeline.errors import StoreError, StoreLockedError
from fixtures_pipeline.providers.mapping import define_words
from fixtures_pipeline.store.tables import Column
from fixtures_pipeline.text import excerpt

if TYPE_CHECKING:
    import pandas

# A new block of rows for every load, never merged by the way: DuckDB would otherwise rewrite the last 122,880 rows of
# a table, JSON and all, whenever one is added. `database` merges them when there are many
# (https://github.com/duckdb/duckdb/pull/18829, https://github.com/duckdb/duckdb/pull/21769).
# Nothing is downloaded: DuckDB would fetch an extension to open a file of SQLite's, and then write to that.
_CONFIG = {
    "storage_compatibility_version": "v1.5.0",
    "vacuum_rebuild_indexes": 50_000,
    "max_vacuum_tasks": 0,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

_CHECK_DISK = "Check the free space and the permissions of the disk; what was stored before is kept."
#: What DuckDB says of a file, and what to do about it; the first that fits.
_ADVICE = (
    ("No space left|Permission denied|Read-only", _CHECK_DISK),
    (
        "not a valid DuckDB|sqlite_scanner",
        "It is another kind of file and is left alone: name another one in FIXTURES_DB.",
    ),
    (
        "[Cc]orrupt|checksum|[Dd]eserializ|INTERNAL|FATAL|[Ii]nvalidated",
        "The file is damaged, it seems: put a copy in its place (FIXTURES_SNAPSHOT makes them), or move it away and "
        "load the days again.",
    ),
    ("", _CHECK_DISK),
)


@contextmanager
def connect(
    path: Path, *, read_only: bool, patience: float, leaving: threading.Event | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the file for as long as the context lasts; wait while another process has it.

    Args:
        path: The DuckDB file.
        read_only: Whether nothing will be written; any number of processes can read at once.
        patience: Seconds to wait.
        leaving: Ends the wait at once when it is set.

    Raises:
        StoreLockedError: another process held the file all the while.
        StoreError: the file cannot be opened, read or written.
    """
    connection = _open(path, read_only=read_only, patience=patience, leaving=leaving or threading.Event())
    try:
        # Times come back in UTC, whatever the machine's zone.
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    except (duckdb.Error, UnicodeDecodeError) as error:  # a damaged text is no UTF-8
        raise _explain(path, error) from error
    finally:
        # Not left to garbage collection: an exception that is still referenced would keep the file locked.
        connection.close()


def _open(path: Path, *, read_only: bool, patience: float, leaving: threading.Event) -> duckdb.DuckDBPyConnection:
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_lock),
        wait=tenacity.wait_random_exponential(multiplier=0.02, max=1),
        stop=tenacity.stop_after_delay(patience) | tenacity.stop_when_event_set(leaving),
        sleep=tenacity.sleep_using_event(leaving),
        reraise=True,
    )
    try:
        return waiting(duckdb.connect, str(path), read_only=read_only, config=_CONFIG)
    except (duckdb.Error, UnicodeDecodeError) as error:
        if not _is_lock(error):
            raise _explain(path, error) from error
        holder = re.search(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)", str(error))
        who = f"{holder['program']} (process {holder['pid']})" if holder else "another process"
        raise StoreLockedError(
            f"{path} has been held by {who} for {patience:g} seconds. Close the file there (a DuckDB shell, a "
            "notebook, a BI tool?) and start the run again."
        ) from error


def _is_lock(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, duckdb.IOException | duckdb.ConnectionException) and (
        "Could not set lock" in text or "different configuration" in text
    )


def _explain(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path} cannot be used: {say_what_to_do(error)}")


def say_what_to_do(error: Exception) -> str:
    """Return what DuckDB says of a file, and what to do about it."""
    said = str(error)
    advice = next(advice for pattern, advice in _ADVICE if re.search(pattern, said))
    return f"{excerpt(said).rstrip('.!')}. {advice}"


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit at the end of the context, or roll back if it raises."""
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        with suppress(duckdb.Error):  # a commit that failed has ended the transaction already
            connection.rollback()
        raise


class FileSession:
    """A session with an open file: `session.WritingSession` says what it does."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Take over the connection."""
        self._connection = connection

    @cached_property
    def memory(self) -> duckdb.DuckDBPyConnection:
        """The file's own connection, with the words that mappings use."""
        self._connection.execute(define_words("TEMP MACRO"))
        return self._connection

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None, /) -> duckdb.DuckDBPyConnection:
        """Execute a statement."""
        return self._connection.execute(sql, parameters)

    def has(self, table: str, /) -> bool:
        """Say whether there is a table, or a view, of this name, which is a constant."""
        # By trial, as DuckDB would make all its own views to look it up; apart, as an error ends the transaction.
        with self._connection.cursor() as apart, suppress(duckdb.CatalogException):
            apart.execute(f"SELECT 1 FROM {table} LIMIT 0")
            return True
        return False

    def list_tables(self) -> list[str]:
        """Return the names of all tables and views but temporary ones and DuckDB's own, in order."""
        rows = self.execute(
            """
            SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary
            UNION ALL
            SELECT view_name FROM duckdb_views() WHERE NOT internal AND NOT temporary
            ORDER BY 1
            """
        )
        return [name for (name,) in rows.fetchall()]

    def make(self, table: str, query: str, parameters: Mapping[str, object] | None = None, /) -> None:
        """Make a temporary table of a query's rows, in place of one of that name."""
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {query}", parameters)

    def stage(self, table: str, /) -> None:
        """Do nothing: statements read what is in memory."""

    def fetch_answers(self, days: Sequence[date], /) -> None:
        """Do nothing: what reads `memory` reads the file."""

    def fetch_frame(self, query: str, /) -> "pandas.DataFrame":
        """Return a query's rows as a data frame."""
        return self._connection.execute(query).df()

    def transaction(self) -> AbstractContextManager[None]:
        """Commit at the end of the context, or roll back if it raises."""
        return transaction(self._connection)

    def lock(self, run_id: str | None = None, /) -> datetime:  # noqa: ARG002
        """Return this moment: nobody else can have opened the file for writing."""
        return datetime.now(UTC)

    def date_back(self, moment: datetime, /) -> datetime:
        """Return the moment: the file has no clock of its own."""
        return moment

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], /) -> None:
        """Insert rows that another database has given."""
        names = ", ".join(f'"{column.name}"' for column in columns)
        values = ", ".join(f"unnest($c{n}::{column.type}[])" for n, column in enumerate(columns))
        given = {f"c{n}": [row[n] for row in rows] for n in range(len(columns))}
        self._connection.execute(f"INSERT INTO {table} ({names}) SELECT {values}", given)

    def as_kept(self, rows: Sequence[tuple[Any, ...]], /) -> Sequence[tuple[Any, ...]]:
        """Return rows as they are."""
        return rows
