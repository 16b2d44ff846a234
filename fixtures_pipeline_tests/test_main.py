"""`make run`: what it loads before it serves the UI, and the sentences with which it ends instead."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fixtures_pipeline.__main__ import _missing_days
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.conftest import fail
from fixtures_pipeline_tests.fault_server import FaultServer, closed_port


def test_at_first_the_days_around_today_are_loaded(settings: Settings) -> None:
    today = datetime.now(UTC).date()
    assert _missing_days(settings) == [(today - timedelta(days=14), today + timedelta(days=7))]


def test_nothing_before_the_first_partition_is_loaded(settings: Settings) -> None:
    today = datetime.now(UTC).date()
    young = settings.model_copy(update={"start_date": today - timedelta(days=2)})
    assert _missing_days(young) == [(today - timedelta(days=2), today + timedelta(days=7))]


def test_days_that_were_asked_for_before_are_not_asked_for_again(settings: Settings) -> None:
    today = datetime.now(UTC).date()
    fail(settings, today - timedelta(days=14), today, today + timedelta(days=1))
    assert _missing_days(settings) == [
        (today - timedelta(days=13), today - timedelta(days=1)),
        (today + timedelta(days=2), today + timedelta(days=7)),
    ]


def test_after_a_load_that_was_ended_early_all_is_loaded_again(settings: Settings) -> None:
    today = datetime.now(UTC).date()
    fail(settings, today)
    assert _missing_days(settings, again=True) == [(today - timedelta(days=14), today + timedelta(days=7))]


def test_a_free_plan_is_asked_only_for_what_it_serves(settings: Settings) -> None:
    today = datetime.now(UTC).date()
    free = Settings.load(provider="api-football", db=settings.database)
    assert _missing_days(free) == [(today - timedelta(days=1), today + timedelta(days=1))]


def start(tmp_path: Path, port: int, **settings: str) -> "subprocess.Popen[str]":
    """Start it as `make run` does."""
    return subprocess.Popen(
        [sys.executable, "-m", "fixtures_pipeline", "--port", str(port)],
        env={
            **os.environ,
            "DAGSTER_HOME": str(tmp_path / "home"),
            "FIXTURES_DB": str(tmp_path / "fixtures.duckdb"),
            **settings,
        },
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(tmp_path, port)
        _, said = process.communicate()
    assert process.returncode == 1
    assert said == f"Port {port} of 127.0.0.1 cannot be used; name another: make run PORT=3100\n"


def test_a_setting_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    process = start(tmp_path, closed_port(), FIXTURES_TIMEZONE="Mars/Olympus")
    _, said = process.communicate()
    assert process.returncode == 1
    assert said.startswith("FIXTURES_TIMEZONE cannot be used")
    assert len(said.splitlines()) == 1


def test_a_database_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "fixtures.duckdb").write_text("no database at all, and long enough to be looked at" * 100)
    process = start(tmp_path, closed_port())
    _, said = process.communicate()
    assert process.returncode == 1
    assert "fixtures.duckdb cannot be used" in said
    assert len(said.splitlines()) == 1


def test_ctrl_c_ends_a_load_without_a_word_and_the_next_start_does_it_again(api: FaultServer, tmp_path: Path) -> None:
    api.plan_any(lambda exchange: exchange.idle())
    process = start(tmp_path, closed_port(), FIXTURES_PROVIDER="sofascore", FIXTURES_API_URL=api.url)
    while not api.requests:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert [line.split(" ")[0] for line in said.splitlines()] == ["Loading"]
    assert (tmp_path / "home" / "unfinished").exists()
