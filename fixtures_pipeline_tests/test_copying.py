"""A copy of a store, from a file to Postgres and back, has every row, or is not there."""

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fixtures_pipeline.errors import StoreError, StoreMissingError
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import copying
from fixtures_pipeline.store.copying import copy_store
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline_tests.conftest import Judged
from fixtures_pipeline_tests.days import MONDAY, TUESDAY, WEDNESDAY, failure
from fixtures_pipeline_tests.fault_server import body_of, event, good_body, noon, own
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.processes import environment
from fixtures_pipeline_tests.shell import command
from fixtures_pipeline_tests.stores import TABLES, execute, place_of, store_at, tables

if TYPE_CHECKING:
    from fixtures_pipeline_tests.postgres_server import PostgresServer

THURSDAY = WEDNESDAY + timedelta(days=1)

Place = Callable[[str], FixtureStore]


@pytest.fixture(params=["file", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return a function that names a store of one kind which is not there yet."""
    if request.param == "file":
        return lambda name: store_at(tmp_path / f"{name}.duckdb")
    server: PostgresServer = request.getfixturevalue("postgres")
    return lambda name: store_at(server.create(name))


@pytest.fixture
def loaded(store: FixtureStore, judged: Judged) -> FixtureStore:
    """Return a file in which every table has rows."""
    store.put(
        [judged(MONDAY, good_body(MONDAY)), judged(TUESDAY, body_of([*own(TUESDAY, 3), event(7, noon(TUESDAY))]))]
    )
    store.put(
        [judged(MONDAY, body_of([*own(MONDAY, 4), event(7, noon(MONDAY))])), failure(WEDNESDAY), failure(TUESDAY)]
    )
    store.put([judged(TUESDAY, body_of([*own(TUESDAY, 2), event(8, None)])), judged(MONDAY, body_of(own(MONDAY, 3)))])
    store.put([judged(WEDNESDAY, body_of([*own(WEDNESDAY, 2), event(8, None)])), failure(MONDAY)])
    return store


def rows_of(store: FixtureStore) -> list[list[dict[str, Any]]]:
    found = tables(store, *TABLES)
    assert all(found)
    return found


def test_every_row_of_every_table_is_there_and_loading_goes_on(
    loaded: FixtureStore, place: Place, judged: Judged, tmp_path: Path
) -> None:
    there, back = place("there"), store_at(tmp_path / "back.duckdb")
    counts = copy_store(loaded.database, there.database)
    assert counts == {name: len(rows) for name, rows in zip(TABLES, rows_of(loaded), strict=True) if name in counts}
    assert set(counts) == set(TABLES) - {"store_info"}
    copy_store(there.database, back.database)
    assert rows_of(loaded) == rows_of(there) == rows_of(back)
    for store in (there, back):
        store.put([judged(MONDAY + timedelta(days=7), good_body(MONDAY + timedelta(days=7))), failure(TUESDAY)])
        assert_rules(store)


def test_many_days_are_copied_some_at_a_time(
    store: FixtureStore, place: Place, judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [MONDAY + timedelta(days=n) for n in range(40)]
    store.put([judged(day, good_body(day)) for day in days])
    read = copying._read
    sizes: list[int] = []

    def note(*asked: Any) -> list[tuple[Any, ...]]:
        rows = read(*asked)
        sizes.append(len(rows))
        return rows

    monkeypatch.setattr(copying, "_read", note)
    there = place("there")
    copy_store(store.database, there.database)
    assert tables(there, "fixtures") == tables(store, "fixtures")
    assert max(sizes) == 32 * 5


def test_what_postgres_does_not_read_is_there_as_a_load_would_leave_it(
    store: FixtureStore, postgres: "PostgresServer", judged: Judged, tmp_path: Path
) -> None:
    named = event(1, noon(MONDAY), homeTeam={"id": 1, "name": "a\0b"})
    store.put([judged(MONDAY, body_of([named, *own(MONDAY, 2)])), failure(TUESDAY, message="x\0y")])
    with store.database.writing() as session:
        for day, body in ((WEDNESDAY, '{"a": [1, 2,], }'), (THURSDAY, "[" * 20_000 + "]" * 20_000)):
            session.execute(
                """
                INSERT INTO fixture_errors
                SELECT $id, $day, $body, 0, false, $now, $now, 'sofascore', 'API_ERROR', 'It broke.', 500, 1, NULL, $now
                """,
                {"id": f"{day:%Y%m%d}", "day": day, "body": body, "now": datetime.now(UTC)},
            )
    there, back = store_at(postgres.create("there")), store_at(tmp_path / "back.duckdb")
    copy_store(store.database, there.database)
    errors = {row["date"]: row for row in tables(there, "fixture_errors")[0]}
    assert errors[TUESDAY]["error_message"] == "x\N{REPLACEMENT CHARACTER}y"
    assert errors[WEDNESDAY]["data"] == '{"a":[1,2]}'
    assert errors[THURSDAY]["data"] is None
    assert "a\N{REPLACEMENT CHARACTER}b" in {row["home_team"] for row in tables(there, "fixtures")[0]}
    assert tables(there, "fixture_days") == tables(store, "fixture_days"), "an answer is as it came"
    copy_store(there.database, back.database)
    assert tables(there, *TABLES) == tables(back, *TABLES)


def test_nothing_is_made_of_a_store_that_is_not_there(store: FixtureStore, place: Place) -> None:
    there = place("there")
    with pytest.raises(StoreMissingError, match="Nothing has been loaded yet"):
        copy_store(store.database, there.database)
    with pytest.raises(StoreMissingError):
        tables(there, "fixtures")


def test_a_store_that_has_days_is_left_alone(loaded: FixtureStore, place: Place) -> None:
    there = place("there")
    there.put([failure(MONDAY)])
    before = tables(there, *TABLES)
    with pytest.raises(StoreError, match="is left alone"):
        copy_store(loaded.database, there.database)
    assert tables(there, *TABLES) == before


def test_an_empty_schema_is_filled(loaded: FixtureStore, postgres: "PostgresServer") -> None:
    there = store_at(postgres.create("there"))
    there.put([])
    copy_store(loaded.database, there.database)
    assert rows_of(there) == rows_of(loaded)


def test_rows_that_break_a_key_are_named_and_nothing_is_copied(
    loaded: FixtureStore, postgres: "PostgresServer"
) -> None:
    execute(loaded, "INSERT INTO fixtures SELECT * FROM fixtures WHERE event_id = 8")
    there = store_at(postgres.create("there"))
    with pytest.raises(StoreError, match=r"refuses rows of fixtures between 2025-03-03 .* nothing was copied"):
        copy_store(loaded.database, there.database)
    assert not any(tables(there, *TABLES[:-1]))


def test_a_row_that_is_not_kept_as_it_is_undoes_the_copy(
    loaded: FixtureStore, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = copying._insert

    def lose(batch: Any, *others: Any) -> None:
        insert(batch._replace(rows=batch.rows[1:]), *others)

    monkeypatch.setattr(copying, "_insert", lose)
    there = place("there")
    with pytest.raises(StoreError, match="does not keep fixture_days between 2025-03-03 and 2025-03-05 as it is"):
        copy_store(loaded.database, there.database)
    monkeypatch.undo()
    copy_store(loaded.database, there.database)
    assert rows_of(there) == rows_of(loaded)


class TestTheCommand:
    """`python -m fixtures_pipeline copy FROM TO`."""

    @pytest.fixture
    def shell(self, settings: Settings, tmp_path: Path) -> dict[str, str]:
        return environment(settings, tmp_path / "home")

    def test_says_what_was_copied(self, shell: dict[str, str], loaded: FixtureStore, place: Place) -> None:
        there = place("there")
        code, said, complained = command(shell, "copy", place_of(loaded), place_of(there))
        assert (code, complained) == (0, "")
        assert said == f"{there.database.shown}: 3 days and 8 fixtures copied, every row of every table compared.\n"
        assert rows_of(there) == rows_of(loaded)

    def test_says_why_it_could_not_be_done(self, shell: dict[str, str], loaded: FixtureStore, place: Place) -> None:
        there = place("there")
        there.put([failure(MONDAY)])
        code, said, complained = command(shell, "copy", place_of(loaded), place_of(there))
        assert (code, said, complained.count("\n")) == (3, "", 1)
        code, said, complained = command({**shell, "FIXTURES_TIMEZONE": "Asia/Tokyo"}, "copy", place_of(loaded), "x")
        assert (code, said) == (3, "")
        assert "holds days of the time zone UTC" in complained

    @pytest.mark.parametrize(
        ("named", "complaint"),
        [
            (["a.duckdb", "a.duckdb"], "the same database"),
            (["a.duckdb", "postgresql://user:secret@host/db"], "a password in the address"),
            (["a.duckdb"], "required: TO"),
        ],
    )
    def test_wrong_use_is_code_2(self, shell: dict[str, str], named: list[str], complaint: str) -> None:
        code, said, complained = command(shell, "copy", *named)
        assert (code, said) == (2, "")
        assert complaint in complained
        assert "secret" not in complained

    def test_killed_leaves_no_half_store(self, shell: dict[str, str], loaded: FixtureStore, place: Place) -> None:
        there = place("there")
        code = """if True:
            import os, signal, sys
            from fixtures_pipeline.__main__ import main
            from fixtures_pipeline.store import copying
            insert = copying._insert
            def insert_and_die(batch, *others):
                insert(batch, *others)
                if batch.table == "load_log":
                    os.kill(os.getpid(), signal.SIGKILL)
            copying._insert = insert_and_die
            sys.exit(main(["copy", *sys.argv[1:]]))
        """
        started = [sys.executable, "-c", code, place_of(loaded), place_of(there)]
        assert subprocess.run(started, env=shell, check=False, timeout=60).returncode == -signal.SIGKILL
        try:
            left = tables(there, *TABLES[:-1])
        except StoreMissingError:
            left = []
        assert not any(left)
        copy_store(loaded.database, there.database)
        assert rows_of(there) == rows_of(loaded)
