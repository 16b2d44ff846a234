"""A loader that dies at any moment, and a disk that fails: the rules hold, and what was committed is there."""

import random
import signal
import subprocess
import time
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest

from fixtures_pipeline.outcome import DayFailed, ErrorType
from fixtures_pipeline.store import FixtureStore, StoreError, StoreMissingError
from fixtures_pipeline_tests.conftest import SOFASCORE, UTC, Judged, table
from fixtures_pipeline_tests.fault_server import good_body
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.processes import loader

DAY = date(2025, 3, 3)
KILLS = 50


@pytest.mark.slow
def test_a_loader_killed_at_random_moments_leaves_the_rules_true(store: FixtureStore) -> None:
    dice = random.Random(20250303)
    for _ in range(KILLS):
        first = date.fromordinal(DAY.toordinal() + dice.randrange(6))
        process = loader(store.path, first, count=12, rounds=1000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(dice.uniform(0, 0.5))
        process.kill()
        out, _ = process.communicate()
        said = [line.split() for line in out.splitlines() if line.startswith("committed ") and len(line.split()) == 3]
        assert_rules(store)
        loaded = {row["date"].isoformat() for row in table(store, "fixture_days")}
        failed = {row["date"].isoformat() for row in table(store, "fixture_errors")}
        for _, day, outcome in said:
            assert day in (loaded if outcome == "DayLoaded" else failed)


def test_a_loader_killed_while_it_makes_the_file_leaves_one_that_can_be_used(tmp_path: Path, judged: Judged) -> None:
    for n in range(6):
        store = FixtureStore(tmp_path / f"{n}.duckdb", SOFASCORE, UTC, lock_timeout=5)
        process = loader(store.path, DAY, count=3)
        deadline = time.monotonic() + 20
        while not store.path.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(n * 0.01)
        process.kill()
        process.communicate()
        with suppress(StoreMissingError):
            table(store, "fixture_days")
        store.load([judged(DAY, good_body(DAY))])
        assert_rules(store)


def test_a_crash_in_a_migration_leaves_the_old_version_working(
    store: FixtureStore, judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fixtures_pipeline import store as module

    store.load([judged(DAY, good_body(DAY))])
    before = table(store, "fixture_days"), table(store, "fixtures")
    scripts = module._migrations()
    broken = "ALTER TABLE load_log ADD COLUMN extra INTEGER; DELETE FROM fixtures; SELECT error('boom');"
    with monkeypatch.context() as patched:
        patched.setattr(module, "_migrations", lambda: [*scripts, broken])
        with pytest.raises(StoreError):
            store.load([DayFailed(DAY, ErrorType.API_ERROR, "It broke.")])
    assert (table(store, "fixture_days"), table(store, "fixtures")) == before
    with monkeypatch.context() as patched:
        patched.setattr(module, "_migrations", lambda: [*scripts, "ALTER TABLE load_log ADD COLUMN extra INTEGER;"])
        with pytest.raises(StoreError, match="older version"):
            table(store, "fixture_days")
        store.load([judged(DAY, good_body(DAY))])
        assert "extra" in table(store, "load_log")[0]


def test_a_full_disk_is_reported_and_leaves_the_data_readable(small_disk: Path, judged: Judged) -> None:
    store = FixtureStore(small_disk / "fixtures.duckdb", SOFASCORE, UTC, lock_timeout=5)
    store.load([judged(DAY, good_body(DAY))])
    before = table(store, "fixture_days")
    noise = random.Random(1)
    with pytest.raises(StoreError, match="cannot be used"):
        for n in range(200):
            day = date.fromordinal(DAY.toordinal() + 1 + n)
            name = "".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(20_000))
            store.load([judged(day, good_body(day, homeTeam={"id": 1, "name": name}))])
    assert [row for row in table(store, "fixture_days") if row["date"] == DAY] == before
    assert_rules(store)


def test_a_read_only_disk_is_reported_and_leaves_the_data_readable(small_disk: Path, judged: Judged) -> None:
    store = FixtureStore(small_disk / "fixtures.duckdb", SOFASCORE, UTC, lock_timeout=5)
    store.load([judged(DAY, good_body(DAY))])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match="cannot be used"):
        store.load([DayFailed(DAY, ErrorType.API_ERROR, "It broke.")])
    assert_rules(store)


def test_sigterm_ends_a_loader_at_once_and_cleanly(store: FixtureStore) -> None:
    process = loader(store.path, DAY, count=12, rounds=1000)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM
    assert_rules(store)
