"""What every test gets: a clean environment, no network but loopback, and stores and answers to work with."""

import gzip
import ipaddress
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dagster import DagsterInstance

from fixtures_pipeline.judge import Judge
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import DayFailed, ErrorType, Outcome
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import FixtureStore
from fixtures_pipeline_tests.fault_server import FaultServer

Judged = Callable[[date, str | bytes], Outcome]

UTC = ZoneInfo("UTC")
SOFASCORE = PROVIDERS["sofascore"]
REAL_DAYS = Path(__file__).parents[2] / "shared" / "real_days"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in list(os.environ):
        if name.startswith("FIXTURES_") or name in {"DAGSTER_HOME", "HTTP_PROXY", "http_proxy"}:
            monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to anywhere else."""
    connect = socket.socket.connect

    def guarded(sock: socket.socket, address: Any) -> None:
        if sock.family in {socket.AF_INET, socket.AF_INET6} and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"A test tried to reach {address[0]}.")
        connect(sock, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def store(tmp_path: Path) -> FixtureStore:
    """Return an empty store for Sofascore's answers in UTC."""
    return FixtureStore(tmp_path / "fixtures.duckdb", SOFASCORE, UTC, lock_timeout=5)


@pytest.fixture
def judged() -> Judged:
    """Return a function that judges a body as Sofascore's answer for a day."""
    judge = Judge(SOFASCORE, UTC)
    return lambda day, body: judge.judge(day, body.encode() if isinstance(body, str) else body)


@pytest.fixture
def api() -> Iterator[FaultServer]:
    """Return a server that gives good days unless it is told otherwise."""
    with FaultServer() as server:
        yield server


@pytest.fixture
def settings(api: FaultServer, tmp_path: Path) -> Settings:
    """Return settings that ask `api` and store into a file of the test's own."""
    return Settings.load(
        provider="sofascore",
        api_url=api.url,
        db=tmp_path / "fixtures.duckdb",
        start_date="2025-01-01",
        requests_per_second=1000,
        lock_timeout=5,
    )


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    """Return a Dagster instance of the test's own, with SQLite storage."""
    home = tmp_path / "home"
    home.mkdir()
    with DagsterInstance.local_temp(str(home), overrides={"telemetry": {"enabled": False}}) as local:
        yield local


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("a disk of two megabytes can only be mounted by root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("a disk of two megabytes cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def real_days() -> dict[date, bytes]:
    """Return Sofascore's recorded answers, by day."""
    recorded = sorted((REAL_DAYS / "sofascore").glob("2*.json.gz"))
    if not recorded:
        pytest.skip("the recorded days are not beside this checkout (../shared/real_days)")
    return {date.fromisoformat(path.name[:10]): gzip.decompress(path.read_bytes()) for path in recorded}


def table(store: FixtureStore, name: str, columns: str = "*") -> list[dict[str, Any]]:
    """Return the rows of a table in the order of its first column."""
    return store.query(f"SELECT {columns} FROM {name} ORDER BY ALL")


def events(body: bytes | str) -> list[dict[str, Any]]:
    """Return the events of an answer."""
    listed: list[dict[str, Any]] = json.loads(body)["events"]
    return listed


def fail(settings: Settings, *days: date, retry_at: datetime | None = None) -> None:
    """Store that these days have failed."""
    open_store(settings).load([DayFailed(day, ErrorType.API_ERROR, "It broke.", retry_at=retry_at) for day in days])


def set_clock(monkeypatch: pytest.MonkeyPatch, now: Callable[[], datetime], *modules: ModuleType) -> None:
    """Let these modules read the time that `now` tells."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return now()

    for module in modules:
        monkeypatch.setattr(module, "datetime", Clock)
