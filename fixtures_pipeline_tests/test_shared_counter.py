"""Runs on many machines keep one rate, one quota and the provider's pauses, by the server's clock."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine

from fixtures_pipeline.errors import StoreError
from fixtures_pipeline.loading import load_days
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.transport.failures import Broken
from fixtures_pipeline.transport.turns import Turns
from fixtures_pipeline_tests.days import MONDAY

if TYPE_CHECKING:
    from fixtures_pipeline_tests.postgres_server import PostgresServer

#: What a machine of its own does: it takes two turns.
TAKE_TWO = """
import sys, threading
from fixtures_pipeline.transport.turns import Turns
turns = Turns(2, None, sys.argv[1])
input()
for _ in range(2):
    assert turns.wait(threading.Event()) is None
turns.close()
"""


@pytest.fixture
def place(postgres: "PostgresServer") -> str:
    """Return what libpq connects by to a schema of the test's own."""
    postgres.create("counted")
    with postgres.connect("counted") as connection:
        connection.execute("CREATE SCHEMA sofascore")
    return f"{postgres.address('counted')}?options=-csearch_path%3Dsofascore%20-ctimezone%3DUTC"


@pytest.fixture
def turns(place: str) -> Iterator[Turns]:
    with closing(Turns(1000, 5, place)) as opened:
        yield opened


def take(turns: Turns) -> Broken | None:
    return turns.wait(threading.Event())


def test_four_processes_keep_one_rate(place: str) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", TAKE_TWO, place], stdin=subprocess.PIPE, text=True) for _ in range(4)
    ]
    with closing(Turns(2, None, place)) as turns:
        assert take(turns) is None
        begun = time.monotonic()
        for process in started:
            process.communicate("\n", timeout=60)
        taken = time.monotonic() - begun
    assert [process.returncode for process in started] == [0] * 4
    # Nine turns, two a second.
    assert taken > 3.4


def test_a_pause_holds_on_every_machine(turns: Turns, place: str) -> None:
    with closing(Turns(1000, 5, place)) as elsewhere:
        turns.hold(1)
        turns.hold(0.1)
        begun = time.monotonic()
        assert take(elsewhere) is None
        assert time.monotonic() - begun > 0.9


@pytest.mark.parametrize("ahead", [timedelta(hours=-1), timedelta(hours=1)])
def test_it_does_not_matter_what_time_a_machine_has(ahead: timedelta, turns: Turns, place: str) -> None:
    with time_machine.travel(datetime.now(UTC) + ahead, tick=True), closing(Turns(1000, 5, place)) as elsewhere:
        assert [take(elsewhere) for _ in range(4)] == [None] * 4
        elsewhere.hold(0.5)
    begun = time.monotonic()
    assert take(turns) is None
    assert time.monotonic() - begun > 0.3
    spent = take(turns)
    assert isinstance(spent, Broken)
    assert "the 5 requests within 24 hours" in spent.seen
    assert spent.retry_at is not None
    assert timedelta(hours=23) < datetime.fromtimestamp(spent.retry_at, UTC) - datetime.now(UTC) < timedelta(hours=25)


def test_turns_and_pauses_of_a_servers_clock_that_was_ahead_count_for_nothing(
    turns: Turns, postgres: "PostgresServer"
) -> None:
    turns.hold(60)
    with postgres.connect("counted") as connection:
        connection.execute(
            "UPDATE sofascore.request_pauses SET asked_at = now() + '1 year', ends_at = now() + '2 years'"
        )
        for name in ("1000_ms", "86400000_ms"):
            connection.execute(
                f"INSERT INTO sofascore.ratelimit___requests_in_{name} "
                "SELECT 'requests', 1, now() + INTERVAL '1 year' FROM generate_series(1, 1000)"
            )
    assert [take(turns) for _ in range(3)] == [None] * 3


def test_whoever_has_no_patience_counts_as_well(place: str) -> None:
    with closing(Turns(1000, 5, place, patience=0)) as turns:
        assert [take(turns) for _ in range(5)] == [None] * 5


def test_turns_go_on_after_the_server_has_ended_the_connections(turns: Turns, postgres: "PostgresServer") -> None:
    with postgres.connect("counted") as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = 'counted' AND pid <> pg_backend_pid()"
        )
    assert take(turns) is None


def test_a_server_that_cannot_be_reached_is_a_sentence() -> None:
    with pytest.raises(StoreError, match="The database in FIXTURES_DB, where requests are counted, cannot be used"):
        Turns(1, None, "postgresql://postgres@127.0.0.1:1/none", patience=0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pool-")]


def test_a_load_counts_its_requests_in_the_schema(settings: Settings, postgres: "PostgresServer") -> None:
    shared = settings.model_copy(update={"db": postgres.create("counted")})
    assert [len(batch) for batch in load_days(shared, [MONDAY])] == [1]
    with postgres.connect("counted") as connection:
        [(kept,)] = connection.execute("SELECT count(*) FROM sofascore.request_pauses").fetchall()
        assert kept == 0
        rates = connection.execute(
            "SELECT relname FROM pg_class WHERE relname LIKE 'ratelimit%' AND relnamespace = 'sofascore'::regnamespace"
        ).fetchall()
    assert len(rates) == 1
    assert not settings.requests_file.exists()
    assert not shared.requests_file.exists()
