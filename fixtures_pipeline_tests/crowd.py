"""`python -m fixtures_pipeline_tests.crowd PLACE SEED`: one of a crowd that loads thirty days until it is killed.

Events wander: every answer may list other events as the day's own than the one before. A fifth of the days fail. It
says `committed RUN DAY` after each commit.
"""

import random
import sys
from datetime import date, timedelta
from itertools import count

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.outcome import DayFailed, Outcome
from fixtures_pipeline_tests.days import MONDAY
from fixtures_pipeline_tests.fault_server import body_of, event, noon
from fixtures_pipeline_tests.stores import SOFASCORE, store_at
from fixtures_pipeline_tests.stores import UTC as ZONE

_DAYS = 30


def tell(day: date, dice: random.Random) -> bytes:
    """Return an answer: some of the events of a week around the day, most of them on their own day, some moved."""
    listed = []
    for offset in range(-3, 4):
        of = day + timedelta(days=offset)
        for number in range(12):
            if dice.random() < (0.9 if offset == 0 else 0.2):
                kickoff = noon(of) if dice.random() < 0.8 else noon(day)
                away = {"id": 20, "name": f"Away {dice.randrange(3)}"}
                listed.append({**event(of.toordinal() * 100 + number, kickoff), "awayTeam": away})
    return body_of(listed)


def main() -> None:
    place, seed = sys.argv[1:]
    dice = random.Random(seed)
    store, judge = store_at(place, lock_timeout=60), Judge(SOFASCORE, ZONE)
    for turn in count():
        first = dice.randrange(_DAYS)
        days = [MONDAY + timedelta(days=n) for n in range(first, min(first + dice.randint(2, 6), _DAYS))]
        batch: list[Outcome] = [
            DayFailed(day, ErrorType.API_ERROR, "It broke.")
            if dice.random() < 0.2
            else judge.judge(day, tell(day, dice)).outcome
            for day in days
        ]
        run_id = f"{seed}-{turn}"
        for stored in store.put(batch, run_id):
            sys.stdout.write(f"committed {run_id} {stored.day}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
