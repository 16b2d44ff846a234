"""A real `dagster dev`: backfills launched over GraphQL, carried out by the daemon, read back as the UI reads them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from dagster import DagsterInstance
from dagster._core.scheduler.instigation import InstigatorType, ScheduleInstigatorData

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.conftest import table
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.oracle import assert_rules

ROOT = Path(__file__).parents[1]
FIRST = date(2025, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(60)]
FAILING = [DAYS[n] for n in (3, 11, 12, 30, 45, 59)]
TABLES = ("fixture_days", "fixtures", "fixture_errors")


class Dagster:
    """A `dagster dev` of the test's own."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self.home = home
        home.mkdir()
        (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
        self.port = _free_port()
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


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def dagster(settings: Settings, tmp_path: Path) -> Iterator[Dagster]:
    with Dagster(tmp_path / "home", settings) as running:
        yield running


def test_a_backfill_with_failing_days_and_its_reexecution_from_failure(
    dagster: Dagster, settings: Settings, api: FaultServer
) -> None:
    for day in FAILING:
        api.plan(day, b'{"events": []}')
    first = dagster.backfill(DAYS)
    ended = dagster.ended(first)
    assert len(ended["runs"]) == 1
    assert ended["runs"][0]["status"] == "SUCCESS"
    assert ended["status"] == "COMPLETED_FAILED"
    counts = {
        one["assetKey"]["path"][0]: (one["numPartitionsMaterialized"], one["numPartitionsFailed"])
        for one in ended["assetBackfillData"]["assetBackfillStatuses"]
    }
    assert counts == {"fixture_days": (54, 6), "fixtures": (54, 6), "fixture_errors": (60, 0)}
    assert dagster.check_bar() == (54, 6)
    assert [row["date"] for row in table(open_store(settings), "fixture_errors")] == FAILING

    for day in FAILING:
        api.plan(day, good_body(day))
    asked = len(api.requests)
    healed = dagster.ended(dagster.retry(first))
    assert healed["status"] == "COMPLETED_SUCCESS"
    assert sorted(request.day for request in api.requests[asked:]) == FAILING
    assert table(open_store(settings), "fixture_errors") == []
    assert dagster.check_bar() == (60, 0)
    assert dagster.stale_states(FAILING[0]) == {"FRESH"}


def test_a_backfill_of_all_assets_is_one_run_that_brings_the_report_with_it(
    dagster: Dagster, settings: Settings, api: FaultServer
) -> None:
    """*Materialize all* asks for the report as well, which has no days."""
    api.plan(DAYS[3], b'{"events": []}')
    first = dagster.backfill(DAYS[:6], [*TABLES, "coverage_report"])
    [run] = dagster.ended(first)["runs"]
    assert run["status"] == "SUCCESS"
    assert {asset["path"][0] for asset in run["assetSelection"]} == set(TABLES)
    assert dagster.report()["days_failed"] == 1

    api.plan(DAYS[3], good_body(DAYS[3]))
    healed = dagster.ended(dagster.retry(first))
    assert healed["status"] == "COMPLETED_SUCCESS"
    assert len(healed["runs"]) == 1
    assert dagster.report()["days_failed"] == 0


def test_a_run_cancelled_in_the_ui_ends_at_once_and_keeps_what_was_committed(
    dagster: Dagster, settings: Settings, api: FaultServer
) -> None:
    for day in DAYS[3:40]:
        api.plan(day, lambda exchange: exchange.idle())
    backfill = dagster.backfill(DAYS)
    run_ids = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
        runs { id status } } } }"""

    def run() -> Any:
        runs = dagster.ask(run_ids, id=backfill)["partitionBackfillOrError"]["runs"]
        return runs[0] if runs else None

    dagster.until(lambda: len(api.requests) >= 8 and run(), 90)
    dagster.until(settings.database.exists, 30)
    cancelled = dagster.ask("mutation ($id: String!) { terminateRun(runId: $id) { __typename } }", id=run()["id"])[
        "terminateRun"
    ]
    assert cancelled["__typename"] == "TerminateRunSuccess"
    dagster.until(lambda: run()["status"] == "CANCELED", 15)
    assert_rules(open_store(settings))
