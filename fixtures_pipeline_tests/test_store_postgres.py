"""What is Postgres's alone: the lock, the clock, the schema, what it refuses, and every way in which it fails."""

import json
import os
import random
import shutil
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import time_machine

from fixtures_pipeline.dagster.assets import specify_tables
from fixtures_pipeline.errors import ErrorType, StoreError, StoreLockedError, StoreMissingError
from fixtures_pipeline.outcome import DayFailed, DayLoaded, Stored
from fixtures_pipeline.providers import SOURCES
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import schema
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.session import WritingSession
from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline.transport.turns import Turns
from fixtures_pipeline_tests.conftest import Judged, MakeFileStore, disk_of_two_megabytes
from fixtures_pipeline_tests.days import MONDAY, TUESDAY, failure
from fixtures_pipeline_tests.fault_server import body_of, closed_port, event, good_body, noon
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.pooled_postgres import find_missing, serve_pooled
from fixtures_pipeline_tests.processes import Process, until
from fixtures_pipeline_tests.stores import SOFASCORE, execute, place_of, query, store_at, table, tables

if TYPE_CHECKING:
    from fixtures_pipeline_tests.postgres_server import PostgresServer


@pytest.fixture
def store(postgres: "PostgresServer") -> FixtureStore:
    """Return an empty store in a database of the test's own."""
    return store_at(postgres.create("fixtures"))


def say(store: FixtureStore, do: Callable[[], Any] | None = None) -> str:
    """Return the sentence with which a load, or something else, ends."""
    with pytest.raises(StoreError) as caught:
        (do or (lambda: store.put([failure(MONDAY)])))()
    said = str(caught.value)
    assert said.startswith(f"{store.database.shown} ")
    assert said.endswith(".")
    return said


@contextmanager
def writer(store: FixtureStore, run_id: str = "4f1a0c3e-run") -> Iterator[WritingSession]:
    """Hold the store as a run does that is about to write."""
    with store.database.writing() as session, session.transaction():
        session.lock(run_id)
        yield session


def start_waiting(store: FixtureStore, server: "PostgresServer") -> "Future[list[Stored]]":
    """Put a failure while another holds the store: it waits within its transaction."""
    threads = ThreadPoolExecutor(1)
    future = threads.submit(store.put, [failure(MONDAY)])
    threads.shutdown(wait=False)
    with server.connect("postgres") as watching:
        until(lambda: watching.execute(f"SELECT 1 {_WAITING}").fetchall(), 10)
    return future


_WAITING = "FROM pg_stat_activity WHERE wait_event = 'advisory'"


class TestTheTables:
    def test_have_the_columns_and_types_that_the_file_has(self, store: FixtureStore) -> None:
        store.put([])
        rows = query(
            store,
            """
            SELECT relname, attname, format_type(atttypid, atttypmod) AS kind
            FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
            WHERE relnamespace = to_regnamespace('sofascore') AND attnum > 0 AND relkind IN ('r', 'v')
            ORDER BY relname, attnum
            """,
        )
        names = {"character varying": "VARCHAR", "text": "VARCHAR", "timestamp with time zone": "TIMESTAMPTZ"}
        made: dict[str, list[tuple[str, str]]] = {}
        for row in rows:
            made.setdefault(row["relname"], []).append((row["attname"], names.get(row["kind"], row["kind"].upper())))
        assert {name: made[name] for name in COLUMNS} == {
            name: [(column.name, column.type) for column in columns] for name, columns in COLUMNS.items()
        }

    def test_are_in_a_schema_for_each_provider_and_sport(self, postgres: "PostgresServer") -> None:
        address = postgres.create("fixtures")
        hockey = SOURCES["openligadb", "ice-hockey"]
        for provider in (SOFASCORE, hockey):
            store_at(address, provider).put([failure(MONDAY)])
        with postgres.connect("fixtures") as connection:
            for schema in ("sofascore", "openligadb_ice_hockey"):
                [(number,)] = connection.execute(f"SELECT count(*) FROM {schema}.fixture_errors").fetchall()
                assert number == 1

    def test_are_not_made_by_who_reads(self, store: FixtureStore) -> None:
        with pytest.raises(StoreMissingError, match="Nothing has been loaded yet"):
            query(store, "SELECT 1")
        store.put([])
        assert table(store, "fixture_days") == []

    def test_appear_all_at_once_or_not_at_all(self, store: FixtureStore, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patched:
            first, *_ = schema._read_migrations("postgres")
            patched.setattr(schema, "_read_migrations", lambda _: [first, "DROP TABLE no_such_table"])
            say(store)
        with pytest.raises(StoreMissingError):
            query(store, "SELECT 1")
        assert len(store.put([failure(MONDAY)])) == 1

    def test_are_made_once_by_many_at_a_time(self, store: FixtureStore) -> None:
        with ThreadPoolExecutor(4) as threads:
            stored = list(threads.map(lambda n: store.put([failure(MONDAY + timedelta(days=n))]), range(4)))
        assert len(stored) == len(table(store, "fixture_errors")) == 4


def test_what_is_told_of_a_day_is_the_same_as_with_a_file(
    store: FixtureStore, make_file_store: MakeFileStore, judged: Judged
) -> None:
    """The versions that Dagster shows, too: a store can be moved, and nothing looks changed."""
    moved = {**event(1, noon(MONDAY)), "startTimestamp": noon(TUESDAY)}
    loads = [
        [judged(MONDAY, body_of([event(n, noon(MONDAY)) for n in (1, 2, 3)])), failure(TUESDAY)],
        [judged(TUESDAY, body_of([moved, *(event(n, noon(TUESDAY)) for n in (4, 5))]))],
        [judged(MONDAY, body_of([event(n, noon(MONDAY)) for n in (2, 3)]))],
    ]

    def told(one: FixtureStore) -> list[Any]:
        stored = [stored for load in loads for stored in one.put(load)]
        made = one.replay([MONDAY, TUESDAY])
        return [
            [
                (s.days_version, s.fixtures_version, s.state.fixtures, s.attempts, s.healed, dict(s.rows))
                for s in stored
            ],
            [(m.version, m.changes, m.total, list(m.first), list(m.competitions)) for m in made],
        ]

    assert told(store) == told(make_file_store())


def test_dagster_shows_where_the_tables_are(postgres: "PostgresServer") -> None:
    settings = Settings.load(db=postgres.address("sports"), provider="openligadb", sport="ice-hockey")
    for spec in specify_tables(settings):
        assert spec.kinds == {"postgres", "table"}
        assert spec.metadata["dagster/table_name"] == f"sports.openligadb_ice_hockey.{spec.key.to_user_string()}"


class TestWhatPostgresDoesNotTake:
    def test_nul_in_a_name_is_replaced(self, store: FixtureStore, judged: Judged) -> None:
        named = {**event(1, noon(MONDAY)), "homeTeam": {"id": 1, "name": "A\0B"}}
        store.put([judged(MONDAY, body_of([named, event(2, noon(MONDAY))]))])
        assert {row["home_team"] for row in table(store, "fixtures")} == {"A\N{REPLACEMENT CHARACTER}B", "Home"}
        [day] = table(store, "fixture_days")
        assert json.loads(day["data"])[0]["homeTeam"]["name"] == "A\0B"
        assert_rules(store)

    def test_nul_in_a_message_is_replaced(self, store: FixtureStore) -> None:
        store.put([failure(MONDAY, message="A\0B.")])
        for name in ("fixture_errors", "load_log"):
            assert [row["error_message"] for row in table(store, name)] == ["A\N{REPLACEMENT CHARACTER}B."]

    def test_a_trailing_comma_in_a_refused_body_is_left_out(self, store: FixtureStore) -> None:
        store.put([replace(failure(MONDAY), body=b'{"error": [1, 2,],}')])
        assert [row["data"] for row in table(store, "fixture_errors")] == ['{"error":[1,2]}']

    def test_a_body_of_20_000_levels_is_left_out(self, store: FixtureStore) -> None:
        body = b"[" * 20_000 + b"]" * 20_000
        [stored, other] = store.put([replace(failure(MONDAY), body=body), failure(TUESDAY)])
        assert stored.attempts == other.attempts == 1
        assert [row["data"] is None for row in table(store, "fixture_errors")] == [True, False]

    def test_an_answer_with_20_000_levels_is_an_integrity_error(self, store: FixtureStore, judged: Judged) -> None:
        store.put([judged(MONDAY, good_body(MONDAY))])
        before = tables(store, "fixture_days", "fixtures")
        deep = b'{"events": [' + b"[" * 20_000 + b"]" * 20_000 + b"]}"
        stored = store.put([DayLoaded(MONDAY, deep, 1, in_progress=False), judged(TUESDAY, good_body(TUESDAY))])
        assert [type(one.outcome).__name__ for one in stored] == ["DayFailed", "DayLoaded"]
        assert isinstance(stored[0].outcome, DayFailed)
        assert stored[0].outcome.error_type == ErrorType.INTEGRITY_ERROR
        kept = [[row for row in rows if row["date"] == MONDAY] for rows in tables(store, "fixture_days", "fixtures")]
        assert kept == before


class TestTheLock:
    def test_that_is_held_too_long_is_a_sentence_with_the_holder(self, store: FixtureStore) -> None:
        store.put([])
        impatient = store_at(place_of(store), lock_timeout=0.2)
        with writer(store), pytest.raises(StoreLockedError) as caught:
            impatient.put([failure(MONDAY)])
        said = str(caught.value)
        assert "has been kept by fixtures_pipeline run 4f1a0c3e on " in said
        assert "from 127.0.0.1) since " in said
        assert "FIXTURES_LOCK_TIMEOUT (0.2 seconds)" in said
        assert "pg_terminate_backend(" in said
        assert table(store, "fixture_errors") == []

    def test_of_somebody_elses_on_a_table_is_a_sentence_too(
        self, store: FixtureStore, postgres: "PostgresServer"
    ) -> None:
        store.put([])
        impatient = store_at(place_of(store), lock_timeout=0.2)
        with postgres.connect("fixtures", application_name="a BI tool") as other, other.transaction():
            other.execute("LOCK sofascore.load_log IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreLockedError, match=r"kept by a BI tool \(process"):
                impatient.put([failure(MONDAY)])

    def test_is_not_said_to_be_a_vacuums(self, store: FixtureStore, postgres: "PostgresServer") -> None:
        store.put([])
        impatient = store_at(place_of(store), lock_timeout=0.2)
        with postgres.connect("fixtures") as other, other.transaction():
            other.execute("LOCK sofascore.fixtures IN SHARE UPDATE EXCLUSIVE MODE")
            with writer(store), pytest.raises(StoreLockedError, match=r"kept by .* 4f1a0c3e "):
                impatient.put([failure(MONDAY)])

    def test_in_another_database_of_the_server_is_nobodys_here(
        self, store: FixtureStore, postgres: "PostgresServer"
    ) -> None:
        other = store_at(postgres.create("others"))
        for one in (store, other):
            one.put([])
        impatient = store_at(place_of(store), lock_timeout=0.2)
        with writer(other, "elsewhere"), writer(store), pytest.raises(StoreLockedError, match=r"kept by .* 4f1a0c3e "):
            impatient.put([failure(MONDAY)])

    @pytest.mark.parametrize("isolation", ["read committed", "serializable"])
    def test_is_waited_for_and_what_was_committed_meanwhile_is_seen(
        self, isolation: str, store: FixtureStore, postgres: "PostgresServer"
    ) -> None:
        store.put([failure(MONDAY)])
        with postgres.connect("fixtures") as connection:
            connection.execute(f"ALTER DATABASE fixtures SET default_transaction_isolation = '{isolation}'")
        with writer(store) as session:
            future = start_waiting(store, postgres)
            session.execute("UPDATE fixture_errors SET attempts = 41")
        [stored] = future.result(10)
        assert stored.attempts == 42

    def test_is_not_waited_for_by_who_is_leaving(self, store: FixtureStore, postgres: "PostgresServer") -> None:
        patient = store_at(place_of(store), lock_timeout=600)
        store.put([])
        with writer(store):
            future = start_waiting(patient, postgres)
            patient.database.leaving.set()
            with pytest.raises(StoreLockedError):
                future.result(10)

    def test_keeps_no_reader_out(self, store: FixtureStore) -> None:
        store.put([failure(MONDAY)])
        with writer(store):
            assert len(table(store_at(place_of(store), lock_timeout=0.1), "fixture_errors")) == 1

    def test_of_another_provider_is_another(self, store: FixtureStore) -> None:
        store.put([])
        other = store_at(place_of(store), SOURCES["sample", "football"], lock_timeout=0.1)
        with writer(store):
            assert len(other.put([failure(MONDAY)])) == 1

    def test_dies_with_who_holds_it(self, store: FixtureStore) -> None:
        store.put([])
        code = (
            "import sys, time; from fixtures_pipeline_tests.stores import store_at\n"
            "from fixtures_pipeline_tests.test_store_postgres import writer\n"
            "with writer(store_at(sys.argv[1])): print('held', flush=True); time.sleep(600)"
        )
        with Process("-c", code, place_of(store), stdout=-1) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            process.kill()
            assert len(store.put([failure(MONDAY)])) == 1

    def test_of_who_does_nothing_is_given_up_by_the_server(
        self, store: FixtureStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.put([])
        monkeypatch.setattr("fixtures_pipeline.store.postgres._IDLE", 1)
        patient = store_at(place_of(store), lock_timeout=30)

        def hold() -> None:
            with writer(store):
                assert len(patient.put([failure(MONDAY)])) == 1

        assert "This process did nothing for " in say(store, hold)


def test_who_is_stopped_while_it_counts_a_request_keeps_nobody_from_counting(
    store: FixtureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put([])
    monkeypatch.setattr("fixtures_pipeline.store.postgres._IDLE", 1)
    place = getattr(store.database, "connected_by")  # noqa: B009
    with closing(Turns(1000, None, place)) as turns, closing(psycopg.connect(place)) as stopped:
        stopped.execute("LOCK ratelimit___requests_in_1000_ms IN EXCLUSIVE MODE")
        enough = threading.Timer(20, (stop := threading.Event()).set)
        enough.start()
        assert turns.wait(stop) is None
        enough.cancel()


class TestTheClock:
    HOUR = timedelta(hours=1)

    @pytest.mark.parametrize("apart", [HOUR, -HOUR])
    def test_of_a_machine_an_hour_apart_decides_nothing(
        self, apart: timedelta, store: FixtureStore, judged: Judged
    ) -> None:
        """What was asked for later wins, and all moments are the server's."""
        begun = datetime.now(UTC)
        with time_machine.travel(begun + apart, tick=True):
            wrong = replace(judged(MONDAY, good_body(MONDAY, events=3)), fetched_at=datetime.now(UTC))
            store.put([wrong])
        right = replace(judged(MONDAY, good_body(MONDAY, events=4)), fetched_at=datetime.now(UTC))
        [stored] = store.put([right])
        assert not stored.stale
        with time_machine.travel(datetime.now(UTC) + apart, tick=True):
            later = replace(judged(MONDAY, good_body(MONDAY, events=5)), fetched_at=datetime.now(UTC))
            [stored] = store.put([later])
        assert not stored.stale
        assert stored.state.fixtures == 5
        ended = datetime.now(UTC)
        [day] = table(store, "fixture_days")
        moments = [day[name] for name in ("created_at", "fetched_at", "updated_at")]
        moments += [row["at"] for row in table(store, "load_log")]
        assert all(begun - timedelta(seconds=5) <= moment <= ended + timedelta(seconds=5) for moment in moments)
        assert_rules(store)

    def test_that_is_right_changes_no_moment(self, store: FixtureStore, judged: Judged) -> None:
        asked = datetime(2025, 3, 4, 12, tzinfo=UTC)
        store.put([replace(judged(MONDAY, good_body(MONDAY)), fetched_at=asked)])
        assert [row["fetched_at"] for row in table(store, "fixture_days")] == [asked]


class TestADatabaseThatCannotBeUsed:
    """Each is a sentence that says what to do, and nothing is half done."""

    def test_nobody_answers(self) -> None:
        store = store_at(f"postgresql://127.0.0.1:{closed_port()}/fixtures")
        assert "Check that the server runs, and the host and port in FIXTURES_DB." in say(store)
        assert "Check that the server runs" in say(store, lambda: query(store, "SELECT 1"))

    def test_there_is_no_such_host(self) -> None:
        assert "the host and port in FIXTURES_DB" in say(store_at("postgresql://no-such-host.invalid/fixtures"))

    def test_there_is_no_such_database(self, postgres: "PostgresServer") -> None:
        assert "Create the database (createdb)" in say(store_at(postgres.address("nowhere")))

    @pytest.mark.parametrize("password", [None, "guessed-secret"])
    def test_the_password_is_wrong(
        self, password: str | None, postgres: "PostgresServer", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if password:
            monkeypatch.setenv("PGPASSWORD", password)
        monkeypatch.setenv("PGPASSFILE", os.devnull)
        postgres.create("fixtures")
        said = say(store_at(postgres.address("fixtures", "guarded")))
        assert "PGPASSWORD" in said
        assert "PGPASSFILE" in said
        assert "guessed" not in said

    def test_the_password_is_right(self, postgres: "PostgresServer", monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGPASSWORD", "a-secret")
        postgres.create("fixtures")
        with postgres.connect("fixtures") as connection:
            connection.execute("GRANT CREATE ON DATABASE fixtures TO guarded")
        assert len(store_at(postgres.address("fixtures", "guarded")).put([failure(MONDAY)])) == 1

    def test_the_role_may_make_no_schema(self, postgres: "PostgresServer") -> None:
        postgres.create("fixtures")
        assert "CREATE on the database for the first load" in say(store_at(postgres.address("fixtures", "nobody")))

    def test_the_role_may_not_write(self, store: FixtureStore, postgres: "PostgresServer") -> None:
        store.put([failure(MONDAY)])
        with postgres.connect("fixtures") as connection:
            connection.execute("GRANT USAGE ON SCHEMA sofascore TO nobody")
            connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA sofascore TO nobody")
        reader = store_at(postgres.address("fixtures", "nobody"))
        assert len(table(reader, "fixture_errors")) == 1
        assert "The role needs more rights" in say(reader)
        assert len(table(store, "load_log")) == 1

    def test_the_role_may_not_read(self, store: FixtureStore, postgres: "PostgresServer") -> None:
        store.put([failure(MONDAY)])
        reader = store_at(postgres.address("fixtures", "nobody"))
        assert "The role needs more rights" in say(reader, lambda: query(reader, "SELECT 1"))

    def test_a_newer_version_wrote_it(self, store: FixtureStore) -> None:
        store.put([])
        execute(store, "UPDATE store_info SET schema_version = 99")
        for do in (None, lambda: query(store, "SELECT 1")):
            assert "was written by a newer version of this project" in say(store, do)
            assert "name another database in FIXTURES_DB" in say(store, do)

    def test_it_holds_days_of_another_provider(self, store: FixtureStore) -> None:
        store.put([])
        execute(store, "UPDATE store_info SET provider = 'openligadb'")
        assert "holds days of the provider openligadb" in say(store)

    def test_it_holds_days_of_another_time_zone(self, store: FixtureStore) -> None:
        store.put([])
        other = store_at(place_of(store), SOFASCORE, ZoneInfo("Europe/Istanbul"))
        assert "holds days of the time zone UTC, and FIXTURES_TIMEZONE is Europe/Istanbul" in say(other)

    def test_another_time_zone_has_made_it_meanwhile(self, store: FixtureStore, postgres: "PostgresServer") -> None:
        other = store_at(place_of(store), SOFASCORE, ZoneInfo("Europe/Istanbul"))
        with postgres.connect("fixtures", options="-c search_path=sofascore") as connection:
            connection.execute("CREATE SCHEMA sofascore")
            connection.execute("SELECT pg_advisory_lock(hashtext('fixtures_pipeline'), hashtext('sofascore'))")
            future = start_waiting(other, postgres)
            scripts = schema._read_migrations("postgres")
            made = f"INSERT INTO store_info VALUES ({len(scripts)}, 'sofascore', 'UTC')"
            for script in (schema._STORE_INFO, made, *scripts):
                connection.execute(script.encode())
        assert "holds days of the time zone UTC" in say(other, future.result)

    def test_its_schema_is_somebody_elses(self, store: FixtureStore, postgres: "PostgresServer") -> None:
        with postgres.connect("fixtures") as connection:
            connection.execute("CREATE SCHEMA sofascore")
            connection.execute("CREATE TABLE sofascore.notes AS SELECT 1 AS a")
        said = "is not a database of this project and is left alone: it has notes, but no store_info"
        assert said in say(store)
        assert said in say(store, lambda: query(store, "SELECT 1"))

    def test_the_server_is_too_old(self, store: FixtureStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fixtures_pipeline.store.postgres.OLDEST", 99)
        assert "the oldest that this project was tried with is 99" in say(store)

    def test_it_is_not_in_utf8(self, postgres: "PostgresServer") -> None:
        with postgres.connect("postgres") as connection:
            connection.execute("DROP DATABASE IF EXISTS latin")
            connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        assert "ENCODING 'UTF8'" in say(store_at(postgres.address("latin")))

    def test_it_may_only_be_read(self, store: FixtureStore, postgres: "PostgresServer") -> None:
        store.put([])
        with postgres.connect("fixtures") as connection:
            connection.execute("ALTER DATABASE fixtures SET default_transaction_read_only = on")
        assert "name the primary server in FIXTURES_DB" in say(store)

    def test_it_is_a_pool_that_drops_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        if missing := find_missing():
            pytest.skip(missing)
        with serve_pooled() as served:
            monkeypatch.setenv("PGPASSFILE", str(served.passwords))
            ports = (served.pooled, served.direct)
            pooled, direct = (store_at(f"postgresql://fixtures@127.0.0.1:{port}/fixtures") for port in ports)
            assert "Name Postgres itself in FIXTURES_DB" in say(pooled)
            with pytest.raises(StoreMissingError):
                query(direct, "SELECT 1")

    def test_somebody_has_dropped_a_table(self, store: FixtureStore) -> None:
        store.put([])
        execute(store, "DROP TABLE load_log")
        assert "Somebody has changed its tables" in say(store)

    def test_the_connection_is_cut_within_the_transaction(
        self, store: FixtureStore, postgres: "PostgresServer"
    ) -> None:
        store.put([])
        with writer(store):
            future = start_waiting(store, postgres)
            with postgres.connect("postgres") as connection:
                connection.execute(f"SELECT pg_terminate_backend(pid) {_WAITING}")
            assert "The connection was cut" in say(store, future.result)
        assert table(store, "load_log") == []
        store.put([failure(MONDAY)])

    @pytest.mark.parametrize("at_once", [False, True])
    def test_the_server_is_restarted_in_the_middle(
        self, at_once: bool, store: FixtureStore, postgres: "PostgresServer", judged: Judged
    ) -> None:
        store.put([judged(MONDAY, good_body(MONDAY))])
        before = tables(store, "fixture_days", "fixtures", "load_log")

        def lose() -> None:
            with writer(store):
                future = start_waiting(store, postgres)
                postgres.stop(at_once=at_once)
                try:
                    assert "start the run again" in say(store, future.result)
                finally:
                    postgres.start()

        with pytest.raises(StoreError):
            lose()
        assert tables(store, "fixture_days", "fixtures", "load_log") == before
        store.put([failure(MONDAY)])
        assert_rules(store)

    def test_its_disk_is_full(self, store: FixtureStore, postgres: "PostgresServer", judged: Judged) -> None:
        store.put([judged(MONDAY, good_body(MONDAY))])
        disk = postgres.folder / "disk"
        noise = random.Random(1)

        def fill() -> None:
            for n in range(1, 200):
                day = MONDAY + timedelta(days=n)
                name = b64encode(noise.randbytes(45_000)).decode()
                store.put([judged(day, good_body(day, homeTeam={"id": 1, "name": name}))])

        with disk_of_two_megabytes(disk), postgres.connect("fixtures") as connection:
            shutil.chown(disk, disk.parent.owner(), disk.parent.group())
            connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            connection.execute("ALTER TABLE sofascore.fixture_days SET TABLESPACE small")
            before = tables(store, "fixture_days", "fixtures")
            try:
                assert "The server's disk is full" in say(store, fill)
                now = tables(store, "fixture_days", "fixtures")
                assert [[row for row in rows if row["date"] == MONDAY] for rows in now] == before
                assert_rules(store)
            finally:
                connection.execute("DROP SCHEMA sofascore CASCADE")
                connection.execute("DROP TABLESPACE small")
