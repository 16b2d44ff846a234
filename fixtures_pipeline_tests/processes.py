"""Processes that tests start: a `dagster dev`, loaders, somebody who holds a file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import requests
from dagster import DagsterInstance
from dagster._core.scheduler.instigation import InstigatorType, ScheduleInstigatorData

from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import closed_port

ROOT = Path(__file__).parents[1]
TABLES = ("fixture_days", "fixtures", "fixture_errors")


class Dagster:
    """A `dagster dev` of the test's own."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self.home = home
        home.mkdir()
        (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
        self.port = closed_port()
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "FIXTURES_PROVIDER": settings.provider,
            "FIXTURES_API_URL": settings.api_url or "",
            "FIXTURES_DB": str(settings.database),
            "FIXTURES_START_DATE": settings.start_date.isoformat(),
            "FIXTURES_REQUESTS_PER_SECOND": "1000",
        }
        self._log = (home / "dev.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(self.port)],
            cwd=ROOT,
            env=environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> "Dagster":
        self.until(self._is_up, 120)
        return self

    def __exit__(self, *args: object) -> None:
        os.killpg(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(30)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._log.close()

    def _is_up(self) -> bool:
        try:
            return bool(self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"))
        except requests.RequestException:
            return False

    def until(self, condition: Any, seconds: float) -> Any:
        """Wait for something to become true, and return it."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, f"not within {seconds} seconds: {condition}"
            time.sleep(0.5)
        return value

    def ask(self, query: str, **variables: Any) -> Any:
        response = requests.post(
            f"http://127.0.0.1:{self.port}/graphql", json={"query": query, "variables": variables}, timeout=30
        )
        answer = response.json()
        assert not answer.get("errors"), answer
        return answer["data"]

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

    def was_switched_on_a_day_ago(self, schedule: str) -> None:
        """Make the daemon find a tick that it has missed, as after a night's sleep of the machine."""
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

        ended: dict[str, Any] = self.until(state, 240)
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


def loader(path: Path, first: date, count: int, rounds: int = 1, *copy: str) -> "subprocess.Popen[str]":
    """Start a process that loads days over and over, and leaves a copy of the database after each load."""
    arguments = [str(path), first.isoformat(), str(count), str(rounds), *copy]
    return subprocess.Popen(
        [sys.executable, "-m", "fixtures_pipeline_tests.loader", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class holding:  # noqa: N801 - reads as a word in `with`
    """Another process that has the file open, for writing unless it is said otherwise."""

    def __init__(self, path: Path, seconds: float, *, read_only: bool = False) -> None:
        self._code = (
            f"import duckdb, time; c = duckdb.connect({str(path)!r}, read_only={read_only}); "
            f"print('open', flush=True); time.sleep({seconds})"
        )

    def __enter__(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen([sys.executable, "-c", self._code], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "open\n"
        return self._process

    def __exit__(self, *args: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
