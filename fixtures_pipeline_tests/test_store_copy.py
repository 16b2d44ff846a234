"""The copy for readers is always whole, never goes back, and nobody who reads it holds up a load."""

import random
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster import DagsterInstance

from fixtures_pipeline.errors import SettingsError, StoreError, StoreLockedError
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import PROJECT_ROOT, Settings
from fixtures_pipeline_tests.conftest import Judged, MakeFileStore
from fixtures_pipeline_tests.days import MONDAY, TUESDAY, WEDNESDAY, failure
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.processes import Process, holding, loader
from fixtures_pipeline_tests.runs import RangeRun, check_alone, failure_of, run
from fixtures_pipeline_tests.stores import TABLES, FileStore, query, table, tables


@pytest.fixture
def copy(make_store: MakeFileStore) -> FileStore:
    """Return the copy, read as a store; it is not there yet."""
    return make_store("for readers/copy.duckdb")


#: Constraints, tables, macros and format of a file.
DESCRIBED = (
    "SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints() ORDER BY ALL",
    "SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY ALL",
    "SELECT function_name FROM duckdb_functions() WHERE NOT internal",
    "SELECT tags FROM duckdb_databases() WHERE NOT internal",
)


def names(folder: Path, pattern: str = "*") -> list[str]:
    return [path.name for path in folder.rglob(pattern)]


def update(copy: FileStore, store: FileStore) -> None:
    store.database.copy(copy.database.path)


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
    with Process("-c", code, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:

        def ask() -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        ask()
        yield ask


def test_a_run_leaves_a_copy_of_what_it_has_loaded(
    settings: Settings, api: FaultServer, instance: DagsterInstance, copy: FileStore
) -> None:
    settings = settings.model_copy(update={"snapshot": copy.database.path})
    api.plan(MONDAY, b"{}")
    # It fails at the end, as a day did.
    assert not run(settings, instance, MONDAY, WEDNESDAY).success
    assert tables(copy, *TABLES) == tables(open_store(settings), *TABLES)
    assert len(table(copy, "load_log")) == 3
    assert_rules(copy)


def test_a_run_that_fetches_nothing_leaves_the_copy_alone(
    settings: Settings, instance: DagsterInstance, copy: FileStore
) -> None:
    settings = settings.model_copy(update={"snapshot": copy.database.path})
    open_store(settings).put([failure(MONDAY)])
    assert check_alone(settings, instance, "no_open_errors").success
    assert not copy.database.path.exists()


def test_without_the_setting_there_is_no_copy(six_days: RangeRun) -> None:
    assert names(six_days.settings.database.parent, "*.duckdb*") == ["fixtures.duckdb"]


def test_a_reader_holds_up_no_load_and_keeps_what_it_has_open(store: FileStore, copy: FileStore) -> None:
    store.put([failure(MONDAY)])
    update(copy, store)
    with reading(copy.database.path) as seen_before:
        store.put([failure(MONDAY), failure(TUESDAY)])
        update(copy, store)
        with reading(copy.database.path) as seen_now:
            assert (seen_before(), seen_now()) == (1, 3)


def test_the_copy_is_one_file_with_the_keys_and_the_format_of_the_database(
    store: FileStore, copy: FileStore, judged: Judged
) -> None:
    def describe(path: Path) -> list[list[Any]]:
        with duckdb.connect(str(path), read_only=True) as connection:
            return [connection.execute(question).fetchall() for question in DESCRIBED]

    store.put([judged(MONDAY, good_body(MONDAY))])
    update(copy, store)
    assert names(copy.database.path.parent) == ["copy.duckdb"]
    found = describe(copy.database.path)
    assert found == describe(store.database.path)
    constraints, made, macros, _ = found
    assert ("fixture_days", "PRIMARY KEY", "PRIMARY KEY(data_id)") in constraints
    assert {name for (name,) in made} == set(TABLES)
    assert macros == []


@pytest.mark.parametrize("name", ["it's.duckdb", 'a "quoted" copy.duckdb', "'; DROP TABLE fixtures; --", "🥅.duckdb"])
def test_database_and_copy_may_have_any_name(make_store: MakeFileStore, name: str) -> None:
    store, copy = make_store(f"{name} copy"), make_store(name)
    store.put([failure(MONDAY)])
    for _ in range(2):
        update(copy, store)
    assert len(table(copy, "fixture_errors")) == 1


def test_what_a_killed_process_left_behind_is_removed(store: FileStore, copy: FileStore) -> None:
    copy.database.path.parent.mkdir()
    copy.database.path.with_name("copy.duckdb.tmp").write_text("half of something" * 1_000_000)
    store.put([failure(MONDAY)])
    update(copy, store)
    assert names(copy.database.path.parent) == ["copy.duckdb"]
    assert_rules(copy)


def test_anyone_who_opens_the_copy_for_writing_holds_up_nothing_and_spoils_nothing(
    store: FileStore, copy: FileStore
) -> None:
    store.put([failure(MONDAY)])
    update(copy, store)
    with holding(copy.database.path, seconds=60):
        store.put([failure(MONDAY)])
        update(copy, store)
        assert len(table(copy, "load_log")) == 2
    code = (
        f"import duckdb, os, signal; connection = duckdb.connect({str(copy.database.path)!r});"
        "connection.execute('DELETE FROM load_log'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert copy.database.path.with_name("copy.duckdb.wal").exists()
    store.put([failure(MONDAY)])
    update(copy, store)
    assert len(table(copy, "load_log")) == 3
    assert_rules(copy)


def test_nobody_can_write_until_the_copy_is_in_its_place(
    store: FileStore, copy: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace
    writers: list[int] = []

    def observed(unfinished: Path, path: Path) -> None:
        replace(unfinished, path)
        writer = [sys.executable, "-c", f"import duckdb; duckdb.connect({str(store.database.path)!r})"]
        writers.append(subprocess.run(writer, capture_output=True, check=False).returncode)

    store.put([failure(MONDAY)])
    monkeypatch.setattr(Path, "replace", observed)
    update(copy, store)
    assert writers == [1]


class TestACopyThatCannotBeWritten:
    """The run fails with a sentence, and the older copy stays."""

    def test_fails_the_run_and_what_was_loaded_is_kept(
        self, settings: Settings, instance: DagsterInstance, tmp_path: Path
    ) -> None:
        (tmp_path / "folder").mkdir()
        result = run(settings.model_copy(update={"snapshot": tmp_path / "folder"}), instance, MONDAY)
        assert not result.success
        assert "FIXTURES_SNAPSHOT" in failure_of(result)
        assert len(table(open_store(settings), "fixture_days")) == 1

    @pytest.mark.parametrize("place", ["a folder", "a file/copy.duckdb", f"{'x' * 300}.duckdb"])
    def test_is_reported_with_its_setting_and_leaves_nothing_behind(
        self, store: FileStore, tmp_path: Path, place: str
    ) -> None:
        (tmp_path / "a folder").mkdir()
        (tmp_path / "a file").touch()
        store.put([failure(MONDAY)])
        with pytest.raises(StoreError, match=r"The copy .+ \(FIXTURES_SNAPSHOT\) cannot be written: \w") as caught:
            store.database.copy(tmp_path / place)
        assert "\n" not in str(caught.value)
        assert not list(tmp_path.rglob("*.tmp*"))
        assert_rules(store)

    def test_where_there_is_a_file_of_another_kind_leaves_it_as_it_is(self, store: FileStore, tmp_path: Path) -> None:
        (tmp_path / "README.md").write_text("# Read me, and keep me")
        store.put([failure(MONDAY)])
        with pytest.raises(StoreError, match=r"README\.md is not a DuckDB file"):
            store.database.copy(tmp_path / "README.md")
        assert (tmp_path / "README.md").read_text() == "# Read me, and keep me"

    def test_for_a_full_disk_is_reported_and_leaves_the_older_one(
        self, store: FileStore, make_store: MakeFileStore, small_disk: Path, judged: Judged
    ) -> None:
        copy = make_store(small_disk / "copy.duckdb")
        store.put([judged(MONDAY, good_body(MONDAY))])
        update(copy, store)
        # More than fits on the disk, however well it is compressed.
        name = b64encode(random.Random(1).randbytes(3_000_000)).decode()
        store.put([failure(MONDAY, message=name)])
        with pytest.raises(StoreError, match="FIXTURES_SNAPSHOT"):
            update(copy, store)
        assert names(small_disk) == ["copy.duckdb"]
        assert len(table(copy, "load_log")) == 1
        assert len(table(store, "load_log")) == 2

    def test_for_a_read_only_disk_is_reported_and_leaves_the_older_one(
        self, store: FileStore, make_store: MakeFileStore, small_disk: Path
    ) -> None:
        copy = make_store(small_disk / "copy.duckdb")
        store.put([failure(MONDAY)])
        update(copy, store)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        store.put([failure(MONDAY)])
        with pytest.raises(StoreError, match="FIXTURES_SNAPSHOT"):
            update(copy, store)
        assert len(table(copy, "load_log")) == 1

    def test_because_the_database_is_held_names_who_holds_it(self, make_store: MakeFileStore, copy: FileStore) -> None:
        store = make_store(lock_timeout=0.3)
        store.put([failure(MONDAY)])
        with holding(store.database.path, seconds=60) as holder, pytest.raises(StoreLockedError, match=str(holder.pid)):
            update(copy, store)
        assert not copy.database.path.exists()


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.slow)])
def test_a_loader_killed_at_random_moments_leaves_a_whole_copy_that_is_never_older(
    store: FileStore, copy: FileStore, kills: int
) -> None:
    dice = random.Random(20250303)
    attempts = copied = 0
    for _ in range(kills):
        first = MONDAY + timedelta(days=dice.randrange(6))
        with loader(store.database.path, first, 12, 1000, str(copy.database.path)) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(dice.uniform(0, 0.7))
            process.kill()
            out, _ = process.communicate()
        said = out.rpartition("copied\n")[0]
        # The first line was read before; an attempt that the copy must hold was committed before `copied` was said.
        least = attempts + 1 + said.count("committed ") if said else copied
        if copy.database.path.exists():
            assert_rules(copy)
            held = len(table(copy, "load_log"))
            assert held >= max(least, copied)
            copied = held
        assert copied >= least
        attempts = len(table(store, "load_log"))
    assert copied > 0
    assert_rules(store)


@pytest.mark.slow
def test_copies_that_several_processes_leave_never_go_back(
    store: FileStore, copy: FileStore, make_store: MakeFileStore
) -> None:
    seen = []
    # One of the copies, which the next one does not replace between two queries.
    held = make_store("for readers/held.duckdb")
    with ExitStack() as started:
        loaders = [
            started.enter_context(
                loader(store.database.path, MONDAY + timedelta(days=2 * n), 12, 4, str(copy.database.path))
            )
            for n in range(4)
        ]
        while any(process.poll() is None for process in loaders):
            if copy.database.path.exists():
                held.database.path.hardlink_to(copy.database.path)
                seen += query(held, 'SELECT max("at") AS latest, count(*) AS attempts FROM load_log')
                assert_rules(held)
                held.database.path.unlink()
        for process in loaders:
            _, err = process.communicate()
            assert process.returncode == 0, err
    assert seen == sorted(seen, key=lambda row: (row["latest"], row["attempts"]))
    assert len({row["attempts"] for row in seen}) > 3
    assert len(table(copy, "load_log")) == 4 * 4 * 12 == len(table(store, "load_log"))
    assert names(copy.database.path.parent) == ["copy.duckdb"]
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
