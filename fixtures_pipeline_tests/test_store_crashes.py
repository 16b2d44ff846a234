"""Loaders that die at any moment or crowd around one file, and disks that fail: nothing that was committed is lost."""

import random
import re
import signal
import subprocess
import time
from base64 import b64encode
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from fixtures_pipeline.errors import StoreError, StoreMissingError
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline_tests.conftest import Judged, MakeStore
from fixtures_pipeline_tests.days import MONDAY, failure
from fixtures_pipeline_tests.fault_server import good_body
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.processes import Process, loader
from fixtures_pipeline_tests.stores import place_of, query, snapshot, table, tables

pytestmark = pytest.mark.both_stores


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_a_loader_killed_at_random_moments_leaves_the_rules_true(store: FixtureStore, kills: int) -> None:
    dice = random.Random(20250303)
    for _ in range(kills):
        first = MONDAY + timedelta(days=dice.randrange(6))
        with loader(place_of(store), first, count=12, rounds=1000) as process:
            assert process.stdout is not None
            begun = process.stdout.readline()
            time.sleep(dice.uniform(0, 0.5))
            process.kill()
            out, _ = process.communicate()
        # The last line may be half of one.
        said = [line.split() for line in (begun + out).splitlines(keepends=True) if line.endswith("\n")]
        assert said
        assert_rules(store)
        answers, errors = tables(store, "fixture_days", "fixture_errors", columns="date")
        for _, day, outcome in said:
            assert day in {row["date"].isoformat() for row in (answers if outcome == "DayLoaded" else errors)}


def dying(path: str, size: int) -> Process:
    """Start a loader that is killed as it writes a file beyond a size."""
    code = (
        "import resource, signal, sys\n"
        "from fixtures_pipeline_tests import loader\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        "loader.main()\n"
    )
    return Process("-c", code, path, MONDAY.isoformat(), "3", stdout=subprocess.PIPE)


@pytest.mark.parametrize("size", [0, 4096, 8192, 12288, 300_000])
@pytest.mark.file_only
def test_a_loader_killed_while_it_makes_the_file_leaves_one_that_can_be_used(store: FixtureStore, size: int) -> None:
    """A new file grows by its three headers, then by the blocks of its tables."""
    with dying(place_of(store), size) as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGXFSZ
    with suppress(StoreMissingError):
        table(store, "fixture_days")
    store.put([failure(MONDAY)])
    assert_rules(store)


def test_sigterm_ends_a_loader_at_once_and_cleanly(store: FixtureStore) -> None:
    with loader(place_of(store), MONDAY, count=12, rounds=1000) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM
    assert_rules(store)


@pytest.mark.parametrize("seconds", [6, pytest.param(600, marks=pytest.mark.slow)])
def test_a_crowd_with_kills_breaks_no_rule_at_any_moment(make_store: MakeStore, seconds: int) -> None:
    """Four processes load the same days, one is killed now and then, and every snapshot keeps the rules."""
    store = make_store(lock_timeout=60)
    if seconds > 6 and store.database.engine == "duckdb":
        pytest.skip("one process at a time opens a file: a long crowd tells no more than a short one")
    dice = random.Random(20250303)
    store.put([])
    reads, said = 0, []
    with TemporaryFile("w+") as output, ExitStack() as started:

        def join(number: int) -> Process:
            return started.enter_context(
                Process("-m", "fixtures_pipeline_tests.crowd", place_of(store), str(number), stdout=output)
            )

        crowd = [join(number) for number in range(4)]
        end, kill = time.monotonic() + seconds, time.monotonic() + 2
        while time.monotonic() < end:
            with snapshot(store) as seen:
                assert_rules(seen)
            reads += 1
            if time.monotonic() > kill:
                kill = time.monotonic() + dice.uniform(0.5, 3)
                victim = dice.randrange(4)
                assert crowd[victim].poll() is None, "it has ended by itself"
                crowd[victim].kill()
                crowd[victim] = join(reads + 4)
        assert all(process.poll() is None for process in crowd)
        for process in crowd:
            process.kill()
            process.wait()
        output.seek(0)
        said = re.findall(r"^committed (\S+) (\S+)$", output.read(), re.MULTILINE)
    assert_rules(store)
    assert said
    # Nothing that was committed is lost, and no attempt is logged twice.
    logged = [(row["run_id"], row["date"].isoformat()) for row in table(store, "load_log", "run_id, date")]
    assert set(said) <= set(logged)
    assert len(set(logged)) == len(logged)


@pytest.mark.slow
def test_eight_processes_load_overlapping_ranges_while_another_reads(make_store: MakeStore) -> None:
    store = make_store(lock_timeout=60)
    reads = 0
    with ExitStack() as started:
        loaders = [
            started.enter_context(loader(place_of(store), MONDAY + timedelta(days=2 * n), count=12, rounds=3))
            for n in range(8)
        ]
        while any(process.poll() is None for process in loaders):
            with suppress(StoreMissingError):
                query(store, "SELECT count(*) FROM load_log")
                reads += 1
        assert reads > 0
        for process in loaders:
            out, err = process.communicate()
            assert process.returncode == 0, err
            assert out.count("committed") == 36
    assert len(table(store, "load_log")) == 8 * 36
    answers, errors = tables(store, "fixture_days", "fixture_errors", columns="date")
    assert {row["date"] for row in answers + errors} == {MONDAY + timedelta(days=n) for n in range(26)}
    assert_rules(store)


@pytest.mark.file_only
def test_a_full_disk_is_reported_and_leaves_the_data_readable(
    make_store: MakeStore, small_disk: Path, judged: Judged
) -> None:
    store = make_store(small_disk / "fixtures.duckdb")
    store.put([judged(MONDAY, good_body(MONDAY))])
    before = table(store, "fixture_days")
    noise = random.Random(1)
    with pytest.raises(StoreError, match="cannot be used"):
        for n in range(1, 200):
            day = MONDAY + timedelta(days=n)
            name = b64encode(noise.randbytes(45_000)).decode()
            store.put([judged(day, good_body(day, homeTeam={"id": 1, "name": name}))])
    assert [row for row in table(store, "fixture_days") if row["date"] == MONDAY] == before
    assert_rules(store)


@pytest.mark.file_only
def test_a_read_only_disk_is_reported_and_leaves_the_data_readable(
    make_store: MakeStore, small_disk: Path, judged: Judged
) -> None:
    store = make_store(small_disk / "fixtures.duckdb")
    store.put([judged(MONDAY, good_body(MONDAY))])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match="cannot be used"):
        store.put([failure(MONDAY)])
    assert_rules(store)
