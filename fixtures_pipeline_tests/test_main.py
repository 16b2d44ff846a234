"""`make run`: what it loads before it serves the UI, and the sentences with which it ends instead."""

import signal
import socket
import time
from datetime import UTC, date, datetime
from itertools import takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from time_machine import TimeMachineFixture

from fixtures_pipeline.__main__ import _missing_days
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline_tests.fault_server import FaultServer, closed_port
from fixtures_pipeline_tests.processes import make_run, page_at, until
from fixtures_pipeline_tests.stores import fail, table


class TestTheDaysThatItLoads:
    """On 15 June 2025."""

    @pytest.fixture(autouse=True)
    def _today(self, time_machine: TimeMachineFixture) -> None:
        time_machine.move_to(datetime(2025, 6, 15, 12, tzinfo=UTC))

    def test_are_at_first_two_weeks_back_and_one_ahead(self, settings: Settings) -> None:
        assert _missing_days(settings) == [(date(2025, 6, 1), date(2025, 6, 22))]

    def test_begin_with_the_first_partition(self, settings: Settings) -> None:
        young = settings.model_copy(update={"start_date": date(2025, 6, 13)})
        assert _missing_days(young) == [(date(2025, 6, 13), date(2025, 6, 22))]

    def test_leave_out_those_that_were_asked_for_before(self, settings: Settings) -> None:
        fail(settings, date(2025, 6, 1), date(2025, 6, 15), date(2025, 6, 16))
        assert _missing_days(settings) == [
            (date(2025, 6, 2), date(2025, 6, 14)),
            (date(2025, 6, 17), date(2025, 6, 22)),
        ]

    def test_are_all_of_them_after_a_load_that_was_ended_early(self, settings: Settings) -> None:
        fail(settings, date(2025, 6, 15))
        assert _missing_days(settings, again=True) == [(date(2025, 6, 1), date(2025, 6, 22))]

    def test_are_those_that_a_free_plan_serves(self, settings: Settings) -> None:
        free = Settings.load(provider="api-football", db=settings.database)
        assert _missing_days(free) == [(date(2025, 6, 14), date(2025, 6, 16))]


def last_words(folder: Path, port: int, **settings: str) -> str:
    """Return what it says when it ends at once with an error."""
    with make_run(folder, port, **settings) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    return said


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = last_words(tmp_path, port)
    assert said == f"Port {port} on 127.0.0.1 cannot be used; choose another: make run PORT=3100\n"


def test_a_setting_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    said = last_words(tmp_path, closed_port(), FIXTURES_TIMEZONE="Mars/Olympus")
    assert said.startswith("FIXTURES_TIMEZONE cannot be used")
    assert len(said.splitlines()) == 1


def test_a_database_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "fixtures.duckdb").write_text("no database at all, and long enough to be looked at" * 100)
    said = last_words(tmp_path, closed_port())
    assert "fixtures.duckdb cannot be used" in said
    assert len(said.splitlines()) == 1


def test_ctrl_c_ends_a_load_without_a_word_and_the_next_start_does_it_again(api: FaultServer, tmp_path: Path) -> None:
    api.plan_any(lambda exchange: exchange.idle())
    with make_run(tmp_path, closed_port(), FIXTURES_PROVIDER="sofascore", FIXTURES_API_URL=api.url) as process:
        while not api.requests:
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert [line.split(" ")[0] for line in said.splitlines()] == ["Loading"]
    assert (tmp_path / "home" / "unfinished").exists()


@pytest.mark.slow
def test_from_nothing_to_a_served_page_and_the_end_by_ctrl_c(tmp_path: Path) -> None:
    port = closed_port()
    with make_run(tmp_path, port) as process:
        assert process.stderr is not None
        serving = f"Serving the UI on http://127.0.0.1:{port} until Ctrl-C.\n"
        said = list(takewhile(lambda line: line != serving, process.stderr))
        # The days that fail are meant to.
        assert [said[0].split(" ")[0], *("WARNING" in line for line in said[1:])] == ["Loading", *[True] * 5]
        store = FixtureStore(tmp_path / "fixtures.duckdb", PROVIDERS["sample"], ZoneInfo("UTC"))
        assert len(table(store, "fixture_days")) + len(table(store, "fixture_errors")) == 22
        assert "dagster_webserver_version" in until(lambda: page_at(f"http://127.0.0.1:{port}/server_info"), 120)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
