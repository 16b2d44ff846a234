"""A database of every version that was ever released is brought up to date by the next load, its data intact."""

from pathlib import Path

import duckdb
import pytest

from fixtures_pipeline.outcome import DayFailed, ErrorType
from fixtures_pipeline.store import FixtureStore
from fixtures_pipeline.tables import COLUMNS
from fixtures_pipeline_tests.conftest import table
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.test_store import WEDNESDAY

SCRIPTS = sorted((Path(__file__).parent / "old_databases").glob("version_*.sql"))
MIGRATIONS = sorted((Path(__file__).parents[1] / "fixtures_pipeline" / "migrations").glob("*.sql"))


def test_every_version_is_kept() -> None:
    assert len(SCRIPTS) == len(MIGRATIONS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_old_database_is_brought_up_to_date(script: Path, store: FixtureStore) -> None:
    with duckdb.connect(str(store.path)) as connection:
        connection.execute(script.read_text())
    store.load([DayFailed(WEDNESDAY, ErrorType.API_ERROR, "It broke.")])
    for name, columns in COLUMNS.items():
        described = store.query(f"DESCRIBE {name}")
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
