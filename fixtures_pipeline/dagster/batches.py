"""Entries of Dagster's event log that are handed over together: what is said of days that were stored together.

How they are stored is up to the log: `event_log`, or Dagster's for Postgres.
"""

import os
from collections.abc import Sequence
from uuid import uuid4

from dagster import AssetExecutionContext, AssetMaterialization, DagsterEvent, OpExecutionContext

# Dagster's own way to log many partitions of an output at once; it exports no public name for it.
from dagster._core.events import DagsterEventBatchMetadata

#: Entries that are handed over together, at most.
_SIZE = 1000


def take_batches() -> None:
    """Let Dagster hand over entries together, which it does not by default; the environment may say how many."""
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(_SIZE))


def log_at_once(
    context: OpExecutionContext | AssetExecutionContext, made: Sequence[AssetMaterialization]
) -> list[DagsterEvent]:
    """Log materializations of one table in one transaction; return them for the step to yield."""
    step, batch = context.get_step_execution_context(), str(uuid4())
    return [
        DagsterEvent.asset_materialization(step, one, DagsterEventBatchMetadata(batch, number == len(made)))
        for number, one in enumerate(made, 1)
    ]
