"""A run that is cancelled in the UI of a real `dagster dev`."""

from datetime import timedelta
from typing import Any

import pytest

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.processes import Dagster, until
from fixtures_pipeline_tests.runs import FIRST

DAYS = [FIRST + timedelta(days=n) for n in range(60)]


@pytest.mark.slow
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

    until(lambda: len(api.requests) >= 8 and run(), 90)
    until(settings.database.exists, 30)
    cancelled = dagster.ask("mutation ($id: String!) { terminateRun(runId: $id) { __typename } }", id=run()["id"])[
        "terminateRun"
    ]
    assert cancelled["__typename"] == "TerminateRunSuccess"
    until(lambda: run()["status"] == "CANCELED", 15)
    assert_rules(open_store(settings))
