"""A store as a whole, from one database to another of either kind: every row or none, compared at the end.

How rows get into a database that is being made, and its `store_info`, is for `database` and `postgres`. The copy for
readers, a file that replaces an older one, is in `database`.
"""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from datetime import date
from typing import Any, NamedTuple

from fixtures_pipeline.errors import StoreError
from fixtures_pipeline.store.questions import divide_days
from fixtures_pipeline.store.session import Database, Session, WritingSession
from fixtures_pipeline.store.tables import FILLED, Column


class _Batch(NamedTuple):
    """The rows of a table that belong to the days from `first` to `last`."""

    table: str
    first: date
    last: date
    rows: Sequence[tuple[Any, ...]]


def copy_store(source: Database, target: Database) -> dict[str, int]:
    """Copy every row of `source` into `target`, which must be new or empty, and read them all once more to compare.

    `target` is as it was unless all of them are there and the same. What is loaded into `source` meanwhile waits, or is
    not copied.

    Returns:
        The rows of each table.

    Raises:
        StoreMissingError: there is nothing to copy.
        StoreError: one of them cannot be opened, read or written, `target` has rows already, or does not keep them as
            they are.
    """
    with source.reading():
        pass  # Without it, nothing is made.
    with closing(_read_twice(source)) as batches, target.making() as taken:
        if any(_count_rows(taken).values()):
            raise StoreError(f"{target.shown} holds days already and is left alone: copy into a new {target.kind}.")
        for batch, again in batches:
            if again:
                _compare(batch, taken, target)
            else:
                _insert(batch, taken, target)
        return _count_rows(taken)


def _read_twice(source: Database) -> Generator[tuple[_Batch, bool], None, None]:
    """Yield the rows of all tables, some days at a time, and then once more, with whether it is the second time."""
    with source.reading() as session:
        stretches = [(days[0], days[-1]) for days in divide_days(_measure_days(session))]
        for again in (False, True):
            for first, last in stretches:
                for table in FILLED:
                    yield _Batch(table, first, last, _read(session, table, first, last)), again


def _measure_days(session: Session) -> list[tuple[date, int]]:
    """Return every day that has a row anywhere, in order, and the size of its largest answer."""
    known = " UNION ALL ".join(f"SELECT date, 0 AS bytes FROM {table}" for table in FILLED)
    return session.execute(
        f"""
        SELECT date, max(bytes) AS bytes
        FROM (SELECT date, bytes FROM load_log UNION ALL {known}) AS known
        GROUP BY date
        ORDER BY date
        """
    ).fetchall()


def _read(session: Session, table: str, first: date, last: date) -> list[tuple[Any, ...]]:
    return session.execute(
        f"SELECT {_list_names(FILLED[table])} FROM {table} WHERE date BETWEEN $first AND $last",
        {"first": first, "last": last},
    ).fetchall()


def _insert(batch: _Batch, taken: WritingSession, target: Database) -> None:
    try:
        taken.insert(batch.table, FILLED[batch.table], batch.rows)
    except target.refusals as error:
        raise StoreError(
            f"{target.shown} refuses rows of {batch.table} between {batch.first} and {batch.last} "
            f"({type(error).__name__}), and nothing was copied. Run the checks, load the days again that they name, "
            "then copy again."
        ) from error


def _compare(batch: _Batch, taken: WritingSession, target: Database) -> None:
    kept = _read(taken, batch.table, batch.first, batch.last)
    if Counter(kept) != Counter(taken.as_kept(batch.rows)):
        raise StoreError(
            f"{target.shown} does not keep {batch.table} between {batch.first} and {batch.last} as it is, and nothing "
            "was copied. Report it, together with the two databases' versions."
        )


def _count_rows(session: Session) -> dict[str, int]:
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in FILLED)
    [row] = session.execute(f"SELECT {counts}").fetchall()
    return dict(zip(FILLED, row, strict=True))


def _list_names(columns: Sequence[Column]) -> str:
    return ", ".join(f'"{column.name}"' for column in columns)
