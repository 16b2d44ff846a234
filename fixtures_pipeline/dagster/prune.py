"""Deletes old runs that nothing shows any more: a job, and a schedule for it that is off until switched on."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    Failure,
    JobDefinition,
    OpExecutionContext,
    RunsFilter,
    ScheduleDefinition,
    job,
    op,
)

from fixtures_pipeline.settings import Settings

if TYPE_CHECKING:
    from dagster._core.storage.event_log import SqlEventLogStorage

_ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]

_SHOWN_RUNS = """
    SELECT run_id FROM event_logs WHERE id IN (
        SELECT max(id) FROM event_logs WHERE asset_key IS NOT NULL GROUP BY asset_key, partition, dagster_event_type
    )
    UNION
    SELECT run_id FROM asset_check_executions WHERE id IN (
        SELECT max(id) FROM asset_check_executions
        GROUP BY asset_key, check_name, partition, execution_status = 'PLANNED'
    )
"""


def build_pruning(settings: Settings) -> tuple[JobDefinition, ScheduleDefinition]:
    """Return the job that deletes runs, and the schedule that starts it once a day."""
    rule = (
        f"Deletes runs older than {settings.keep_runs} days (FIXTURES_KEEP_RUNS), except those that the state of a day "
        "or a check comes from."
    )

    @op(name="prune_runs", description=rule)
    def prune(context: OpExecutionContext) -> None:
        if _find_log(context.instance) is None:
            raise Failure("This home has another event log than the project's: see event_log_storage in dagster.yaml.")
        deleted = prune_runs(context.instance, datetime.now(UTC) - timedelta(days=settings.keep_runs))
        context.log.info(f"{deleted} runs were deleted.")

    @job(name="prune_runs_job", description=rule)
    def prune_runs_job() -> None:
        prune()

    schedule = ScheduleDefinition(
        name="prune_runs",
        job=prune_runs_job,
        # Before the window's schedule, and at no tick of the days in progress.
        cron_schedule="50 4 * * *",
        execution_timezone=settings.timezone,
        default_status=DefaultScheduleStatus.STOPPED,
        description=rule,
    )
    return prune_runs_job, schedule


def prune_runs(instance: DagsterInstance, before: datetime) -> int:
    """Delete the runs that ended before a moment and that nothing shows any more; return how many.

    What a run planned, materialized or evaluated last keeps it: no state of a partition or a check changes. A crash
    leaves runs whole or half deleted, and the next call deletes what is left.

    Args:
        instance: An instance whose event log is the project's, or in Postgres.
        before: The moment, with a time zone.
    """
    log = _find_log(instance)
    if log is None:
        raise TypeError(f"{type(instance.event_log_storage).__name__} would keep the files of deleted runs.")
    # Those first: a run that ends in the meantime may supersede others, and is not among them.
    ended = instance.get_run_records(RunsFilter(statuses=_ENDED))
    shown = find_shown_runs(log)
    old = [
        record.dagster_run.run_id
        for record in ended
        if (record.end_time or record.update_timestamp.timestamp()) < before.timestamp()
        and record.dagster_run.run_id not in shown
    ]
    delete_check_results(log, old)
    for run_id in old:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        # The record of the run comes last: by it the next call finds what a crash has left.
        log.delete_events(run_id)
        instance.delete_run(run_id)
    return len(old)


def _find_log(instance: DagsterInstance) -> "SqlEventLogStorage | None":
    """Return the event log; None for Dagster's own in files, which keeps those of deleted runs."""
    # Imported here: half a second that only runs of this job need. What every event log in a database has; Dagster
    # exports no public names for these.
    from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage  # noqa: PLC0415

    from fixtures_pipeline.dagster.event_log import EventLog  # noqa: PLC0415

    log = instance.event_log_storage
    if isinstance(log, SqliteEventLogStorage) and not isinstance(log, EventLog):
        return None
    return log if isinstance(log, SqlEventLogStorage) else None


def find_shown_runs(log: "SqlEventLogStorage") -> set[str]:
    """Return the runs that the state of an asset, a partition or a check comes from.

    They have the latest entry of a kind about an asset or one of its partitions, or the latest result of a check or one
    of its partitions, or were the last to plan one.
    """
    from sqlalchemy import text  # noqa: PLC0415 - as above

    with log.index_connection() as connection:
        return {run_id for (run_id,) in connection.execute(text(_SHOWN_RUNS))}


def delete_check_results(log: "SqlEventLogStorage", run_ids: Sequence[str]) -> None:
    """Delete the results of checks that runs gave, which Dagster keeps when it deletes a run."""
    from sqlalchemy import String, bindparam, text  # noqa: PLC0415 - as above

    statement = text("DELETE FROM asset_check_executions WHERE run_id IN :runs")
    with log.index_connection() as connection:
        connection.execute(statement.bindparams(bindparam("runs", run_ids, String, expanding=True)))
