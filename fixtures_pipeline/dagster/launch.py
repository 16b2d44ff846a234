"""Runs that are started from a shell, and what Dagster's home knows.

Nothing here is part of the definitions: they are loaded by name, as Dagster's own processes do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from dagster import AssetKey, DagsterError, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

# Dagster exports no public names for these; its own commands use them.
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.events import RunFailureReason
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from sqlalchemy.exc import SQLAlchemyError

from fixtures_pipeline.dagster.assets import FAILED_DAYS
from fixtures_pipeline.dagster.automation import LOAD_DAYS_JOB, RANGE_END, RANGE_START, is_retrying
from fixtures_pipeline.dagster.failed_days import LOAD_FAILED_DAYS
from fixtures_pipeline.errors import HomeError, RunError
from fixtures_pipeline.text import excerpt

# The code location's name in workspace.yaml: by it the UI knows a run's job, so that it can be started again there.
_LOCATION = "fixtures_pipeline.definitions"

_UNDER_WAY = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def load_stretch(home: Path, first: date, last: date) -> bool:
    """Load the days from `first` to `last` in one run in this process; return whether all of them loaded.

    Raises:
        RunError: the run broke off; it has said why.
    """
    return _launch(home, LOAD_DAYS_JOB.name, {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()})


def load_failed_days(home: Path) -> bool:
    """Load all days that are failing in one run in this process; return whether all of them loaded.

    Raises:
        RunError: the run broke off; it has said why.
    """
    return _launch(home, LOAD_FAILED_DAYS, {})


def _launch(home: Path, job: str, tags: dict[str, str]) -> bool:
    repository = ReconstructableRepository.for_module(_LOCATION, "defs")
    found = repository.get_reconstructable_job(job)
    origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(_LOCATION), "__repository__")
    with _open(home) as instance:
        run = instance.create_run_for_job(
            found.get_definition(),
            tags=tags,
            remote_job_origin=origin.get_job_origin(job),
            job_code_origin=found.get_python_origin(),
        )
        result = execute_run(found, run, instance)
    if result.success:
        return True
    failures = [event.job_failure_data for event in result.filter_events(lambda event: event.is_job_failure)]
    if not failures or failures[0].failure_reason == RunFailureReason.UNEXPECTED_TERMINATION:
        # Ctrl-C, which Dagster has put into the run's record; a run that was cancelled in the UI has not failed.
        raise KeyboardInterrupt
    [failed] = failures
    step = failed.first_step_failure_event
    failure = step.step_failure_data.user_failure_data if step else None
    if failure and FAILED_DAYS in failure.metadata:
        return False
    raise RunError(f"Run {run.run_id} broke off; what was loaded until then is kept.")


@contextmanager
def _open(home: Path) -> Iterator[DagsterInstance]:
    try:
        with DagsterInstance.from_config(str(home)) as instance:
            yield instance
    except (DagsterError, SQLAlchemyError) as error:
        raise HomeError(f"Dagster's home {home} cannot be used: {excerpt(str(error))}") from error


def set_up(home: Path) -> None:
    """Create Dagster's own databases in its home; two processes must not do so at once."""
    with _open(home):
        pass


def free_dead_runs(home: Path) -> list[str]:
    """Mark the runs that are under way as failed, as nobody carries them out any more; return what they were about."""
    with _open(home) as instance:
        dead = instance.get_runs(RunsFilter(statuses=_UNDER_WAY))
        for run in dead:
            instance.report_run_failed(run, "The process of this run is gone. Load its days again.")
        return [_name(run) for run in dead]


def _name(run: DagsterRun) -> str:
    days = sorted({run.tags[tag] for tag in (RANGE_START, RANGE_END, "dagster/partition") if tag in run.tags})
    return " to ".join(days) or run.job_name


def list_days_shown(home: Path) -> set[date]:
    """Return the days that the UI shows as loaded."""
    with _open(home) as instance:
        return {date.fromisoformat(key) for key in instance.get_materialized_partitions(AssetKey("fixture_days"))}


def find_latest_run(home: Path) -> str | None:
    """Return the id of the run that was the latest to load a day; None before the first."""
    with _open(home) as instance:
        records = instance.fetch_materializations(AssetKey("fixture_days"), limit=1).records
        return records[0].run_id if records else None


def is_retrying_in(home: Path) -> bool:
    """Say whether the sensor that loads failed days again is switched on."""
    with _open(home) as instance:
        return is_retrying(instance)
