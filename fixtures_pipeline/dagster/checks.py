"""Asset checks: the rules of `store.rules` and the check of each day, as Dagster shows them.

Checks read the store and fetch nothing. They are declared beside the assets of the op that loads, so that they run
with every load, and each of them can be executed alone.
"""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    PartitionsDefinition,
    PreviewWarning,
    TableColumn,
    TableRecord,
    TableSchema,
)

from fixtures_pipeline.dagster.events import DAY_LOADED
from fixtures_pipeline.errors import StoreMissingError
from fixtures_pipeline.retries import next_retry
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.questions import find_offending_rows
from fixtures_pipeline.store.rules import ROWS_SHOWN, RULES, Rule

REAL_PROVIDER = AssetCheckKey(AssetKey("fixture_days"), "real_provider")

_DOCS = "See docs/checks.md."


def specify_checks(settings: Settings, partitions: PartitionsDefinition) -> list[AssetCheckSpec]:
    """Return every check that the loading op carries."""
    with warnings.catch_warnings():
        # Checks with partitions are a preview in Dagster 1.13, which pyproject.toml therefore pins.
        warnings.simplefilter("ignore", PreviewWarning)
        day_loaded = AssetCheckSpec(
            DAY_LOADED.name,
            asset=DAY_LOADED.asset_key,
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
                asset=REAL_PROVIDER.asset_key,
                description=f"The data come from a real provider, not from the bundled sample API. {_DOCS}",
            )
        )
    return specs


def check_rule(rule: Rule, store: FixtureStore, days: Sequence[date] | None) -> AssetCheckResult:
    """Return the result of one rule.

    Args:
        rule: The rule.
        store: Where the tables are.
        days: The days of the run; None looks at all days.

    Raises:
        StoreError: the database cannot be read.
    """
    severity = AssetCheckSeverity[rule.severity]
    metadata: dict[str, Any] = {}
    try:
        rows = find_offending_rows(store, rule, days, datetime.now(UTC))
    except StoreMissingError:
        passed, severity = False, AssetCheckSeverity.WARN
        description = f"Nothing has been loaded yet: materialize some days first. {_DOCS}"
    else:
        passed, description = not rows, rule.sentence
        metadata["offending_rows"] = len(rows)
        if rows:
            if rule.name == "no_open_errors":
                rows = [_add_next_retry(row) for row in rows]
                metadata |= sorted(Counter(row["error_type"] for row in rows).items())
            metadata["rows"] = _draw_table(rows[:ROWS_SHOWN])
            description = _say(rule, len(rows))
    return AssetCheckResult(
        passed=passed,
        asset_key=AssetKey(rule.asset),
        check_name=rule.name,
        severity=severity,
        description=description,
        metadata=metadata,
    )


def _say(rule: Rule, count: int) -> str:
    broken = "1 row breaks" if count == 1 else f"{count} rows break"
    shown = f" The first {ROWS_SHOWN} are shown." if count > ROWS_SHOWN else ""
    return f"{broken} this rule: {rule.sentence} {rule.remedy}{shown} {_DOCS}"


def check_provider() -> AssetCheckResult:
    """Return the warning that goes with all sample data."""
    return AssetCheckResult(
        passed=False,
        asset_key=REAL_PROVIDER.asset_key,
        check_name=REAL_PROVIDER.name,
        severity=AssetCheckSeverity.WARN,
        description="These are not real fixtures; the bundled sample API invented them. Set FIXTURES_PROVIDER to load "
        f"real ones. {_DOCS}",
    )


def _add_next_retry(row: dict[str, Any]) -> dict[str, Any]:
    retry = next_retry(row["attempts"], row.pop("updated_at"), row.pop("retry_at"))
    return {**row, "next_retry": retry}


def _draw_table(rows: Sequence[Mapping[str, Any]]) -> MetadataValue[Any]:
    """Show rows as a table: numbers as numbers, everything else as text."""
    types = {name: "int" if all(isinstance(row[name], int | None) for row in rows) else "string" for name in rows[0]}
    return MetadataValue.table(
        [TableRecord({name: _simplify(value) for name, value in row.items()}) for row in rows],
        TableSchema([TableColumn(name, type=kind) for name, kind in types.items()]),
    )


def _simplify(value: object) -> str | int | float | bool | None:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return value if isinstance(value, str | int | float | None) else str(value)
