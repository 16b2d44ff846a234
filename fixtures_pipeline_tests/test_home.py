"""Dagster's home: one per database, the one of version 0.1 taken over, nobody else in it."""

import logging
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest

from fixtures_pipeline import home as homes
from fixtures_pipeline.dagster import launch
from fixtures_pipeline.errors import ErrorType, HomeError
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import DayFailed
from fixtures_pipeline.settings import Settings

LATEST = "the-latest-run"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project's folder with nothing loaded into it."""
    monkeypatch.setattr(homes, "PROJECT_ROOT", tmp_path)
    monkeypatch.setattr(homes, "_DATA", tmp_path / "data")
    monkeypatch.setattr(homes, "HOMES", tmp_path / "data" / "dagster")
    monkeypatch.setattr(launch, "find_latest_run", lambda home: LATEST)
    monkeypatch.setattr(launch, "set_up", lambda home: (home / "storage").mkdir(exist_ok=True))
    return tmp_path


def of(database: Path) -> Settings:
    return Settings.load(provider="sofascore", api_url="http://127.0.0.1:9", db=database)


def loaded(database: Path, run_id: str = LATEST) -> Settings:
    """Make a database into which a run has loaded days."""
    settings = of(database)
    open_store(settings).put([DayFailed(date(2025, 3, 1), ErrorType.API_ERROR, "It broke.")], run_id)
    return settings


def first_version(project: Path) -> Path:
    """Make a home as version 0.1 has left it, and return it."""
    home = project / "data" / "dagster"
    for name in ("history/runs/index.db", "schedules/schedules.db", "storage/run/log", "unfinished", "dagster.yaml"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    return home


def test_each_database_has_a_home_of_its_own(project: Path) -> None:
    data = project / "data"
    chosen = [
        homes.choose_home(of(path))
        for path in (
            data / "sample.duckdb",
            data / "sofascore.duckdb",
            data / "sample.db",
            project / "sample.duckdb",
            project.parent / "sample.duckdb",
        )
    ]
    assert len(set(chosen)) == len(chosen)
    assert chosen[0] == data / "dagster" / "sample"
    assert all(home.parent == data / "dagster" for home in chosen)


def test_each_provider_and_sport_has_a_home_of_its_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixtures_pipeline.settings.PROJECT_ROOT", project)
    chosen = [
        homes.choose_home(Settings.load(provider=provider, sport=sport)).name
        for provider, sport in (("sample", "football"), ("openligadb", "football"), ("openligadb", "ice-hockey"))
    ]
    assert chosen == ["sample", "openligadb", "openligadb-ice-hockey"]


def test_a_project_that_is_moved_finds_its_homes_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = homes.choose_home(of(project / "season.duckdb")).name
    monkeypatch.setattr(homes, "PROJECT_ROOT", project / "moved")
    assert homes.choose_home(of(project / "moved" / "season.duckdb")).name == before


def test_a_home_of_ones_own_choice_wins_and_keeps_its_settings(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first_version(project)
    monkeypatch.setenv("DAGSTER_HOME", "elsewhere")
    settings = loaded(project / "data" / "sample.duckdb")
    home = homes.choose_home(settings)
    assert home == project / "elsewhere"
    assert homes.open_home(settings, home) is None, "nothing is taken over"
    (home / "dagster.yaml").write_text("# mine")
    homes.open_home(settings, home)
    assert (home / "dagster.yaml").read_text() == "# mine"


def test_the_home_of_version_one_goes_to_the_database_that_it_belongs_to(project: Path) -> None:
    old = first_version(project)
    kept = {str(path.relative_to(old)): path.read_text() for path in old.rglob("*") if path.is_file()}
    loaded(project / "data" / "sample.duckdb")
    other = loaded(project / "data" / "sofascore.duckdb", "an-earlier-run")
    home = homes.choose_home(other)
    said = homes.open_home(other, home)
    assert said is not None
    assert "belongs to sample.duckdb" in said
    moved = old / "sample"
    assert {str(path.relative_to(moved)): path.read_text() for path in moved.rglob("*") if path.is_file()} == kept
    assert {path.name for path in old.iterdir()} == {"sample", "sofascore"}
    assert homes.open_home(other, home) is None, "once"


def test_a_move_that_was_cut_off_is_finished_by_the_next_start(project: Path) -> None:
    old = first_version(project)
    settings = loaded(project / "data" / "sample.duckdb")
    home = homes.choose_home(settings)
    home.mkdir()
    (old / "history").rename(home / "history")
    assert "is now in" in (homes.open_home(settings, home) or "")
    assert {path.name for path in old.iterdir()} == {"sample"}
    assert (home / "history/runs/index.db").exists()
    assert (home / "schedules/schedules.db").exists()


def test_the_only_database_gets_the_home_that_names_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "find_latest_run", lambda home: None)
    first_version(project)
    settings = loaded(project / "data" / "sample.duckdb")
    assert "is now in" in (homes.open_home(settings, homes.choose_home(settings)) or "")


def test_a_home_that_belongs_to_nobody_is_left_alone(project: Path) -> None:
    old = first_version(project)
    for name in ("a", "b"):
        settings = loaded(project / "data" / f"{name}.duckdb", "another-run")
    assert "Delete it, or look at it with DAGSTER_HOME=" in (
        homes.open_home(settings, homes.choose_home(settings)) or ""
    )
    assert (old / "history/runs/index.db").exists()


def test_a_newer_home_is_not_overwritten(project: Path) -> None:
    settings = loaded(project / "data" / "sample.duckdb")
    home = homes.choose_home(settings)
    homes.open_home(settings, home)
    (home / "history").mkdir()
    old = first_version(project)
    assert "has a newer record" in (homes.open_home(settings, home) or "")
    assert list((home / "history").iterdir()) == []
    assert (old / "history/runs/index.db").exists()


def test_a_home_is_served_once_and_says_by_whom(tmp_path: Path) -> None:
    assert homes.find_server(tmp_path) is None
    with homes.serving(tmp_path) as lock:
        homes.sign(lock, "process 1 at http://127.0.0.1:3000")
        homes.sign(lock, "process 2 at http://127.0.0.1:3000")
        assert homes.find_server(tmp_path) == "process 2 at http://127.0.0.1:3000"
        with pytest.raises(HomeError, match="by process 2 at"), homes.serving(tmp_path):
            pass
    assert homes.find_server(tmp_path) is None
    with homes.serving(tmp_path):
        pass


def test_a_process_that_is_killed_holds_nothing_any_more(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from fixtures_pipeline import home\n"
        "with home.serving(pathlib.Path(sys.argv[1])) as lock: print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert homes.find_server(tmp_path) == "another process", "it has not signed"
        process.kill()
        process.wait()
        assert homes.find_server(tmp_path) is None


def test_loads_go_on_beside_each_other_and_are_known(tmp_path: Path) -> None:
    with homes.loading(tmp_path), homes.loading(tmp_path), homes.nobody_loading(tmp_path) as nobody:
        assert not nobody
    with homes.nobody_loading(tmp_path) as nobody:
        assert nobody


def test_a_home_that_cannot_be_written_is_one_sentence(project: Path) -> None:
    (project / "data").write_text("a file where a folder should be")
    settings = of(project / "elsewhere.duckdb")
    with pytest.raises(HomeError, match="cannot be used"):
        homes.open_home(settings, homes.choose_home(settings))


def test_a_home_with_settings_that_dagster_does_not_take_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("telemetri: {}")
    settings = of(tmp_path / "sample.duckdb")
    with pytest.raises(HomeError, match="cannot be used: Errors whilst loading dagster instance config") as caught:
        homes.open_home(settings, homes.choose_home(settings))
    assert "\n" not in str(caught.value)


def test_dagster_takes_the_settings_that_a_home_gets(tmp_path: Path) -> None:
    from dagster import DagsterInstance
    from dagster._core.definitions.run_request import InstigatorType

    shutil.copy(Path(homes.__file__).parents[1] / "dagster.yaml", tmp_path)
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert not instance.run_retries_enabled
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_runtime_seconds >= 12 * 3600, "twenty years at ten days per minute"
        for kind in (InstigatorType.SCHEDULE, InstigatorType.SENSOR):
            assert max(instance.get_tick_retention_settings(kind).values()) == 30


def test_runs_that_a_power_failure_has_cut_off_end_with_nothing_but_the_settings_of_a_home(tmp_path: Path) -> None:
    from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus
    from dagster._core.test_utils import create_test_daemon_workspace_context
    from dagster._core.workspace.load_target import EmptyWorkspaceTarget
    from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

    shutil.copy(Path(homes.__file__).parents[1] / "dagster.yaml", tmp_path)
    now = time.time()
    with (
        DagsterInstance.from_config(str(tmp_path)) as instance,
        create_test_daemon_workspace_context(EmptyWorkspaceTarget(), instance) as workspace,
    ):

        def begin(event: DagsterEventType, hours: float) -> str:
            run = instance.add_run(DagsterRun("load_days_job", status=DagsterRunStatus.NOT_STARTED))
            begun = DagsterEvent(event.value, run.job_name, message="begun")
            instance.report_dagster_event(begun, run.run_id, timestamp=now - hours * 3600)
            return run.run_id

        # As many as the queue lets run at once.
        dead = [begin(DagsterEventType.RUN_START, 25) for _ in range(9)] + [begin(DagsterEventType.RUN_STARTING, 1)]
        alive = [begin(DagsterEventType.RUN_START, 11)]
        assert {run.status.value for run in instance.get_runs()} == {"STARTED", "STARTING"}
        assert [error for error in execute_run_monitoring_iteration(workspace, logging.getLogger()) if error] == []
        found = {run.run_id: run.status.value for run in instance.get_runs()}
    assert found == dict.fromkeys(dead, "FAILURE") | dict.fromkeys(alive, "STARTED")
