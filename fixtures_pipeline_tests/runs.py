"""Runs of the project in this process, as tests start them, and what they have to say."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetKey,
    AssetSelection,
    DagsterInstance,
    ExecuteInProcessResult,
    MetadataValue,
    define_asset_job,
)

# What the UI asks; Dagster has no public way but a running server.
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from fixtures_pipeline.dagster.partitions import daily_partitions
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline_tests.fault_server import FaultServer

FIRST = date(2025, 3, 1)


def asking(api: FaultServer, folder: Path) -> Settings:
    """Return settings that ask `api` for Sofascore's answers and store them into a file in `folder`."""
    return Settings.load(
        provider="sofascore",
        api_url=api.url,
        db=folder / "fixtures.duckdb",
        start_date="2025-01-01",
        requests_per_second=1000,
        lock_timeout=5,
    )


def run(
    settings: Settings, instance: DagsterInstance, first: date, last: date | None = None, **selection: Any
) -> ExecuteInProcessResult:
    """Run `load_days` over a range of days, as a backfill does."""
    job = build_definitions(settings).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, tags=range_of(first, last), raise_on_error=False, **selection)


@dataclass(frozen=True)
class RangeRun:
    """A run over a range of days, and what it left."""

    days: list[date]
    api: FaultServer
    settings: Settings
    instance: DagsterInstance
    result: ExecuteInProcessResult


@contextmanager
def range_run(folder: Path) -> Iterator[RangeRun]:
    """Run over six days: the second is answered with a page, the fifth with an empty list; the others load."""
    days = [FIRST + timedelta(days=n) for n in range(6)]
    with FaultServer() as api, DagsterInstance.ephemeral() as instance:
        api.plan(days[1], b"<html>Please log in</html>")
        api.plan(days[4], b'{"events": []}')
        settings = asking(api, folder)
        yield RangeRun(days, api, settings, instance, run(settings, instance, days[0], days[-1]))


def check_alone(settings: Settings, instance: DagsterInstance, name: str) -> ExecuteInProcessResult:
    """Execute one check by itself, as its button does."""
    asset = next((rule.asset for rule in RULES if rule.name == name), "fixture_days")
    return execute_checks(settings, instance, AssetSelection.checks(AssetCheckKey(AssetKey(asset), name)))


def check_all(settings: Settings, instance: DagsterInstance, asset: str, *days: date) -> ExecuteInProcessResult:
    """Execute the checks of an asset, as *Execute all* does, without days or with a range of them."""
    return execute_checks(settings, instance, AssetSelection.checks_for_assets(AssetKey(asset)), *days)


def execute_checks(
    settings: Settings, instance: DagsterInstance, selection: AssetSelection, *days: date
) -> ExecuteInProcessResult:
    """Run checks and nothing else."""
    graph = build_definitions(settings).resolve_asset_graph()
    job = define_asset_job("alone", selection=selection).resolve(asset_graph=graph)
    return job.execute_in_process(instance=instance, tags=range_of(*days) if days else {}, raise_on_error=False)


def range_of(first: date, last: date | None = None) -> dict[str, str]:
    """Return the tags of a run over a range of days."""
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": (last or first).isoformat(),
    }


def evaluations(result: ExecuteInProcessResult, check: str) -> dict[str | None, AssetCheckEvaluation]:
    """Return the results of a check in a run, by partition."""
    return {one.partition: one for one in result.get_asset_check_evaluations() if one.check_name == check}


def metadata_of(result: ExecuteInProcessResult, asset: str, day: date) -> dict[str, Any]:
    """Return the metadata with which a run materialized a day of an asset, as plain values."""
    wanted = AssetKey(asset), day.isoformat()
    told = result.asset_materializations_for_node("load_days")
    [found] = [one for one in told if (one.asset_key, one.partition) == wanted]
    return plain(found.metadata)


def plain(metadata: Mapping[str, MetadataValue[Any]] | None) -> dict[str, Any]:
    """Return metadata as plain values."""
    return {name: value.value for name, value in (metadata or {}).items()}


def materialized(instance: DagsterInstance, asset: str) -> set[str]:
    """Return the partitions of an asset that are materialized."""
    return set(instance.get_materialized_partitions(AssetKey(asset)))


def failed_partitions(settings: Settings, instance: DagsterInstance, asset: str) -> set[str]:
    """Return the partitions of an asset that its partition bar shows as failed."""
    partitions = daily_partitions(settings)
    states = instance.get_status_by_partition(AssetKey(asset), partitions.get_partition_keys(), partitions) or {}
    return {key for key, state in states.items() if state == AssetPartitionStatus.FAILED}


def failure_of(result: ExecuteInProcessResult) -> str:
    """Return the sentence with which a run failed."""
    [failure] = result.get_step_failure_events()
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    return str(told.description)


def stale_states(settings: Settings, instance: DagsterInstance, day: date) -> set[str]:
    """Return what the UI says of the tables on a day, and of the report: FRESH, or that they are unsynced."""
    report = _resolve(settings, instance).get_status(AssetKey("coverage_report")).value
    return {*stale_states_of(settings, instance, day).values(), report}


def stale_states_of(settings: Settings, instance: DagsterInstance, day: date) -> dict[str, str]:
    """Return what the UI says of each table on a day: FRESH, or STALE, which it calls unsynced."""
    resolver = _resolve(settings, instance)
    tables = ("fixture_days", "fixtures", "fixture_errors")
    return {name: resolver.get_status(AssetKey(name), day.isoformat()).value for name in tables}


def _resolve(settings: Settings, instance: DagsterInstance) -> CachingStaleStatusResolver:
    graph = build_definitions(settings).resolve_asset_graph()
    return CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
