"""Shows runs on several machines: `.venv/bin/python -m deploy.try_machines`, with Debian's postgresql and pgbouncer.

Three machines on one: control (webserver, daemon, code server) and two workers. Each has a copy of the project and of
machines/dagster.yaml, a home, a temporary folder and a working directory of its own. They share Postgres, and Dagster's
part of it through PgBouncer, and nothing else. It takes a few minutes, says what it sees, and ends with 0 if the tables
hold what they must.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import FaultServer, closed_port, good_body
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.pooled_postgres import configure_home, find_missing, serve_pooled
from fixtures_pipeline_tests.processes import ROOT, Ui, until
from fixtures_pipeline_tests.stores import events, tables

# Two stretches, each of which a backfill makes one run.
DAYS = [date(2025, 3, 1) + timedelta(days=n) for n in range(121) if n != 60]
FAILING = [DAYS[n] for n in (17, 18, 19, 20, 59, 60, 61, 100, 101)]
WORKERS = ("worker1", "worker2")


class Machine:
    """A folder that stands for a machine, and the processes that run in it."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        """Install it into an empty folder, but for Dagster's settings."""
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        for name in ("home/dagster", "tmp", "cwd", "project", "logs"):
            (folder / name).mkdir(parents=True)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "fixtures_pipeline", folder / "project/fixtures_pipeline", ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", folder / "project")
        self.home = folder / "home/dagster"
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_EVENT_BATCH_SIZE": "1000",
            "PYTHONPATH": str(folder / "project"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **settings,
        }

    def start(self, *command: str) -> None:
        """Start a process on this machine; what it says is kept in a file."""
        with (self._folder / f"logs/{len(self._processes)}-{command[0]}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self._folder / "cwd",
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)

    def die(self) -> None:
        """Kill whatever runs on this machine, as a power cut does."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def list_files(self) -> list[str]:
        """Return the files outside of the project's copy and the logs."""
        found = [path for name in ("home", "tmp", "cwd", "project/data") for path in (self._folder / name).rglob("*")]
        return sorted(str(path.relative_to(self._folder)) for path in found if path.is_file())


class Trial:
    """The machines, their database, the API that they ask, and the UI."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Start the database and the API, and install the machines; `stack` ends all of it."""
        served = stack.enter_context(serve_pooled())
        self.api = stack.enter_context(FaultServer())
        self.ports = {name: closed_port() for name in ("control", *WORKERS)}
        self._settings = {
            "FIXTURES_DB": f"postgresql://fixtures@127.0.0.1:{served.direct}/fixtures",
            "FIXTURES_PROVIDER": "sofascore",
            "FIXTURES_API_URL": self.api.url,
            "FIXTURES_START_DATE": "2025-01-01",
            "FIXTURES_REQUESTS_PER_SECOND": "6",
            "PGPASSFILE": str(served.passwords),
        }
        self._folder = folder
        self._machines = {name: Machine(folder / name, self._settings) for name in self.ports}
        launcher = {"workers": [self.address(name) for name in WORKERS], "silence_seconds": 5}
        for machine in self._machines.values():
            # Less patience than it has as it is shipped, so that this takes minutes.
            configure_home(
                machine.home,
                served.pooled,
                run_launcher={"config": launcher},
                run_monitoring={"poll_interval_seconds": 2},
            )
            stack.callback(machine.die)

    def address(self, name: str) -> str:
        """Return the address of a machine's code server."""
        return f"127.0.0.1:{self.ports[name]}"

    def start(self) -> Ui:
        """Start what runs on each machine, and return the UI once every code server answers."""
        for name in self._machines:
            self.serve_code(name)
        workspace = self._folder / "control/workspace.yaml"
        shipped = (ROOT / "deploy/machines/workspace.yaml").read_text()
        workspace.write_text(shipped.replace("port: 4000", f"port: {self.ports['control']}"))
        port = closed_port()
        control = self._machines["control"]
        control.start("dagster_webserver", "-h", "127.0.0.1", "-p", str(port), "-w", str(workspace))
        control.start("dagster._daemon", "run", "-w", str(workspace))
        ui = Ui(f"http://127.0.0.1:{port}")

        def answers() -> bool:
            try:
                return bool(ui.ask("{ assetNodes { id } }")["assetNodes"])
            except requests.ConnectionError:
                return False

        until(answers, 120)
        return ui

    def serve_code(self, name: str) -> None:
        """Start a machine's code server, as machines/fixtures-code.service does."""
        server = ("-h", "127.0.0.1", "-p", str(self.ports[name]), "-m", "fixtures_pipeline.definitions")
        self._machines[name].start("dagster", "api", "grpc", *server)

    def kill(self, name: str) -> None:
        """Kill whatever runs on a machine."""
        self._machines[name].die()

    def read_tables(self) -> dict[str, int]:
        """Assert that the tables hold what the API gave and an oracle makes of it; return how many rows there are."""
        os.environ |= self._settings
        store = open_store(Settings.load())
        assert_rules(store)
        names = ("fixture_days", "fixtures", "fixture_errors")
        found = dict(zip(names, tables(store, *names), strict=True))
        for row in found["fixture_days"]:
            assert json.loads(row["data"]) == events(good_body(row["date"]))
        return {name: len(rows) for name, rows in found.items()}

    def list_files(self) -> dict[str, list[str]]:
        """Return what each machine has on its disk, by name."""
        return {name: machine.list_files() for name, machine in self._machines.items()}


class Log:
    """Says what is seen, and whether it is what was expected."""

    def __init__(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()
        self.wrong = 0

    def say(self, what: str) -> None:
        """Print a line with the seconds since the start."""
        print(f"{time.monotonic() - self._started:6.1f} s  {what}", flush=True)

    def expect(self, what: str, seen: object, expected: object) -> None:
        """Print what is seen, and what was expected if it differs."""
        self.wrong += seen != expected
        self.say(f"{what}: {seen}" + ("" if seen == expected else f"   WRONG, it should be {expected}"))


def list_runs(ui: Ui, names: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return the runs, oldest first: what they are about, the worker, and the status."""
    found = ui.ask("{ runsOrError { ... on Runs { results { status tags { key value } } } } }")["runsOrError"][
        "results"
    ]
    runs = []
    for run in reversed(found):
        tags = {tag["key"]: tag["value"] for tag in run["tags"]}
        first, last = (tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end"))
        number = tags.get("dagster/retry_number")
        about = f"{first or tags['dagster/partition']} to {last or tags['dagster/partition']}"
        worker = names.get(tags.get("fixtures/worker", ""), "no worker yet")
        runs.append((about + (f", retry {number}" if number else ""), worker, run["status"]))
    return runs


def try_machines(trial: Trial, log: Log) -> None:
    """Load 120 days on two workers, lose one in the middle, heal, load what failed again, and compare."""
    ui = trial.start()
    log.say("Postgres, PgBouncer, control and two workers are up.")
    names = {trial.address(name): name for name in WORKERS}

    for day in FAILING:
        trial.api.plan(day, b'{"events": []}')
    backfill = ui.backfill(DAYS)
    log.say(f"A backfill of {len(DAYS)} days is launched; {len(FAILING)} of them get no proper answer.")
    until(lambda: {worker for _, worker, _ in list_runs(ui, names)} == set(WORKERS), 120)
    until(lambda: len(trial.api.requests) > len(DAYS) / 3, 120)
    trial.kill("worker1")
    log.say(f"worker1 is killed with everything on it, after {len(trial.api.requests)} requests.")
    log.expect("The backfill has ended", ui.ended(backfill)["status"], "COMPLETED_FAILED")
    runs = list_runs(ui, names)
    for about, worker, status in runs:
        log.say(f"    {about} on {worker}: {status}")
    lost = next(about for about, worker, _ in runs if worker == "worker1")
    retried = [run for run in runs if "retry" in run[0]]
    log.expect("Run again by itself", retried, [(f"{lost}, retry 1", "worker2", "FAILURE")])
    good = len(DAYS) - len(FAILING)
    log.expect(
        "Rows", trial.read_tables(), {"fixture_days": good, "fixtures": good * 5, "fixture_errors": len(FAILING)}
    )
    log.expect("Days passed and failed in the UI", ui.check_bar(), (good, len(FAILING)))

    trial.serve_code("worker1")
    for day in FAILING:
        trial.api.plan(day, good_body(day))
    asked = len(trial.api.requests)
    log.say("worker1 is back, the API is healed, the backfill is re-executed from failure.")
    log.expect("It has ended", ui.ended(ui.retry(backfill))["status"], "COMPLETED_SUCCESS")
    for about, worker, status in list_runs(ui, names)[len(runs) :]:
        log.say(f"    {about} on {worker}: {status}")
    again = sorted(str(request.day) for request in trial.api.requests[asked:])
    log.expect("Asked for again, and no other day", again, [str(day) for day in FAILING])
    log.expect("Rows", trial.read_tables(), {"fixture_days": len(DAYS), "fixtures": len(DAYS) * 5, "fixture_errors": 0})
    log.expect("Days passed and failed in the UI", ui.check_bar(), (len(DAYS), 0))
    for name, files in trial.list_files().items():
        log.expect(f"Files that {name} has", files, ["home/dagster/dagster.yaml"])


def main() -> int:
    """Try it, and return the exit code."""
    if missing := find_missing():
        print(missing)
        return 2
    log = Log()
    with TemporaryDirectory(prefix="machines-") as folder, ExitStack() as stack:
        try_machines(Trial(Path(folder), stack), log)
    print("FAILED" if log.wrong else "PASSED: the tables hold what they must, on all machines.")
    return 1 if log.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
