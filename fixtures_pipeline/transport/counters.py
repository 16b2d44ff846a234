"""Where turns are counted and pauses are kept: in a file that the runs of one machine share, or in memory.

`shared_counter` does the same for the runs of many machines. Whether a request may begin is for `turns` to say.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock
from pyrate_limiter import Limiter, Rate, SQLiteBucket

from fixtures_pipeline.errors import StoreError
from fixtures_pipeline.text import excerpt

#: Seconds for which the file is always waited for: to count a turn takes milliseconds.
_LEAST_PATIENCE = 2


class Counter(Protocol):
    """Counts turns and keeps pauses, by a clock that is the same for all who count here."""

    def using(self) -> AbstractContextManager[None]:
        """Make a StoreError of what goes wrong with it while a limiter of it is used."""

    def open_limiter(self, rate: Rate) -> Limiter:
        """Return the limiter of a rate: the same turns for all who count here and have this rate."""

    def forget_future(self, limiter: Limiter) -> None:
        """Drop what was counted while the clock was ahead: it would fill the bucket until the clock is there again."""

    def hold(self, seconds: float) -> None:
        """Keep a pause that begins now."""

    def find_pause(self) -> float:
        """Return the seconds until the last pause has ended; 0 or less if it has."""

    def close(self) -> None:
        """Close it; whoever has opened limiters closes these before."""


class FileCounter:
    """A counter in a file of SQLite's; `Counter` says what it does."""

    def __init__(self, file: Path | None, patience: float) -> None:
        """Open the file, or make it.

        Args:
            file: The file; None counts in memory, for one run.
            patience: Seconds to wait while another process holds the file.

        Raises:
            StoreError: it cannot be used; the other methods may raise it as well.
        """
        self._file = file
        # The run's own threads count here, too, and none of them may find the file held by another.
        self._patience = max(patience, _LEAST_PATIENCE)
        self._lock = threading.Lock()
        with self.using():
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
            self._pauses = sqlite3.connect(
                file or ":memory:", check_same_thread=False, isolation_level=None, timeout=self._patience
            )
            self._pauses.execute("CREATE TABLE IF NOT EXISTS pauses (asked_at REAL, seconds REAL)")

    @contextmanager
    def using(self) -> Iterator[None]:
        """Make a StoreError of what goes wrong with the file."""
        try:
            yield
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes a damaged file as it is
            raise StoreError(
                f"{self._file}, where requests are counted, cannot be used: {excerpt(str(error))}. Check its folder, "
                "the free space and the permissions, and whether another process holds it; if it is damaged, delete it."
            ) from error

    def open_limiter(self, rate: Rate) -> Limiter:
        """Return the limiter of a rate."""
        if self._file is None:
            return Limiter(rate)
        table = f"requests_in_{rate.interval}_ms"
        # Not the lock that pyrate-limiter would make, which waits for ever for a process that has been stopped.
        lock = FileLock(f"{self._file}.lock", timeout=self._patience)
        with self.using():
            with lock:
                connection = SQLiteBucket.init_from_file([rate], table=table, db_path=str(self._file)).conn
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
            limiter = Limiter(SQLiteBucket([rate], connection, table, lock))
            self.forget_future(limiter)
            return limiter

    def forget_future(self, limiter: Limiter) -> None:
        """Drop what was counted while the clock was ahead."""
        bucket = limiter.buckets()[0]
        if isinstance(bucket, SQLiteBucket):
            # A moment ahead is another process's clock.
            future = int(time.time() * 1000) + 2000
            with self.using(), bucket.lock:
                bucket.conn.execute(f"DELETE FROM '{bucket.table}' WHERE item_timestamp > ?", [future])  # noqa: S608
                bucket.conn.commit()

    def hold(self, seconds: float) -> None:
        """Keep a pause that begins now."""
        with self._lock, self.using():
            self._pauses.execute("DELETE FROM pauses WHERE asked_at + seconds < ?", [now := time.time()])
            self._pauses.execute("INSERT INTO pauses VALUES (?, ?)", [now, seconds])

    def find_pause(self) -> float:
        """Return the seconds until the last pause has ended."""
        # A pause that begins in the future was asked for before the clock was set back; it may never end.
        longest = "SELECT max(asked_at + seconds) FROM pauses WHERE asked_at <= ?"
        with self._lock, self.using():
            [[ends_at]] = self._pauses.execute(longest, [now := time.time()])
        return (ends_at or now) - now

    def close(self) -> None:
        """Close the file."""
        self._pauses.close()
