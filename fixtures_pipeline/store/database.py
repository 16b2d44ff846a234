"""The DuckDB file as a whole: sessions that write or read it, the copy for readers, the merging of its blocks.

What is written is in `fixture_store` and `ownership`, what is asked in `questions`.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from fixtures_pipeline.errors import StoreError, StoreMissingError
from fixtures_pipeline.files import draft, sweep_drafts
from fixtures_pipeline.store import schema
from fixtures_pipeline.store.connection import FileSession, connect, say_what_to_do
from fixtures_pipeline.store.tables import FILLED

_MERGE_TASKS = 100
_LOG_BLOCKS = 32
#: Days that a load brings at most, as far as merging is concerned.
_DAYS_A_LOAD = 24


class FileDatabase:
    """One DuckDB file that holds one provider's days of one time zone."""

    engine = "duckdb"
    kind = "file"
    addenda: str | None = None
    refusals: tuple[type[Exception], ...] = (duckdb.IntegrityError, duckdb.DataError, duckdb.InvalidInputException)

    def __init__(self, path: Path, provider: str, zone: ZoneInfo, *, lock_timeout: float) -> None:
        """Name the file; nothing is opened or created before it is needed.

        Args:
            path: The DuckDB file; it and its folder are created at the first load.
            provider: Whose days it holds, and of which sport (`Provider.identity`).
            zone: Time zone in which its days begin and end.
            lock_timeout: Seconds to wait for another process that holds the file.
        """
        self.path = path
        self.shown = str(path)
        self._belongs_to = (provider, str(zone))
        self._lock_timeout = lock_timeout
        self._loads_before_merging = 0
        #: Set by whoever wants no writer of this process to wait for the file any longer.
        self.leaving = threading.Event()

    def qualify(self, table: str) -> str:
        """Return a table's name with those of what it is in."""
        return f"{self.path.stem}.main.{table}"

    def measure(self) -> int:
        """Return how many bytes the file has; 0 if there is none."""
        return self.path.stat().st_size if self.path.exists() else 0

    @contextmanager
    def writing(self) -> Iterator[FileSession]:
        """Open the file for writing, made or migrated first if need be.

        Raises:
            StoreError: it cannot be opened or written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder {self.path.parent} cannot be created: {error.strerror}. Check the folder above it and "
                "the permissions, or name another file in FIXTURES_DB."
            ) from error
        if not self.path.exists():
            self._create()
        with connect(self.path, read_only=False, patience=self._lock_timeout, leaving=self.leaving) as connection:
            # A load is too small to be shared out: a second thread only touches memory of its own.
            connection.execute("SET threads = 1")
            session = FileSession(connection)
            schema.migrate(session, self, *self._belongs_to)
            self._loads_before_merging -= 1
            if self._loads_before_merging < 0:
                self._loads_before_merging = _merge_blocks(session)
            yield session

    def _create(self) -> None:
        """Make the file under another name first: DuckDB cannot open one that it was killed in the middle of making."""
        try:
            with draft(self.path) as unfinished:
                with connect(unfinished, read_only=False, patience=0) as connection:
                    schema.migrate(FileSession(connection), self, *self._belongs_to)
                # Not renamed: that would replace what another process has made and filled in the meantime.
                with suppress(FileExistsError):
                    os.link(unfinished, self.path)
        except (OSError, StoreError):
            # No links on this file system, or no room: making it in place tells which.
            return

    @contextmanager
    def making(self) -> Iterator[FileSession]:
        """Open a new file for writing, which appears when the context ends, and only if it ends well.

        Raises:
            StoreError: it is there already, or cannot be made or written.
        """
        if self.path.exists():
            raise StoreError(f"{self.path} is there already and is left alone: name a new file.")
        sweep_drafts(self.path)
        with ExitStack() as opened:
            with self._saying_what_to_do():
                unfinished = opened.enter_context(draft(self.path))
            with connect(unfinished, read_only=False, patience=0) as connection:
                session = FileSession(connection)
                schema.migrate(session, self, *self._belongs_to)
                yield session
            with self._saying_what_to_do():
                try:
                    # Not renamed: that would replace what another process has made in the meantime.
                    os.link(unfinished, self.path)
                except FileExistsError:
                    raise
                except OSError:  # no links on this file system
                    unfinished.rename(self.path)

    @contextmanager
    def _saying_what_to_do(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be made: {error.strerror}. Check its folder and the permissions, or name another "
                "file."
            ) from error

    @contextmanager
    def reading(self) -> Iterator[FileSession]:
        """Open the file for reading.

        Raises:
            StoreMissingError: nothing has been loaded yet.
            StoreError: it cannot be opened or read.
        """
        if not self.path.exists():
            raise StoreMissingError(f"Nothing has been loaded yet: there is no {self.path}.")
        with connect(self.path, read_only=True, patience=self._lock_timeout) as connection:
            session = FileSession(connection)
            schema.require_current(session, self, *self._belongs_to)
            yield session

    def copy(self, path: Path) -> None:
        """Put a copy of the whole database at `path`, for readers who would otherwise keep others from writing.

        A file there is replaced at once, so that a reader sees the old copy or the new one; anyone who has the old one
        open keeps it. Nobody can write meanwhile: however many processes load days, a copy never follows a newer one.

        Raises:
            StoreError: the database cannot be opened, the copy not written, or `path` is a file of another kind; what
                is there is as it was.
        """
        with ExitStack() as afterwards, self.writing() as session:
            try:
                # From here on all that was committed is in the file, and nothing else.
                session.execute("CHECKPOINT")
                if path.exists():
                    _read_all(session)
                # Closed after the session: closing a file anywhere in a process gives up the process's lock on it.
                source = afterwards.enter_context(self.path.open("rb"))
                if not _may_be_replaced(path):
                    raise StoreError(f"{path} is not a DuckDB file and is left alone: name another FIXTURES_SNAPSHOT.")
                with draft(path) as unfinished:
                    with unfinished.open("wb") as target:
                        shutil.copyfileobj(source, target)
                        target.flush()
                        os.fsync(target.fileno())
                    # What somebody who opened the old copy for writing has left there does not fit the new one.
                    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
                    unfinished.replace(path)
                # What version 0.1 left when it was killed. A folder of that name is a reader's, who is short of memory.
                with suppress(OSError):
                    path.with_name(f"{path.name}.tmp").unlink()
            except OSError as error:
                raise StoreError(
                    f"The copy {path} (FIXTURES_SNAPSHOT) cannot be written: {error.strerror}. Check its folder, the "
                    "free space and the permissions; an older copy is as it was, and the database has what was loaded."
                ) from error
            except duckdb.Error as error:
                raise StoreError(
                    f"The copy {path} (FIXTURES_SNAPSHOT) cannot be made, and an older copy is as it was: "
                    f"{say_what_to_do(error)}"
                ) from error


def _read_all(session: FileSession) -> None:
    """Raise a duckdb.Error if a block is damaged: a copy of that must not replace an older one, which may be needed."""
    for table in FILLED:
        session.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM {table}").fetchall()


def _may_be_replaced(path: Path) -> bool:
    """Say whether there is no file at `path`, an empty one, or a DuckDB file (https://duckdb.org/docs/internals/storage)."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        beginning = file.read(12)
    return beginning == b"" or beginning.endswith(b"DUCK")


def _merge_blocks(session: FileSession) -> int:
    """Merge the blocks that loads leave behind, when there are so many that it pays.

    Returns:
        How many loads may follow before it is worth another look, which takes a fifth of an opening.
    """
    log_blocks, _ = _count_blocks(session, "load_log")
    if log_blocks > _LOG_BLOCKS:
        # By hand, as merging would rewrite the large tables with it.
        with session.transaction():
            session.execute("CREATE TEMP TABLE merged AS FROM load_log")
            session.execute("DELETE FROM load_log")
            session.execute("INSERT INTO load_log FROM merged")
        session.execute("DROP TABLE merged")
    blocks, rows = _count_blocks(session, "fixture_days")
    # Merging rewrites the table. It pays with a block for every fifty days, or when a fifth of the rows are deleted
    # ones; a small table is not worth it.
    [(days,)] = session.execute("SELECT count(*) FROM fixture_days").fetchall()
    most_blocks, most_rows = 16 + days / 50, 100 + days * 1.25
    if blocks > most_blocks or rows > most_rows:
        session.execute(f"SET max_vacuum_tasks = {_MERGE_TASKS}")
    # Each load adds a block to both tables, and the first of them is about to.
    return max(0, int(min(_LOG_BLOCKS - log_blocks, most_blocks - blocks, (most_rows - rows) / _DAYS_A_LOAD)) - 1)


def _count_blocks(session: FileSession, table: str) -> tuple[int, int]:
    """Return in how many blocks of rows a table is stored, and how many rows these have, deleted ones included."""
    [(blocks, rows)] = session.execute(
        """
        SELECT count(DISTINCT row_group_id), coalesce(sum(count), 0)
        FROM pragma_storage_info($table)
        WHERE column_name = 'data_id' AND segment_type <> 'VALIDITY'
        """,
        {"table": table},
    ).fetchall()
    return blocks, rows
