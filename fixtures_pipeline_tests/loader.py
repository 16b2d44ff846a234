"""`python -m fixtures_pipeline_tests.loader PLACE FIRST COUNT [ROUNDS [COPY]]`: a process that loads days.

It says `committed DAY OUTCOME` after each commit, and `copied` after each copy, for the tests that kill it or run many
of it at once. Days whose ordinal is a multiple of five fail.
"""

import sys
from datetime import date, timedelta
from pathlib import Path

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.outcome import DayFailed, Outcome
from fixtures_pipeline_tests.fault_server import good_body
from fixtures_pipeline_tests.stores import SOFASCORE, UTC, file_store_at, store_at


def main() -> None:
    place, first, count, *more = sys.argv[1:]
    rounds, copy = more[:1], more[1:]
    store = store_at(place, lock_timeout=60)
    judge = Judge(SOFASCORE, UTC)
    days = [date.fromisoformat(first) + timedelta(days=n) for n in range(int(count))]
    for turn in range(int(rounds[0]) if rounds else 1):
        for start in range(0, len(days), 3):
            batch: list[Outcome] = [
                DayFailed(day, ErrorType.API_ERROR, "It broke.")
                if day.toordinal() % 5 == 0
                else judge.judge(day, good_body(day, events=20 + turn % 3)).outcome
                for day in days[start : start + 3]
            ]
            for stored in store.put(batch):
                sys.stdout.write(f"committed {stored.day} {type(stored.outcome).__name__}\n")
            sys.stdout.flush()
            if copy:
                file_store_at(Path(place), lock_timeout=60).database.copy(Path(copy[0]))
                sys.stdout.write("copied\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
