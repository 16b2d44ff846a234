"""When the next request may begin: the rate, the quota, and the pauses that a server asks for.

All of them hold for every run that counts in the same place: see `counters`. Knows nothing of what is asked.
"""

import math
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import cast

from pyrate_limiter import AbstractBucket, Duration, Limiter, Rate, RateItem

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.transport.counters import Counter, FileCounter
from fixtures_pipeline.transport.failures import Broken

#: Seconds that a thread waits for a counter before it looks again whether there is still something to wait for.
_GLANCE = 0.5
#: Seconds that a thread waits for the end of a pause before it looks at the clock again.
_LONGEST_NAP = 1.0


class Turns:
    """Gives turns to the threads of one run."""

    def __init__(
        self,
        per_second: float,
        per_day: int | None = None,
        counted_in: Path | str | None = None,
        *,
        patience: float = 60,
    ) -> None:
        """Open the counters.

        Args:
            per_second: Turns within a second at most.
            per_day: Turns within 24 hours at most; None for no limit.
            counted_in: Where turns are counted, across runs: a file, or what libpq connects by. Without it, only this
                run's count.
            patience: Seconds to wait while another process holds the counters.

        Raises:
            StoreError: they cannot be used; the other methods may raise it as well.
        """
        with ExitStack() as opened:
            self._counter = opened.enter_context(closing(_open_counter(counted_in, patience)))
            self._rate = self._counter.open_limiter(to_rate(per_second))
            self._quota = self._counter.open_limiter(Rate(per_day, Duration.DAY)) if per_day else None
            opened.pop_all()

    def close(self) -> None:
        """Close the counters."""
        for limiter in filter(None, (self._rate, self._quota)):
            limiter.close()
        self._counter.close()

    def hold(self, seconds: float) -> None:
        """Let no request begin within the next `seconds`."""
        if seconds > 0:
            self._counter.hold(seconds)

    def wait(self, stop: threading.Event) -> Broken | None:
        """Wait until a request may begin; say why if none may, as when `stop` is set."""
        in_rate = False
        while not stop.is_set():
            if (pause := self._counter.find_pause()) > 0:
                # Whoever waits for its end queues again then, or all would begin at once.
                in_rate = False
                stop.wait(min(pause, _LONGEST_NAP))
            elif not in_rate:
                in_rate = self._take(self._rate)
            elif self._quota is None:
                return None
            elif (free_at := self._find_spent(self._quota)) is not None:
                quota = _bucket_of(self._quota).rates[0].limit
                seen = f"the {quota} requests within 24 hours that FIXTURES_REQUESTS_PER_DAY allows are spent"
                return Broken(ErrorType.RATE_LIMIT_ERROR, seen, transient=False, retry_at=free_at)
            elif self._take(self._quota):
                return None
        return Broken(ErrorType.CONNECTION_RESET_ERROR, "the run was ended before the request", transient=False)

    def _take(self, limiter: Limiter) -> bool:
        with self._counter.using():
            if limiter.try_acquire("requests", timeout=_GLANCE):
                return True
        self._counter.forget_future(limiter)
        return False

    def _find_spent(self, limiter: Limiter) -> float | None:
        """Return when there is room again, in seconds since 1970, if a limit is used up."""
        bucket = _bucket_of(limiter)
        [rate] = bucket.rates
        with self._counter.using():
            now = cast("int", bucket.now())  # type: ignore[no-untyped-call]
            bucket.leak(now)  # drops what no longer counts
            if cast("int", bucket.count()) >= rate.limit:
                self._counter.forget_future(limiter)
            first = cast("RateItem | None", bucket.peek(rate.limit - 1))
        # A bucket has a clock of its own, which may be no calendar's.
        return None if first is None else time.time() + (first.timestamp + rate.interval - now) / 1000


def to_rate(per_second: float) -> Rate:
    """Let the whole requests of a second begin at once, but no more than that in as long as the rate takes for them."""
    at_once = max(1, int(per_second))
    return Rate(at_once, math.ceil(1000 * at_once / per_second))


def _open_counter(counted_in: Path | str | None, patience: float) -> Counter:
    if not isinstance(counted_in, str):
        return FileCounter(counted_in, patience)
    # Imported here: without a shared store, what it needs is not installed.
    from fixtures_pipeline.transport.shared_counter import SharedCounter  # noqa: PLC0415

    return SharedCounter(counted_in, patience)


def _bucket_of(limiter: Limiter) -> AbstractBucket:
    [bucket] = limiter.bucket_factory.owned_buckets()
    return bucket
