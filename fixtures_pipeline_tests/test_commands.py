"""`load`, `retry` and `status` as cron starts them: real processes, real exit codes, runs that the UI shows."""

import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus

from fixtures_pipeline import commands
from fixtures_pipeline import home as homes
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import NEVER
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.processes import environment
from fixtures_pipeline_tests.shell import command, start
from fixtures_pipeline_tests.stores import fail, table

FIRST = date(2025, 3, 1)
EMPTY = b'{"events": []}'


def test_days_are_loaded_and_their_failures_loaded_again(settings: Settings, api: FaultServer, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shell = environment(settings, home)
    assert command(shell, "load", "2025-03-01") == (0, "2025-03-01: 1 day loaded, 5 fixtures.\n", "")

    broken = FIRST + timedelta(days=4)
    api.plan(broken, EMPTY)
    code, said, complained = command(shell, "load", "2025-03")
    assert (code, said) == (1, "")
    assert [line[:28] for line in complained.splitlines()] == [
        "2025-03-05 DEFAULT_DATA_ERRO",
        "1 of 31 days failed: 1 DEFAU",
    ]
    assert len(table(open_store(settings), "fixture_days")) == 30

    assert command(shell, "retry")[0] == 1
    api.plan(broken, good_body(broken))
    assert command(shell, "retry") == (0, "1 day loaded that failed before; no day is failing.\n", "")
    assert command(shell, "retry") == (0, "No day is failing.\n", "")

    with DagsterInstance.from_config(str(home)) as instance:
        runs = instance.get_runs()
    assert [(run.job_name, run.status) for run in reversed(runs)] == [
        ("load_days_job", DagsterRunStatus.SUCCESS),
        ("load_days_job", DagsterRunStatus.FAILURE),
        ("load_failed_days_now", DagsterRunStatus.FAILURE),
        ("load_failed_days_now", DagsterRunStatus.SUCCESS),
    ]
    for run in runs:
        assert run.remote_job_origin is not None, "the UI starts it again by this"
        assert run.remote_job_origin.location_name == "fixtures_pipeline.definitions"
    assert runs[-1].tags["dagster/asset_partition_range_start"] == "2025-03-01"


def test_what_cannot_be_done_is_a_sentence_and_another_exit_code(settings: Settings, tmp_path: Path) -> None:
    settings.database.write_text("no database at all, and long enough to be looked at" * 100)
    code, said, complained = command(environment(settings, tmp_path / "home"), "load", "2025-03-01")
    assert (code, said) == (3, "")
    first, second = complained.splitlines()
    assert "fixtures.duckdb cannot be used" in first
    assert "broke off" in second


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_load_that_is_ended_says_nothing_and_leaves_its_days_red(
    settings: Settings, api: FaultServer, tmp_path: Path, number: signal.Signals
) -> None:
    api.plan(FIRST + timedelta(days=1), lambda exchange: exchange.idle())
    with start(environment(settings, tmp_path / "home"), "load", "2025-03-01...2025-03-02") as process:
        while not settings.database.exists():
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(1)
        process.send_signal(number)
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 130
    with DagsterInstance.from_config(str(tmp_path / "home")) as instance:
        [run] = instance.get_runs()
    assert run.status == DagsterRunStatus.FAILURE


def test_status_of_nothing(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    assert commands.status(settings) == 0
    assert not (tmp_path / "home").exists(), "it looks, and makes nothing"


def test_status_names_what_is_failing_and_when_it_is_loaded_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fixtures_pipeline.dagster import launch

    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    fail(settings, FIRST, FIRST + timedelta(days=1))
    fail(settings, FIRST + timedelta(days=2), retry_at=NEVER)
    homes.open_home(settings, tmp_path / "home")
    assert commands.status(settings) == 1
    said = capsys.readouterr().out
    assert f"Database  {settings.database}" in said
    assert "Loaded    nothing yet" in said
    assert "Failing   3 days API_ERROR, the oldest 2025-03-01, since 20" in said
    assert "Retries   none by itself: the sensor retry_failed_days is off" in said
    assert "served by nobody" in said

    monkeypatch.setattr(launch, "is_retrying_in", lambda home: True)
    with homes.serving(tmp_path / "home") as lock:
        homes.sign(lock, "process 7 at http://127.0.0.1:3000")
        commands.status(settings)
    said = capsys.readouterr().out
    due = datetime.now(UTC) + timedelta(hours=1)
    assert f"the sensor retry_failed_days is on, next at {due:%Y-%m-%d %H:}" in said
    assert "1 day given up" in said
    assert "served by process 7 at http://127.0.0.1:3000" in said


def test_a_load_that_is_ended_between_two_of_its_events_ends_all_that_it_has_begun(
    settings: Settings, api: FaultServer, tmp_path: Path
) -> None:
    """Dagster then leaves the op where it is, with the threads that it has: they must not keep the process."""
    for n in range(2, 31):
        api.plan(date(2025, 3, n), lambda exchange: exchange.idle())
    code = """if True:
        import os, signal, sys
        from dagster import DagsterInstance
        from fixtures_pipeline.__main__ import main
        handle = DagsterInstance.handle_new_event
        def handle_and_interrupt(self, event, **options):
            handle(self, event, **options)
            if "Materialized" in event.user_message:
                os.kill(os.getpid(), signal.SIGINT)
        DagsterInstance.handle_new_event = handle_and_interrupt
        sys.exit(main(["load", "2025-03"]))
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env=environment(settings, tmp_path / "home"),
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
