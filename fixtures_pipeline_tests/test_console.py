"""What runs say on the terminal: a line per failed day and one about the run, without tracebacks."""

from datetime import date
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, Definitions, Failure, OpExecutionContext, in_process_executor, job, op

from fixtures_pipeline.dagster.console import console, replace_default_console
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.processes import TABLES
from fixtures_pipeline_tests.runs import run


@pytest.fixture(autouse=True)
def _replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster import _loggers

    monkeypatch.setattr(_loggers, "colored_console_logger", _loggers.colored_console_logger)
    replace_default_console()


def say(instance: DagsterInstance, compute: Any, config: dict[str, Any] | None = None) -> None:
    """Run an op, as the UI does."""

    @op
    def talk(context: OpExecutionContext) -> None:
        compute(context)

    @job
    def talking() -> None:
        talk()

    definitions = Definitions(jobs=[talking], executor=in_process_executor, loggers={"console": console})
    definitions.resolve_job_def("talking").execute_in_process(
        instance=instance, raise_on_error=False, run_config=config or {}
    )


def test_a_run_with_failed_days_says_a_line_for_each_and_one_about_itself(
    settings: Settings, instance: DagsterInstance, api: FaultServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """A run that names no logger, as those do that the UI starts: an upgrade of Dagster must not change it."""
    api.plan(date(2025, 3, 2), b'{"events": []}')
    tables = [AssetKey(name) for name in TABLES]
    run(settings, instance, date(2025, 3, 1), date(2025, 3, 3), asset_selection=tables)
    lines = capfd.readouterr().err.splitlines()
    assert [line[:30] for line in lines] == ["2025-03-02 DEFAULT_DATA_ERROR:", "1 of 3 days failed: 1 DEFAULT_"]


@pytest.mark.parametrize("config", [{}, {"loggers": {"console": {}}}])
def test_only_what_people_should_know_is_said_each_in_one_line(
    instance: DagsterInstance, capfd: pytest.CaptureFixture[str], config: dict[str, Any]
) -> None:
    def compute(context: OpExecutionContext) -> None:
        context.log.debug("not this")
        context.log.info("nor this")
        context.log.warning("but this\nin one line")
        raise Failure("And why\nit failed.", allow_retries=False)

    say(instance, compute, config)
    assert capfd.readouterr().err.splitlines() == ["but this in one line", "And why it failed."]


def test_a_defect_is_one_line_that_names_the_run(instance: DagsterInstance, capfd: pytest.CaptureFixture[str]) -> None:
    def compute(context: OpExecutionContext) -> None:
        raise LookupError("nowhere")

    say(instance, compute)
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("talk broke: LookupError: nowhere (run ")


def test_a_run_in_which_all_is_well_says_nothing(instance: DagsterInstance, capfd: pytest.CaptureFixture[str]) -> None:
    say(instance, lambda context: None)
    assert capfd.readouterr().err == ""
