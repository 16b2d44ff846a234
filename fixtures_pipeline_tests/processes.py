"""Processes that tests start: a `dagster dev`, loaders, somebody who holds a file; and a UI, asked as its pages ask it.

Each process is a context manager, and ends with its context. What `make run` starts is in `shell`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import requests
from dagster import DagsterInstance

# What the daemon keeps of a schedule; Dagster has no public way to change it.
from dagster._core.scheduler.instigation import InstigatorType, ScheduleInstigatorData

from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import closed_port

ROOT = Path(__file__).parents[1]
TABLES = ("fixture_days", "fixtures", "fixture_errors")


def until(condition: Callable[[], Any], seconds: float) -> Any:
    """Wait for something to become true, and return it."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds} seconds: {condition}"
        time.sleep(0.5)
    return value


def environment(settings: Settings, home: Path | None, **more: str) -> dict[str, str]:
    """Return an environment in which processes have these settings, and a home that is given or their own choice."""
    return {
        **os.environ,
        **({"DAGSTER_HOME": str(home)} if home else {}),
        "FIXTURES_PROVIDER": settings.provider,
        "FIXTURES_API_URL": settings.api_url or "",
        "FIXTURES_DB": settings.address or str(settings.database),
        "FIXTURES_START_DATE": settings.start_date.isoformat(),
        "FIXTURES_REQUESTS_PER_SECOND": "1000",
        **more,
    }


class Process(subprocess.Popen[str]):
    """A Python process; leaving its context kills it and whatever it has started."""

    def __init__(self, *arguments: str, **options: Any) -> None:
        super().__init__([sys.executable, *arguments], cwd=ROOT, text=True, start_new_session=True, **options)

    def __exit__(self, *args: Any) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        super().__exit__(*args)


class Ui:
    """A running UI, asked over GraphQL as its pages ask it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: Any) -> Any:
        response = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60)
        answer = response.json()
        assert not answer.get("errors"), answer
        return answer["data"]

    def runs(self) -> set[str]:
        """Return the ids of all runs."""
        found = self.ask("{ runsOrError { ... on Runs { results { runId } } } }")
        return {run["runId"] for run in found["runsOrError"]["results"]}

    def ended_run(self, run: str) -> str:
        """Wait for a run's end, and return its status."""

        def status() -> str | None:
            found = self.ask("query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run)
            status: str = found["runOrError"]["status"]
            return status if status in {"SUCCESS", "FAILURE", "CANCELED"} else None

        return str(until(status, 240))

    def checks(self) -> dict[str, tuple[str, str] | None]:
        """Return the status and the run of each check's latest result; None where the UI says *Not Evaluated*."""
        found = self.ask(
            """query ($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) { assetChecksOrError {
                ... on AssetChecks { checks { name executionForLatestMaterialization { status runId } } } } } }""",
            keys=[{"path": [name]} for name in TABLES],
        )["assetNodes"]
        latest = {
            check["name"]: check["executionForLatestMaterialization"]
            for node in found
            for check in node["assetChecksOrError"]["checks"]
        }
        return {name: (one["status"], one["runId"]) if one else None for name, one in latest.items()}

    def backfills(self) -> set[str]:
        """Return the ids of all backfills."""
        found = self.ask("{ partitionBackfillsOrError { ... on PartitionBackfills { results { id } } } }")
        return {one["id"] for one in found["partitionBackfillsOrError"]["results"]}

    def backfill(self, days: list[date], assets: Sequence[str] = TABLES) -> str:
        """Launch a backfill as the Materialize dialog does, and return its id."""
        answer = self.ask(
            """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
                __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
            params={
                "assetSelection": [{"path": [name]} for name in assets],
                "partitionNames": [day.isoformat() for day in days],
            },
        )["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def retry(self, backfill: str) -> str:
        """Press *Re-execute from failure* on a backfill's page, and return the new backfill's id."""
        answer = self.ask(
            """mutation ($params: ReexecutionParams!) { reexecutePartitionBackfill(reexecutionParams: $params) {
                __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
            params={"parentRunId": backfill, "strategy": "FROM_FAILURE"},
        )["reexecutePartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def ended(self, backfill: str) -> dict[str, Any]:
        """Wait for a backfill's end, and return what its page shows."""

        def state() -> Any:
            found = self.ask(
                """query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
                    status runs { id status assetSelection { path } } assetBackfillData { assetBackfillStatuses {
                        ... on AssetPartitionsStatusCounts { assetKey { path } numPartitionsTargeted
                            numPartitionsMaterialized numPartitionsFailed } } } } } }""",
                id=backfill,
            )["partitionBackfillOrError"]
            return found if found["status"] not in {"REQUESTED", "CANCELING"} else None

        ended: dict[str, Any] = until(state, 240)
        return ended

    def check_bar(self) -> tuple[int, int]:
        """Return how many days of `day_loaded` the partition bar shows as passed and failed."""
        found = self.ask(
            """{ assetNodeOrError(assetKey: {path: ["fixture_days"]}) { ... on AssetNode {
                assetChecksOrError { ... on AssetChecks { checks { name partitionStatuses {
                    __typename ... on AssetCheckTimePartitionStatuses { ranges { status startKey endKey } }
                } } } } } } }"""
        )["assetNodeOrError"]["assetChecksOrError"]["checks"]
        [bar] = [check["partitionStatuses"] for check in found if check["name"] == "day_loaded"]
        counts = {"SUCCEEDED": 0, "FAILED": 0}
        for stretch in bar["ranges"]:
            days = (date.fromisoformat(stretch["endKey"]) - date.fromisoformat(stretch["startKey"])).days + 1
            counts[stretch["status"]] = counts.get(stretch["status"], 0) + days
        return counts["SUCCEEDED"], counts["FAILED"]

    def report(self) -> dict[str, int]:
        """Return the numbers of the latest report."""
        [node] = self.ask(
            """{ assetNodes(assetKeys: [{path: ["coverage_report"]}]) { assetMaterializations(limit: 1) {
                metadataEntries { label ... on IntMetadataEntry { intValue } } } } }"""
        )["assetNodes"]
        entries = node["assetMaterializations"][0]["metadataEntries"]
        return {entry["label"]: entry["intValue"] for entry in entries if "intValue" in entry}

    def stale_states(self, day: date) -> set[str]:
        """Return what the UI says of the tables on a day: FRESH, or that they are unsynced."""
        found = self.ask(
            """query ($day: String!, $keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) {
                staleStatus(partition: $day) } }""",
            day=day.isoformat(),
            keys=[{"path": [name]} for name in TABLES],
        )["assetNodes"]
        return {one["staleStatus"] for one in found}


class Dagster(Ui):
    """A `dagster dev`, of other definitions than the project's if a module of them is named."""

    def __init__(self, home: Path, settings: Settings, module: str | None = None) -> None:
        port = closed_port()
        super().__init__(f"http://127.0.0.1:{port}")
        self.home = home
        home.mkdir(exist_ok=True)
        (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
        with (home / "dev.log").open("w") as log:
            arguments = [
                "-m",
                "dagster",
                "dev",
                "-h",
                "127.0.0.1",
                "-p",
                str(port),
                *(["-m", module] if module else []),
            ]
            self._process = Process(*arguments, env=environment(settings, home), stdout=log, stderr=subprocess.STDOUT)

    def __enter__(self) -> "Dagster":
        try:
            until(self._is_up, 120)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *args: object) -> None:
        with self._process:
            os.killpg(self._process.pid, signal.SIGINT)
            self._process.wait(30)

    def _is_up(self) -> bool:
        try:
            return bool(self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"))
        except requests.RequestException:
            return False

    def miss_a_tick(self, schedule: str) -> None:
        """Make the daemon find a tick that it has missed, as if the schedule had been switched on a day ago."""
        with DagsterInstance.from_config(str(self.home)) as instance:
            [state] = [
                state
                for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
                if state.instigator_name == schedule
            ]
            assert isinstance(state.instigator_data, ScheduleInstigatorData)
            earlier = (state.instigator_data.start_timestamp or time.time()) - timedelta(days=1).total_seconds()
            data = ScheduleInstigatorData(state.instigator_data.cron_schedule, earlier)
            instance.update_instigator_state(state.with_data(data))


def loader(place: Path | str, first: date, count: int, rounds: int = 1, *copy: str) -> Process:
    """Start a process that loads days over and over, and leaves a copy of the database after each load."""
    arguments = (str(place), first.isoformat(), str(count), str(rounds), *copy)
    return Process("-m", "fixtures_pipeline_tests.loader", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@contextmanager
def holding(path: Path, seconds: float, *, read_only: bool = False) -> Iterator[Process]:
    """Have another process open the file, for writing unless it is said otherwise."""
    code = (
        f"import duckdb, time; c = duckdb.connect({str(path)!r}, read_only={read_only}); "
        f"print('open', flush=True); time.sleep({seconds})"
    )
    with Process("-c", code, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
