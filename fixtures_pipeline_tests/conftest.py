"""What every test gets: a clean environment, no network but loopback, and stores and answers to work with."""

import gzip
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from dagster import DagsterInstance

from fixtures_pipeline.judge import Judge
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import Outcome
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.processes import ROOT, TABLES, Dagster
from fixtures_pipeline_tests.runs import RangeRun, asking, range_run
from fixtures_pipeline_tests.stores import SOFASCORE, UTC, FileStore, file_store_at, store_at, table

if TYPE_CHECKING:
    from fixtures_pipeline_tests.postgres_server import PostgresServer

Judged = Callable[[date, str | bytes], Outcome]
MakeStore = Callable[..., FixtureStore]
MakeFileStore = Callable[..., FileStore]

REAL_DAYS = Path(__file__).parents[2] / "shared" / "real_days"


def pytest_configure() -> None:
    """Restore SIGINT, which shells have background jobs ignore: runs of Dagster and what tests start inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # No test may depend on how busy the machine is.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def _plain_environment() -> Iterator[None]:
    """Keep the settings of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in list(os.environ):
            if name.startswith("FIXTURES_") or name in {"DAGSTER_HOME", "HTTP_PROXY", "http_proxy"}:
                monkeypatch.delenv(name)
        monkeypatch.setitem(Settings.model_config, "env_file", None)
        yield


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to anywhere else."""
    connect = socket.socket.connect

    def guarded(sock: socket.socket, address: Any) -> None:
        if sock.family in {socket.AF_INET, socket.AF_INET6} and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"A test tried to reach {address[0]}.")
        connect(sock, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that are marked `both_stores` with a file and with Postgres, but for those marked `file_only`."""
    marked = metafunc.definition.get_closest_marker
    if marked("both_stores") and not marked("file_only"):
        for name in {"make_store", "settings"} & set(metafunc.fixturenames):
            metafunc.parametrize(name, ["file", "postgres"], indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    """Return a Postgres of the tests' own."""
    from fixtures_pipeline_tests.postgres_server import PostgresServer, find_program

    if find_program("initdb") is None:
        pytest.skip("there is no Postgres here: apt-get install postgresql")
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    """Return a function that makes a store of the test's own: in its folder, or in Postgres (`both_stores`)."""
    if getattr(request, "param", "file") == "file":
        made: MakeStore = request.getfixturevalue("make_file_store")
        return made
    server: PostgresServer = request.getfixturevalue("postgres")
    addresses: dict[str, str] = {}

    def make(name: str = "fixtures.duckdb", *belongs_to: Any, **options: Any) -> FixtureStore:
        if name not in addresses:
            addresses[name] = server.create(name)
        return store_at(addresses[name], *belongs_to, **options)

    return make


@pytest.fixture
def make_file_store(tmp_path: Path) -> MakeFileStore:
    """Return a function that makes a store in the test's folder."""
    return lambda name="fixtures.duckdb", *belongs_to, **options: file_store_at(tmp_path / name, *belongs_to, **options)


@pytest.fixture
def store(make_store: MakeStore) -> FixtureStore:
    """Return an empty store for Sofascore's answers in UTC."""
    return make_store()


@pytest.fixture(scope="session")
def judged() -> Iterator[Judged]:
    """Return a function that judges a body as Sofascore's answer for a day."""
    judge = Judge(SOFASCORE, UTC)
    yield lambda day, body: judge.judge(day, body.encode() if isinstance(body, str) else body).outcome
    judge.close()


@pytest.fixture
def api() -> Iterator[FaultServer]:
    """Return a server that gives good days unless it is told otherwise."""
    with FaultServer() as server:
        yield server


@pytest.fixture
def settings(
    request: pytest.FixtureRequest, api: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Return settings that ask `api` and store into a file of the test's own, or into Postgres (`both_stores`)."""
    asked = asking(api, tmp_path)
    if getattr(request, "param", "file") == "file":
        return asked
    server: PostgresServer = request.getfixturevalue("postgres")
    # What each machine keeps for itself.
    monkeypatch.setattr("fixtures_pipeline.settings.PROJECT_ROOT", tmp_path)
    return asked.model_copy(update={"db": server.create("fixtures")})


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    """Return a Dagster instance of the test's own, in memory: it costs half of what files cost."""
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def instance_in_files(tmp_path: Path) -> Iterator[DagsterInstance]:
    """Return a Dagster instance with its files in the test's folder, set up as by `make run`."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    with DagsterInstance.from_config(str(home)) as local:
        yield local


@pytest.fixture
def dagster(settings: Settings, tmp_path: Path) -> Iterator[Dagster]:
    """Return a `dagster dev` of the test's own."""
    with Dagster(tmp_path / "dagster", settings) as running:
        yield running


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of this project without its environment, in which nothing is loaded."""
    copy = tmp_path / "copy"
    shutil.copytree(
        ROOT / "fixtures_pipeline", copy / "fixtures_pipeline", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, copy)
    return copy


@dataclass(frozen=True)
class Weeks:
    """A running UI over three weeks of sample days that one backfill of all assets has loaded.

    Attributes:
        ui: The UI.
        settings: Its settings.
        backfill: The backfill's id.
        days: The days.
        failed: Those of them that failed, each in its own way.
    """

    ui: Dagster
    settings: Settings
    backfill: str
    days: list[date]
    failed: list[date]


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weeks]:
    """Return three weeks in a UI of the test module's own."""
    folder = tmp_path_factory.mktemp("ui")
    settings = Settings.load(db=folder / "sample.duckdb", start_date="2026-01-01")
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=n) for n in range(22, 0, -1)]
    with Dagster(folder / "home", settings) as running:
        backfill = running.backfill(days, [*TABLES, "coverage_report"])
        running.ended(backfill)
        failed = [row["date"] for row in table(open_store(settings), "fixture_errors", "date")]
        assert len(failed) == 5
        yield Weeks(running, settings, backfill, days, failed)


@pytest.fixture(scope="session")
def six_days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeRun]:
    """Return one run over six days, two of which fail, for tests that only look at what it left."""
    with range_run(tmp_path_factory.mktemp("six_days")) as run:
        yield run


@contextmanager
def disk_of_two_megabytes(folder: Path) -> Iterator[None]:
    """Have `folder` on a disk of its own for as long as the context lasts."""
    if os.geteuid() != 0:
        pytest.skip("a disk of two megabytes can only be mounted by root")
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("a disk of two megabytes cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of two megabytes."""
    with disk_of_two_megabytes(tmp_path / "disk"):
        yield tmp_path / "disk"


@pytest.fixture(scope="session")
def real_days() -> dict[date, bytes]:
    """Return Sofascore's recorded answers, by day."""
    recorded = sorted((REAL_DAYS / "sofascore").glob("2*.json.gz"))
    if not recorded:
        pytest.skip("the recorded days are not beside this checkout (../shared/real_days)")
    return {date.fromisoformat(path.name[:10]): gzip.decompress(path.read_bytes()) for path in recorded}
