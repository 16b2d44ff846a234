"""Old runs that are deleted: no state of a day or a check changes, and the room that they took is given back."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetCheckKey, AssetKey, DagsterEventType, DagsterInstance
from dagster._core.storage.event_log import SqlEventLogStorage
from time_machine import TimeMachineFixture

from fixtures_pipeline.dagster import prune
from fixtures_pipeline.dagster.prune import build_pruning, prune_runs
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.pooled_postgres import PooledPostgres, configure_home, find_missing, serve_pooled
from fixtures_pipeline_tests.processes import ROOT, TABLES
from fixtures_pipeline_tests.runs import check_alone, failed_partitions, failure_of, materialized, run

BEGINNING = datetime(2025, 3, 1, 6, tzinfo=UTC)
CHECKS = [
    AssetCheckKey(AssetKey("fixture_days"), "day_loaded"),
    *(AssetCheckKey(AssetKey(rule.asset), rule.name) for rule in RULES),
]
KEPT = timedelta(days=30)


@pytest.fixture(scope="module")
def server() -> Iterator[PooledPostgres]:
    """Return a Postgres behind PgBouncer."""
    if missing := find_missing():
        pytest.skip(missing)
    with serve_pooled() as served:
        yield served


@pytest.fixture(params=["files", "postgres"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    """Return an instance as `make run` has it, and as many machines share it."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    if request.param == "postgres":
        served: PooledPostgres = request.getfixturevalue("server")
        monkeypatch.setenv("PGPASSFILE", str(served.passwords))
        configure_home(home, served.pooled)
    with DagsterInstance.from_config(str(home)) as instance:
        yield instance
        instance.wipe()


def states(settings: Settings, instance: DagsterInstance) -> dict[Any, Any]:
    """Return all that the UI shows of days and checks, from what is stored and nothing that is cached."""
    log = instance.event_log_storage
    found: dict[Any, Any] = {}
    for name in TABLES:
        key = AssetKey(name)
        log.wipe_asset_cached_status(key)
        found[name] = (
            materialized(instance, name),
            failed_partitions(settings, instance, name),
            instance.get_latest_materialization_event(key),
            instance.get_latest_storage_id_by_partition(key, DagsterEventType.ASSET_MATERIALIZATION),
        )
    found |= log.get_latest_asset_check_execution_by_key(CHECKS)
    found |= {(info.check_key, info.partition_key): info for info in log.get_asset_check_partition_info(CHECKS)}
    return found


def count_rows(instance: DagsterInstance) -> dict[str, set[str]]:
    """Return the runs that the index still has something of, by table."""
    log = instance.event_log_storage
    assert isinstance(log, SqlEventLogStorage)
    found = {}
    with log.index_connection() as connection:
        for table in ("event_logs", "asset_check_executions"):
            rows = connection.exec_driver_sql(f"SELECT DISTINCT run_id FROM {table}")
            found[table] = {run_id for (run_id,) in rows}
    return found


def test_a_year_of_ticks_shows_the_same_after_pruning_and_keeps_one_run_per_day(
    settings: Settings,
    kept: DagsterInstance,
    api: FaultServer,
    time_machine: TimeMachineFixture,
) -> None:
    """Two ticks on each of six days of a year; on some days one fails, which recovers at the second tick or not."""
    instance, days = kept, 6
    last = {}
    for number in range(days):
        morning = BEGINNING + timedelta(days=number * 365 // days)
        for tick, moment in enumerate([morning, morning + timedelta(hours=6)]):
            time_machine.move_to(moment)
            today = moment.date()
            fails = number % 4 == 1 or (number % 4 == 2 and tick == 0)
            api.plan(today, b'{"events": []}' if fails else good_body(today))
            result = run(settings, instance, today - timedelta(days=1), today)
            assert result.success != fails
            last[today] = result.run_id
        check_alone(settings, instance, RULES[number % len(RULES)].name)
        before = states(settings, instance)
        prune_runs(instance, moment - KEPT)
        assert states(settings, instance) == before
    ids = {one.run_id for one in instance.get_runs()}
    assert ids > set(last.values()), "the last run of each day shows it"
    # Of the last day, nothing is old; of the others, only what shows something. The check that was executed alone is
    # the latest of its kind until the next run.
    assert len(ids) == days + 2
    assert count_rows(instance) == {"event_logs": ids, "asset_check_executions": ids}


@pytest.fixture
def three_runs(settings: Settings, kept: DagsterInstance, time_machine: TimeMachineFixture) -> list[str]:
    """Return three runs over the same day, the second 40 days after the first and the third a day after that."""
    found = []
    for days in (0, 40, 41):
        time_machine.move_to(BEGINNING + timedelta(days=days))
        found.append(run(settings, kept, BEGINNING.date()).run_id)
    return found


def traces(instance: DagsterInstance, run_id: str) -> list[str]:
    """Return what is left of a run in the files of a home."""
    return [str(path) for path in Path(instance.root_directory).rglob("*") if run_id in str(path)]


def test_a_run_is_deleted_with_all_its_files(kept: DagsterInstance, three_runs: list[str]) -> None:
    first, second, third = three_runs
    assert prune_runs(kept, BEGINNING + timedelta(days=41) - KEPT) == 1
    assert {one.run_id for one in kept.get_runs()} == {second, third}, "the second is young"
    assert traces(kept, first) == []
    assert count_rows(kept) == {
        "event_logs": {second, third},
        "asset_check_executions": {second, third},
    }
    assert prune_runs(kept, BEGINNING + timedelta(days=41) - KEPT) == 0


@pytest.mark.parametrize("kept", ["files"], indirect=True)
@pytest.mark.parametrize("step", ["delete_events", "delete_run", "delete_check_results", "compute_logs"])
def test_what_a_crash_has_left_is_deleted_by_the_next_call(
    kept: DagsterInstance, three_runs: list[str], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("crash")

    log = kept.event_log_storage
    target, name = {
        "delete_run": (kept, "delete_run"),
        "delete_check_results": (prune, "delete_check_results"),
        "compute_logs": (kept.compute_log_manager, "delete_logs"),
    }.get(step, (log, step))
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="crash"):
        patched.setattr(target, name, crash)
        prune_runs(kept, BEGINNING + timedelta(days=41) - KEPT)
    assert prune_runs(kept, BEGINNING + timedelta(days=41) - KEPT) == 1
    assert traces(kept, three_runs[0]) == []


def test_the_job_keeps_the_days_of_the_setting(
    settings: Settings, kept: DagsterInstance, three_runs: list[str]
) -> None:
    job, schedule = build_pruning(settings.model_copy(update={"keep_runs": 42}))
    assert job.execute_in_process(instance=kept).success
    assert {one.run_id for one in kept.get_runs()} > set(three_runs)
    job, schedule = build_pruning(settings.model_copy(update={"keep_runs": 40}))
    assert job.execute_in_process(instance=kept).success
    assert three_runs[0] not in {one.run_id for one in kept.get_runs()}
    assert schedule.job_name == job.name


def test_in_dagsters_own_files_the_job_says_so(settings: Settings, tmp_path: Path) -> None:
    """They would stay when their runs are deleted."""
    job, _ = build_pruning(settings)
    with DagsterInstance.local_temp(str(tmp_path), overrides={"telemetry": {"enabled": False}}) as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert "see event_log_storage in dagster.yaml" in failure_of(result)
