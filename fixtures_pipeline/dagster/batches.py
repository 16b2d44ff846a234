"""Entries of Dagster's event log that are handed over together: what is said of days that were stored together.

How they are stored is up to the log: by `event_log` and, if `DAGSTER_EVENT_BATCH_SIZE` is set, by Dagster's for
Postgres at once, by others one after the other.
"""

from collections.abc import Sequence
from uuid import uuid4

from dagster import (
    AssetExecutionContext,
    AssetMaterialization,
    DagsterEvent,
    OpExecutionContext,
    raise_execution_interrupts,
)

# Dagster's own way to log many partitions of an output at once, and to be interrupted only between two writes; it
# exports no public names for them.
from dagster._core.events import DagsterEventBatchMetadata
from dagster._utils.interrupts import capture_interrupts


def log_at_once(
    context: OpExecutionContext | AssetExecutionContext, made: Sequence[AssetMaterialization]
) -> list[DagsterEvent]:
    """Log materializations of one table; return what was logged, for the step to yield."""
    step, batch = context.get_step_execution_context(), str(uuid4())
    # A signal in the midst of a write would leave the log locked, and the end of the run could not be logged.
    with capture_interrupts():
        logged = [
            DagsterEvent.asset_materialization(step, one, DagsterEventBatchMetadata(batch, number == len(made)))
            for number, one in enumerate(made, 1)
        ]
        # What came meanwhile is raised here: it is forgotten where the capture ends.
        with raise_execution_interrupts():
            pass
    return logged
