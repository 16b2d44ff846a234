"""Several processes that load one store at once; each loads a stretch of its own when it is told to.

`python -m benchmarks.crowd URL DB FIRST COUNT` is one of them.
"""

import sys
import time
from datetime import timedelta
from subprocess import PIPE, Popen

from benchmarks.answers import days
from benchmarks.measure import load_all


def measure_rate(url: str, db: str, number: int, processes: int) -> float:
    """Return the days per second at which so many processes load so many days into an empty store."""
    share = number // processes
    command = [sys.executable, "-m", "benchmarks.crowd", url, db]
    crowd = [
        Popen([*command, str(n * share), str(share)], stdin=PIPE, stdout=PIPE, text=True) for n in range(processes)
    ]
    try:
        for one in crowd:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        started = time.perf_counter()
        for one in crowd:
            assert one.stdin is not None
            one.stdin.close()
        for one in crowd:
            assert one.wait() == 0
        return share * processes / (time.perf_counter() - started)
    finally:
        for one in crowd:
            one.kill()
            one.wait()


def main() -> None:
    """Load a stretch once standard input ends."""
    url, db, first, count = sys.argv[1:]
    asked = [day + timedelta(days=int(first)) for day in days(int(count))]
    print("ready", flush=True)
    sys.stdin.read()
    load_all(url, db, asked)


if __name__ == "__main__":
    main()
