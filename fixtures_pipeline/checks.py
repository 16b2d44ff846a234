"""Asset checks: the rules of `rules` and the check of each day, as Dagster shows them.

Checks read the store and fetch nothing. They are declared beside the assets of the op that loads, so that they run
with every load, and each of them can be executed alone.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    DagsterEventType,
    DagsterInstance,
    MetadataValue,
    PartitionsDefinition,
    TableColumn,
    TableRecord,
    TableSchema,
)
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._utils.warnings import PreviewWarning

from fixtures_pipeline.retries import next_retry
from fixtures_pipeline.rules import ROWS_SHOWN, RULES, Rule
from fixtures_pipeline.settings import PROJECT_ROOT, Settings
from fixtures_pipeline.store import FixtureStore, StoreMissingError

DAYS_ASSET = AssetKey("fixture_days")
DAY_LOADED = AssetCheckKey(DAYS_ASSET, "day_loaded")
REAL_PROVIDER = AssetCheckKey(DAYS_ASSET, "real_provider")

_DOCS = "See docs/checks.md."

#: The state of each of `$days` (NULL: all days that are known), whatever became of it.
_DAY_STATES = """
    SELECT
        date,
        fixture_days.count AS events,
        fixture_days.in_progress,
        fixture_days.updated_at AS loaded_at,
        own.fixtures,
        fixture_errors.error_type,
        fixture_errors.error_message,
        fixture_errors.http_status,
        fixture_errors.attempts,
        fixture_errors.count AS events_in_error,
        fixture_errors.created_at AS failing_since,
        fixture_errors.updated_at AS failed_at,
        fixture_errors.retry_at
    FROM (SELECT * FROM fixture_days WHERE $days IS NULL OR date IN (SELECT unnest($days))) AS fixture_days
    FULL JOIN (SELECT * FROM fixture_errors WHERE $days IS NULL OR date IN (SELECT unnest($days))) AS fixture_errors
        USING (date)
    LEFT JOIN (
        SELECT date, count(*) AS fixtures FROM fixtures
        WHERE $days IS NULL OR date IN (SELECT unnest($days))
        GROUP BY date
    ) AS own USING (date)
    ORDER BY date
"""


def check_specs(settings: Settings, partitions: PartitionsDefinition) -> list[AssetCheckSpec]:
    """Return every check that the loading op carries."""
    with warnings.catch_warnings():
        # Checks with partitions are a preview in Dagster 1.13, which pyproject.toml therefore pins.
        warnings.simplefilter("ignore", PreviewWarning)
        day_loaded = AssetCheckSpec(
            DAY_LOADED.name,
            asset=DAYS_ASSET,
            partitions_def=partitions,
            description="The day's latest fetch was good. A red day names its error type and message and says what to "
            f"do. {_DOCS}",
        )
    specs = [day_loaded]
    specs += [
        AssetCheckSpec(
            rule.name, asset=AssetKey(rule.asset), description=f"{rule.sentence} When not: {rule.remedy} {_DOCS}"
        )
        for rule in RULES
    ]
    if settings.provider == "sample":
        specs.append(
            AssetCheckSpec(
                REAL_PROVIDER.name,
                asset=DAYS_ASSET,
                description=f"The data come from a real provider, not from the bundled sample API. {_DOCS}",
            )
        )
    return specs


def day_evaluations(
    store: FixtureStore, instance: DagsterInstance, days: Sequence[date] | None
) -> Iterator[AssetCheckEvaluation]:
    """Yield the result of `day_loaded` for each day.

    Args:
        store: Where the days are.
        instance: Knows the materializations that the results are about.
        days: The days to judge; None for all that were ever fetched.

    Raises:
        StoreError: the database cannot be read.
    """
    try:
        states = {row["date"]: row for row in store.query(_DAY_STATES, {"days": _listed(days)})}
    except StoreMissingError:
        states = {}
    keys = [day.isoformat() for day in (sorted(states) if days is None else days)]
    targets = _targets(instance, keys)
    for key in keys:
        passed, description, metadata = _judge_day(states.get(date.fromisoformat(key)), key)
        yield AssetCheckEvaluation(
            asset_key=DAYS_ASSET,
            check_name=DAY_LOADED.name,
            passed=passed,
            partition=key,
            description=description,
            metadata=metadata,
            severity=AssetCheckSeverity.ERROR,
            target_materialization_data=targets.get(key),
        )


def _judge_day(state: Mapping[str, Any] | None, key: str) -> tuple[bool, str, Mapping[str, Any]]:
    if state is None:
        return False, f"{key} has not been loaded yet. Materialize it. {_DOCS}", _pages("checks.md")
    metadata: dict[str, Any] = {}
    if state["loaded_at"] is not None:
        metadata |= {
            "events": state["events"],
            "fixtures": state["fixtures"] or 0,
            "in_progress": state["in_progress"],
            "loaded_at": MetadataValue.timestamp(state["loaded_at"]),
        }
    if state["error_type"] is None:
        return True, f"{state['fixtures'] or 0} fixtures, {state['events']} events listed.", metadata
    retry = next_retry(state["attempts"], state["failed_at"], state["retry_at"])
    metadata |= {
        **_pages("checks.md", "errors.md"),
        "error_type": state["error_type"],
        "error_message": state["error_message"],
        "attempts": state["attempts"],
        "events": state["events_in_error"],
        "failing_since": MetadataValue.timestamp(state["failing_since"]),
        "next_retry": MetadataValue.timestamp(retry) if retry else "none: load the day by hand",
    }
    if state["http_status"] is not None:
        metadata["http_status"] = state["http_status"]
    kept = " What an earlier load brought is kept." if state["loaded_at"] is not None else ""
    return False, f"{state['error_type']}: {state['error_message']}{kept} {_DOCS}", metadata


def _targets(
    instance: DagsterInstance, keys: Sequence[str]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """Return what each day's result is about: without it the UI does not show a passed day as passed."""
    if not keys:
        return {}
    ids = instance.get_latest_storage_id_by_partition(DAYS_ASSET, DagsterEventType.ASSET_MATERIALIZATION, set(keys))
    now = datetime.now(UTC).timestamp()
    return {
        key: AssetCheckEvaluationTargetMaterializationData(storage_id=storage_id, run_id="", timestamp=now)
        for key, storage_id in ids.items()
    }


def rule_result(rule: Rule, store: FixtureStore, days: Sequence[date] | None) -> AssetCheckResult:
    """Return the result of one rule.

    Args:
        rule: The rule.
        store: Where the tables are.
        days: The days of the run; None looks at all days.

    Raises:
        StoreError: the database cannot be read.
    """
    severity = AssetCheckSeverity[rule.severity]
    key = AssetKey(rule.asset)
    try:
        rows = store.query(rule.query, {"days": _listed(days), "now": datetime.now(UTC)})
    except StoreMissingError:
        return AssetCheckResult(
            passed=False,
            asset_key=key,
            check_name=rule.name,
            severity=AssetCheckSeverity.WARN,
            description=f"Nothing has been loaded yet: materialize some days first. {_DOCS}",
            metadata=_pages("checks.md"),
        )
    metadata: dict[str, Any] = {"offending_rows": len(rows)}
    description = rule.sentence
    if rows:
        if rule.name == "no_open_errors":
            rows = [_with_next_retry(row) for row in rows]
            metadata |= sorted(Counter(row["error_type"] for row in rows).items())
        metadata |= {"rows": _table(rows[:ROWS_SHOWN]), **_pages("checks.md")}
        shown = f" The first {ROWS_SHOWN} are shown." if len(rows) > ROWS_SHOWN else ""
        description = f"Not so for {len(rows)}: {rule.sentence} {rule.remedy}{shown} {_DOCS}"
    return AssetCheckResult(
        passed=not rows,
        asset_key=key,
        check_name=rule.name,
        severity=severity,
        description=description,
        metadata=metadata,
    )


def real_provider_result() -> AssetCheckResult:
    """Return the warning that stands beside all sample data."""
    return AssetCheckResult(
        passed=False,
        asset_key=REAL_PROVIDER.asset_key,
        check_name=REAL_PROVIDER.name,
        severity=AssetCheckSeverity.WARN,
        description="These are no real fixtures: the bundled sample API made them up. Set FIXTURES_PROVIDER to load "
        f"real ones. {_DOCS}",
        metadata=_pages("checks.md"),
    )


@cache
def _pages(*names: str) -> Mapping[str, MetadataValue[Any]]:
    """Return pages of docs/ for whoever looks at a red check: the UI opens them in place, and can link to no file."""
    paths = [PROJECT_ROOT / "docs" / name for name in names]
    return {
        # Links between the pages would lead nowhere there.
        f"docs/{path.name}": MetadataValue.md(re.sub(r"\[(.+?)\]\(.+?\.md\)", r"\1", path.read_text(encoding="utf-8")))
        for path in paths
        if path.exists()
    }


def _listed(days: Sequence[date] | None) -> list[date] | None:
    return None if days is None else list(days)


def _with_next_retry(row: dict[str, Any]) -> dict[str, Any]:
    retry = next_retry(row["attempts"], row.pop("updated_at"), row.pop("retry_at"))
    return {**row, "next_retry": retry}


def _table(rows: Sequence[Mapping[str, Any]]) -> MetadataValue[Any]:
    """Show rows as a table: numbers as numbers, everything else as text."""
    types = {name: "int" if all(isinstance(row[name], int | None) for row in rows) else "string" for name in rows[0]}
    return MetadataValue.table(
        [TableRecord({name: _plain(value) for name, value in row.items()}) for row in rows],
        TableSchema([TableColumn(name, type=kind) for name, kind in types.items()]),
    )


def _plain(value: object) -> str | int | float | bool | None:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return value if isinstance(value, str | int | float | None) else str(value)
