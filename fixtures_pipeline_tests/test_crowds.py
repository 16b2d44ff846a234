"""Many processes at once: no lost row, no failed load within the time that is waited for the file."""

from contextlib import suppress
from datetime import timedelta

import pytest

from fixtures_pipeline.store import FixtureStore, StoreMissingError
from fixtures_pipeline_tests.conftest import table
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.processes import loader
from fixtures_pipeline_tests.test_crashes import DAY


@pytest.mark.slow
def test_eight_processes_load_overlapping_ranges_while_another_reads(store: FixtureStore) -> None:
    loaders = [loader(store.path, DAY + timedelta(days=2 * n), count=12, rounds=3) for n in range(8)]
    patient = FixtureStore(store.path, store._provider, store._zone, lock_timeout=60)
    reads = 0
    while any(process.poll() is None for process in loaders):
        with suppress(StoreMissingError):
            patient.query("SELECT count(*) FROM load_log")
            reads += 1
    assert reads > 0
    for process in loaders:
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert out.count("committed") == 36
    assert len(table(store, "load_log")) == 8 * 36
    days = {row["date"] for row in table(store, "fixture_days")} | {r["date"] for r in table(store, "fixture_errors")}
    assert days == {DAY + timedelta(days=n) for n in range(26)}
    assert_rules(store)
