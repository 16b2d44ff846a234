"""The rules of `store.rules` as asset checks: one result per rule and run, red with the rows that break it.

The check of each day, `day_loaded`, is in `events`. Checks read the store and fetch nothing. They are declared beside
the assets of the op that loads: every load evaluates all of them, and each can be executed alone.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    DagsterInstance,
    PartitionsDefinition,
    PreviewWarning,
)

from fixtures_pipeline.dagster.events import DAY_LOADED, draw_table, find_latest_target, say_next_retry
from fixtures_pipeline.errors import StoreMissingError
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.questions import find_offending_rows
from fixtures_pipeline.store.rules import ROWS_SHOWN, RULES, Rule

_DOCS = "See docs/checks.md."


def specify_checks(partitions: PartitionsDefinition) -> list[AssetCheckSpec]:
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
    return [
        day_loaded,
        *(
            AssetCheckSpec(
                rule.name, asset=AssetKey(rule.asset), description=f"{rule.sentence} If not: {rule.remedy} {_DOCS}"
            )
            for rule in RULES
        ),
    ]


def evaluate_rules(
    rules: Sequence[Rule],
    store: FixtureStore,
    instance: DagsterInstance,
    days: Sequence[date] | None,
    *,
    retries_on: bool,
) -> Iterator[AssetCheckEvaluation]:
    """Yield the result of each rule.

    They are evaluations rather than results: Dagster takes those for checks that the run did not select, too, and in
    runs with days as well as without.

    Args:
        rules: The rules.
        store: Where the tables are.
        instance: Knows the materializations that the results are about.
        days: The days of the run; None looks at all days.
        retries_on: Whether the sensor that loads failed days again is switched on.

    Raises:
        StoreError: the database cannot be read.
    """
    found: list[list[dict[str, Any]] | None]
    try:
        # All of them before the first is told, as that may take Dagster a while: others wait for the file meanwhile.
        found = [*find_offending_rows(store, rules, days, datetime.now(UTC))]
    except StoreMissingError:
        found = [None] * len(rules)
    for rule, rows in zip(rules, found, strict=True):
        asset = AssetKey(rule.asset)
        yield AssetCheckEvaluation(
            asset_key=asset,
            check_name=rule.name,
            passed=rows == [],
            severity=AssetCheckSeverity.WARN if rows is None else AssetCheckSeverity[rule.severity],
            description=_say(rule, rows),
            metadata=_list_rows(rule, rows, retries_on=retries_on),
            target_materialization_data=find_latest_target(instance, asset),
        )


def _say(rule: Rule, rows: Sequence[object] | None) -> str:
    if rows is None:
        return f"Nothing has been loaded yet: materialize some days first. {_DOCS}"
    if not rows:
        return "No row breaks this rule."
    broken = "1 row breaks" if len(rows) == 1 else f"{len(rows)} rows break"
    shown = f" The first {ROWS_SHOWN} are shown." if len(rows) > ROWS_SHOWN else ""
    return f"{broken} this rule: {rule.sentence} {rule.remedy}{shown} {_DOCS}"


def _list_rows(rule: Rule, rows: list[dict[str, Any]] | None, *, retries_on: bool) -> dict[str, Any]:
    if rows is None:
        return {}
    metadata: dict[str, Any] = {"offending_rows": len(rows)}
    if rows and rule.name == "no_open_errors":
        metadata |= sorted(Counter(row["error_type"] for row in rows).items())
        for row in rows[:ROWS_SHOWN]:
            failed_at, retry_at = row.pop("updated_at"), row.pop("retry_at")
            row["next_retry"] = say_next_retry(row["attempts"], failed_at, retry_at, retries_on=retries_on)
    if rows:
        metadata["rows"] = draw_table(rows[:ROWS_SHOWN])
    return metadata
