"""Runs of the real Dagster op, in process: what the run page and the partitions then say."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest
from dagster import AssetKey, DagsterInstance, ExecuteInProcessResult

from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.errors import StoreLockedError
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.database import FileDatabase
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.runs import (
    FIRST,
    RangeRun,
    asking,
    evaluations,
    failed_partitions,
    failure_of,
    materialized,
    metadata_of,
    run,
    stale_states,
)
from fixtures_pipeline_tests.stores import table


class TestARangeOfDays:
    def test_is_one_run_and_only_days_that_loaded_are_materialized(self, six_days: RangeRun) -> None:
        everything = {day.isoformat() for day in six_days.days}
        good = everything - {"2025-03-02", "2025-03-05"}
        instance = six_days.instance
        assert materialized(instance, "fixture_days") == materialized(instance, "fixtures") == good
        assert materialized(instance, "fixture_errors") == everything
        assert_rules(open_store(six_days.settings))

    def test_ends_as_failure_with_one_sentence_when_days_failed(self, six_days: RangeRun) -> None:
        """After everything was stored, checked and logged."""
        assert failure_of(six_days.result) == (
            "2 of 6 days failed: 1 DEFAULT_DATA_ERROR (2025-03-05); 1 JSON_DECODE_ERROR (2025-03-02). The others are "
            "loaded. fixture_days > Checks > day_loaded says for each red day what to do; the job "
            "load_failed_days_now loads all failing days again."
        )
        logged = six_days.instance.all_logs(six_days.result.run_id)
        warnings = sorted(entry.user_message for entry in logged if entry.level == logging.WARNING)
        assert [" ".join(line.split(" ")[:2]) for line in warnings] == [
            "2025-03-02 JSON_DECODE_ERROR:",
            "2025-03-05 DEFAULT_DATA_ERROR:",
        ]

    def test_shows_exactly_the_failed_days_as_failed(self, six_days: RangeRun) -> None:
        failed = {
            name: failed_partitions(six_days.settings, six_days.instance, name)
            for name in ("fixture_days", "fixtures", "fixture_errors")
        }
        assert failed == {
            "fixture_days": {"2025-03-02", "2025-03-05"},
            "fixtures": {"2025-03-02", "2025-03-05"},
            "fixture_errors": set(),
        }

    def test_skips_the_report_in_the_same_run_when_days_failed(
        self, settings: Settings, api: FaultServer, instance: DagsterInstance
    ) -> None:
        api.plan(FIRST, b"{}")
        job = build_definitions(settings).resolve_implicit_global_asset_job_def()
        assert {node.name for node in job.nodes} == {"load_days", "coverage_report"}
        result = run(settings, instance, FIRST)
        assert not result.success
        assert materialized(instance, "fixture_errors") == {"2025-03-01"}
        assert instance.fetch_materializations(AssetKey("coverage_report"), limit=1).records == []
        assert not settings.report_file.exists()

    def test_tells_rows_events_bytes_and_time_of_each_day(self, six_days: RangeRun) -> None:
        fixtures = metadata_of(six_days.result, "fixtures", FIRST)
        # Of the day, and of the table with what came in the same batch.
        assert 5 == fixtures["dagster/partition_row_count"] <= fixtures["dagster/row_count"] <= 20
        days = metadata_of(six_days.result, "fixture_days", FIRST)
        assert (days["provider"], days["events"]) == ("sofascore", 7)
        assert days["bytes"] == len(good_body(FIRST))
        assert days["milliseconds"] >= 0
        assert metadata_of(six_days.result, "fixture_errors", FIRST)["dagster/partition_row_count"] == 0


@dataclass(frozen=True)
class Step:
    """What one run in the history of a day left."""

    result: ExecuteInProcessResult
    tables: dict[str, list[dict[str, Any]]]
    version: str
    stale: set[str]


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    """Load a day, load it again, load it with more events, fail, and load it again."""
    bodies = [good_body(FIRST), good_body(FIRST), good_body(FIRST, events=9), b"{}", good_body(FIRST, events=9)]
    with FaultServer() as api, DagsterInstance.ephemeral() as instance:
        settings = asking(api, tmp_path_factory.mktemp("history"))

        def take(body: bytes) -> Step:
            api.plan(FIRST, body)
            result = run(settings, instance, FIRST)
            assert result.success == (body != b"{}")
            [record] = instance.fetch_materializations(AssetKey("fixtures"), limit=1).records
            told = record.asset_materialization
            assert told is not None
            assert told.tags is not None
            names = ("fixture_days", "fixtures", "fixture_errors")
            return Step(
                result,
                {name: table(open_store(settings), name) for name in names},
                told.tags["dagster/data_version"],
                stale_states(settings, instance, FIRST),
            )

        return [take(body) for body in bodies]


class TestTheHistoryOfADay:
    def test_keeps_the_version_while_nothing_changes(self, steps: list[Step]) -> None:
        loaded, again, changed, *_ = (step.version for step in steps)
        assert loaded == again != changed

    def test_leaves_nothing_marked_unsynced(self, steps: list[Step]) -> None:
        assert [step.stale for step in steps] == [{"FRESH", "MISSING"}] * len(steps), "the report was never made"

    def test_keeps_the_rows_when_it_fails_and_turns_its_check_red(self, steps: list[Step]) -> None:
        _, _, before, failed, _ = steps
        for name in ("fixture_days", "fixtures"):
            assert failed.tables[name] == before.tables[name] != []
        red = evaluations(failed.result, "day_loaded")["2025-03-01"]
        assert not red.passed
        assert "Data from the earlier load is kept." in str(red.description)

    def test_empties_the_error_table_and_turns_its_checks_green_when_it_heals(self, steps: list[Step]) -> None:
        *_, failed, healed = steps
        assert not evaluations(failed.result, "no_open_errors")[None].passed
        assert [row["error_type"] for row in failed.tables["fixture_errors"]] == ["DATA_STRUCTURE_ERROR"]
        assert healed.tables["fixture_errors"] == []
        assert metadata_of(healed.result, "fixture_errors", FIRST)["healed"] is True
        assert evaluations(healed.result, "day_loaded")["2025-03-01"].passed
        assert evaluations(healed.result, "no_open_errors")[None].passed


def test_what_was_committed_is_told_though_somebody_takes_the_database_right_afterwards(
    settings: Settings, api: FaultServer, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def taken(self: FileDatabase) -> Iterator[NoReturn]:
        raise StoreLockedError("It has been taken.")
        yield

    monkeypatch.setattr(FileDatabase, "reading", taken)
    api.plan(FIRST, b"{}")
    result = run(settings, instance, FIRST, FIRST.replace(day=3))
    assert failure_of(result) == "It has been taken."
    monkeypatch.undo()
    loaded = {row["date"].isoformat() for row in table(open_store(settings), "fixture_days")}
    assert loaded == {"2025-03-02", "2025-03-03"} == materialized(instance, "fixtures")
    assert materialized(instance, "fixture_errors") == {"2025-03-01", *loaded}
    checked = {key: one.passed for key, one in evaluations(result, "day_loaded").items()}
    assert checked == {"2025-03-01": False, "2025-03-02": True, "2025-03-03": True}


def test_a_database_that_cannot_be_used_fails_the_run_with_a_sentence(
    settings: Settings, instance: DagsterInstance
) -> None:
    settings.database.write_text("no database at all, and long enough to be looked at" * 100)
    failure = failure_of(run(settings, instance, FIRST))
    assert failure.startswith(f"{settings.database} cannot be used")
    assert "\n" not in failure


def test_sample_data_are_loaded_from_the_bundled_api(settings: Settings, instance: DagsterInstance) -> None:
    sample = Settings.load(db=settings.database)
    assert run(sample, instance, FIRST).success
    assert materialized(instance, "fixture_days") == {"2025-03-01"}


def test_nothing_is_printed(settings: Settings, instance: DagsterInstance, capfd: pytest.CaptureFixture[str]) -> None:
    run(settings, instance, FIRST)
    out, _ = capfd.readouterr()
    assert out == ""
