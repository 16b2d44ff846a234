"""The assets: the tables of the store, loaded day by day by one op, the API that they come from, and the report."""

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

from fixtures_pipeline import checks, notify
from fixtures_pipeline.coverage import ReportError, report_path, write_report
from fixtures_pipeline.loading import load_days as load
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import DayFailed
from fixtures_pipeline.rules import RULES
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import FixtureStore, Stored, StoreError
from fixtures_pipeline.tables import COLUMNS

GROUP = "fixtures"
OWNER = "team:fixtures"
#: Seconds between two lines of progress in the log of a run.
PROGRESS_SECONDS = 5

_COVERAGE = "coverage_report"

# Made from the day's events, so that loading the same again shows as unchanged.
_DATA_VERSION = "dagster/data_version"

_DESCRIPTIONS = {
    "fixture_days": "One row a day that has loaded: the provider's list of events as it came.",
    "fixtures": "One row an event: kickoff, status, teams, scores.",
    "fixture_errors": "One row a day whose latest fetch failed: what was seen, what to do. It goes when the day loads.",
}

_Event = AssetMaterialization | AssetCheckEvaluation | AssetCheckResult | Output[None]


def api_spec(settings: Settings) -> AssetSpec:
    """Return the provider's API, which this project reads and does not make."""
    return AssetSpec(
        "events_api",
        group_name=GROUP,
        owners=[OWNER],
        kinds={"api"},
        description=f"{settings.source.title}: what FIXTURES_PROVIDER={settings.provider} asks.",
        metadata={"provider": settings.provider, "url": settings.api_url or settings.source.base_url or "bundled"},
    )


def table_specs(settings: Settings) -> list[AssetSpec]:
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


def loading_asset(settings: Settings, partitions: DailyPartitionsDefinition) -> AssetsDefinition:
    """Return the op `load_days` that loads days into all three tables and runs the checks."""

    @multi_asset(
        name="load_days",
        specs=table_specs(settings),
        check_specs=checks.check_specs(settings, partitions),
        partitions_def=partitions,
        # A season is one run, not 366 processes.
        backfill_policy=BackfillPolicy.single_run(),
        can_subset=True,
        description="Fetches days and stores what comes of them; a day that fails raises nothing.",
    )
    def load_days(context: AssetExecutionContext) -> Iterator[_Event]:
        store = open_store(settings)
        days = _days(context)
        news = notify.News(settings.provider)
        try:
            if context.selected_asset_keys:
                yield from _load(context, settings, store, days or [], news)
                if days and settings.snapshot_file:
                    store.snapshot(settings.snapshot_file)
            yield from _checks(context, store, days)
            if context.selected_asset_keys:
                yield from _reported(context, settings)
        except StoreError as error:
            # The one thing that no row can record. `from None`: the sentence says it all.
            raise Failure(description=str(error)) from None
        finally:
            # However the run ends: what was committed would be no news in the next one.
            if news and settings.receivers:
                for complaint in notify.send(news.digest(), settings.receivers):
                    context.log.warning(f"FIXTURES_NOTIFY: {complaint}")

    return load_days


def _days(context: AssetExecutionContext) -> list[date] | None:
    """Return the days of the run; None for a run of checks without any."""
    if not context.has_partition_key and not context.has_partition_key_range:
        return None
    return [date.fromisoformat(key) for key in context.partition_keys]


def _load(
    context: AssetExecutionContext,
    settings: Settings,
    store: FixtureStore,
    days: Sequence[date],
    news: notify.News,
) -> Iterator[_Event]:
    progress = _Progress(context, len(days))
    for batch in load(settings, days, context.run.run_id):
        news.add(batch)
        rows = batch[-1].rows
        for stored in batch:
            if isinstance(stored.outcome, DayFailed):
                context.log.warning(f"{stored.day} {stored.outcome.error_type}: {stored.outcome.message}")
            for materialization in _materializations(stored, settings.provider):
                table = materialization.asset_key.to_user_string()
                yield materialization.with_metadata({**materialization.metadata, "dagster/row_count": rows[table]})
        if checks.DAY_LOADED in context.selected_asset_check_keys:
            # After the materializations of the whole batch, so that one query finds what the results are about.
            yield from checks.day_evaluations(store, context.instance, [stored.day for stored in batch])
        progress.add(batch)


def _materializations(stored: Stored, provider: str) -> Iterator[AssetMaterialization]:
    """Yield a materialization for each table in which the day really changed."""
    key = stored.day.isoformat()
    outcome = stored.outcome
    fetched: dict[str, Any] = {
        "provider": provider,
        "events": outcome.events,
        "bytes": outcome.size,
        "milliseconds": outcome.elapsed_ms,
    }
    if isinstance(outcome, DayFailed):
        error = {
            "dagster/partition_row_count": 1,
            "error_type": str(outcome.error_type),
            "error_message": outcome.message,
            "attempts": stored.attempts,
            **fetched,
        }
        if outcome.http_status is not None:
            error["http_status"] = outcome.http_status
        version = f"{outcome.error_type} {stored.attempts}"
        yield AssetMaterialization("fixture_errors", partition=key, metadata=error, tags={_DATA_VERSION: version})
        return
    yield AssetMaterialization(
        "fixture_days",
        partition=key,
        metadata={"dagster/partition_row_count": 1, "in_progress": outcome.in_progress, **fetched},
        tags={_DATA_VERSION: stored.days_version or ""},
    )
    # After fixture_days: the UI calls a table out of date whose upstream has been materialized later.
    yield AssetMaterialization(
        "fixtures",
        partition=key,
        metadata={"dagster/partition_row_count": stored.fixtures, **fetched},
        tags={_DATA_VERSION: stored.fixtures_version or ""},
    )
    yield AssetMaterialization(
        "fixture_errors",
        partition=key,
        metadata={"dagster/partition_row_count": 0, "healed": stored.healed, "provider": provider},
        tags={_DATA_VERSION: "no error"},
    )


def _checks(context: AssetExecutionContext, store: FixtureStore, days: Sequence[date] | None) -> Iterator[_Event]:
    selected = context.selected_asset_check_keys
    if checks.DAY_LOADED in selected:
        if not context.selected_asset_keys:
            yield from checks.day_evaluations(store, context.instance, days)
        # The results themselves were given day by day; the step owes Dagster this one all the same.
        yield Output(None, output_name="fixture_days_day_loaded")
    for rule in RULES:
        if any(key.name == rule.name for key in selected):
            yield checks.rule_result(rule, store, days)
    if checks.REAL_PROVIDER in selected:
        yield checks.real_provider_result()


def coverage_asset(settings: Settings) -> AssetsDefinition:
    """Return the report of what is loaded. Loads write it as well; its own op is for whoever wants it now."""

    @asset(
        name=_COVERAGE,
        deps=["fixture_days", "fixture_errors"],
        group_name=GROUP,
        owners=[OWNER],
        kinds={"html"},
        description="Coverage at a glance: a calendar of loaded, failed and missing days, and the events of each. "
        f"Every load writes it anew; all of it is in {report_path(settings).name} beside the database.",
        metadata={"report": MetadataValue.path(str(report_path(settings)))},
    )
    def coverage_report() -> MaterializeResult[None]:
        try:
            return MaterializeResult(metadata=_report(settings))
        except (StoreError, ReportError) as error:
            raise Failure(description=str(error)) from None

    return coverage_report


def _reported(context: AssetExecutionContext, settings: Settings) -> Iterator[AssetMaterialization]:
    """Yield the report anew, from within the load: in the same run its own op would be skipped."""
    try:
        yield AssetMaterialization(_COVERAGE, metadata=_report(settings))
    except (StoreError, ReportError) as error:
        # What was loaded is loaded.
        context.log.warning(f"{error} The load is not affected; materialize {_COVERAGE} to try again.")


def _report(settings: Settings) -> dict[str, Any]:
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
