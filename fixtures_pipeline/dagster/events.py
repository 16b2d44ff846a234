"""What Dagster is told of one day: from what was stored to materializations and a check result.

When they are given is up to `assets`, what the rules say is in `checks`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckSeverity,
    AssetKey,
    AssetMaterialization,
    AssetRecordsFilter,
    DagsterEventType,
    DagsterInstance,
    MetadataValue,
)

# Dagster's own way to say which materialization a result is about; it exports no public name for it.
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

from fixtures_pipeline.outcome import DayFailed, DayState, Stored
from fixtures_pipeline.retries import next_retry

DAY_LOADED = AssetCheckKey(AssetKey("fixture_days"), "day_loaded")

# Made from the day's events, so that loading the same again shows as unchanged.
_DATA_VERSION = "dagster/data_version"


def describe_tables(stored: Stored, provider: str) -> Iterator[AssetMaterialization]:
    """Yield a materialization for each table in which a day really changed.

    `fixtures` comes after `fixture_days`: the UI calls a table out of date whose upstream was materialized later.
    """
    key = stored.day.isoformat()
    outcome = stored.outcome

    def materialize(table: str, rows: int, version: str | None, **metadata: Any) -> AssetMaterialization:  # noqa: ANN401
        counts = {"dagster/partition_row_count": rows, "dagster/row_count": stored.rows[table]}
        return AssetMaterialization(
            table, partition=key, metadata={**counts, **metadata}, tags={_DATA_VERSION: version or ""}
        )

    fetched: dict[str, Any] = {
        "provider": provider,
        "events": outcome.events,
        "bytes": outcome.size,
        "milliseconds": outcome.elapsed_ms,
    }
    if isinstance(outcome, DayFailed):
        yield materialize(
            "fixture_errors",
            1,
            f"{outcome.error_type} {stored.attempts}",
            error_type=str(outcome.error_type),
            error_message=outcome.message,
            attempts=stored.attempts,
            **fetched,
            **({} if outcome.http_status is None else {"http_status": outcome.http_status}),
        )
        return
    yield materialize("fixture_days", 1, stored.days_version, in_progress=outcome.in_progress, **fetched)
    yield materialize("fixtures", stored.state.fixtures, stored.fixtures_version, **fetched)
    yield materialize("fixture_errors", 0, "no error", healed=stored.healed, provider=provider)


def evaluate_days(instance: DagsterInstance, states: Sequence[DayState]) -> Iterator[AssetCheckEvaluation]:
    """Yield the result of `day_loaded` for each day.

    Args:
        instance: Knows the materializations that the results are about.
        states: What the database holds for the days; an empty state for a day that was never asked for.
    """
    targets = _find_targets(instance, [state.day.isoformat() for state in states])
    for state in states:
        key = state.day.isoformat()
        yield AssetCheckEvaluation(
            asset_key=DAY_LOADED.asset_key,
            check_name=DAY_LOADED.name,
            passed=state.error is None and state.loaded_at is not None,
            partition=key,
            description=_say(state),
            metadata=_list_numbers(state),
            severity=AssetCheckSeverity.ERROR,
            target_materialization_data=targets.get(key),
        )


def _say(state: DayState) -> str:
    if state.error is not None:
        kept = " Data from the earlier load is kept." if state.loaded_at is not None else ""
        return f"{state.error.error_type}: {state.error.message}{kept} See docs/errors.md."
    if state.loaded_at is None:
        return f"{state.day} has not been loaded yet. Materialize it."
    return f"{state.fixtures} fixtures, {state.events} events listed."


def _list_numbers(state: DayState) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    if state.loaded_at is not None:
        numbers |= {
            "events": state.events,
            "fixtures": state.fixtures,
            "in_progress": state.in_progress,
            "loaded_at": MetadataValue.timestamp(state.loaded_at),
        }
    error = state.error
    if error is not None:
        retry = next_retry(error.attempts, error.failed_at, error.retry_at)
        numbers |= {
            "error_type": error.error_type,
            "error_message": error.message,
            "attempts": error.attempts,
            "events": error.events,
            "failing_since": MetadataValue.timestamp(error.failing_since),
            "next_retry": MetadataValue.timestamp(retry) if retry else "none: load the day by hand",
        }
        if error.http_status is not None:
            numbers["http_status"] = error.http_status
    return numbers


def _find_targets(
    instance: DagsterInstance, keys: Sequence[str]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """Return what each day's result is about: without it the UI does not show a passed day as passed."""
    if not keys:
        return {}
    asset = DAY_LOADED.asset_key
    latest = instance.get_latest_storage_id_by_partition(asset, DagsterEventType.ASSET_MATERIALIZATION, set(keys))
    if not latest:
        return {}
    found = instance.fetch_materializations(
        AssetRecordsFilter(asset, storage_ids=list(latest.values())), limit=len(latest)
    )
    return {
        record.partition_key: AssetCheckEvaluationTargetMaterializationData(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
        for record in found.records
        if record.partition_key is not None
    }
