"""Dagster's event log in its own SQLite files, with connections that stay open; `dagster.yaml` selects it.

Dagster opens and closes a connection for every entry, and SQLite empties and deletes its write-ahead log whenever the
last connection closes: that was most of a run's time. What is written, in which files, and that it is on disk before
anything else happens, stays as Dagster has it, so that a home can change from one storage to the other and back. What
Dagster hands over together is stored in one transaction.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from dagster import DagsterEventType, DagsterInstance, EventLogEntry

# The storage that Dagster takes by default. It has no public name; Dagster's docs give this one for dagster.yaml.
from dagster._core.storage.event_log import SqlEventLogStorageTable, SqliteEventLogStorage
from sqlalchemy import Connection, Engine, StaticPool, create_engine, func, select

_INDEX = "index"
#: Seconds that a transaction waits for those of other processes, as in Dagster.
_PATIENCE = 30
#: Bytes of a page in the file of a run: of 25 tables and indexes there, most stay empty, and each takes a page.
_PAGE = 512
#: Entries that Dagster hands over together, at most.
_BATCH = 1000
#: What it hands over together: what a run plans, and what it says of days that were stored together.
_IN_BATCHES = {
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    DagsterEventType.ASSET_MATERIALIZATION,
}


class EventLog(SqliteEventLogStorage):
    """Dagster's SQLite storage, keeping a connection to the index and to the file of the run that was used last."""

    def __init__(self, inst_data: Any = None) -> None:  # noqa: ANN401 - whatever Dagster's configuration passes
        """Open nothing yet: where the files are is known once the instance is, in `register_instance`."""
        self._inst_data = inst_data
        # Reentrant: a transaction within one to the same file is part of it.
        self._turn = threading.RLock()
        self._engines: dict[str, Engine] = {}
        self._open: dict[str, Connection] = {}
        self._tables: set[str] = set()

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return what can be configured: nothing."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "EventLog":  # noqa: ANN401, ARG003
        """Return the storage that `dagster.yaml` selects."""
        return cls(inst_data)

    def register_instance(self, instance: DagsterInstance) -> None:
        """Use the files in the instance's home where Dagster has them by default."""
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(_BATCH))
        super().__init__(str(Path(instance.root_directory, "history", "runs")), self._inst_data)
        super().register_instance(instance)

    def run_connection(self, run_id: str | None = None) -> Any:  # noqa: ANN401 - as in Dagster
        """Give a connection to a run's file for one transaction."""
        return self._borrow(run_id or "")

    def index_connection(self) -> Any:  # noqa: ANN401 - as in Dagster
        """Give a connection to the index of all runs for one transaction."""
        return self._borrow(_INDEX)

    @contextmanager
    def _borrow(self, shard: str) -> Iterator[Connection]:
        """Give the connection to a file for one transaction, or for a part of the one that is under way."""
        with self._turn:
            if shard in self._open:
                yield self._open[shard]
                return
            with self._connect_for_good(shard).begin() as connection:
                self._open[shard] = connection
                try:
                    yield connection
                finally:
                    del self._open[shard]

    def _connect_for_good(self, shard: str) -> Engine:
        """Return the engine of a file, whose one connection stays open; that of another run closes."""
        if shard not in self._engines:
            # A server looks at many runs, and each would be three open files.
            self._close(self._engines.keys() - self._open.keys() - {_INDEX})
            path = Path(self.path_for_shard(shard))
            if not path.exists():
                _create(path)
            # Dagster's own way makes the tables, if they are not there.
            with super().run_connection(shard):
                pass
            self._engines[shard] = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=StaticPool,
                # Threads take turns.
                connect_args={"timeout": _PATIENCE, "check_same_thread": False},
            )
        return self._engines[shard]

    def _close(self, shards: set[str]) -> None:
        for shard in shards:
            self._engines.pop(shard).dispose()

    def has_table(self, table_name: str) -> bool:
        """Say whether a table is there; Dagster asks for every entry, and never drops one."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def store_event(self, event: EventLogEntry) -> None:
        """Store an entry: in its run's file, then, in one transaction, all that the index has of it."""
        with self.index_connection():
            super().store_event(event)
        self._wake_followers(event.run_id)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store entries of one run, all of them or none.

        The rows are those that Dagster stores one by one, but only the last entry of an asset is noted as its latest.
        """
        with self.index_connection() as index, self.run_connection(events[0].run_id) as run:
            if {event.dagster_event_type for event in events} <= _IN_BATCHES:
                self._store_rows(index, run, events)
            else:
                super().store_event_batch(events)
        self._wake_followers(events[0].run_id)

    def _store_rows(self, index: Connection, run: Connection, events: Sequence[EventLogEntry]) -> None:
        """Store what `store_event` does of each entry, with as few statements as that takes."""
        rows = [self._event_to_row(event) for event in events]
        run.execute(SqlEventLogStorageTable.insert(), rows)
        index.execute(SqlEventLogStorageTable.insert(), rows)
        # Nobody else can have written meanwhile.
        last = index.scalars(select(func.max(SqlEventLogStorageTable.c.id))).one()
        ids = range(last - len(rows) + 1, last + 1)
        self._store_asset_event_tags(index, events, ids)
        latest = {}
        for event, row, number in zip(events, rows, ids, strict=True):
            if event.dagster_event_type is DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
                self.store_asset_check_event(event, number)
            else:
                latest[row["dagster_event_type"], row["asset_key"]] = event, number
        for event, number in latest.values():
            self._store_asset_event(index, event, number)

    def _wake_followers(self, run_id: str) -> None:
        """Touch a run's file, which those who follow the run watch: SQLite writes its write-ahead log instead."""
        # What is stored is stored: an error would make Dagster store it again.
        with suppress(OSError):
            os.utime(self.path_for_shard(run_id))

    def delete_events(self, run_id: str) -> None:
        """Delete the entries of a run, from the index and with the run's file."""
        with self.index_connection() as connection:
            self.delete_events_for_run(connection, run_id)
        if self.supports_global_concurrency_limits:
            self.free_concurrency_slots_for_run(run_id)
        with self._turn:
            self._close(self._engines.keys() & {run_id})
            for ending in ("", "-wal", "-shm"):
                Path(f"{self.path_for_shard(run_id)}{ending}").unlink(missing_ok=True)

    def wipe(self) -> None:
        """Delete everything."""
        with self._turn:
            self._close(set(self._engines))
            super().wipe()

    def dispose(self) -> None:
        """Close the files; SQLite then deletes the write-ahead logs that no other process has open."""
        super().dispose()
        with self._turn:
            self._close(set(self._engines))


def _create(path: Path) -> None:
    """Create an empty file with small pages; SQLite's own are eight times as large."""
    # If it is locked, another process is creating it.
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path, timeout=_PATIENCE)) as database:
        database.execute(f"PRAGMA page_size = {_PAGE}")
        database.execute("PRAGMA journal_mode = WAL")
