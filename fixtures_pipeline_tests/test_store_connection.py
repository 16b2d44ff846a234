"""The file: anyone who holds it is waited for, then named; what cannot be used is reported and left as it is."""

from pathlib import Path

import duckdb
import pytest

from fixtures_pipeline.errors import StoreError, StoreLockedError, StoreMissingError
from fixtures_pipeline_tests.conftest import MakeFileStore
from fixtures_pipeline_tests.days import MONDAY, TUESDAY, failure
from fixtures_pipeline_tests.processes import holding
from fixtures_pipeline_tests.stores import FileStore, query, table


class TestTheFile:
    """Who may open it, and what is said when it cannot be used."""

    def test_is_not_made_by_reading(self, store: FileStore) -> None:
        with pytest.raises(StoreMissingError, match="Nothing has been loaded yet"):
            query(store, "SELECT 1")
        assert not store.database.path.exists()

    def test_that_is_empty_counts_as_none(self, store: FileStore) -> None:
        duckdb.connect(str(store.database.path)).close()
        with pytest.raises(StoreMissingError):
            query(store, "SELECT 1")

    def test_is_made_with_its_folder_and_leaves_nothing_else_there(self, make_store: MakeFileStore) -> None:
        store = make_store("folder/of/its own.duckdb")
        store.put([failure(MONDAY)])
        assert [path.name for path in store.database.path.parent.iterdir()] == ["its own.duckdb"]

    def test_whose_folder_cannot_be_made_is_named(self, make_store: MakeFileStore, tmp_path: Path) -> None:
        (tmp_path / "a file").touch()
        with pytest.raises(StoreError, match=r"The folder .+/a file cannot be created: \w"):
            make_store("a file/fixtures.duckdb").put([failure(MONDAY)])

    @pytest.mark.parametrize("name", ["fixtures.duckdb", "locks.duckdb"])
    def test_that_is_no_database_is_named_and_not_waited_for_whatever_its_name(
        self, make_store: MakeFileStore, name: str
    ) -> None:
        patient = make_store(name, lock_timeout=3600)
        patient.database.path.write_text("something else, and long enough to be looked at" * 100)
        with pytest.raises(StoreError, match=f"{name} cannot be used"):
            patient.put([failure(MONDAY)])

    def test_held_by_another_process_is_waited_for(self, store: FileStore) -> None:
        store.put([failure(MONDAY)])
        with holding(store.database.path, seconds=1.0):
            store.put([failure(TUESDAY)])
        assert len(table(store, "fixture_errors")) == 2

    def test_held_for_too_long_is_reported_with_who_holds_it(self, make_store: MakeFileStore) -> None:
        impatient = make_store(lock_timeout=0.3)
        impatient.put([failure(MONDAY)])
        with holding(impatient.database.path, seconds=30) as holder:
            for ask in (lambda: impatient.put([failure(MONDAY)]), lambda: table(impatient, "fixture_errors")):
                with pytest.raises(StoreLockedError, match=str(holder.pid)):
                    ask()

    def test_is_free_once_it_was_read_and_while_others_read(self, store: FileStore) -> None:
        store.put([failure(MONDAY)])
        frame = store.dataframe("fixture_errors")
        with holding(store.database.path, seconds=30, read_only=True):
            assert len(store.dataframe("fixture_errors")) == 1
        with holding(store.database.path, seconds=30):
            assert len(frame) == 1
