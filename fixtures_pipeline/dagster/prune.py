"""Deletes old runs that nothing shows any more: a job, and a schedule for it that is off until switched on."""

from datetime import UTC, datetime, timedelta

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

from fixtures_pipeline.dagster.event_log import EventLog
from fixtures_pipeline.settings import Settings

_ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


def build_pruning(settings: Settings) -> tuple[JobDefinition, ScheduleDefinition]:
    """Return the job that deletes runs, and the schedule that starts it once a day."""
    rule = (
        f"Deletes runs older than {settings.keep_runs} days (FIXTURES_KEEP_RUNS), except those that the state of a day "
        "or a check comes from."
    )

    @op(name="prune_runs", description=rule)
    def prune(context: OpExecutionContext) -> None:
        if not isinstance(context.instance.event_log_storage, EventLog):
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
        instance: An instance whose event log is an `EventLog`.
        before: The moment, with a time zone.
    """
    log = instance.event_log_storage
    if not isinstance(log, EventLog):
        raise TypeError(f"{type(log).__name__} cannot tell which runs are shown.")
    # Those first: a run that ends in the meantime may supersede others, and is not among them.
    ended = instance.get_run_records(RunsFilter(statuses=_ENDED))
    shown = log.find_shown_runs()
    old = [
        record.dagster_run.run_id
        for record in ended
        if (record.end_time or record.update_timestamp.timestamp()) < before.timestamp()
        and record.dagster_run.run_id not in shown
    ]
    log.delete_check_results(old)
    for run_id in old:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        # The record of the run comes last: by it the next call finds what a crash has left.
        log.delete_events(run_id)
        instance.delete_run(run_id)
    return len(old)
