"""When the next request may begin: the rate, the quota, and the pauses that a server asks for.

All of them hold for every run that counts in the same file. Knows nothing of what is asked.
"""

import math
import sqlite3
import threading
import time
from pathlib import Path

from pyrate_limiter import Duration, Limiter, Rate, SQLiteBucket

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.transport.failures import Broken

#: Seconds that a thread waits for a counter before it looks again whether there is still something to wait for.
_GLANCE = 0.5


class Turns:
    """Gives turns to the threads of one run."""

    def __init__(self, per_second: float, per_day: int | None = None, file: Path | None = None) -> None:
        """Open the counters.

        Args:
            per_second: Turns within a second at most.
            per_day: Turns within 24 hours at most; None for no limit.
            file: Where turns are counted, across runs; without it, only this run's count.

        Raises:
            OSError: the folder of `file` cannot be made.
            sqlite3.Error: `file` cannot be used; the other methods may raise it as well.
        """
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        self._rate = _open_limiter(to_rate(per_second), file)
        self._quota = _open_limiter(Rate(per_day, Duration.DAY), file) if per_day else None
        self._lock = threading.Lock()
        self._pauses = sqlite3.connect(file or ":memory:", check_same_thread=False, isolation_level=None)
        self._pauses.execute("CREATE TABLE IF NOT EXISTS pauses (asked_at REAL, seconds REAL)")

    def close(self) -> None:
        """Close the counters."""
        for limiter in filter(None, (self._rate, self._quota)):
            limiter.close()
        self._pauses.close()

    def hold(self, seconds: float) -> None:
        """Let no request begin within the next `seconds`."""
        if seconds <= 0:
            return
        with self._lock:
            self._pauses.execute("DELETE FROM pauses WHERE asked_at + seconds < ?", [now := time.time()])
            self._pauses.execute("INSERT INTO pauses VALUES (?, ?)", [now, seconds])

    def wait(self, stop: threading.Event) -> Broken | None:
        """Wait until a request may begin; say why if none may, as when `stop` is set."""
        in_rate = False
        while not stop.is_set():
            if (pause := self._remaining_pause()) > 0:
                # Whoever waits for its end queues again then, or all would begin at once.
                in_rate = False
                stop.wait(pause)
            elif not in_rate:
                in_rate = bool(self._rate.try_acquire("requests", timeout=_GLANCE))
            elif self._quota is None or self._quota.try_acquire("requests", timeout=_GLANCE):
                return None
            elif (quota := _find_spent(self._quota)) is not None:
                seen = f"the {quota} requests within 24 hours that FIXTURES_REQUESTS_PER_DAY allows are spent"
                return Broken(ErrorType.RATE_LIMIT_ERROR, seen, transient=False)
        return Broken(ErrorType.CONNECTION_RESET_ERROR, "the run was ended before the request", transient=False)

    def _remaining_pause(self) -> float:
        # A pause that begins in the future was asked for before the clock was set back; it may never end.
        longest = "SELECT max(asked_at + seconds) FROM pauses WHERE asked_at <= ?"
        with self._lock:
            [[ends_at]] = self._pauses.execute(longest, [now := time.time()])
        return (ends_at or now) - now


def to_rate(per_second: float) -> Rate:
    """Let the whole requests of a second begin at once, but no more than that in as long as the rate takes for them."""
    at_once = max(1, int(per_second))
    return Rate(at_once, math.ceil(1000 * at_once / per_second))


def _open_limiter(rate: Rate, file: Path | None) -> Limiter:
    if file is None:
        return Limiter(rate)
    table = f"requests_in_{rate.interval}_ms"
    return Limiter(SQLiteBucket.init_from_file([rate], table=table, db_path=str(file), use_file_lock=True))


def _find_spent(limiter: Limiter) -> int | None:
    """Return the limit that is used up; None if another process merely holds the count for a moment."""
    bucket = limiter.buckets()[0]
    bucket.leak(bucket.now())  # type: ignore[no-untyped-call] # drops what no longer counts
    limit, count = bucket.rates[0].limit, bucket.count()
    return limit if isinstance(count, int) and count >= limit else None
