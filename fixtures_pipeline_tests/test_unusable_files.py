"""Files that are damaged, changed by hand, or somebody else's: a sentence, whoever meets them, and no change."""

import hashlib
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster import DagsterInstance, build_schedule_context, build_sensor_context

from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.errors import StoreError, StoreMissingError
from fixtures_pipeline.loading import load_days, open_store
from fixtures_pipeline.report.coverage import read_coverage
from fixtures_pipeline.report.write import write_report
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.questions import find_states
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline_tests.runs import FIRST, check_alone, failure_of, run
from fixtures_pipeline_tests.stores import rows_breaking, table

NOW = datetime(2025, 3, 20, 12, tzinfo=UTC)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def execute(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def readers(settings: Settings) -> dict[str, Callable[[], Any]]:
    """Return everything that reads the database, by name."""
    store = open_store(settings)
    return {
        "states": lambda: find_states(store, None),
        "report numbers": lambda: read_coverage(settings),
        "report": lambda: write_report(settings),
        **{f"frame of {name}": partial(store.dataframe, name) for name in COLUMNS},
        **{rule.name: partial(rows_breaking, store, rule, None, NOW) for rule in RULES},
    }


def tick(settings: Settings, instance: DagsterInstance) -> list[str | None]:
    """Return the reasons for which schedule and sensor skip."""
    definitions = build_definitions(settings)
    schedule = definitions.resolve_schedule_def("refresh_days_in_progress")
    sensor = definitions.resolve_sensor_def("retry_failed_days")
    return [
        schedule.evaluate_tick(build_schedule_context(scheduled_execution_time=NOW)).skip_message,
        sensor.evaluate_tick(build_sensor_context(instance=instance)).skip_message,
    ]


def assert_refused(settings: Settings, instance: DagsterInstance, words: str) -> None:
    """Assert that whoever meets the file says these words, and that nobody changes it."""
    before = digest(settings.database)
    for reader in readers(settings).values():
        with pytest.raises(StoreError, match=words) as caught:
            reader()
        assert not isinstance(caught.value, StoreMissingError)
        assert str(settings.database) in str(caught.value)
    assert all(words in (reason or "") for reason in tick(settings, instance))
    result = run(settings, instance, FIRST)
    assert not result.success
    assert words in failure_of(result)
    assert words in failure_of(check_alone(settings, instance, "unique_events"))
    assert digest(settings.database) == before


class TestAFileOfSomebodyElse:
    @pytest.mark.parametrize(
        ("statements", "words"),
        [
            (["CREATE TABLE customers (id INTEGER)"], "it has customers, but no store_info"),
            (
                ["CREATE TABLE fixtures (id INTEGER)", "CREATE TABLE a AS SELECT 1"],
                "it has a, fixtures, but no store_info",
            ),
            ([f"CREATE TABLE t{n} AS SELECT 1" for n in range(9)], "it has t0, t1, t2, …, but no store_info"),
            (["CREATE SCHEMA other", "CREATE TABLE other.orders (id INTEGER)"], "it has orders, but"),
            (["CREATE VIEW seen AS SELECT 1"], "it has seen, but no store_info"),
            (["CREATE VIEW store_info AS SELECT 1"], "store_info"),
            (["CREATE TABLE store_info (name VARCHAR)"], "has a table store_info that is not as this project"),
        ],
    )
    def test_is_refused_by_name_and_left_alone(
        self, statements: list[str], words: str, settings: Settings, instance: DagsterInstance
    ) -> None:
        execute(settings.database, *statements)
        assert_refused(settings, instance, words)

    @pytest.mark.parametrize("name", ["fixtures.duckdb", "fixtures.csv", "fixtures.json", "fixtures.parquet"])
    def test_of_another_kind_is_left_alone_whatever_its_name(
        self, name: str, settings: Settings, instance: DagsterInstance
    ) -> None:
        settings = settings.model_copy(update={"db": settings.database.with_name(name)})
        if name.endswith("parquet"):
            duckdb.execute(f"COPY (SELECT 1 AS a) TO '{settings.database}'")
        else:
            settings.database.write_text('{"a": 1}' if name.endswith("json") else "a,b\n1,2\n" * 1000)
        before = digest(settings.database)
        for read in readers(settings).values():
            with pytest.raises(StoreError):
                read()
        with pytest.raises(StoreError):
            list(load_days(settings, [FIRST]))
        assert digest(settings.database) == before

    def test_of_sqlite_is_left_alone_and_nothing_is_downloaded_for_it(
        self, settings: Settings, instance: DagsterInstance
    ) -> None:
        with sqlite3.connect(settings.database) as connection:
            connection.execute("CREATE TABLE customers (id INTEGER)")
        connection.close()
        assert_refused(settings, instance, "is another kind of file and is left alone")

    def test_with_its_own_tables_beside_this_projects_stays_usable(self, settings: Settings) -> None:
        list(load_days(settings, [FIRST]))
        execute(settings.database, "CREATE TABLE notes AS SELECT 1 AS a", "CREATE VIEW seen AS FROM fixtures")
        list(load_days(settings, [date(2025, 3, 2)]))
        assert len(table(open_store(settings), "fixture_days")) == 2
        assert len(table(open_store(settings), "notes")) == 1

    def test_that_has_no_tables_yet_becomes_this_projects(self, settings: Settings) -> None:
        execute(settings.database)
        with pytest.raises(StoreMissingError, match="is empty"):
            find_states(open_store(settings), None)
        list(load_days(settings, [FIRST]))
        assert len(table(open_store(settings), "fixture_days")) == 1


class TestAStoreInfo:
    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM store_info",
            "INSERT INTO store_info FROM store_info",
            "UPDATE store_info SET schema_version = 0",
            "UPDATE store_info SET schema_version = -3",
            "CREATE OR REPLACE TABLE store_info AS SELECT 1 AS schema_version, 'sofascore' AS provider",
            "CREATE OR REPLACE TABLE store_info AS SELECT 'x' AS schema_version, 'y' AS provider, 'UTC' AS timezone",
            "CREATE OR REPLACE TABLE store_info AS SELECT 1 AS schema_version, NULL AS provider, 'UTC' AS timezone",
            "CREATE OR REPLACE TABLE store_info AS SELECT 1 AS schema_version, 'sofascore' AS provider, 1 AS timezone",
        ],
    )  # fmt: skip
    def test_that_somebody_has_changed_is_a_sentence(
        self, statement: str, settings: Settings, instance: DagsterInstance
    ) -> None:
        list(load_days(settings, [FIRST]))
        execute(settings.database, statement)
        assert_refused(settings, instance, "has a table store_info that is not as this project leaves it")

    def test_that_is_gone_is_a_sentence(self, settings: Settings, instance: DagsterInstance) -> None:
        list(load_days(settings, [FIRST]))
        execute(settings.database, "DROP TABLE store_info")
        assert_refused(settings, instance, "but no store_info")


def test_a_table_that_somebody_has_changed_is_a_sentence(settings: Settings, instance: DagsterInstance) -> None:
    list(load_days(settings, [FIRST]))
    execute(settings.database, "ALTER TABLE fixtures RENAME TO renamed")
    with pytest.raises(StoreError, match="cannot be used"):
        find_states(open_store(settings), None)
    assert "cannot be used" in failure_of(run(settings, instance, FIRST))
    execute(settings.database, "ALTER TABLE renamed RENAME TO fixtures", "ALTER TABLE load_log DROP run_id")
    assert "cannot be used" in failure_of(run(settings, instance, FIRST))
    assert len(table(open_store(settings), "fixture_days")) == 1


def test_a_damaged_block_is_a_sentence_in_every_reader(settings: Settings, instance: DagsterInstance) -> None:
    list(load_days(settings, [FIRST, date(2025, 3, 2)]))
    whole = settings.database.read_bytes()
    sentences = set()
    # Blocks begin after three headers of 4 KB, and have 256 KB each.
    for block in range((len(whole) - 12_288) // 262_144):
        damaged = bytearray(whole)
        for at in range(12_288 + block * 262_144 + 8, 12_288 + block * 262_144 + 2_000):
            damaged[at] ^= 0xFF
        settings.database.write_bytes(damaged)
        for read in readers(settings).values():
            try:
                read()
            except StoreError as error:
                sentences.add(str(error))
        for reason in tick(settings, instance):
            sentences.add(str(reason))
        result = run(settings, instance, FIRST)
        if not result.success:
            assert "cannot be used" in failure_of(result)
        result = check_alone(settings, instance, "unique_events")
        if not result.success:
            assert "cannot be used" in failure_of(result)
    assert any("damaged, it seems: put a copy in its place" in sentence for sentence in sentences), sentences
