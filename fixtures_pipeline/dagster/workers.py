"""Runs on several plain machines: a launcher that a `dagster.yaml` can select, as deploy/machines/dagster.yaml does.

Each worker is one of Dagster's own code servers (`dagster api grpc`). Dagster's default launcher starts every run on
the one server that the workspace names, and cannot tell whether a run still has a process: a run whose machine is gone
would stay STARTED.
"""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from dagster import (
    Array,
    DagsterRun,
    DagsterRunStatus,
    DefaultRunLauncher,
    Field,
    RunsFilter,
    StringSource,
    deserialize_value,
)

# What a launcher of one's own is made of; Dagster exports no public names for it.
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import ConfigurableClassData

#: The tag that says on which worker a run is.
_WORKER = "fixtures/worker"
_UNDER_WAY = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
#: Seconds that a worker has to answer a question.
_PATIENCE = 10


class WorkersRunLauncher(DefaultRunLauncher):
    """Starts each run on the worker with the fewest, and says which runs have lost theirs."""

    def __init__(self, workers: list[str], silence: int, inst_data: ConfigurableClassData | None = None) -> None:
        """Reach nobody yet.

        Args:
            workers: Addresses of code servers, `host:port`.
            silence: Seconds for which a worker may not answer before its runs count as lost.
            inst_data: What Dagster's configuration passes.
        """
        super().__init__(inst_data)
        self._workers = workers
        self._silence = silence
        self._silent_since: dict[str, float] = {}

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return what can be configured."""
        return {
            "workers": Field(Array(StringSource), description="Addresses of code servers, host:port."),
            "silence_seconds": Field(
                int, default_value=60, description="How long a worker may not answer before its runs count as lost."
            ),
        }

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> "WorkersRunLauncher":
        """Return the launcher that `dagster.yaml` selects."""
        return cls(config_value["workers"], config_value["silence_seconds"], inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start a run on the worker with the fewest runs, of those that answer.

        Raises:
            DagsterUserCodeUnreachableError: no worker answers. Dagster's queue keeps the run for later, as often as
                `max_user_code_failure_retries` says.
        """
        runs = self._instance.get_runs(RunsFilter(statuses=_UNDER_WAY))
        busy = Counter(run.tags.get(_WORKER) for run in runs)
        for address in sorted(self._workers, key=lambda address: busy[address]):
            client = _connect(address)
            try:
                client.get_server_id(timeout=_PATIENCE)
            except DagsterUserCodeUnreachableError:
                continue
            self._silent_since.pop(address, None)
            self._instance.add_run_tags(context.dagster_run.run_id, {_WORKER: address})
            self.launch_run_from_grpc_client(self._instance, context.dagster_run, client)
            return
        raise DagsterUserCodeUnreachableError(f"No worker answers: {', '.join(self._workers)}.")

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Say that run monitoring can ask about runs."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Say whether a run still has its process; a worker that does not answer is given some time."""
        address = run.tags.get(_WORKER)
        if address is None:
            # A command's, in a process that nobody here can ask about.
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        question = CanCancelExecutionRequest(run_id=run.run_id)
        try:
            answer = _connect(address).can_cancel_execution(question, timeout=_PATIENCE)
        except DagsterUserCodeUnreachableError:
            now = time.monotonic()
            silent = now - self._silent_since.setdefault(address, now)
            if silent < self._silence:
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, f"{address} has not answered for {silent:.0f} seconds.")
        self._silent_since.pop(address, None)
        if cast("CanCancelExecutionResult", deserialize_value(answer)).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"{address} has no process of this run.")


def _connect(address: str) -> DagsterGrpcClient:
    host, _, port = address.rpartition(":")
    return DagsterGrpcClient(host=host, port=int(port))
