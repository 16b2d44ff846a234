"""Runs on several workers, which are real code servers: where each goes, and whether its process is still there."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import WorkerStatus
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._grpc.client import DagsterGrpcClient
from dagster_shared.yaml_utils import dump_run_config_yaml

from fixtures_pipeline.dagster import workers
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import FaultServer, closed_port
from fixtures_pipeline_tests.processes import Process, environment, until
from fixtures_pipeline_tests.runs import range_of

_LOCATION = "fixtures_pipeline.definitions"


class Worker:
    """A code server of its own."""

    def __init__(self, settings: Settings, home: Path, stack: ExitStack) -> None:
        port = closed_port()
        self.address = f"127.0.0.1:{port}"
        arguments = ("-m", "dagster", "api", "grpc", "-h", "127.0.0.1", "-p", str(port), "-m", _LOCATION)
        self._process = stack.enter_context(Process(*arguments, env=environment(settings, home)))
        client = DagsterGrpcClient(host="127.0.0.1", port=port)

        def answers() -> bool:
            try:
                return bool(client.get_server_id(timeout=1))
            except DagsterUserCodeUnreachableError:
                return False

        until(answers, 120)

    def die(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Control:
    """An instance whose launcher knows workers, and a way to start a run."""

    def __init__(self, home: Path, *workers: str, silence: int = 0) -> None:
        launcher = {
            "module": "fixtures_pipeline.dagster.workers",
            "class": "WorkersRunLauncher",
            "config": {"workers": list(workers), "silence_seconds": silence},
        }
        config = {"run_launcher": launcher, "telemetry": {"enabled": False}}
        (home / "dagster.yaml").write_text(dump_run_config_yaml(config))
        self.instance = DagsterInstance.from_config(str(home))

    def create(self, day: date) -> DagsterRun:
        job = ReconstructableRepository.for_module(_LOCATION, "defs").get_reconstructable_job("load_days_job")
        origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(_LOCATION), "__repository__")
        return self.instance.create_run_for_job(
            job.get_definition(),
            tags=range_of(day),
            remote_job_origin=origin.get_job_origin("load_days_job"),
            job_code_origin=job.get_python_origin(),
        )

    def launch(self, day: date) -> str:
        run = self.create(day)
        self.instance.launch_run(run.run_id, None)  # type: ignore[arg-type]
        return run.run_id

    def worker_of(self, run_id: str) -> str:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.tags["fixtures/worker"]

    def health_of(self, run_id: str) -> WorkerStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return self.instance.run_launcher.check_run_worker_health(run).status

    def has_ended(self, run_id: str) -> bool:
        run = self.instance.get_run_by_id(run_id)
        return run is not None and run.is_finished


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def start_worker(settings: Settings, home: Path) -> Iterator[Callable[[], Worker]]:
    with ExitStack() as stack:
        yield lambda: Worker(settings, home, stack)


def test_a_run_goes_to_the_worker_with_the_fewest_of_those_that_answer(
    home: Path, api: FaultServer, start_worker: Callable[[], Worker]
) -> None:
    gone, one, other = f"127.0.0.1:{closed_port()}", start_worker(), start_worker()
    control = Control(home, gone, one.address, other.address)
    slow, more, good = (date(2025, 3, n) for n in (1, 2, 3))
    api.plan(slow, lambda exchange: exchange.idle())
    api.plan(more, lambda exchange: exchange.idle())
    first, second = control.launch(slow), control.launch(more)
    assert {control.worker_of(first), control.worker_of(second)} == {one.address, other.address}
    until(lambda: len(api.requests) == 2, 60)

    assert control.health_of(first) == control.health_of(second) == WorkerStatus.RUNNING
    lost = {one.address: one, other.address: other}[control.worker_of(first)]
    lost.die()
    assert control.health_of(first) == WorkerStatus.UNKNOWN
    assert control.health_of(second) == WorkerStatus.RUNNING
    # A minute in which it does not answer may be the network's.
    assert Control(home, silence=60).health_of(first) == WorkerStatus.RUNNING

    third = control.launch(good)
    assert control.worker_of(third) == control.worker_of(second)
    until(lambda: control.has_ended(third), 120)
    assert control.instance.get_run_by_id(third).status == DagsterRunStatus.SUCCESS  # type: ignore[union-attr]
    assert control.health_of(third) == WorkerStatus.NOT_FOUND


def test_a_run_waits_in_the_queue_while_no_worker_answers(home: Path) -> None:
    control = Control(home, f"127.0.0.1:{closed_port()}")
    # Dagster's queue keeps a run for later after this error, and fails it after any other.
    with pytest.raises(DagsterUserCodeUnreachableError, match="No worker answers"):
        control.launch(date(2025, 3, 1))


def test_a_run_of_a_command_is_no_workers(home: Path) -> None:
    control = Control(home, f"127.0.0.1:{closed_port()}")
    assert control.health_of(control.create(date(2025, 3, 1)).run_id) == WorkerStatus.RUNNING


def test_a_worker_that_has_answered_since_is_given_its_time_again(
    home: Path, start_worker: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = start_worker()
    control = Control(home, worker.address, silence=60)
    first = control.launch(date(2025, 3, 1))
    with monkeypatch.context() as patched:
        patched.setattr(workers, "_connect", lambda _: DagsterGrpcClient(host="127.0.0.1", port=closed_port()))
        assert control.health_of(first) == WorkerStatus.RUNNING
    until(lambda: control.has_ended(first), 120)
    second = control.launch(date(2025, 3, 1))
    worker.die()
    long_after = time.monotonic() + 3600
    monkeypatch.setattr(time, "monotonic", lambda: long_after)
    assert control.health_of(second) == WorkerStatus.RUNNING
