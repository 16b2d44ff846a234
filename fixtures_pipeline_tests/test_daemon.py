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


def test_backfills_with_failing_days_and_their_reexecution_from_failure(
    dagster: Dagster, settings: Settings, api: FaultServer
) -> None:
    """One of the tables, and one of all assets, as *Materialize all* asks for: the report, too, which has no days."""
    later = [DAYS[-1] + timedelta(days=n) for n in range(10, 16)]
    for day in [*FAILING, later[3]]:
        api.plan(day, b'{"events": []}')
    of_tables, of_all = dagster.backfill(DAYS), dagster.backfill(later, [*TABLES, "coverage_report"])
    ended = dagster.ended(of_tables)
    assert [run["status"] for run in ended["runs"]] == ["SUCCESS"]
    assert ended["status"] == "COMPLETED_FAILED"
    counts = {
        one["assetKey"]["path"][0]: (one["numPartitionsMaterialized"], one["numPartitionsFailed"])
        for one in ended["assetBackfillData"]["assetBackfillStatuses"]
    }
    assert counts == {"fixture_days": (54, 6), "fixtures": (54, 6), "fixture_errors": (60, 0)}
    [run] = dagster.ended(of_all)["runs"]
    assert run["status"] == "SUCCESS"
    assert {asset["path"][0] for asset in run["assetSelection"]} == set(TABLES), "the report comes with the tables' run"
    assert dagster.check_bar() == (54 + 5, 6 + 1)
    assert dagster.report()["days_failed"] == 7
    assert [row["date"] for row in table(open_store(settings), "fixture_errors")] == [*FAILING, later[3]]

    for day in [*FAILING, later[3]]:
        api.plan(day, good_body(day))
    asked = len(api.requests)
    for healing in [dagster.retry(of_tables), dagster.retry(of_all)]:
        healed = dagster.ended(healing)
        assert healed["status"] == "COMPLETED_SUCCESS"
    assert len(healed["runs"]) == 1
    assert sorted(request.day for request in api.requests[asked:]) == [*FAILING, later[3]]
    assert table(open_store(settings), "fixture_errors") == []
    assert dagster.check_bar() == (66, 0)
    assert dagster.report()["days_failed"] == 0
    assert dagster.stale_states(FAILING[0]) == {"FRESH"}


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
