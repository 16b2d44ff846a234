"""What Dagster sees: everything put together, and nothing else.

`workspace.yaml` points here.
"""

from dagster import Definitions, in_process_executor

from fixtures_pipeline.assets import api_spec, coverage_asset, loading_asset
from fixtures_pipeline.automation import load_days_job, progress_schedule, retry_sensor, window_schedule
from fixtures_pipeline.partitions import daily_partitions
from fixtures_pipeline.settings import Settings, SettingsError


def build_definitions(settings: Settings) -> Definitions:
    """Return the project's definitions for these settings."""
    partitions = daily_partitions(settings)
    job = load_days_job()
    return Definitions(
        assets=[api_spec(settings), loading_asset(settings, partitions), coverage_asset(settings)],
        jobs=[job],
        schedules=[window_schedule(settings, job), progress_schedule(settings, job)],
        sensors=[retry_sensor(settings, job)],
        # The one op does its own work at once; a process for each step would only cost seconds.
        executor=in_process_executor,
    )


def _load() -> Definitions:
    try:
        return build_definitions(Settings.load())
    except SettingsError as error:
        # A sentence, not a traceback.
        raise SystemExit(str(error)) from None


defs = _load()
