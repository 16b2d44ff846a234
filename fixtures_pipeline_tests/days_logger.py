"""A process that logs days in a Dagster run: `python -m fixtures_pipeline_tests.days_logger HOME ASSET COUNT`.

It says the id of the run, then `logged N` as soon as the entry of a day is stored, for the tests that kill it or run
many.
"""

import os
import sys
from collections.abc import Iterator

from dagster import AssetMaterialization, DagsterInstance, Nothing, Out, Output, job, op

# Dagster captures what a step prints.
_STDOUT = os.dup(1)


def say(text: str) -> None:
    os.write(_STDOUT, f"{text}\n".encode())


@op(config_schema={"asset": str, "count": int}, out=Out(Nothing))
def log_days(context) -> Iterator[AssetMaterialization | Output[None]]:  # type: ignore[no-untyped-def] # noqa: ANN001
    say(context.run_id)
    for number in range(context.op_config["count"]):
        yield AssetMaterialization(context.op_config["asset"], partition=str(number), tags={"number": str(number)})
        say(f"logged {number}")
    yield Output(None)


@job
def log_days_job() -> None:
    log_days()


if __name__ == "__main__":
    home, asset, count = sys.argv[1:]
    with DagsterInstance.from_config(home) as instance:
        config = {"ops": {"log_days": {"config": {"asset": asset, "count": int(count)}}}}
        log_days_job.execute_in_process(instance=instance, run_config=config)
