"""When the next request may begin: the rate, the quota, and the pauses that a server asks for.

All of them hold for every run that counts in the same file. Knows nothing of what is asked.
"""

import math
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from filelock import FileLock
from pyrate_limiter import AbstractBucket, Duration, Limiter, Rate, RateItem, SQLiteBucket

from fixtures_pipeline.errors import ErrorType, StoreError
from fixtures_pipeline.text import excerpt
from fixtures_pipeline.transport.failures import Broken

#: Seconds that a thread waits for a counter before it looks again whether there is still something to wait for.
_GLANCE = 0.5
#: Seconds that a thread waits for the end of a pause before it looks at the clock again.
_LONGEST_NAP = 1.0


class Turns:
    """Gives turns to the threads of one run."""

    def __init__(
        self, per_second: float, per_day: int | None = None, file: Path | None = None, *, patience: float = 60
    ) -> None:
        """Open the counters.

        Args:
            per_second: Turns within a second at most.
            per_day: Turns within 24 hours at most; None for no limit.
            file: Where turns are counted, across runs; without it, only this run's count.
            patience: Seconds to wait while another process holds the file.

        Raises:
            StoreError: `file` cannot be used; the other methods may raise it as well.
        """
        self._file = file
        self._lock = threading.Lock()
        with self._using_file():
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
            self._rate = _open_limiter(to_rate(per_second), file, patience)
            self._quota = _open_limiter(Rate(per_day, Duration.DAY), file, patience) if per_day else None
            self._pauses = sqlite3.connect(
                file or ":memory:", check_same_thread=False, isolation_level=None, timeout=patience
            )
            self._pauses.execute("CREATE TABLE IF NOT EXISTS pauses (asked_at REAL, seconds REAL)")

    @contextmanager
    def _using_file(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes a damaged file as it is
            raise StoreError(
                f"{self._file}, where requests are counted, cannot be used: {excerpt(str(error))}. Check its folder, "
                "the free space and the permissions, and whether another process holds it; if it is damaged, delete it."
            ) from error

    def close(self) -> None:
        """Close the counters."""
        for limiter in filter(None, (self._rate, self._quota)):
            limiter.close()
        self._pauses.close()

    def hold(self, seconds: float) -> None:
        """Let no request begin within the next `seconds`."""
        if seconds <= 0:
            return
        with self._lock, self._using_file():
            self._pauses.execute("DELETE FROM pauses WHERE asked_at + seconds < ?", [now := time.time()])
            self._pauses.execute("INSERT INTO pauses VALUES (?, ?)", [now, seconds])

    def wait(self, stop: threading.Event) -> Broken | None:
        """Wait until a request may begin; say why if none may, as when `stop` is set."""
        in_rate = False
        while not stop.is_set():
            if (pause := self._remaining_pause()) > 0:
                # Whoever waits for its end queues again then, or all would begin at once.
                in_rate = False
                stop.wait(min(pause, _LONGEST_NAP))
            elif not in_rate:
                in_rate = self._take(self._rate)
            elif self._quota is None:
                return None
            elif (free_at := self._find_spent(self._quota)) is not None:
                quota = self._quota.buckets()[0].rates[0].limit
                seen = f"the {quota} requests within 24 hours that FIXTURES_REQUESTS_PER_DAY allows are spent"
                return Broken(ErrorType.RATE_LIMIT_ERROR, seen, transient=False, retry_at=free_at)
            elif self._take(self._quota):
                return None
        return Broken(ErrorType.CONNECTION_RESET_ERROR, "the run was ended before the request", transient=False)

    def _take(self, limiter: Limiter) -> bool:
        with self._using_file():
            if limiter.try_acquire("requests", timeout=_GLANCE):
                return True
            _forget_future(limiter.buckets()[0])
        return False

    def _find_spent(self, limiter: Limiter) -> float | None:
        """Return when there is room again, in seconds since 1970, if a limit is used up."""
        bucket = limiter.buckets()[0]
        [rate] = bucket.rates
        with self._using_file():
            now = cast("int", bucket.now())  # type: ignore[no-untyped-call]
            bucket.leak(now)  # drops what no longer counts
            if cast("int", bucket.count()) >= rate.limit:
                _forget_future(bucket)
            first = cast("RateItem | None", bucket.peek(rate.limit - 1))
        # A bucket has a clock of its own, which may be no calendar's.
        return None if first is None else time.time() + (first.timestamp + rate.interval - now) / 1000

    def _remaining_pause(self) -> float:
        # A pause that begins in the future was asked for before the clock was set back; it may never end.
        longest = "SELECT max(asked_at + seconds) FROM pauses WHERE asked_at <= ?"
        with self._lock, self._using_file():
            [[ends_at]] = self._pauses.execute(longest, [now := time.time()])
        return (ends_at or now) - now


def to_rate(per_second: float) -> Rate:
    """Let the whole requests of a second begin at once, but no more than that in as long as the rate takes for them."""
    at_once = max(1, int(per_second))
    return Rate(at_once, math.ceil(1000 * at_once / per_second))


def _open_limiter(rate: Rate, file: Path | None, patience: float) -> Limiter:
    if file is None:
        return Limiter(rate)
    table = f"requests_in_{rate.interval}_ms"
    # Not the lock that pyrate-limiter would make, which waits for ever for a process that has been stopped.
    lock = FileLock(f"{file}.lock", timeout=patience)
    with lock:
        connection = SQLiteBucket.init_from_file([rate], table=table, db_path=str(file)).conn
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    bucket = SQLiteBucket([rate], connection, table, lock)
    _forget_future(bucket)
    return Limiter(bucket)


def _forget_future(bucket: AbstractBucket) -> None:
    """Drop what was counted while the clock was ahead: it would fill the bucket until the clock is there again."""
    if isinstance(bucket, SQLiteBucket):
        # A moment ahead is another process's clock.
        future = int(time.time() * 1000) + 2000
        with bucket.lock:
            bucket.conn.execute(f"DELETE FROM '{bucket.table}' WHERE item_timestamp > ?", [future])  # noqa: S608
            bucket.conn.commit()
