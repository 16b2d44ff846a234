"""The assets: the tables of the store, loaded day by day by one op, the API that they come from, and the report.

What Dagster is told of a day is in `events`, what the checks say in `checks`.
"""

import base64
import time
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckResult,
    AssetExecutionContext,
    AssetMaterialization,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    DailyPartitionsDefinition,
    Failure,
    MaterializeResult,
    MetadataValue,
    Output,
    TableColumn,
    TableSchema,
    asset,
    multi_asset,
)

from fixtures_pipeline import loading, notify
from fixtures_pipeline.dagster.checks import REAL_PROVIDER, check_provider, check_rule, specify_checks
from fixtures_pipeline.dagster.events import DAY_LOADED, describe_tables, evaluate_days
from fixtures_pipeline.errors import ReportError, StoreError, StoreMissingError
from fixtures_pipeline.outcome import DayFailed, DayState, Stored
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.questions import find_states
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline.store.tables import COLUMNS

GROUP = "fixtures"
OWNER = "team:fixtures"
#: Seconds between two lines of progress in the log of a run.
PROGRESS_SECONDS = 5

_DESCRIPTIONS = {
    "fixture_days": "One row per loaded day: the provider's list of events as it came.",
    "fixtures": "One row per event: kickoff, status, teams, scores.",
    "fixture_errors": "One row per day whose latest fetch failed: what was seen, what to do. It is deleted once the "
    "day loads.",
}

_Event = AssetMaterialization | AssetCheckEvaluation | AssetCheckResult | Output[None]


def specify_api(settings: Settings) -> AssetSpec:
    """Return the provider's API, which this project reads and does not make."""
    return AssetSpec(
        "events_api",
        group_name=GROUP,
        owners=[OWNER],
        kinds={"api"},
        description=f"{settings.source.title}: the API that FIXTURES_PROVIDER={settings.provider} reads.",
        metadata={"provider": settings.provider, "url": settings.api_url or settings.source.base_url or "bundled"},
    )


def specify_tables(settings: Settings) -> list[AssetSpec]:
    """Return the three tables that days are loaded into."""
    upstream = {"fixture_days": "events_api", "fixtures": "fixture_days", "fixture_errors": "events_api"}
    return [
        AssetSpec(
            table,
            deps=[upstream[table]],
            skippable=True,
            group_name=GROUP,
            owners=[OWNER],
            kinds={"duckdb", "table"},
            description=description,
            metadata={
                "dagster/table_name": f"{settings.database.stem}.main.{table}",
                "dagster/column_schema": TableSchema(
                    [TableColumn(column.name, column.type, column.description) for column in COLUMNS[table]]
                ),
                "database": str(settings.database),
            },
        )
        for table, description in _DESCRIPTIONS.items()
    ]


def build_tables(settings: Settings, partitions: DailyPartitionsDefinition) -> AssetsDefinition:
    """Return the op `load_days` that loads days into all three tables and runs the checks."""

    @multi_asset(
        name="load_days",
        specs=specify_tables(settings),
        check_specs=specify_checks(settings, partitions),
        partitions_def=partitions,
        # A season is one run, not 366 processes.
        backfill_policy=BackfillPolicy.single_run(),
        can_subset=True,
        description="Fetches days and stores what comes of them; a day that fails raises nothing.",
    )
    def load_days(context: AssetExecutionContext) -> Iterator[_Event]:
        store = loading.open_store(settings)
        days = _list_days(context)
        news = notify.News(settings.provider)
        try:
            if context.selected_asset_keys:
                yield from _load(context, settings, days or [], news)
                if days and settings.snapshot_file:
                    store.database.copy(settings.snapshot_file)
            yield from _check(context, store, days)
            if context.selected_asset_keys:
                yield from _report_again(context, settings)
        except StoreError as error:
            # The one thing that no row can record. `from None`: the sentence is enough.
            raise Failure(description=str(error)) from None
        finally:
            # However the run ends: what was committed would be no news in the next one.
            if news and settings.receivers:
                for complaint in notify.send(news.digest(), settings.receivers):
                    context.log.warning(f"FIXTURES_NOTIFY: {complaint}")

    return load_days


def _list_days(context: AssetExecutionContext) -> list[date] | None:
    """Return the days of the run; None for a run of checks without any."""
    if not context.has_partition_key and not context.has_partition_key_range:
        return None
    return [date.fromisoformat(key) for key in context.partition_keys]


def _load(
    context: AssetExecutionContext, settings: Settings, days: Sequence[date], news: notify.News
) -> Iterator[_Event]:
    progress = _Progress(context, len(days))
    for batch in loading.load_days(settings, days, context.run.run_id):
        news.add(batch)
        for stored in batch:
            if isinstance(stored.outcome, DayFailed):
                context.log.warning(f"{stored.day} {stored.outcome.error_type}: {stored.outcome.message}")
            yield from describe_tables(stored, settings.provider)
        if DAY_LOADED in context.selected_asset_check_keys:
            # After the materializations of the whole batch, so that one query finds what the results are about.
            yield from evaluate_days(context.instance, [stored.state for stored in batch])
        progress.add(batch)


def _check(context: AssetExecutionContext, store: FixtureStore, days: Sequence[date] | None) -> Iterator[_Event]:
    selected = context.selected_asset_check_keys
    if DAY_LOADED in selected:
        if not context.selected_asset_keys:
            yield from evaluate_days(context.instance, _find_states(store, days))
        # The results themselves were given day by day; Dagster expects this output of the step all the same.
        outputs = {spec.key: name for name, spec in context.assets_def.check_specs_by_output_name.items()}
        yield Output(None, output_name=outputs[DAY_LOADED])
    for rule in RULES:
        if any(key.name == rule.name for key in selected):
            yield check_rule(rule, store, days)
    if REAL_PROVIDER in selected:
        yield check_provider()


def _find_states(store: FixtureStore, days: Sequence[date] | None) -> list[DayState]:
    """Return the state of each of `days`, or of every day that was ever asked for."""
    try:
        known = {state.day: state for state in find_states(store, days)}
    except StoreMissingError:
        known = {}
    return list(known.values()) if days is None else [known.get(day, DayState(day)) for day in days]


def build_report(settings: Settings) -> AssetsDefinition:
    """Return the report of what is loaded. Loads write it as well; its own op makes it on demand."""

    @asset(
        name="coverage_report",
        deps=["fixture_days", "fixture_errors"],
        group_name=GROUP,
        owners=[OWNER],
        kinds={"html"},
        description="Coverage at a glance: a calendar of loaded, failed and missing days, and the events of each. "
        f"Every load writes it again; all of it is in {settings.report_file.name} beside the database.",
        metadata={"report": MetadataValue.path(str(settings.report_file))},
    )
    def coverage_report() -> MaterializeResult[None]:
        try:
            return MaterializeResult(metadata=_write_report(settings))
        except (StoreError, ReportError) as error:
            raise Failure(description=str(error)) from None

    return coverage_report


def _report_again(context: AssetExecutionContext, settings: Settings) -> Iterator[AssetMaterialization]:
    """Yield the report again, from within the load: in the same run its own op would be skipped."""
    try:
        yield AssetMaterialization("coverage_report", metadata=_write_report(settings))
    except (StoreError, ReportError) as error:
        # What was loaded is loaded.
        context.log.warning(f"{error} The load is not affected; materialize coverage_report to try again.")


def _write_report(settings: Settings) -> dict[str, Any]:
    # Its libraries take time that starting up does not have.
    from fixtures_pipeline.report.write import write_report  # noqa: PLC0415

    report = write_report(settings)
    picture = base64.b64encode(report.picture).decode()
    return {
        "coverage": MetadataValue.md(f"![Coverage](data:image/png;base64,{picture})"),
        "report": MetadataValue.path(str(report.path)),
        **{name if name == "events" else f"days_{name}": number for name, number in report.coverage.numbers.items()},
        **report.coverage.errors,
    }


class _Progress:
    """Logs every few seconds how far a long run has come."""

    def __init__(self, context: AssetExecutionContext, total: int) -> None:
        self._context = context
        self._total = total
        self._done = self._failed = 0
        self._started = self._logged = time.monotonic()

    def add(self, batch: Sequence[Stored]) -> None:
        """Count a batch, and log if the last line is a while ago."""
        self._done += len(batch)
        self._failed += sum(isinstance(stored.outcome, DayFailed) for stored in batch)
        now = time.monotonic()
        if now - self._logged < PROGRESS_SECONDS and self._done < self._total:
            return
        self._logged = now
        rate = self._done / max(now - self._started, 0.001)
        left = (self._total - self._done) / rate
        self._context.log.info(
            f"{self._done} of {self._total} days done, {self._failed} failed, {rate:.1f} days/s, {left:.0f} s left"
        )
