"""A real `dagster dev`: backfills launched over GraphQL, carried out by the daemon, read back as the UI reads them."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.conftest import table
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.processes import TABLES, Dagster

FIRST = date(2025, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(60)]
FAILING = [DAYS[n] for n in (3, 11, 12, 30, 45, 59)]


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
