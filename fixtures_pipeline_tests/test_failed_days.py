"""The job that loads all failing days now: what becomes of their days, their partitions and their checks."""

from datetime import date, timedelta
from typing import Any

from dagster import AssetCheckKey, AssetKey, DagsterInstance, DagsterRunStatus, ExecuteInProcessResult

from fixtures_pipeline.dagster.partitions import daily_partitions
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.runs import evaluations, run
from fixtures_pipeline_tests.stores import fail, table

FIRST = date(2025, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(10)]
EMPTY = b'{"events": []}'


def press(settings: Settings, instance: DagsterInstance) -> ExecuteInProcessResult:
    """Launch the job without configuration, as from the Launchpad."""
    job = build_definitions(settings).resolve_job_def("load_failed_days_now")
    return job.execute_in_process(instance=instance, raise_on_error=False)


def materialized(instance: DagsterInstance, settings: Settings, asset: str) -> set[str]:
    return set(instance.get_materialized_partitions(AssetKey(asset)))


def failed(instance: DagsterInstance, settings: Settings, asset: str) -> set[str]:
    """Return the partitions that the UI shows as failed."""
    from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

    partitions = daily_partitions(settings)
    status: Any = get_and_update_asset_status_cache_value(
        instance, AssetKey(asset), partitions, dynamic_partitions_loader=instance
    )
    return set(status.deserialize_failed_partition_subsets(partitions).get_partition_keys())


def test_all_failing_days_are_loaded_in_one_run_and_turn_green(
    settings: Settings, instance: DagsterInstance, api: FaultServer
) -> None:
    failing = [DAYS[n] for n in (1, 2, 7)]
    for day in failing:
        api.plan(day, EMPTY)
    run(settings, instance, DAYS[0], DAYS[-1])
    assert failed(instance, settings, "fixture_days") == {day.isoformat() for day in failing}
    for day in failing:
        api.plan(day, good_body(day))
    asked = len(api.requests)
    result = press(settings, instance)
    assert result.success
    assert sorted(request.day for request in api.requests[asked:] if request.day) == failing
    assert table(open_store(settings), "fixture_errors") == []
    for asset in ("fixture_days", "fixtures"):
        assert failed(instance, settings, asset) == set()
        assert materialized(instance, settings, asset) == {day.isoformat() for day in DAYS}
    assert {key: one.passed for key, one in evaluations(result, "day_loaded").items()} == {
        day.isoformat(): True for day in failing
    }
    assert [one.passed for one in evaluations(result, "no_open_errors").values()] == [True]
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [AssetCheckKey(AssetKey("fixture_errors"), "no_open_errors")]
    )
    assert [one.run_id for one in latest.values()] == [result.run_id], "the UI shows this result, without asking for it"
    assert_rules(open_store(settings))


def test_it_fails_while_a_day_does(settings: Settings, instance: DagsterInstance, api: FaultServer) -> None:
    for day in DAYS[:2]:
        api.plan(day, EMPTY)
    run(settings, instance, DAYS[0], DAYS[-1])
    api.plan(DAYS[0], good_body(DAYS[0]))
    result = press(settings, instance)
    run_of_it = instance.get_run_by_id(result.run_id)
    assert run_of_it is not None
    assert run_of_it.status == DagsterRunStatus.FAILURE
    assert failed(instance, settings, "fixture_days") == {DAYS[1].isoformat()}
    assert [row["attempts"] for row in table(open_store(settings), "fixture_errors")] == [2]


def test_without_failing_days_it_asks_nobody(settings: Settings, instance: DagsterInstance, api: FaultServer) -> None:
    assert press(settings, instance).success
    fail(settings, settings.start_date - timedelta(days=1))
    assert press(settings, instance).success, "a day before the first partition cannot be loaded"
    assert api.requests == []
