"""What a long history costs: `python -m benchmarks.history PLACE` stores one year and twenty, and prints the figures.

The place is a folder for files, or the address of a Postgres database.

Both stores are measured in turn, in one process, with the same days loaded and checked.
"""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from itertools import islice
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

from dagster import DagsterInstance

from benchmarks.answers import history
from fixtures_pipeline.dagster.checks import evaluate_rules
from fixtures_pipeline.dagster.events import evaluate_days
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.loading import REPLAYED_AT_ONCE
from fixtures_pipeline.outcome import DayLoaded
from fixtures_pipeline.providers.sofascore import SOFASCORE
from fixtures_pipeline.store.database import FileDatabase
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.questions import find_states
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline.store.session import Database

YEARS = (1, 20)
EVENTS = 200
ROUNDS = 5
_UTC = ZoneInfo("UTC")
_DAYS_A_LOAD = 73
_REPLAYED = 2 * REPLAYED_AT_ONCE


def open_database(place: str, years: int) -> Database:
    """Return a database of its own for so many years."""
    if not place.startswith("postgresql://"):
        return FileDatabase(Path(place) / f"{years}.duckdb", SOFASCORE.identity, _UTC, lock_timeout=60)
    # Imported here: it needs psycopg.
    from fixtures_pipeline.store.postgres import PostgresDatabase  # noqa: PLC0415

    return PostgresDatabase(place, f"years_{years}", _UTC, lock_timeout=60)


def build(place: str, years: int) -> FixtureStore:
    """Store so many years; the answers are not judged, which is not what is measured here."""
    store = FixtureStore(open_database(place, years), SOFASCORE, _UTC)
    answers = history(years, EVENTS)
    while loads := [DayLoaded(day, body.encode(), EVENTS, False) for day, body in islice(answers, _DAYS_A_LOAD)]:
        store.put(loads)
    return store


def reload(store: FixtureStore, day: date, body: str) -> float:
    """Return the seconds that judging and storing a day again take."""
    with closing(Judge(SOFASCORE, _UTC)) as judge:
        started = time.perf_counter()
        outcome = judge.judge(day, body.encode()).outcome
        [stored] = store.put([outcome])
        seconds = time.perf_counter() - started
    assert stored.state.fixtures == EVENTS
    return seconds


def replay(store: FixtureStore) -> float:
    """Return the seconds that making the rows of a day again takes, when those of the last years are."""
    days = [state.day for state in find_states(store, None)][-_REPLAYED:]
    started = time.perf_counter()
    for start in range(0, len(days), REPLAYED_AT_ONCE):
        assert all(made.changes == 0 for made in store.replay(days[start : start + REPLAYED_AT_ONCE]))
    return (time.perf_counter() - started) / len(days)


def check(store: FixtureStore, instance: DagsterInstance, days: Sequence[date] | None) -> float:
    """Return the seconds that all checks of a run over `days` take; None checks every day there is."""
    started = time.perf_counter()
    assert all(one.passed for one in evaluate_days(instance, find_states(store, days), retries_on=True))
    assert all(one.passed for one in evaluate_rules(RULES, store, instance, days, retries_on=True))
    return time.perf_counter() - started


def main() -> None:
    """Build both stores, measure them in turn, print medians in seconds."""
    stores = {years: build(sys.argv[1], years) for years in YEARS}
    answers = dict(islice(history(1, EVENTS), 200, 200 + ROUNDS))
    figures: dict[str, dict[int, list[float]]] = {
        name: {years: [] for years in YEARS} for name in ("reload", "checks", "checks_all_days", "replay")
    }
    with DagsterInstance.ephemeral() as instance:
        for number, (day, body) in enumerate(answers.items()):
            for years, store in stores.items():
                # The scores change, as they do on a real day.
                changed = body.replace('"current":1', f'"current":{2 + number}')
                figures["reload"][years].append(reload(store, day, changed))
                figures["checks"][years].append(check(store, instance, [day]))
        for years, store in stores.items():
            figures["checks_all_days"][years].append(check(store, instance, None))
            figures["replay"][years].append(replay(store))
    medians = {name: [median(by_years[years]) for years in YEARS] for name, by_years in figures.items()}
    print(json.dumps(medians))


if __name__ == "__main__":
    main()
