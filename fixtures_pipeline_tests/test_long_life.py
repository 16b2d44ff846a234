"""A year of daily ticks with failing days, against a clock of its own."""

import random
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from fixtures_pipeline import store as module
from fixtures_pipeline.automation import OPEN_ERRORS, ask
from fixtures_pipeline.outcome import DayFailed, DayLoaded, ErrorType, Outcome
from fixtures_pipeline.retries import GIVEN_UP_AFTER
from fixtures_pipeline.sample_api import day_body
from fixtures_pipeline.store import FixtureStore
from fixtures_pipeline_tests.conftest import SOFASCORE, set_clock, table
from fixtures_pipeline_tests.conftest import UTC as ZONE

FIRST = date(2025, 1, 1)
DAYS = 365
#: Days that never load, whatever is done.
HOPELESS = {FIRST + timedelta(days=n) for n in (40, 200)}


def answer(day: date) -> bytes:
    """Return a small answer; what this year is about is failing and healing."""
    return day_body(day, datetime(2024, 1, 1, tzinfo=UTC), own=20)


class Year:
    """What the API does on each day of the year, and the clock by which it is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.now = datetime.combine(FIRST, time(5, 15), UTC)
        self.dice = random.Random(2025)
        self.store = FixtureStore(path, SOFASCORE, ZONE)
        self.asked: dict[str, str] = {}
        set_clock(monkeypatch, lambda: self.now, module)

    def outcome(self, day: date) -> Outcome:
        if day in HOPELESS or self.dice.random() < 0.05:
            return DayFailed(day, ErrorType.API_ERROR, "It broke.", http_status=500)
        return DayLoaded(day, answer(day), events=100, in_progress=False)

    def load(self, days: list[date]) -> None:
        if days:
            self.store.load([self.outcome(day) for day in days])

    def retry(self) -> None:
        """Do what the sensor does, and carry out at once what it asks for."""
        due, self.asked = ask(self.store.query(OPEN_ERRORS, {"first": FIRST}), self.asked, self.now)
        self.load(due)


@pytest.mark.slow
def test_a_year_of_ticks_heals_every_day_or_gives_it_up_as_documented(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    year = Year(monkeypatch, tmp_path / "year.duckdb")
    for n in range(DAYS):
        today = FIRST + timedelta(days=n)
        year.now = datetime.combine(today, time(5, 15), UTC)
        window = [today + timedelta(days=offset) for offset in range(-2, 8)]
        year.load([day for day in window if FIRST <= day < FIRST + timedelta(days=DAYS)])
        for hour in (8, 12, 18, 23):
            year.now = datetime.combine(today, time(hour), UTC)
            year.retry()
    for hour in range(0, 24 * 12, 6):
        year.now = datetime.combine(FIRST + timedelta(days=DAYS), time(), UTC) + timedelta(hours=hour)
        year.retry()

    errors = {row["date"]: row["attempts"] for row in table(year.store, "fixture_errors")}
    assert set(errors) == HOPELESS
    assert all(attempts >= GIVEN_UP_AFTER for attempts in errors.values())
    loaded = {row["date"] for row in table(year.store, "fixture_days")}
    assert loaded == {FIRST + timedelta(days=n) for n in range(DAYS)} - HOPELESS

    fresh = FixtureStore(tmp_path / "fresh.duckdb", SOFASCORE, ZONE)
    days = sorted(loaded)
    for start in range(0, len(days), 32):
        fresh.load([DayLoaded(day, answer(day), 100, in_progress=False) for day in days[start : start + 32]])
    assert table(fresh, "fixtures", "* EXCLUDE (updated_at)") == table(year.store, "fixtures", "* EXCLUDE (updated_at)")
    assert year.store.path.stat().st_size <= 1.5 * fresh.path.stat().st_size
