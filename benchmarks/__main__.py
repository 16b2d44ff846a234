"""Runs measurements against their baselines, in turn, and prints a table; of short ones, the medians of several.

`python -m benchmarks` measures all that needs no server, `python -m benchmarks postgres` Postgres against files. Times
differ from machine to machine and from minute to minute; the ratios are what counts.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import answers
from benchmarks.crowd import measure_rate
from fixtures_pipeline_tests.pooled_postgres import find_missing, serve_pooled

_SEASON, _STRETCH, _FEW = 366, 60, 6
#: Days that several processes share.
_SHARED = 120
# What `refresh_days_in_progress` starts at most, and for how long `prune_runs` keeps it by default.
_TICKS_A_DAY, _KEPT_DAYS = 96, 30

#: What is measured with twenty years stored: its key, how it may compare with one year, and a bound in seconds.
_LONG = (
    ("one day loaded again, 20 years stored", "reload", 1.5, None),
    ("checks of a day's run, 20 years stored", "checks", 3, 2),
    ("checks over all days, 20 years stored", "checks_all_days", 20, 3),
    ("a day of 200 events replayed, of 20 years", "replay", None, 0.01),
)


def main() -> None:
    """Measure and print the table."""
    table = _Table()
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        match sys.argv[1:]:
            case []:
                _imports(table)
                _loads(table, folder)
                _history(table, folder)
            case ["postgres"]:
                if missing := find_missing():
                    sys.exit(missing)
                _postgres(table, folder)
            case _:
                sys.exit("Usage: python -m benchmarks [postgres]")
    table.show()


def _loads(table: "_Table", folder: Path) -> None:
    sets = [("sample", answers.write_sample_days, _STRETCH, 3), ("sample", answers.write_sample_days, _SEASON, 1)]
    if answers.RECORDED.exists():
        sets.insert(1, ("recorded", answers.write_recorded_days, _STRETCH, 3))
    memory = {}
    for kind, write, number, rounds in sets:
        bodies = folder / f"{kind}-{number}"
        bodies.mkdir()
        write(bodies, number)
        with answers.served(bodies) as url:
            tasks = ["floor", "pipeline", "sequential"]
            measured = _in_turn(tasks, rounds, url, number, folder)
            what = f"{number} {kind} days, fetch to commit"
            rates = {task: number / figures["seconds"] for task, figures in measured.items()}
            table.add(what, rates["pipeline"], "days/s", "floor", rates["floor"], ">=", 0.8)
            table.add(what, rates["pipeline"], "days/s", "sequential", rates["sequential"], ">=", 4)
            table.add(
                f"{number} {kind} days, file",
                measured["pipeline"]["file"],
                "MB",
                "SQLite, JSON",
                measured["sequential"]["file"],
                "<=",
                0.1,
            )
            memory[kind, number] = measured["pipeline"]["megabytes"]
            if number == _SEASON:
                _runs(table, folder, url)
    table.add(
        f"peak memory, {_SEASON} days",
        memory["sample", _SEASON],
        "MB",
        f"{_STRETCH} days",
        memory["sample", _STRETCH],
        "<=",
        1.2,
        limit=500,
    )


def _runs(table: "_Table", folder: Path, url: str) -> None:
    """Measure what Dagster adds: to a season, to a day, and to the disk."""
    season = _in_turn(["dagster_run"], 1, url, _SEASON, folder)["dagster_run"]
    a_day_each = _in_turn(["run_per_day"], 1, url, _FEW, folder)["run_per_day"]["seconds"] / _FEW
    single = _in_turn(["single_run", "single_run_and_report"], 3, url, 1, folder)
    one, three = (_in_turn(["ticks"], 1, url, number, folder)["ticks"]["bytes"] / 1e6 for number in (1, 3))
    what = f"{_SEASON} days, Dagster run ({season['events']:.0f} log entries)"
    table.add(what, season["within"], "s", "fetch to commit", season["without"], "<=", 1.25)
    rate = _SEASON / season["within"]
    table.add(f"{_SEASON} days, Dagster run", rate, "days/s", "a run per day, defaults", 1 / a_day_each, ">=", 200)
    figures = [single[task]["processor"] for task in ("single_run", "single_run_and_report")]
    table.add("a one-day run, processor time", figures[0], "s", "default log, and report", figures[1], "<=", 0.5)
    table.add("a one-day run, Dagster's storage", one, "MB", "aim", 0.15, "<=", 1)
    # Of the days that are over, each keeps the last of its runs.
    year = three * (_TICKS_A_DAY * _KEPT_DAYS + 365) / 1000
    table.add("a year of ticks, pruned, Dagster's storage", year, "GB", "aim", 1, "<=", 1)


def _in_turn(tasks: Sequence[str], rounds: int, url: str, days: int, folder: Path) -> dict[str, dict[str, float]]:
    """Run tasks one after the other, so many times; return the medians of their figures."""
    found: dict[str, list[dict[str, float]]] = {task: [] for task in tasks}
    for _ in range(rounds):
        for task in tasks:
            with TemporaryDirectory(dir=folder) as place:
                figures = _run("measure", task, url, str(days), place)
                # One file each: the database.
                figures["file"] = max(path.stat().st_size for path in Path(place).iterdir()) / 1e6
                found[task].append(figures)
                _say(f"{task}, {days} days: {figures['seconds']:.2f} s, {figures['megabytes']:.0f} MB")
    return {
        task: {name: median(figures[name] for figures in rounds_) for name in rounds_[0]}
        for task, rounds_ in found.items()
    }


def _history(table: "_Table", folder: Path) -> None:
    found = _run("history", str(folder))
    for what, name, allowed, limit in _LONG:
        one, twenty = found[name]
        table.add(what, twenty, "s", "1 year stored", one, "<=", allowed, limit=limit)


def _postgres(table: "_Table", folder: Path) -> None:
    """Measure what is shared by many machines against files: the store, and Dagster's tables."""
    bodies = folder / "shared"
    bodies.mkdir()
    answers.write_sample_days(bodies, _SHARED)
    with serve_pooled() as served, answers.served(bodies) as url:
        os.environ["PGPASSFILE"] = str(served.passwords)
        for processes in (1, 2, 4):
            rates: dict[str, list[float]] = {"file": [], "postgres": []}
            for number in range(3):
                places = {"file": str(folder / f"{processes}-{number}.duckdb"), "postgres": served.create()}
                for place, found in rates.items():
                    found.append(measure_rate(url, places[place], _SHARED, processes))
                    _say(f"{processes} processes, {place}: {found[-1]:.1f} days/s")
            file, postgres = (median(found) for found in rates.values())
            aim = {1: 1 / 1.4, 4: 2}.get(processes)
            what = f"{_SHARED} sample days, Postgres, {processes} at once"
            table.add(what, postgres, "days/s", "file", file, ">=", aim)
        logs: dict[str, list[float]] = {"files": [], "pooled": [], "direct": []}
        for _ in range(2):
            for place, found in logs.items():
                os.environ["BENCH_PORT"] = str({"pooled": served.pooled}.get(place, served.direct))
                task = "dagster_run" if place == "files" else "dagster_run_at"
                found.append(_in_turn([task], 1, url, _STRETCH, folder)[task]["within"])
        in_files, pooled, direct = (median(found) for found in logs.values())
        what = f"{_STRETCH} days, Dagster's tables in Postgres"
        table.add(f"{what} behind PgBouncer", pooled, "s", "without PgBouncer", direct, "<=", 0.8)
        table.add(f"{what} behind PgBouncer", pooled, "s", "in files", in_files, "<=", None)
        in_file, in_postgres = _run("history", str(folder)), _run("history", served.create())
        for what, name, _, _ in _LONG:
            table.add(f"{what}, Postgres", in_postgres[name][1], "s", "file", in_file[name][1], "<=", None)


def _imports(table: "_Table") -> None:
    clock = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    seconds: dict[str, list[float]] = {"dagster": [], "fixtures_pipeline.definitions": []}
    for _ in range(7):
        for module, found in seconds.items():
            command = [sys.executable, "-c", clock.format(module)]
            found.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    alone, both = (median(found) for found in seconds.values())
    table.add("loading the code location", both, "s", "import dagster", alone, "+<=", 0.5)


def _run(module: str, *arguments: str) -> Any:  # noqa: ANN401 - what the module prints
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


class _Table:
    """Collects rows and prints them as Markdown."""

    def __init__(self) -> None:
        self._rows = [("figure", "here", "against", "", "ratio", "aim", "met")]

    def add(
        self,
        what: str,
        value: float,
        unit: str,
        against: str,
        baseline: float,
        relation: str,
        aim: float | None,
        limit: float | None = None,
    ) -> None:
        """Add a row: a value, its baseline, and which ratio (or, for `+<=`, difference) is aimed at.

        Args:
            what: What was measured.
            value: The median.
            unit: Of value and baseline.
            against: What the baseline is.
            baseline: Its median.
            relation: `>=` or `<=` for the ratio, `+<=` for the difference.
            aim: The bound; None where none was set.
            limit: A bound on the value itself.
        """
        compared = value - baseline if relation == "+<=" else value / baseline
        met = aim is None or (compared >= aim if relation == ">=" else compared <= aim)
        met = met and (limit is None or value <= limit)
        bounds = [] if aim is None else [f"{relation} {aim:g}"]
        if limit is not None:
            bounds.append(f"<= {limit:g} {unit}")
        shown = f"+{compared:.2f} {unit}" if relation == "+<=" else f"{compared:.2f}"
        self._rows.append(
            (
                what,
                f"{value:.3g} {unit}",
                against,
                f"{baseline:.3g} {unit}",
                shown,
                ", ".join(bounds),
                "" if not bounds else "yes" if met else "NO",
            )
        )

    def show(self) -> None:
        """Print the table."""
        widths = [max(map(len, column)) for column in zip(*self._rows, strict=True)]
        for number, row in enumerate(self._rows):
            print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
            if number == 0:
                print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


if __name__ == "__main__":
    main()
