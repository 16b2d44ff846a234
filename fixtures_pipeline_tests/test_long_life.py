"""A year of daily ticks with failing days, by a clock of the test's own."""

import random
from datetime import UTC, date, datetime, time, timedelta

import pytest
from time_machine import TimeMachineFixture

from fixtures_pipeline.dagster.automation import choose_due
from fixtures_pipeline.outcome import DayLoaded, Outcome
from fixtures_pipeline.retries import GIVEN_UP_AFTER
from fixtures_pipeline.sample_days import day_body
from fixtures_pipeline.store.questions import list_open_errors
from fixtures_pipeline_tests.conftest import MakeFileStore
from fixtures_pipeline_tests.days import failure
from fixtures_pipeline_tests.stores import FileStore, table

FIRST = date(2025, 1, 1)
DAYS = 365
#: Days that never load, whatever is done.
HOPELESS = {FIRST + timedelta(days=n) for n in (40, 200)}


def answer(day: date) -> bytes:
    """Return a small answer; what this year is about is failing and healing."""
    return day_body(day, datetime(2024, 1, 1, tzinfo=UTC), own=20)


class Year:
    """What the API does on each day of the year, and what is asked of it."""

    def __init__(self, store: FileStore) -> None:
        self.dice = random.Random(2025)
        self.store = store
        self.asked: dict[str, str] = {}

    def outcome(self, day: date) -> Outcome:
        if day in HOPELESS or self.dice.random() < 0.05:
            return failure(day)
        return DayLoaded(day, answer(day), events=100, in_progress=False)

    def load(self, days: list[date]) -> None:
        if days:
            self.store.put([self.outcome(day) for day in days])

    def retry(self) -> None:
        """Do what the sensor does, and carry out at once what it asks for."""
        due, self.asked = choose_due(list_open_errors(self.store, FIRST), self.asked, datetime.now(UTC))
        self.load(due)


@pytest.mark.slow
def test_a_year_of_ticks_heals_every_day_or_gives_it_up_as_documented(
    time_machine: TimeMachineFixture, make_store: MakeFileStore
) -> None:
    year = Year(make_store("year.duckdb"))
    for n in range(DAYS):
        today = FIRST + timedelta(days=n)
        time_machine.move_to(datetime.combine(today, time(5, 15), UTC), tick=False)
        window = [today + timedelta(days=offset) for offset in range(-2, 8)]
        year.load([day for day in window if FIRST <= day < FIRST + timedelta(days=DAYS)])
        for hour in (8, 12, 18, 23):
            time_machine.move_to(datetime.combine(today, time(hour), UTC))
            year.retry()
    for hour in range(0, 24 * 12, 6):
        time_machine.move_to(datetime.combine(FIRST + timedelta(days=DAYS), time(), UTC) + timedelta(hours=hour))
        year.retry()

    errors = {row["date"]: row["attempts"] for row in table(year.store, "fixture_errors")}
    assert set(errors) == HOPELESS
    assert all(attempts >= GIVEN_UP_AFTER for attempts in errors.values())
    loaded = {row["date"] for row in table(year.store, "fixture_days")}
    assert loaded == {FIRST + timedelta(days=n) for n in range(DAYS)} - HOPELESS

    fresh = make_store("fresh.duckdb")
    days = sorted(loaded)
    for start in range(0, len(days), 32):
        fresh.put([DayLoaded(day, answer(day), 100, in_progress=False) for day in days[start : start + 32]])
    assert table(fresh, "fixtures", "* EXCLUDE (updated_at, created_at)") == table(
        year.store, "fixtures", "* EXCLUDE (updated_at, created_at)"
    )
    assert year.store.database.path.stat().st_size <= 1.5 * fresh.database.path.stat().st_size
