"""Files beside the database: whole or not there, each with a name of its own, and nothing that stays for ever."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from dagster import DagsterInstance
from hypothesis import given
from hypothesis import strategies as st

from fixtures_pipeline.errors import StoreError
from fixtures_pipeline.files import OLD, draft, sweep_drafts
from fixtures_pipeline.loading import load_days
from fixtures_pipeline.report.write import write_report
from fixtures_pipeline.settings import PROJECT_ROOT, Settings
from fixtures_pipeline_tests.conftest import Judged
from fixtures_pipeline_tests.days import MONDAY
from fixtures_pipeline_tests.fault_server import good_body
from fixtures_pipeline_tests.processes import Process, loader
from fixtures_pipeline_tests.runs import FIRST, run
from fixtures_pipeline_tests.stores import file_store_at, table
from fixtures_pipeline_tests.strategies import leisurely


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def make_old(path: Path) -> None:
    then = time.time() - OLD - 60
    for one in (*path.iterdir(), path) if path.is_dir() else (path,):
        os.utime(one, (then, then))


class TestADraft:
    def test_is_beside_its_place_until_it_is_moved_there(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "report.html"
        with draft(path) as unfinished:
            unfinished.write_text("whole")
            assert not path.exists()
            unfinished.replace(path)
        assert path.read_text() == "whole"
        assert names(path.parent) == {"report.html"}

    def test_goes_if_it_comes_to_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        path.write_text("old")
        with pytest.raises(ValueError, match="no"), draft(path) as unfinished:
            unfinished.write_text("half")
            raise ValueError("no")
        assert names(tmp_path) == {"report.html"}
        assert path.read_text() == "old"

    def test_of_a_killed_process_is_swept_an_hour_later(self, tmp_path: Path) -> None:
        path = tmp_path / "x[1].duckdb"
        for name in (".x[1].duckdb.unfinished-old", ".x[1].duckdb.unfinished-new", ".x1.duckdb.unfinished-old"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "x.duckdb").write_text("half")
        (tmp_path / ".x[1].duckdb.backup").mkdir()
        for name in names(tmp_path) - {".x[1].duckdb.unfinished-new"}:
            make_old(tmp_path / name)
        (tmp_path / ".x[1].duckdb.unfinished-file").write_text("not a folder")
        sweep_drafts(path)
        assert names(tmp_path) == {
            ".x[1].duckdb.unfinished-new",
            ".x[1].duckdb.unfinished-file",
            ".x1.duckdb.unfinished-old",
            ".x[1].duckdb.backup",
        }
        sweep_drafts(tmp_path / "nowhere" / "x.duckdb")

    def test_that_is_being_written_is_not_swept(self, tmp_path: Path) -> None:
        folder = tmp_path / ".x.duckdb.unfinished-1"
        folder.mkdir()
        (folder / "x.duckdb").write_text("half")
        make_old(folder)
        (folder / "x.duckdb").write_text("more")
        sweep_drafts(tmp_path / "x.duckdb")
        assert folder.exists()


def test_a_load_sweeps_what_killed_processes_left_of_database_report_and_copy(settings: Settings) -> None:
    settings = settings.model_copy(update={"snapshot": settings.database.parent / "copies" / "copy.duckdb"})
    assert settings.snapshot_file is not None
    left = []
    for path in (settings.database, settings.report_file, settings.snapshot_file):
        left.append(path.with_name(f".{path.name}.unfinished-x1y2"))
        left[-1].mkdir(parents=True)
        (left[-1] / path.name).write_text("half")
        make_old(left[-1])
    assert len(list(load_days(settings, [FIRST]))) == 1
    assert not any(folder.exists() for folder in left)


@contextmanager
def spilling(copy: Path) -> Iterator[Process]:
    """Have another process read the copy with so little memory that it needs the disk."""
    code = f"""
import duckdb, time
c = duckdb.connect({str(copy)!r}, read_only=True)
c.execute("SET memory_limit = '60MB'")
c.execute("SET enable_progress_bar = false")
c.execute("CREATE TEMP TABLE t AS SELECT range, hash(range), repeat('x', 50) FROM range(4000000)")
print("spilled", flush=True)
time.sleep(60)
"""
    with Process("-c", code, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "spilled\n"
        yield process


def test_a_reader_of_the_copy_that_needs_the_disk_holds_up_no_load_not_even_when_it_is_killed(
    settings: Settings, instance: DagsterInstance
) -> None:
    copy = settings.database.parent / "copy.duckdb"
    settings = settings.model_copy(update={"snapshot": copy})
    assert run(settings, instance, FIRST).success
    with spilling(copy):
        assert (copy.parent / "copy.duckdb.tmp").is_dir()
        assert run(settings, instance, FIRST + timedelta(days=1)).success
    # Leaving the context has killed it, and its folder has stayed.
    assert (copy.parent / "copy.duckdb.tmp").is_dir()
    assert run(settings, instance, FIRST + timedelta(days=2)).success
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM fixture_days").fetchall() == [(3,)]


def test_a_killed_copy_leaves_a_draft_at_most_and_the_next_ones_are_whole(tmp_path: Path) -> None:
    database, copy = tmp_path / "fixtures.duckdb", tmp_path / "copy.duckdb"
    for _ in range(8):
        with loader(database, MONDAY, 3, 50, str(copy)) as process:
            assert process.stdout is not None
            while process.stdout.readline() != "copied\n":
                pass
            time.sleep(0.03)
        with duckdb.connect(str(copy), read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM fixture_days").fetchall() != [(0,)]
    left = [path for path in tmp_path.iterdir() if ".unfinished-" in path.name]
    for path in left:
        make_old(path)
    sweep_drafts(copy)
    sweep_drafts(database)
    assert not any(path.exists() for path in left)
    assert not any(name.endswith(".tmp") for name in names(tmp_path))


class TestNamesBesideTheDatabase:
    @pytest.mark.parametrize(
        ("database", "requests", "report"),
        [
            ("data/sample.duckdb", "sample.requests.sqlite", "sample.coverage.html"),
            ("season.2024.duckdb", "season.2024.requests.sqlite", "season.2024.coverage.html"),
            ("season.2024", "season.2024-requests.sqlite", "season.2024-coverage.html"),
            ("season", "season-requests.sqlite", "season-coverage.html"),
            ("season.db", "season.db-requests.sqlite", "season.db-coverage.html"),
            (".duckdb", ".duckdb-requests.sqlite", ".duckdb-coverage.html"),
        ],
    )
    def test_are_made_of_its_own(self, database: str, requests: str, report: str) -> None:
        settings = Settings.load(db=database)
        folder = (PROJECT_ROOT / database).parent
        assert settings.requests_file == folder / requests
        assert settings.report_file == folder / report

    @given(stems=st.lists(st.text("ab.-", min_size=1, max_size=4), min_size=2, max_size=12, unique=True))
    @leisurely
    def test_are_shared_by_no_two_databases(self, stems: list[str]) -> None:
        ends = ("", ".duckdb", ".db", ".requests.sqlite.duckdb")
        databases = {f"x{stem.rstrip('.')}x{end}" for stem in stems for end in ends}
        loaded = [Settings.load(db=Path("/data") / name) for name in databases]
        beside = [path for one in loaded for path in (one.requests_file, one.report_file)]
        assert len({*beside, *(one.database for one in loaded)}) == 3 * len(databases)

    def test_are_as_they_were_for_the_databases_of_earlier_versions(self) -> None:
        settings = Settings.load(provider="sofascore", api_url="http://127.0.0.1:1")
        assert settings.requests_file.name == "sofascore.requests.sqlite"
        assert settings.report_file.name == "sofascore.coverage.html"

    def test_keep_two_seasons_apart(self, settings: Settings) -> None:
        seasons = [settings.model_copy(update={"db": settings.database.with_name(f"season.{n}")}) for n in (2024, 2025)]
        for number, season in enumerate(seasons):
            list(load_days(season, [FIRST + timedelta(days=number)]))
            write_report(season)
        assert names(settings.database.parent) >= {f"season.{n}-coverage.html" for n in (2024, 2025)}
        for number, season in enumerate(seasons):
            assert str(FIRST + timedelta(days=number)) in season.report_file.read_text(encoding="utf-8")


def test_what_is_said_of_a_full_disk_is_true(small_disk: Path, judged: Judged) -> None:
    store = file_store_at(small_disk / "fixtures.duckdb")
    days = [MONDAY + timedelta(days=n) for n in range(200)]
    stored = []
    with pytest.raises(StoreError, match="what was stored before is kept"):
        for day in days:
            store.put([judged(day, good_body(day, events=100))])
            stored.append(day)
    # Nothing can be moved from the log into the file now.
    with pytest.raises(StoreError, match=r"an older copy is as it was: .* what was stored before is kept"):
        store.database.copy(small_disk / "copy.duckdb")
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert [row["date"] for row in table(store, "fixture_days")] == stored
    assert names(small_disk) <= {"fixtures.duckdb", "fixtures.duckdb.wal"}
