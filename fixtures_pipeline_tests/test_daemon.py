"""A real `dagster dev`: backfills launched over GraphQL, carried out by the daemon, read back as the UI reads them."""

from datetime import timedelta

import pytest

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.processes import TABLES, Dagster
from fixtures_pipeline_tests.runs import FIRST
from fixtures_pipeline_tests.stores import table

DAYS = [FIRST + timedelta(days=n) for n in range(60)]
FAILING = [DAYS[n] for n in (3, 11, 12, 30, 45, 59)]


@pytest.mark.slow
def test_backfills_with_failing_days_and_their_reexecution_from_failure(
    dagster: Dagster, settings: Settings, api: FaultServer
) -> None:
    """One of the tables, and one of all assets, as *Materialize all* asks for: the report, too, which has no days."""
    later = [DAYS[-1] + timedelta(days=n) for n in range(10, 16)]
    for day in [*FAILING, later[3]]:
        api.plan(day, b'{"events": []}')
    of_tables, of_all = dagster.backfill(DAYS), dagster.backfill(later, [*TABLES, "coverage_report"])
    ended = dagster.ended(of_tables)
    assert [run["status"] for run in ended["runs"]] == ["FAILURE"]
    assert ended["status"] == "COMPLETED_FAILED"
    counts = {
        one["assetKey"]["path"][0]: (one["numPartitionsMaterialized"], one["numPartitionsFailed"])
        for one in ended["assetBackfillData"]["assetBackfillStatuses"]
    }
    assert counts == {"fixture_days": (54, 6), "fixtures": (54, 6), "fixture_errors": (60, 0)}
    [run] = dagster.ended(of_all)["runs"]
    assert run["status"] == "FAILURE"
    assert {asset["path"][0] for asset in run["assetSelection"]} == set(TABLES), "the report is skipped"
    assert dagster.check_bar() == (54 + 5, 6 + 1)
    assert [row["date"] for row in table(open_store(settings), "fixture_errors")] == [*FAILING, later[3]]

    for day in [*FAILING, later[3]]:
        api.plan(day, good_body(day))
    asked = len(api.requests)
    for healing in [dagster.retry(of_tables), dagster.retry(of_all)]:
        healed = dagster.ended(healing)
        assert healed["status"] == "COMPLETED_SUCCESS"
    selections = sorted(sorted(asset["path"][0] for asset in run["assetSelection"]) for run in healed["runs"])
    assert selections == [["coverage_report"], ["fixture_days", "fixtures"]], "the report, once its days are loaded"
    assert sorted(request.day for request in api.requests[asked:]) == [*FAILING, later[3]]
    assert table(open_store(settings), "fixture_errors") == []
    assert dagster.check_bar() == (66, 0)
    assert dagster.report()["days_failed"] == 0
    assert dagster.stale_states(FAILING[0]) == {"FRESH"}
