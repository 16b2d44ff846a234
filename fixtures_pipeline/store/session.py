"""What the store asks of a database, whichever it is, as protocols: a file of DuckDB's or a schema of Postgres.

Statements are one text for both, in words that DuckDB and Postgres share. What differs is what stands here, and is
done in `database` and `connection` for the file, in `postgres` for Postgres.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

import duckdb

from fixtures_pipeline.store.tables import Column

if TYPE_CHECKING:
    import pandas


class Result(Protocol):
    """What a statement gives."""

    @property
    def description(self) -> Sequence[Sequence[Any]] | None:
        """The columns, the name of each first; None if it gives no rows."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left, each a tuple."""


class Session(Protocol):
    """The store for as long as somebody reads it: all that is read is of one moment."""

    @property
    def memory(self) -> duckdb.DuckDBPyConnection:
        """The DuckDB in which answers are taken apart, with the words that mappings use; the file's own, if it is one.

        It has `fixture_days` of the days that `fetch_answers` was asked for.
        """

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None, /) -> Result:
        """Execute a statement. Parameters are written `$name`."""

    def has(self, table: str, /) -> bool:
        """Say whether there is a table, or a view, of this name."""

    def list_tables(self) -> list[str]:
        """Return the names of all tables and views but temporary ones, in order, whoever made them."""

    def make(self, table: str, query: str, parameters: Mapping[str, object] | None = None, /) -> None:
        """Make a temporary table of a query's rows, in place of one of that name."""

    def stage(self, table: str, /) -> None:
        """Make a temporary table of `memory` one that statements can read."""

    def fetch_answers(self, days: Sequence[date], /) -> None:
        """See to it that `memory` has `date`, `data` and `fetched_at` of these days in `fixture_days`."""

    def fetch_frame(self, query: str, /) -> "pandas.DataFrame":
        """Return a query's rows as a data frame, of the types that DuckDB gives."""


class WritingSession(Session, Protocol):
    """The store for as long as somebody writes it."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit at the end of the context, or roll back if it raises."""

    def lock(self, run_id: str | None = None, /) -> datetime:
        """Keep every other writer out until the transaction ends; return the moment, by the database's clock.

        Args:
            run_id: The run that does so, for those who wait.
        """

    def date_back(self, moment: datetime, /) -> datetime:
        """Return a moment of this machine's past by the database's clock."""

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], /) -> None:
        """Insert rows that another database has given."""

    def as_kept(self, rows: Sequence[tuple[Any, ...]], /) -> Sequence[tuple[Any, ...]]:
        """Return rows that were inserted as this database gives them."""


class Database(Protocol):
    """Where a store keeps its tables."""

    #: What keeps it, as Dagster's kinds name it.
    engine: str
    #: How messages name it.
    shown: str
    #: How messages call another one of its kind.
    kind: str
    #: What a statement raises for a fault of a day's own: its values break a constraint or fit no column.
    refusals: tuple[type[Exception], ...]
    #: The folder in `migrations` with what each script leaves to this kind of database; None if that is nothing.
    addenda: str | None
    #: Set by whoever wants no writer of this process to wait for it any longer.
    leaving: threading.Event

    def qualify(self, table: str) -> str:
        """Return a table's name with those of what it is in."""

    def measure(self) -> int:
        """Return how many bytes it takes.

        Raises:
            StoreError: it cannot be opened.
        """

    def writing(self) -> AbstractContextManager[WritingSession]:
        """Open it for writing, made or migrated first if need be.

        Raises:
            StoreError: it cannot be opened or written.
        """

    def making(self) -> AbstractContextManager[WritingSession]:
        """Open a new or empty one for writing, of which nothing is to be seen unless the context ends well.

        Raises:
            StoreError: it cannot be opened or written, or is no new one.
        """

    def reading(self) -> AbstractContextManager[Session]:
        """Open it for reading.

        Raises:
            StoreMissingError: nothing has been loaded yet.
            StoreError: it cannot be opened or read.
        """


def fetch_records(result: Result) -> list[dict[str, Any]]:
    """Return the rows of a result, each by column name."""
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
