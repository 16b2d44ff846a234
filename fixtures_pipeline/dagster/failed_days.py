"""A job without settings or days to choose: it loads all days again that are failing now, in one run.

A plain op, as no range of partitions holds just the failing days. It tells Dagster of each day what the op of the
tables tells, by the same function, so that their partitions and checks turn green.
"""

from collections.abc import Iterator

from dagster import (
    JobDefinition,
    Nothing,
    OpExecutionContext,
    Out,
    Output,
    job,
    op,
)

from fixtures_pipeline.dagster.assets import Told, failing_plainly, load_and_check
from fixtures_pipeline.loading import find_failing_days
from fixtures_pipeline.settings import Settings

LOAD_FAILED_DAYS = "load_failed_days_now"


def build_failed_days(settings: Settings) -> JobDefinition:
    """Return the job."""

    @op(out=Out(Nothing), description="Loads all days that are failing; fails if any of them does so again.")
    def load_failed_days(context: OpExecutionContext) -> Iterator[Told | Output[None]]:
        with failing_plainly():
            days = find_failing_days(settings)
        if days:
            yield from load_and_check(context, settings, days)
        else:
            context.log.info("No day is failing.")
        yield Output(None)

    @job(
        name=LOAD_FAILED_DAYS,
        description="Loads all days that are failing, now, whatever their next retry. Press Launch Run; it needs "
        "neither configuration nor days.",
    )
    def load_failed_days_now() -> None:
        load_failed_days()

    return load_failed_days_now
