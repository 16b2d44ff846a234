"""What Dagster is told of one day: from what was stored to materializations and a check result.

When they are given is up to `assets`, what the rules say is in `checks`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
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
    EventLogRecord,
    MetadataValue,
    TableColumn,
    TableRecord,
    TableSchema,
)

# Dagster's own way to say which materialization a result is about; it exports no public name for it.
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

from fixtures_pipeline.outcome import DayFailed, DayFixtures, DayState, Stored
from fixtures_pipeline.providers.provider import Provider
from fixtures_pipeline.retries import next_retry
from fixtures_pipeline.text import format_moment, shorten

#: Characters of a text that a table shows: Dagster keeps every table for ever, and a name may have millions.
TEXT_SHOWN = 200

DAY_LOADED = AssetCheckKey(AssetKey("fixture_days"), "day_loaded")

# Made from the day's events, so that loading the same again shows as unchanged.
_DATA_VERSION = "dagster/data_version"


def describe_tables(stored: Stored, provider: Provider, mapping: str) -> Iterator[AssetMaterialization]:
    """Yield a materialization for each table in which a day really changed: none for a stale outcome.

    `fixtures` comes after `fixture_days`: the UI calls a table out of date whose upstream was materialized later.

    Args:
        stored: The day.
        provider: Who gave it.
        mapping: The version of the provider's mapping (`version_of`), by which the fixtures were made.
    """
    key = stored.day.isoformat()
    outcome = stored.outcome
    if stored.stale:
        return

    def materialize(table: str, rows: int, version: str | None, **metadata: Any) -> AssetMaterialization:  # noqa: ANN401
        counts = {"dagster/partition_row_count": rows, "dagster/row_count": stored.rows[table]}
        return AssetMaterialization(
            table, partition=key, metadata={**counts, **metadata}, tags={_DATA_VERSION: version or ""}
        )

    fetched: dict[str, Any] = {
        "provider": provider.name,
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
    if stored.fixtures is not None:
        shown = _show("competitions", stored.fixtures.competitions)
        yield materialize("fixture_days", 1, stored.days_version, in_progress=outcome.in_progress, **fetched, **shown)
        yield describe_fixtures(stored.fixtures, mapping, fetched)
    if stored.state.error is None:
        yield materialize("fixture_errors", 0, "no error", healed=stored.healed, provider=provider.name)


def describe_fixtures(made: DayFixtures, mapping: str, fetched: Mapping[str, Any]) -> AssetMaterialization:
    """Return the materialization of a day's `fixtures`.

    Args:
        made: The rows.
        mapping: The version of the mapping by which they were made, as in `describe_tables`.
        fetched: What is known of the fetch; nothing if nothing was fetched.
    """
    return AssetMaterialization(
        "fixtures",
        partition=made.state.day.isoformat(),
        metadata={
            "dagster/partition_row_count": made.state.fixtures,
            "dagster/row_count": made.total,
            "changes": made.changes,
            **fetched,
            **_show("first_fixtures", made.first),
        },
        # Dagster compares the version of the code only if it is told of the input as well. It is told that any will
        # do, as `fixtures` is made whenever `fixture_days` is.
        tags={
            _DATA_VERSION: made.version,
            "dagster/code_version": mapping,
            "dagster/input_data_version/fixture_days": "any",
            "dagster/input_event_pointer/fixture_days": "NULL",
        },
    )


def _show(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows as metadata: a table, if there are any."""
    return {name: draw_table(rows)} if rows else {}


def evaluate_days(
    instance: DagsterInstance, states: Sequence[DayState], *, retries_on: bool
) -> Iterator[AssetCheckEvaluation]:
    """Yield the result of `day_loaded` for each day.

    Args:
        instance: Knows the materializations that the results are about.
        states: What the database holds for the days; an empty state for a day that was never asked for.
        retries_on: Whether the sensor that loads failed days again is switched on.
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
            metadata=_list_numbers(state, retries_on=retries_on),
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


def _list_numbers(state: DayState, *, retries_on: bool) -> dict[str, Any]:
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
        numbers |= {
            "error_type": error.error_type,
            "error_message": error.message,
            "attempts": error.attempts,
            "events": error.events,
            "failing_since": MetadataValue.timestamp(error.failing_since),
            "next_retry": say_next_retry(error.attempts, error.failed_at, error.retry_at, retries_on=retries_on),
        }
        if error.http_status is not None:
            numbers["http_status"] = error.http_status
    return numbers


def say_next_retry(attempts: int, failed_at: datetime, retry_at: datetime | None, *, retries_on: bool) -> str:
    """Say when a failed day is loaded again and by whom; the arguments are those of `next_retry`."""
    retry = next_retry(attempts, failed_at, retry_at)
    if retry is None:
        return "none: load the day by hand"
    if not retries_on:
        return "none: the sensor retry_failed_days is off; switch it on, or load the day by hand"
    return f"{format_moment(retry)}, by the sensor retry_failed_days"


def draw_table(rows: Sequence[Mapping[str, Any]]) -> MetadataValue[Any]:
    """Show rows as a table: numbers as numbers, everything else as text, cut if it is long."""
    types = {name: "int" if all(isinstance(row[name], int | None) for row in rows) else "string" for name in rows[0]}
    return MetadataValue.table(
        [TableRecord({name: _simplify(value) for name, value in row.items()}) for row in rows],
        TableSchema([TableColumn(name, type=kind) for name, kind in types.items()]),
    )


def _simplify(value: object) -> str | int | float | bool | None:
    if isinstance(value, datetime):
        return format_moment(value)
    if isinstance(value, int | float | None):
        return value
    return shorten(str(value), TEXT_SHOWN)


def find_latest_target(
    instance: DagsterInstance, asset: AssetKey
) -> AssetCheckEvaluationTargetMaterializationData | None:
    """Return what a result about a whole asset is about: its latest materialization; None before the first."""
    records = instance.fetch_materializations(asset, limit=1).records
    return _aim_at(records[0]) if records else None


def _aim_at(record: EventLogRecord) -> AssetCheckEvaluationTargetMaterializationData:
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
    )


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
    return {record.partition_key: _aim_at(record) for record in found.records if record.partition_key is not None}
