"""Whose file it is and of which version: migrated if it is older, refused if it is newer or somebody else's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

import fixtures_pipeline
from fixtures_pipeline.errors import StoreError
from fixtures_pipeline.providers import PROVIDERS, SOURCES
from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline_tests.conftest import Judged, MakeFileStore
from fixtures_pipeline_tests.days import MONDAY, WEDNESDAY, failure
from fixtures_pipeline_tests.fault_server import good_body
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.processes import ROOT
from fixtures_pipeline_tests.stores import SOFASCORE, FileStore, query, table, tables

PACKAGE = Path(fixtures_pipeline.__file__).parent
MIGRATIONS = sorted((PACKAGE / "store" / "migrations").glob("*.sql"))
OLD_DATABASES = sorted((Path(__file__).parent / "old_databases").glob("version_*.sql"))


def test_a_file_of_another_provider_is_refused(store: FileStore, make_store: MakeFileStore) -> None:
    store.put([failure(MONDAY)])
    other = make_store("fixtures.duckdb", PROVIDERS["sample"])
    for ask in (lambda: other.put([failure(MONDAY)]), lambda: query(other, "SELECT 1")):
        with pytest.raises(StoreError, match="holds days of the provider sofascore"):
            ask()


def test_a_file_of_another_sport_is_refused(make_store: MakeFileStore) -> None:
    football, hockey = (SOURCES["openligadb", sport] for sport in ("football", "ice-hockey"))
    make_store("fixtures.duckdb", football).put([failure(MONDAY)])
    other = make_store("fixtures.duckdb", hockey)
    for ask in (lambda: other.put([failure(MONDAY)]), lambda: query(other, "SELECT 1")):
        with pytest.raises(StoreError, match="holds days of the provider openligadb; days of openligadb-ice-hockey do"):
            ask()


def test_a_file_of_another_time_zone_is_refused(store: FileStore, make_store: MakeFileStore) -> None:
    store.put([failure(MONDAY)])
    other = make_store("fixtures.duckdb", SOFASCORE, ZoneInfo("Europe/Istanbul"))
    for ask in (lambda: other.put([failure(MONDAY)]), lambda: query(other, "SELECT 1")):
        with pytest.raises(StoreError, match="holds days of the time zone UTC"):
            ask()


def test_a_file_is_written_in_the_format_of_duckdb_1_5(store: FileStore) -> None:
    """Whichever DuckDB writes it; later ones write formats of their own unless they are told."""
    store.put([failure(MONDAY)])
    with duckdb.connect(str(store.database.path)) as connection:
        [(tags,)] = connection.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert tags["storage_version"].startswith("v1.5")


def test_every_version_is_kept() -> None:
    assert len(OLD_DATABASES) == len(MIGRATIONS) > 0


@pytest.mark.parametrize("script", OLD_DATABASES, ids=lambda path: path.stem)
def test_an_old_database_is_brought_up_to_date(script: Path, store: FileStore) -> None:
    with duckdb.connect(str(store.database.path)) as connection:
        connection.execute(script.read_text())
    store.put([failure(WEDNESDAY)])
    for name, columns in COLUMNS.items():
        described = query(store, f"DESCRIBE {name}")
        types = [row["column_type"].replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") for row in described]
        assert [column.name for column in columns] == [row["column_name"] for row in described]
        assert [column.type for column in columns] == types
    assert [row["data_id"] for row in table(store, "fixture_days")] == ["20250303"]
    assert [row["event_id"] for row in table(store, "fixtures")] == [1, 2]
    assert [(row["data_id"], row["attempts"]) for row in table(store, "fixture_errors")] == [
        ("20250304", 2),
        ("20250305", 1),
    ]
    assert_rules(store)


class NewerProject:
    """A copy of this project that has one migration more."""

    def __init__(self, folder: Path, migration: str) -> None:
        self._folder = folder
        shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
        script = folder / PACKAGE.name / "store" / "migrations" / f"{len(MIGRATIONS) + 1:04}_more.sql"
        script.write_text(migration)

    def do(self, path: Path, *statements: str) -> str:
        """Execute statements about the `store` at `path`, and return what comes of it: what is printed."""
        code = "\n".join(
            [
                "import sys",
                "from pathlib import Path",
                "from fixtures_pipeline.errors import StoreError",
                "from fixtures_pipeline_tests.days import failure",
                "from fixtures_pipeline_tests.stores import store_at, table",
                "store = store_at(Path(sys.argv[1]))",
                "try:",
                *(f"    {statement}" for statement in statements),
                "except StoreError as error:",
                "    print('StoreError:', error)",
            ]
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            # Found in this order: the copy, then the tests.
            cwd=self._folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


class TestAMigration:
    """What becomes of this version's file when a newer version opens it."""

    def test_that_fails_leaves_the_old_version_working(self, store: FileStore, judged: Judged, tmp_path: Path) -> None:
        store.put([judged(MONDAY, good_body(MONDAY))])
        before = tables(store, "fixture_days", "fixtures", "load_log")
        broken = "ALTER TABLE load_log ADD COLUMN extra INTEGER; DELETE FROM fixtures; SELECT error('boom');"
        newer = NewerProject(tmp_path / "newer", broken)
        assert "StoreError" in newer.do(store.database.path, "store.put([failure()])")
        assert tables(store, "fixture_days", "fixtures", "load_log") == before
        store.put([failure(MONDAY)])
        assert_rules(store)

    def test_is_left_to_the_next_load_and_refused_by_the_old_version_afterwards(
        self, store: FileStore, judged: Judged, tmp_path: Path
    ) -> None:
        store.put([judged(MONDAY, good_body(MONDAY))])
        newer = NewerProject(tmp_path / "newer", "ALTER TABLE load_log ADD COLUMN extra INTEGER;")
        assert "written by an older version" in newer.do(store.database.path, "table(store, 'fixture_days')")
        loaded = "store.put([failure()])", "print(['extra' in row for row in table(store, 'load_log')])"
        assert newer.do(store.database.path, *loaded) == "[True, True]\n"
        for ask in (lambda: store.put([failure(MONDAY)]), lambda: query(store, "SELECT 1")):
            with pytest.raises(StoreError, match="written by a newer version of this project"):
                ask()
