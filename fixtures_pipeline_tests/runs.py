"""Runs of the project in this process, as tests start them, and what they have to say."""

from datetime import date
from typing import Any

from dagster import (
    AssetCheckKey,
    AssetKey,
    AssetSelection,
    DagsterEventType,
    DagsterInstance,
    ExecuteInProcessResult,
    define_asset_job,
)
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.rules import RULES
from fixtures_pipeline.settings import Settings


def run(
    settings: Settings, instance: DagsterInstance, first: date, last: date | None = None, **selection: Any
) -> ExecuteInProcessResult:
    """Run `load_days` over a range of days, as a backfill does."""
    tags = {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": (last or first).isoformat(),
    }
    job = build_definitions(settings).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False, **selection)


def evaluations(result: ExecuteInProcessResult, check: str) -> dict[str | None, Any]:
    """Return the results of a check in a run, by partition."""
    found = [
        event.event_specific_data
        for event in result.all_events
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    return {one.partition: one for one in found if one.check_name == check}  # type: ignore[union-attr]


def check_alone(settings: Settings, instance: DagsterInstance, name: str) -> ExecuteInProcessResult:
    """Execute one check by itself, as its button does."""
    asset = next((rule.asset for rule in RULES if rule.name == name), "fixture_days")
    selection = AssetSelection.checks(AssetCheckKey(AssetKey(asset), name))
    job = define_asset_job("alone", selection=selection)
    graph = build_definitions(settings).resolve_asset_graph()
    result: ExecuteInProcessResult = job.resolve(asset_graph=graph).execute_in_process(
        instance=instance, raise_on_error=False
    )
    return result


def stale_states(settings: Settings, instance: DagsterInstance, day: date) -> set[str]:
    """Return what the UI says of the tables on a day, and of the report: FRESH, or that they are unsynced."""
    graph = build_definitions(settings).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    tables = ("fixture_days", "fixtures", "fixture_errors")
    found = {resolver.get_status(AssetKey(name), day.isoformat()).value for name in tables}
    return found | {resolver.get_status(AssetKey("coverage_report")).value}
