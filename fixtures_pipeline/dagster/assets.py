"""The assets: the tables of the store, loaded day by day by one op, the API that they come from, and the report.

What Dagster is told of a day is in `events`, what the checks say in `checks`.
"""

import base64
import gc
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    AutomationCondition,
    BackfillPolicy,
    DagsterEvent,
    DailyPartitionsDefinition,
    Failure,
    MaterializeResult,
    MetadataValue,
    OpExecutionContext,
    Output,
    TableColumn,
    TableSchema,
    asset,
    multi_asset,
)

from fixtures_pipeline import loading, notify
from fixtures_pipeline.dagster.automation import is_retrying
from fixtures_pipeline.dagster.batches import log_at_once
from fixtures_pipeline.dagster.checks import evaluate_rules, specify_checks
from fixtures_pipeline.dagster.events import DAY_LOADED, describe_fixtures, describe_tables, evaluate_days
from fixtures_pipeline.days import list_days
from fixtures_pipeline.errors import ReportError, StoreError, StoreMissingError
from fixtures_pipeline.outcome import DayFailed, DayState
from fixtures_pipeline.providers.mapping import version_of
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.questions import find_states
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline.text import count

GROUP = "fixtures"
OWNER = "team:fixtures"
#: Metadata of the failure of a run that tried all of its days: how many failed.
FAILED_DAYS = "failed_days"
#: Failed days of one type that the last sentence of a run names.
DAYS_NAMED = 3
#: Seconds between two lines of progress in the log of a run.
PROGRESS_SECONDS = 5

# A run that is cancelled between two events leaves its op suspended in a circle of references, and what the op has open
# (threads that ask, a server of samples) would keep the process for ever. This closes it before threads are waited for.
threading._register_atexit(gc.collect)  # type: ignore[attr-defined]

_DESCRIPTIONS = {
    "fixture_days": "One row per loaded day: the provider's list of events as it came.",
    "fixtures": "One row per event: kickoff, status, teams, scores.",
    "fixture_errors": "One row per day whose latest fetch failed: what was seen, what to do. It is deleted once the "
    "day loads.",
}

_INVENTED = "Sample data, invented by the bundled API: not real fixtures. "

#: What a step tells Dagster of days and rules.
Told = DagsterEvent | AssetCheckEvaluation
_Event = Told | Output[None]


def specify_api(settings: Settings) -> AssetSpec:
    """Return the provider's API, which this project reads and does not make."""
    return AssetSpec(
        "events_api",
        group_name=GROUP,
        owners=[OWNER],
        kinds={"api"},
        description=f"{settings.source.title}: the API that FIXTURES_PROVIDER={settings.provider} reads.",
        metadata={
            "provider": settings.provider,
            "sport": settings.sport,
            "url": settings.api_url or settings.source.base_url or "bundled",
            **_attribute(settings),
        },
    )


def _attribute(settings: Settings) -> dict[str, str]:
    """Return the line with which the provider is named where its data are shown, if it asks for one."""
    return {"attribution": settings.source.attribution} if settings.source.attribution else {}


def specify_tables(settings: Settings) -> list[AssetSpec]:
    """Return the three tables that days are loaded into."""
    upstream = {"fixture_days": "events_api", "fixtures": "fixture_days", "fixture_errors": "events_api"}
    warning = _INVENTED if settings.provider == "sample" else ""
    database = loading.open_database(settings)
    return [
        AssetSpec(
            table,
            deps=[upstream[table]],
            skippable=True,
            group_name=GROUP,
            owners=[OWNER],
            kinds={database.engine, "table"},
            description=warning + description,
            # After a change of the mapping, the UI marks the days that were made by the old one.
            code_version=version_of(settings.source) if table == "fixtures" else None,
            metadata={
                "dagster/table_name": database.qualify(table),
                "dagster/column_schema": TableSchema(
                    [TableColumn(column.name, column.type, column.description) for column in COLUMNS[table]]
                ),
                "database": database.shown,
                **_attribute(settings),
            },
        )
        for table, description in _DESCRIPTIONS.items()
    ]


def build_tables(settings: Settings, partitions: DailyPartitionsDefinition) -> AssetsDefinition:
    """Return the op `load_days` that loads days into all three tables and runs the checks."""

    @multi_asset(
        name="load_days",
        specs=specify_tables(settings),
        check_specs=specify_checks(partitions),
        partitions_def=partitions,
        # A season is one run, not 366 processes.
        backfill_policy=BackfillPolicy.single_run(),
        can_subset=True,
        description="Fetches days, stores and checks each of them, and fails at the end if any day did. For fixtures "
        "alone: makes the rows of days again from their stored answers, and fetches nothing.",
    )
    def load_days(context: AssetExecutionContext) -> Iterator[_Event]:
        days = _list_days(context)
        if context.selected_asset_keys == {AssetKey("fixtures")}:
            yield from _replay(context, settings, days or [])
        elif context.selected_asset_keys:
            yield from load_and_check(context, settings, days or [])
        else:
            yield from _check(context, settings, days)
        # The results are given already; Dagster expects an output for each check that was selected all the same.
        for name, spec in context.assets_def.check_specs_by_output_name.items():
            if spec.key in context.selected_asset_check_keys:
                yield Output(None, output_name=name)

    return load_days


def _list_days(context: AssetExecutionContext) -> list[date] | None:
    """Return the days of the run; None for a run of checks without any."""
    if not context.has_partition_key and not context.has_partition_key_range:
        return None
    # Not `partition_keys`, which raises in a run that has days but only checks that have none.
    first, last = (date.fromisoformat(key) for key in context.partition_key_range)
    return list_days(first, last)


@contextmanager
def failing_plainly() -> Iterator[None]:
    """Let an unusable database fail the run with its sentence: the one thing that no row can record.

    Raises:
        Failure: in place of a `StoreError`.
    """
    try:
        yield
    except StoreError as error:
        # `from None`: the sentence is enough.
        raise Failure(str(error), allow_retries=False) from None


def load_and_check(
    context: OpExecutionContext | AssetExecutionContext, settings: Settings, days: Sequence[date]
) -> Iterator[Told]:
    """Load days, tell Dagster of each, and evaluate every check, as each is about a table that has changed.

    Raises:
        Failure: the database cannot be used, or, last of all, a day has failed. All days were tried, stored and checked
            by then.
    """
    store = loading.open_store(settings)
    news = notify.News(settings.source.identity)
    failures: list[DayFailed] = []
    retries_on = is_retrying(context.instance)
    try:
        with failing_plainly():
            yield from _load(context, settings, days, news, failures, retries_on=retries_on)
            if days:
                loading.copy_for_readers(settings)
            yield from evaluate_rules(RULES, store, context.instance, days, retries_on=retries_on)
    finally:
        # However the run ends: what was committed would be no news in the next one.
        if news and settings.receivers:
            for complaint in notify.send(news.digest(), settings.receivers):
                context.log.warning(f"FIXTURES_NOTIFY: {complaint}")
    if failures:
        # Dagster marks exactly these days as failed.
        raise Failure(_summarize(failures, len(days)), {FAILED_DAYS: len(failures)}, allow_retries=False)


def _load(
    context: OpExecutionContext | AssetExecutionContext,
    settings: Settings,
    days: Sequence[date],
    news: notify.News,
    failures: list[DayFailed],
    *,
    retries_on: bool,
) -> Iterator[Told]:
    """Load the days and tell Dagster of each; those that fail are added to `failures`."""
    progress = _Progress(context, len(days))
    mapping = version_of(settings.source)
    batches = loading.load_days(settings, days, context.run.run_id, note=news.add, warn=context.log.warning)
    for batch in batches:
        for stored in batch:
            if stored.stale:
                context.log.info(f"{stored.day}: what another run fetched later is stored already, and is kept.")
            elif isinstance(stored.outcome, DayFailed):
                failures.append(stored.outcome)
                context.log.warning(f"{stored.day} {stored.outcome.error_type}: {stored.outcome.message}")
        made = [one for stored in batch for one in describe_tables(stored, settings.source, mapping)]
        for table in _DESCRIPTIONS:
            yield from log_at_once(context, [one for one in made if one.asset_key == AssetKey(table)])
        # After the materializations of the whole batch, so that one query finds what the results are about.
        yield from evaluate_days(context.instance, [stored.state for stored in batch], retries_on=retries_on)
        progress.add(len(batch), sum(isinstance(stored.outcome, DayFailed) for stored in batch))


def _replay(context: AssetExecutionContext, settings: Settings, days: Sequence[date]) -> Iterator[Told]:
    """Make the rows of the days in `fixtures` again from their stored answers, and evaluate the rules about them."""
    store = loading.open_store(settings)
    progress = _Progress(context, len(days))
    mapping = version_of(settings.source)
    replayed = 0
    with failing_plainly():
        for batch in loading.replay_days(settings, days, context.run.run_id):
            yield from log_at_once(
                context, [describe_fixtures(made, mapping, {"provider": settings.provider}) for made in batch]
            )
            progress.add(len(batch))
            replayed += len(batch)
        if replayed < len(days):
            context.log.info(f"Days without a stored answer, to be loaded instead: {len(days) - replayed}.")
        if replayed:
            loading.copy_for_readers(settings)
        rules = [rule for rule in RULES if rule.asset == "fixtures"]
        yield from evaluate_rules(rules, store, context.instance, days, retries_on=is_retrying(context.instance))


def _check(
    context: AssetExecutionContext, settings: Settings, days: Sequence[date] | None
) -> Iterator[AssetCheckEvaluation]:
    """Evaluate the checks that were selected."""
    store = loading.open_store(settings)
    selected = {key.name for key in context.selected_asset_check_keys}
    retries_on = is_retrying(context.instance)
    with failing_plainly():
        if DAY_LOADED.name in selected:
            yield from evaluate_days(context.instance, _find_states(store, days), retries_on=retries_on)
        rules = [rule for rule in RULES if rule.name in selected]
        yield from evaluate_rules(rules, store, context.instance, days, retries_on=retries_on)


def _summarize(failures: Sequence[DayFailed], total: int) -> str:
    """Say how many days failed, which, by type, and where to look."""
    kinds: dict[str, list[date]] = {}
    for failure in failures:
        kinds.setdefault(failure.error_type, []).append(failure.day)
    parts = []
    for kind, days in sorted(kinds.items(), key=lambda group: (-len(group[1]), group[0])):
        named = ", ".join(str(day) for day in sorted(days)[:DAYS_NAMED])
        parts.append(f"{len(days)} {kind} ({named}{', …' if len(days) > DAYS_NAMED else ''})")
    others = "The others are loaded. " if len(failures) < total else ""
    return (
        f"{len(failures)} of {count(total, 'day')} failed: {'; '.join(parts)}. {others}"
        "fixture_days > Checks > day_loaded says for each red day what to do; the job load_failed_days_now loads all "
        "failing days again."
    )


def _find_states(store: FixtureStore, days: Sequence[date] | None) -> list[DayState]:
    """Return the state of each of `days`, or of every day that was ever asked for."""
    try:
        known = {state.day: state for state in find_states(store, days)}
    except StoreMissingError:
        known = {}
    return list(known.values()) if days is None else [known.get(day, DayState(day)) for day in days]


def build_report(settings: Settings) -> AssetsDefinition:
    """Return the report of what is loaded: made on demand, and by its automation after loads, at most once an hour."""
    place = str(settings.report_file) if settings.address else f"{settings.report_file.name} beside the database"

    @asset(
        name="coverage_report",
        deps=["fixture_days", "fixture_errors"],
        automation_condition=AutomationCondition.any_deps_updated().since_last_handled()
        & AutomationCondition.cron_tick_passed("0 * * * *"),
        group_name=GROUP,
        owners=[OWNER],
        kinds={"html"},
        description="Coverage at a glance: a calendar of loaded, failed and missing days, and the events of each. "
        f"All of it is in {place}.",
        metadata={"report": MetadataValue.path(str(settings.report_file)), **_attribute(settings)},
    )
    def coverage_report() -> MaterializeResult[None]:
        try:
            return MaterializeResult(metadata=_write_report(settings))
        except (StoreError, ReportError) as error:
            raise Failure(description=str(error)) from None

    return coverage_report


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

    def __init__(self, context: OpExecutionContext | AssetExecutionContext, total: int) -> None:
        self._context = context
        self._total = total
        self._done = self._failed = 0
        self._started = self._logged = time.monotonic()

    def add(self, done: int, failed: int = 0) -> None:
        """Count a batch, and log if the last line is a while ago."""
        self._done += done
        self._failed += failed
        now = time.monotonic()
        if now - self._logged < PROGRESS_SECONDS and self._done < self._total:
            return
        self._logged = now
        rate = self._done / max(now - self._started, 0.001)
        left = (self._total - self._done) / rate
        self._context.log.info(
            f"{self._done} of {self._total} days done, {self._failed} failed, {rate:.1f} days/s, {left:.0f} s left"
        )
