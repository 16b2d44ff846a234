"""What Dagster sees: everything put together, and nothing else.

`workspace.yaml` points here.
"""

from dagster import Definitions, in_process_executor

from fixtures_pipeline.dagster.assets import build_report, build_tables, specify_api
from fixtures_pipeline.dagster.automation import LOAD_DAYS_JOB, build_schedules, build_sensors
from fixtures_pipeline.dagster.console import console, replace_default_console
from fixtures_pipeline.dagster.failed_days import build_failed_days
from fixtures_pipeline.dagster.partitions import daily_partitions
from fixtures_pipeline.dagster.prune import build_pruning
from fixtures_pipeline.errors import SettingsError
from fixtures_pipeline.settings import Settings


def build_definitions(settings: Settings) -> Definitions:
    """Return the project's definitions for these settings."""
    pruning, prune_daily = build_pruning(settings)
    return Definitions(
        assets=[specify_api(settings), build_tables(settings, daily_partitions(settings)), build_report(settings)],
        jobs=[LOAD_DAYS_JOB, build_failed_days(settings), pruning],
        schedules=[*build_schedules(settings), prune_daily],
        sensors=build_sensors(settings),
        # The one op does its own work at once; a process for each step would only cost seconds.
        executor=in_process_executor,
        loggers={"console": console},
    )


def _load() -> Definitions:
    replace_default_console()
    try:
        return build_definitions(Settings.load())
    except SettingsError as error:
        # A sentence, not a traceback.
        raise SystemExit(str(error)) from None


defs = _load()
