"""One measurement in a process of its own: `python -m benchmarks.measure WHAT URL DAYS FOLDER` prints its figures.

A process of its own starts cold, and its memory is only what it needed itself.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from dagster import DagsterInstance, Definitions

from benchmarks import baselines
from benchmarks.answers import days
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.loading import load_days
from fixtures_pipeline.outcome import DayFailed
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.rules import RULES


def settings(url: str, folder: Path) -> Settings:
    """Return settings that ask the server at `url` as fast as it answers."""
    return Settings.load(
        provider="sofascore",
        api_url=url,
        db=folder / "pipeline.duckdb",
        start_date=days(1)[0],
        requests_per_second=1000,
        concurrency=baselines.CONCURRENCY,
    )


def pipeline(url: str, asked: list[date], folder: Path) -> None:
    """Fetch, check and store the days, as a run does, without Dagster."""
    loaded = 0
    for batch in load_days(settings(url, folder), asked):
        assert not any(isinstance(stored.outcome, DayFailed) for stored in batch)
        loaded += len(batch)
    assert loaded == len(asked)


def dagster_run(url: str, asked: list[date], folder: Path) -> None:
    """Run the project's op over the days."""
    _range_run(build_definitions(settings(url, folder)), asked, folder)


def dagster_events(url: str, asked: list[date], folder: Path) -> None:  # noqa: ARG001 - it asks nobody
    """Log the same events from an op that does nothing else."""
    _range_run(baselines.bare_events(asked[0], len(RULES)), asked, folder)


def _range_run(definitions: Definitions, asked: list[date], folder: Path) -> None:
    tags = {
        "dagster/asset_partition_range_start": asked[0].isoformat(),
        "dagster/asset_partition_range_end": asked[-1].isoformat(),
    }
    with DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}}) as instance:
        job = definitions.resolve_implicit_global_asset_job_def()
        # What a console makes of thousands of lines is not what is measured here.
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        result = job.execute_in_process(instance=instance, tags=tags, run_config=quiet)
        assert result.success
        _figures["events"] = len(instance.all_logs(result.run_id))


_figures: dict[str, float] = {}
_TASKS: dict[str, Callable[[str, list[date], Path], None]] = {
    "floor": baselines.floor,
    "sequential": baselines.sequential,
    "pipeline": pipeline,
    "dagster_run": dagster_run,
    "dagster_events": dagster_events,
}

if __name__ == "__main__":
    what, address, number, place = sys.argv[1:]
    started = time.perf_counter()
    _TASKS[what](address, days(int(number)), Path(place))
    _figures["seconds"] = time.perf_counter() - started
    # Not getrusage: its peak includes that of the process that started this one.
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    _figures["megabytes"] = int(peak) / 1000
    print(json.dumps(_figures))
