"""Everything that Dagster shows, against a file: a rename is a diff there, and one in everybody's history of runs.

After a wanted change, `.venv/bin/pytest -k test_definitions --snapshot-update` writes the file again.
"""

import ast
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar, get_args, get_type_hints

import dagster
import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckSpec,
    AssetsDefinition,
    AssetSpec,
    DailyPartitionsDefinition,
    Definitions,
    JobDefinition,
    ScheduleDefinition,
    SensorDefinition,
)
from syrupy.assertion import SnapshotAssertion
from time_machine import TimeMachineFixture

from fixtures_pipeline.dagster import events
from fixtures_pipeline.dagster.assets import specify_tables
from fixtures_pipeline.dagster.partitions import daily_partitions
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline_tests.processes import ROOT

#: Of a rule's failure; the other checks set theirs when they are evaluated.
SEVERITIES = {rule.name: rule.severity for rule in RULES}


def describe_asset(spec: AssetSpec) -> dict[str, Any]:
    schema = spec.metadata.get("dagster/column_schema")
    return {
        "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
        "description": spec.description,
        "group": spec.group_name,
        "kinds": sorted(spec.kinds),
        "tags": dict(spec.tags),
        "owners": list(spec.owners),
        "columns": [f"{column.name} {column.type}" for column in schema.columns] if schema else None,
        "metadata": sorted(spec.metadata),
        "skippable": spec.skippable,
        "code_version": "of the mapping" if spec.code_version else None,
        "partitions": describe_partitions(spec.partitions_def),
        "automation": str(spec.automation_condition) if spec.automation_condition else None,
    }


def describe_check(spec: AssetCheckSpec) -> dict[str, Any]:
    return {
        "description": spec.description,
        "blocking": spec.blocking,
        "severity": SEVERITIES.get(spec.name),
        "partitions": describe_partitions(spec.partitions_def),
    }


def describe_partitions(partitions: object) -> str | None:
    if partitions is None:
        return None
    assert isinstance(partitions, DailyPartitionsDefinition)
    return f"daily from {partitions.start:%Y-%m-%d} {partitions.timezone}, end offset {partitions.end_offset}"


def describe_schedule(schedule: ScheduleDefinition) -> dict[str, Any]:
    return {
        "cron": schedule.cron_schedule,
        "zone": schedule.execution_timezone,
        "job": schedule.job_name,
        "default": schedule.default_status.value,
        "description": schedule.description,
    }


def describe_sensor(sensor: SensorDefinition) -> dict[str, Any]:
    return {
        "seconds": sensor.minimum_interval_seconds,
        "job": sensor.job_name,
        "default": sensor.default_status.value,
        "description": sensor.description,
    }


def describe(definitions: Definitions) -> dict[str, Any]:
    """Return what Dagster shows, as plain values."""
    loaded = [one for one in definitions.assets or () if isinstance(one, AssetsDefinition)]
    jobs = [job for job in definitions.jobs or () if not isinstance(job, JobDefinition)]
    return {
        "assets": {spec.key.to_user_string(): describe_asset(spec) for spec in definitions.resolve_all_asset_specs()},
        "checks": {
            f"{spec.asset_key.to_user_string()}: {spec.name}": describe_check(spec)
            for one in loaded
            for spec in one.check_specs
        },
        "ops": [one.op.name for one in loaded],
        "jobs": {job.name: {"description": job.description, "selection": str(job.selection)} for job in jobs},
        "schedules": {
            one.name: describe_schedule(one)
            for one in definitions.schedules or ()
            if isinstance(one, ScheduleDefinition)
        },
        "sensors": {one.name: describe_sensor(one) for one in definitions.sensors or ()},
        "executor": getattr(definitions.executor, "name", None),
    }


def test_what_dagster_shows_is_what_the_file_says(snapshot: SnapshotAssertion) -> None:
    shown = describe(build_definitions(Settings.load()))
    assert str(ROOT) not in repr(shown)
    assert shown == snapshot


def test_providers_differ_in_the_api_and_in_what_says_that_sample_data_are_invented() -> None:
    sample, real = (
        describe(build_definitions(Settings.load(provider=name, api_key="a-key")))
        for name in ("sample", "football-data")
    )
    assert sample["checks"] == real["checks"]
    for name in ("fixture_days", "fixtures", "fixture_errors"):
        warning, description = sample["assets"][name].pop("description").split("not real fixtures. ")
        assert warning == "Sample data, invented by the bundled API: "
        assert description == real["assets"][name].pop("description")
        real["assets"][name]["metadata"].remove("attribution")
    differing = {name for name, shown in sample["assets"].items() if shown != real["assets"][name]}
    # The description of the report names its file.
    assert differing == {"events_api", "coverage_report"}


def test_the_version_of_the_code_is_of_the_providers_mapping_and_of_nothing_else() -> None:
    def version(provider: str, **settings: Any) -> str | None:
        tables = specify_tables(Settings.load(provider=provider, api_key="a-key", **settings))
        return {spec.key.to_user_string(): spec.code_version for spec in tables}["fixtures"]

    assert version("sample") == version("sample", timezone="Europe/Istanbul", db="other.duckdb")
    assert version("sample") != version("football-data") != version("api-football")


def test_everything_is_off_until_switched_on() -> None:
    shown = describe(build_definitions(Settings.load()))
    automation = {**shown["schedules"], **shown["sensors"]}
    assert {name: one["default"] for name, one in automation.items()} == dict.fromkeys(automation, "STOPPED")
    assert len(automation) == 4


def test_days_can_be_loaded_from_the_first_to_a_week_from_today(time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(datetime(2025, 3, 29, 23, 30, tzinfo=UTC))
    for zone, last in (("UTC", "2025-04-05"), ("Europe/Istanbul", "2025-04-06")):
        keys = daily_partitions(Settings.load(start_date=date(2024, 8, 1), timezone=zone)).get_partition_keys()
        assert (keys[0], keys[-1]) == ("2024-08-01", last)


class TestPrivateNames:
    """Names of Dagster that are not public, as it has no public ones for these; everything else that is used is."""

    TARGET = "AssetCheckEvaluationTargetMaterializationData"
    NAMES: ClassVar = {
        # What a check's result is about.
        "events": {f"_core.definitions.asset_checks.asset_check_evaluation.{TARGET}"},
        # A run of the shell that the UI knows how to start again, and why it ended.
        "launch": {
            "_core.definitions.reconstruct.ReconstructableRepository",
            "_core.events.RunFailureReason",
            "_core.execution.api.execute_run",
            "_core.remote_origin.RegisteredCodeLocationOrigin",
            "_core.remote_origin.RemoteRepositoryOrigin",
        },
        # How Dagster logs many partitions of an output at once, and is interrupted between two writes only.
        "batches": {
            "_core.events.DagsterEventBatchMetadata",
            "_utils.interrupts.capture_interrupts",
        },
        # Dagster's default storage, which ours is but for its connections; its docs give this name for dagster.yaml.
        "event_log": {
            "_core.storage.event_log.SqlEventLogStorageTable",
            "_core.storage.event_log.SqliteEventLogStorage",
        },
        # In whose tables pruning looks for what is still shown.
        "prune": {
            "_core.storage.event_log.SqlEventLogStorage",
            "_core.storage.event_log.SqliteEventLogStorage",
        },
        # What a launcher of one's own is made of.
        "workers": {
            "_core.errors.DagsterUserCodeUnreachableError",
            "_core.launcher.CheckRunHealthResult",
            "_core.launcher.LaunchRunContext",
            "_core.launcher.WorkerStatus",
            "_grpc.client.DagsterGrpcClient",
            "_grpc.types.CanCancelExecutionRequest",
            "_grpc.types.CanCancelExecutionResult",
            "_serdes.ConfigurableClassData",
        },
        # What runs that name no logger say on the terminal.
        "console": {"_core.events.RunFailureReason", "_loggers"},
    }

    def test_are_no_others(self) -> None:
        private: dict[str, set[str]] = {}
        for path in (ROOT / "fixtures_pipeline").rglob("*.py"):
            for name in imported(path):
                if re.match(r"dagster\w*(\.\w+)*\._", name):
                    private.setdefault(path.stem, set()).add(name.removeprefix("dagster."))
        assert private == self.NAMES

    def test_hold_the_type_that_results_take(self) -> None:
        taken = get_type_hints(AssetCheckEvaluation.__new__)["target_materialization_data"]
        assert getattr(events, self.TARGET) in get_args(taken)

    @pytest.mark.parametrize(
        "name", sorted({name.rpartition(".")[2] for names in NAMES.values() for name in names} - {"_loggers"})
    )
    def test_are_not_public_yet(self, name: str) -> None:
        assert not hasattr(dagster, name), f"dagster.{name} is public now: import that"


def imported(path: Path) -> list[str]:
    """Return the full names that a module imports."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found
