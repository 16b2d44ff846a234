"""The copy for readers is always whole, never goes back, and nobody who reads it holds up a load."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster import DagsterInstance

from fixtures_pipeline.outcome import DayFailed, ErrorType
from fixtures_pipeline.settings import PROJECT_ROOT, Settings, SettingsError
from fixtures_pipeline.store import FixtureStore, StoreError, StoreLockedError
from fixtures_pipeline_tests.conftest import SOFASCORE, UTC, Judged, table
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.processes import holding, loader
from fixtures_pipeline_tests.runs import check_alone, run
from fixtures_pipeline_tests.test_crashes import DAY, KILLS
from fixtures_pipeline_tests.test_store import failure

TABLES = ("fixture_days", "fixtures", "fixture_errors", "load_log", "superseded_fixtures", "store_info")


@pytest.fixture
def copy(tmp_path: Path) -> FixtureStore:
    """Return the copy, read as a store; it is not there yet."""
    return FixtureStore(tmp_path / "for readers" / "copy.duckdb", SOFASCORE, UTC, lock_timeout=5)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@contextmanager
def reading(path: Path) -> Iterator[Callable[[], int]]:
    """Have another process hold a file open for reading; the function asks it how many attempts it sees."""
    code = (
        "import duckdb, sys\n"
        f"with duckdb.connect({str(path)!r}, read_only=True) as connection:\n"
        "    for _ in sys.stdin:\n"
        "        [(rows,)] = connection.execute('SELECT count(*) FROM load_log').fetchall()\n"
        "        print(rows, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def ask() -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        ask()
        yield ask


def test_each_run_leaves_a_copy_of_what_it_has_loaded(
    settings: Settings, api: FaultServer, instance: DagsterInstance, copy: FixtureStore
) -> None:
    settings = settings.model_copy(update={"snapshot": copy.path})
    api.plan(DAY, b"{}")
    assert run(settings, instance, DAY, DAY + timedelta(days=3)).success
    live = FixtureStore(settings.database, SOFASCORE, UTC)
    for name in TABLES:
        assert table(copy, name) == table(live, name), name
    assert_rules(copy)
    api.plan(DAY, good_body(DAY))
    run(settings, instance, DAY)
    assert table(copy, "fixture_errors") == []


def test_a_run_that_fetches_nothing_leaves_the_copy_alone(
    settings: Settings, instance: DagsterInstance, copy: FixtureStore
) -> None:
    settings = settings.model_copy(update={"snapshot": copy.path})
    FixtureStore(settings.database, SOFASCORE, UTC).load([failure(DAY)])
    assert check_alone(settings, instance, "no_open_errors").success
    assert not copy.path.exists()


def test_without_the_setting_there_is_no_copy(settings: Settings, instance: DagsterInstance, tmp_path: Path) -> None:
    run(settings, instance, DAY)
    assert [path.name for path in tmp_path.rglob("*.duckdb*")] == ["fixtures.duckdb"]


def test_a_reader_holds_up_no_load_and_keeps_what_it_has_open(
    settings: Settings, instance: DagsterInstance, copy: FixtureStore
) -> None:
    settings = settings.model_copy(update={"snapshot": copy.path})
    run(settings, instance, DAY)
    with reading(copy.path) as seen_before:
        assert run(settings, instance, DAY, DAY + timedelta(days=1)).success
        with reading(copy.path) as seen_now:
            assert (seen_before(), seen_now()) == (1, 3)


def test_the_copy_is_one_file_with_keys_that_older_tools_can_open(
    store: FixtureStore, copy: FixtureStore, judged: Judged
) -> None:
    def constraints(path: Path) -> list[Any]:
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(
                "SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints() ORDER BY ALL"
            ).fetchall()

    store.load([judged(DAY, good_body(DAY))])
    store.snapshot(copy.path)
    assert names(copy.path.parent) == ["copy.duckdb"]
    assert constraints(copy.path) == constraints(store.path)
    assert ("fixture_days", "PRIMARY KEY", "PRIMARY KEY(data_id)") in constraints(copy.path)
    with duckdb.connect(str(copy.path), read_only=True) as connection:
        [(tags,)] = connection.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall()
        made = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
        macros = connection.execute("SELECT function_name FROM duckdb_functions() WHERE NOT internal").fetchall()
    assert tags["storage_version"].startswith("v1.5")
    assert {name for (name,) in made} == set(TABLES)
    assert macros == []


@pytest.mark.parametrize("name", ["it's.duckdb", 'a "quoted" copy.duckdb', "'; DROP TABLE fixtures; --", "🥅.duckdb"])
def test_the_copy_may_have_any_name(store: FixtureStore, tmp_path: Path, name: str) -> None:
    store = FixtureStore(tmp_path / f"{name} copy", SOFASCORE, UTC)
    store.load([failure(DAY)])
    for _ in range(2):
        store.snapshot(tmp_path / name)
    assert len(table(FixtureStore(tmp_path / name, SOFASCORE, UTC), "fixture_errors")) == 1


def test_what_a_killed_process_left_behind_is_removed(store: FixtureStore, copy: FixtureStore) -> None:
    copy.path.parent.mkdir()
    copy.path.with_name("copy.duckdb.tmp").write_text("half of something" * 1_000_000)
    store.load([failure(DAY)])
    store.snapshot(copy.path)
    assert names(copy.path.parent) == ["copy.duckdb"]
    assert_rules(copy)


def test_who_opens_the_copy_for_writing_holds_up_nothing_and_spoils_nothing(
    store: FixtureStore, copy: FixtureStore
) -> None:
    store.load([failure(DAY)])
    store.snapshot(copy.path)
    with holding(copy.path, seconds=60):
        store.load([failure(DAY)])
        store.snapshot(copy.path)
        assert len(table(copy, "load_log")) == 2
    code = (
        f"import duckdb, os, signal; c = duckdb.connect({str(copy.path)!r}); c.execute('DELETE FROM load_log');"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert copy.path.with_name("copy.duckdb.wal").exists()
    store.load([failure(DAY)])
    store.snapshot(copy.path)
    assert len(table(copy, "load_log")) == 3
    assert_rules(copy)


def test_nobody_can_write_until_the_copy_is_in_its_place(
    store: FixtureStore, copy: FixtureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace
    writers: list[int] = []

    def observed(unfinished: Path, path: Path) -> None:
        replace(unfinished, path)
        writer = [sys.executable, "-c", f"import duckdb; duckdb.connect({str(store.path)!r})"]
        writers.append(subprocess.run(writer, capture_output=True, check=False).returncode)

    store.load([failure(DAY)])
    monkeypatch.setattr(Path, "replace", observed)
    store.snapshot(copy.path)
    assert writers == [1]


class TestACopyThatCannotBeWritten:
    """The run fails with a sentence, and the older copy stays."""

    def test_fails_the_run_and_what_was_loaded_is_kept(
        self, settings: Settings, instance: DagsterInstance, tmp_path: Path
    ) -> None:
        (tmp_path / "folder").mkdir()
        result = run(settings.model_copy(update={"snapshot": tmp_path / "folder"}), instance, DAY)
        assert not result.success
        [failed] = [event for event in result.all_events if event.is_step_failure]
        assert "FIXTURES_SNAPSHOT" in str(failed.step_failure_data.user_failure_data)
        assert len(table(FixtureStore(settings.database, SOFASCORE, UTC), "fixture_days")) == 1

    @pytest.mark.parametrize("place", ["a folder", "a file/copy.duckdb", f"{'x' * 300}.duckdb"])
    def test_is_reported_with_its_setting_and_leaves_nothing_behind(
        self, store: FixtureStore, tmp_path: Path, place: str
    ) -> None:
        (tmp_path / "a folder").mkdir()
        (tmp_path / "a file").touch()
        store.load([failure(DAY)])
        with pytest.raises(StoreError, match=r"The copy .+ \(FIXTURES_SNAPSHOT\) cannot be written: \w") as caught:
            store.snapshot(tmp_path / place)
        assert "\n" not in str(caught.value)
        assert not list(tmp_path.rglob("*.tmp*"))
        assert_rules(store)

    def test_where_there_is_a_file_of_another_kind_leaves_it_as_it_is(
        self, store: FixtureStore, tmp_path: Path
    ) -> None:
        (tmp_path / "README.md").write_text("# Read me, and keep me")
        store.load([failure(DAY)])
        with pytest.raises(StoreError, match=r"README\.md is no DuckDB file"):
            store.snapshot(tmp_path / "README.md")
        assert (tmp_path / "README.md").read_text() == "# Read me, and keep me"

    def test_for_a_full_disk_is_reported_and_leaves_the_older_one(
        self, store: FixtureStore, small_disk: Path, judged: Judged
    ) -> None:
        copy = FixtureStore(small_disk / "copy.duckdb", SOFASCORE, UTC)
        store.load([judged(DAY, good_body(DAY))])
        store.snapshot(copy.path)
        noise = random.Random(1)
        name = "".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(2_000_000))
        store.load([judged(DAY + timedelta(days=1), good_body(DAY, homeTeam={"id": 1, "name": name}))])
        store.load([DayFailed(DAY, ErrorType.API_ERROR, name)])
        with pytest.raises(StoreError, match="FIXTURES_SNAPSHOT"):
            store.snapshot(copy.path)
        assert names(small_disk) == ["copy.duckdb"]
        assert len(table(copy, "load_log")) == 1
        assert len(table(store, "load_log")) == 3

    def test_for_a_read_only_disk_is_reported_and_leaves_the_older_one(
        self, store: FixtureStore, small_disk: Path
    ) -> None:
        copy = FixtureStore(small_disk / "copy.duckdb", SOFASCORE, UTC)
        store.load([failure(DAY)])
        store.snapshot(copy.path)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        store.load([failure(DAY)])
        with pytest.raises(StoreError, match="FIXTURES_SNAPSHOT"):
            store.snapshot(copy.path)
        assert len(table(copy, "load_log")) == 1

    def test_because_the_database_is_held_names_who_holds_it(self, store: FixtureStore, copy: FixtureStore) -> None:
        store.load([failure(DAY)])
        impatient = FixtureStore(store.path, SOFASCORE, UTC, lock_timeout=0.3)
        with holding(store.path, seconds=60) as holder, pytest.raises(StoreLockedError, match=str(holder.pid)):
            impatient.snapshot(copy.path)
        assert not copy.path.exists()


@pytest.mark.parametrize("kills", [4, pytest.param(KILLS, marks=pytest.mark.slow)])
def test_a_loader_killed_at_random_moments_leaves_a_whole_copy_that_is_never_older(
    store: FixtureStore, copy: FixtureStore, kills: int
) -> None:
    dice = random.Random(20250303)
    attempts = copied = 0
    for _ in range(kills):
        process = loader(store.path, DAY + timedelta(days=dice.randrange(6)), 12, 1000, str(copy.path))
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(dice.uniform(0, 0.7))
        process.kill()
        out, _ = process.communicate()
        said = out.rpartition("copied\n")[0]
        # The first line was read before; an attempt that the copy must hold was committed before `copied` was said.
        least = attempts + 1 + said.count("committed ") if said else copied
        if copy.path.exists():
            assert_rules(copy)
            held = len(table(copy, "load_log"))
            assert held >= max(least, copied)
            copied = held
        assert copied >= least
        attempts = len(table(store, "load_log"))
    assert copied > 0
    assert_rules(store)


@pytest.mark.slow
def test_copies_that_several_processes_leave_never_go_back(store: FixtureStore, copy: FixtureStore) -> None:
    loaders = [loader(store.path, DAY + timedelta(days=2 * n), 12, 4, str(copy.path)) for n in range(4)]
    seen = []
    held = FixtureStore(copy.path.with_name("held.duckdb"), SOFASCORE, UTC)
    while any(process.poll() is None for process in loaders):
        if copy.path.exists():
            # One of the copies, which the next one does not replace between two queries.
            held.path.hardlink_to(copy.path)
            seen += held.query('SELECT max("at") AS latest, count(*) AS attempts FROM load_log')
            assert_rules(held)
            held.path.unlink()
    for process in loaders:
        _, err = process.communicate()
        assert process.returncode == 0, err
    assert seen == sorted(seen, key=lambda row: (row["latest"], row["attempts"]))
    assert len({row["attempts"] for row in seen}) > 3
    assert len(table(copy, "load_log")) == 4 * 4 * 12 == len(table(store, "load_log"))
    assert names(copy.path.parent) == ["copy.duckdb"]
    assert_rules(store)


class TestTheSetting:
    """A path like FIXTURES_DB's, but never that of a database that days are loaded into."""

    def test_counts_from_the_project_s_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FIXTURES_SNAPSHOT", "data/copy.duckdb")
        assert Settings.load().snapshot_file == PROJECT_ROOT / "data" / "copy.duckdb"

    def test_is_none_by_default(self) -> None:
        assert Settings.load().snapshot_file is None

    @pytest.mark.parametrize(
        ("db", "snapshot"),
        [
            (None, "data/sample.duckdb"),
            (None, "data/../data/sofascore.duckdb"),
            ("mine.duckdb", "mine.duckdb"),
            ("mine.duckdb", str(PROJECT_ROOT / "mine.duckdb")),
        ],
    )
    def test_must_not_be_a_database(self, db: str | None, snapshot: str) -> None:
        with pytest.raises(SettingsError, match="FIXTURES_SNAPSHOT cannot be used: days are loaded into that file"):
            Settings.load(snapshot=snapshot, **({"db": db} if db else {}))
