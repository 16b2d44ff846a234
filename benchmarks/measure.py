"""One measurement in a process of its own: `python -m benchmarks.measure WHAT URL DAYS FOLDER` prints its figures.

A process of its own starts cold, and its memory is only what it needed itself.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from dagster import AssetKey, DagsterInstance, ExecuteInProcessResult

from benchmarks import baselines
from benchmarks.answers import days
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.loading import load_days
from fixtures_pipeline.outcome import DayFailed
from fixtures_pipeline.settings import PROJECT_ROOT, Settings
from fixtures_pipeline_tests.pooled_postgres import configure_home

_FILE = "pipeline.duckdb"


def settings(url: str, db: Path | str) -> Settings:
    """Return settings that ask the server at `url` as fast as it answers, and store into a file or at an address."""
    return Settings.load(
        provider="sofascore",
        api_url=url,
        db=db,
        start_date=days(1)[0],
        requests_per_second=1000,
        concurrency=baselines.CONCURRENCY,
    )


def pipeline(url: str, asked: list[date], folder: Path) -> None:
    """Fetch, check and store the days, as a run does, without Dagster."""
    load_all(url, folder / _FILE, asked)


def load_all(url: str, db: Path | str, asked: list[date]) -> None:
    """Load the days into a store, all of which must load."""
    loaded = 0
    for batch in load_days(settings(url, db), asked):
        assert not any(isinstance(stored.outcome, DayFailed) for stored in batch)
        loaded += len(batch)
    assert loaded == len(asked)


def dagster_run(url: str, asked: list[date], folder: Path) -> None:
    """Fetch and store the days, then run the project's op over them, in the same process."""
    for name in ("without", "within"):
        (folder / name).mkdir()
    started = time.perf_counter()
    pipeline(url, asked, folder / "without")
    _figures["without"] = time.perf_counter() - started
    with _open_home(folder) as instance:
        started = time.perf_counter()
        result = _range_run(url, asked, folder / "within", instance)
        _figures["within"] = time.perf_counter() - started
        _figures["events"] = len(instance.all_logs(result.run_id))


def dagster_run_at(url: str, asked: list[date], folder: Path) -> None:
    """Run the project's op over the days, with Dagster's tables in the Postgres at the port `BENCH_PORT`."""
    home = folder / "home"
    home.mkdir()
    configure_home(home, int(os.environ["BENCH_PORT"]))
    # As in deploy/.
    os.environ["DAGSTER_EVENT_BATCH_SIZE"] = "1000"
    with DagsterInstance.from_config(str(home)) as instance:
        started = time.perf_counter()
        _range_run(url, asked, folder, instance)
        _figures["within"] = time.perf_counter() - started


def ticks(url: str, asked: list[date], folder: Path) -> None:
    """Run the project's op over the same days ten times, in a home that has seen them before."""
    rounds = 10
    with _open_home(folder) as instance:
        _range_run(url, asked, folder, instance)
    before = _measure_home(folder)
    with _open_home(folder) as instance:
        for _ in range(rounds):
            _range_run(url, asked, folder, instance)
    _figures["bytes"] = (_measure_home(folder) - before) / rounds


def single_run(url: str, asked: list[date], folder: Path) -> None:
    """Run the project's op over the days, for the second time."""
    with _open_home(folder) as instance:
        _range_run(url, asked, folder, instance)
        started = time.process_time()
        _range_run(url, asked, folder, instance)
        _figures["processor"] = time.process_time() - started


def single_run_and_report(url: str, asked: list[date], folder: Path) -> None:
    """Do the same and draw the report, as every load did in version 0.1, with Dagster's own event log."""
    with DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}}) as instance:
        job = build_definitions(settings(url, folder / _FILE)).resolve_implicit_global_asset_job_def()
        for _ in range(2):
            started = time.process_time()
            _range_run(url, asked, folder, instance)
            assert job.execute_in_process(instance=instance, asset_selection=[AssetKey("coverage_report")]).success
            _figures["processor"] = time.process_time() - started


def run_per_day(url: str, asked: list[date], folder: Path) -> None:
    """Run the project's op over each of the days by itself, with all that Dagster does by default."""
    os.environ |= baselines.describe(settings(url, folder / _FILE))
    with DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}}) as instance:
        for day in asked:
            tags = {"dagster/partition": day.isoformat()}
            # A run is a process, which starts another one for its step.
            command = [sys.executable, "-m", "benchmarks.baselines", instance.root_directory, json.dumps(tags)]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def _range_run(url: str, asked: list[date], folder: Path, instance: DagsterInstance) -> ExecuteInProcessResult:
    tags = {
        "dagster/asset_partition_range_start": asked[0].isoformat(),
        "dagster/asset_partition_range_end": asked[-1].isoformat(),
    }
    definitions = build_definitions(settings(url, folder / _FILE))
    job = definitions.resolve_job_def("load_days_job")
    result = job.execute_in_process(instance=instance, tags=tags)
    assert result.success
    return result


def _open_home(folder: Path) -> DagsterInstance:
    """Open a home as `make run` makes it."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    shutil.copy(PROJECT_ROOT / "dagster.yaml", home)
    return DagsterInstance.from_config(str(home))


def _measure_home(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "home").rglob("*") if path.is_file())


_figures: dict[str, float] = {}
_TASKS: dict[str, Callable[[str, list[date], Path], None]] = {
    "floor": baselines.floor,
    "sequential": baselines.sequential,
    "pipeline": pipeline,
    "dagster_run": dagster_run,
    "dagster_run_at": dagster_run_at,
    "ticks": ticks,
    "single_run": single_run,
    "single_run_and_report": single_run_and_report,
    "run_per_day": run_per_day,
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
