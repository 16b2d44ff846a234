"""`make run`: what it loads before it serves, what it says, and that nothing is left of it."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from dagster import AssetMaterialization, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

from fixtures_pipeline import home as homes
from fixtures_pipeline import serve
from fixtures_pipeline.loading import load_days, open_store
from fixtures_pipeline.serve import find_missing_days
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import schema
from fixtures_pipeline_tests.fault_server import FaultServer, closed_port
from fixtures_pipeline_tests.processes import ROOT, environment
from fixtures_pipeline_tests.shell import command, start
from fixtures_pipeline_tests.stores import fail, table

# What is loaded


def test_at_first_the_days_around_today_are_loaded(settings: Settings) -> None:
    today = datetime.now(UTC).date()
    assert list(find_missing_days(settings)) == [(today - timedelta(days=14), today + timedelta(days=7))]


def test_nothing_outside_of_the_partitions_is_loaded(settings: Settings) -> None:
    today = datetime.now(UTC).date()
    young = settings.model_copy(update={"start_date": today - timedelta(days=2), "days_ahead": 1})
    assert list(find_missing_days(young)) == [(today - timedelta(days=2), today + timedelta(days=1))]


def test_days_that_were_asked_for_before_are_not_asked_for_again(settings: Settings) -> None:
    today = datetime.now(UTC).date()
    fail(settings, today - timedelta(days=14), today, today + timedelta(days=1))
    assert list(find_missing_days(settings)) == [
        (today - timedelta(days=13), today - timedelta(days=1)),
        (today + timedelta(days=2), today + timedelta(days=7)),
    ]


def test_after_a_load_that_was_ended_early_all_is_loaded_again(settings: Settings) -> None:
    today = datetime.now(UTC).date()
    fail(settings, today)
    assert list(find_missing_days(settings, again=True)) == [(today - timedelta(days=14), today + timedelta(days=7))]


def test_a_free_plan_is_asked_only_for_what_it_serves(settings: Settings) -> None:
    today = datetime.now(UTC).date()
    free = Settings.load(provider="api-football", api_key="c0ffee-secret", db=settings.database)
    assert list(find_missing_days(free)) == [(today - timedelta(days=1), today + timedelta(days=1))]


def test_a_database_of_an_older_version_is_brought_up_to_date(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = datetime.now(UTC).date()
    fail(settings, today - timedelta(days=14))
    migrations = [*schema._read_migrations(None), "CREATE TABLE later (number INTEGER)"]
    monkeypatch.setattr(schema, "_read_migrations", lambda _: migrations)
    assert list(find_missing_days(settings)) == [(today - timedelta(days=13), today + timedelta(days=7))]
    assert table(open_store(settings), "later") == []


# What is found


@pytest.fixture
def home(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    homes.open_home(settings, tmp_path / "home")
    return tmp_path / "home"


def test_runs_whose_processes_are_gone_are_freed_and_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stretch = {"dagster/asset_partition_range_start": "2025-03-01", "dagster/asset_partition_range_end": "2025-03-31"}
    origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__").get_job_origin(
        "load_days_job"
    )
    with DagsterInstance.from_config(str(home)) as instance:
        for status in (DagsterRunStatus.STARTED, DagsterRunStatus.QUEUED, DagsterRunStatus.SUCCESS):
            instance.add_run(DagsterRun("load_days_job", status=status, tags=stretch, remote_job_origin=origin))
    with homes.loading(home):
        serve._free_dead_runs(home)
    assert capsys.readouterr().err == "", "it may be that of a command that is loading"
    serve._free_dead_runs(home)
    assert capsys.readouterr().err.startswith(
        "Cut off when this last ended, and marked as failed: 2025-03-01 to 2025-03-31."
    )
    with DagsterInstance.from_config(str(home)) as instance:
        assert sorted(run.status.value for run in instance.get_runs()) == ["FAILURE", "QUEUED", "SUCCESS"]
    serve._free_dead_runs(home)
    assert capsys.readouterr().err == ""


def test_days_that_only_dagster_or_the_database_knows_are_named_and_what_to_do(
    settings: Settings, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DagsterInstance.from_config(str(home)) as instance:
        for day in ("2025-03-01", "2025-03-05", "2025-03-09"):
            instance.report_runless_asset_event(AssetMaterialization("fixture_days", partition=day))
    load(settings, date(2025, 3, 5), date(2025, 3, 6))
    serve._compare(settings, home)
    lost, hidden = capsys.readouterr().err.splitlines()
    assert lost.startswith("Dagster shows 2 days (2025-03-01 to 2025-03-09) as loaded that ")
    assert f"delete {home}" in lost
    assert hidden.startswith("Dagster does not show 1 day (2025-03-06 to 2025-03-06) that ")


def load(settings: Settings, *days: date) -> None:
    """Load days without Dagster."""
    assert sum(map(len, load_days(settings, days))) == len(days)


# How it is refused


def test_a_port_that_is_taken_is_one_sentence(settings: Settings, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, said = command(environment(settings, tmp_path / "home"), "--port", str(port))
    assert (code, said) == (3, f"Port {port} on 127.0.0.1 cannot be used; choose another: make run PORT=3100\n")


def test_a_database_that_cannot_be_used_is_one_sentence(settings: Settings, tmp_path: Path) -> None:
    settings.database.write_text("no database at all, and long enough to be looked at" * 100)
    code, _, said = command(environment(settings, tmp_path / "home"), "--port", str(closed_port()))
    assert code == 3
    assert "fixtures.duckdb cannot be used" in said
    assert len(said.splitlines()) == 1


def test_the_second_one_in_a_home_names_the_first(settings: Settings, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with homes.serving(home) as lock:
        homes.sign(lock, "process 7 at http://127.0.0.1:3000")
        code, _, said = command(environment(settings, home), "--port", str(closed_port()))
    assert code == 3
    assert said == (
        "This database is served already, by process 7 at http://127.0.0.1:3000. Use that, or end it first.\n"
    )


# How it ends


def test_ctrl_c_ends_a_load_without_a_word_and_the_next_start_does_it_again(
    settings: Settings, api: FaultServer, tmp_path: Path
) -> None:
    api.plan_any(lambda exchange: exchange.idle())
    with start(environment(settings, tmp_path / "home"), "--port", str(closed_port())) as process:
        while not api.requests:
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [line.split(" ")[0] for line in said.splitlines()] == ["Loading"]
    assert (tmp_path / "home" / "unfinished").exists()
    assert processes_of(tmp_path) == []


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of processes that name a folder in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in (process / "environ").read_text(errors="replace") and int(process.name) != os.getpid():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except (OSError, ValueError):
            continue
    return found


@pytest.fixture
def served(copied: Path) -> Iterator[tuple["subprocess.Popen[str]", str, list[str]]]:
    """Serve the copy, with the environment of this project; yield the process, its address and what it has said."""
    port = closed_port()
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    (copied / ".env").write_text("FIXTURES_DAYS_AHEAD=1\n")
    with start(plain, "--port", str(port), cwd=copied) as process:
        said: list[str] = []
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if "until Ctrl-C" in line:
                break
        yield process, f"http://127.0.0.1:{port}", said
        process.terminate()


@pytest.mark.slow
def test_a_copied_project_serves_its_own_data_with_the_settings_of_its_start_and_ends_without_a_trace(
    served: tuple["subprocess.Popen[str]", str, list[str]], copied: Path
) -> None:
    process, address, said = served
    loading, summary, announced = said
    assert loading.startswith("Loading ")
    assert "16 days: " in summary
    assert announced.split("until")[0].strip() == f"The UI is at {address}"
    with urllib.request.urlopen(f"{address}/server_info") as answer:
        assert answer.status == 200, "it is said when it is so"
    assert (copied / "data" / "sample.duckdb").exists()
    assert (copied / "data" / "dagster" / "sample" / "history").exists()
    assert not (ROOT / "data" / "dagster" / "copy").exists()

    environ = Path(f"/proc/{find_child(process.pid)}/environ").read_text()
    for part in ("FIXTURES_DAYS_AHEAD=1", f"PYTHONPATH={copied}", "_FIXTURES_FROZEN=1"):
        assert f"{part}\0" in environ

    code, _, complained = command(dict(os.environ), "--port", str(closed_port()), cwd=copied)
    assert code == 3
    assert f"by process {find_child(process.pid)} at {address}" in complained

    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "Ending …\n")
    assert processes_of(copied) == []


def find_child(pid: int) -> int:
    return int(subprocess.check_output(["pgrep", "-P", str(pid)], text=True).split()[0])
