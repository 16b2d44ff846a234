"""A Postgres server with PgBouncer in front of it, as deploy/ has them: for benchmarks, and to try the deployment."""

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dagster_shared.yaml_utils import dump_run_config_yaml, load_yaml_from_path

from fixtures_pipeline_tests.fault_server import closed_port
from fixtures_pipeline_tests.postgres_server import PostgresServer, find_program
from fixtures_pipeline_tests.processes import ROOT, until

_ROLE = _DATABASE = "fixtures"


@dataclass(frozen=True)
class PooledPostgres:
    """Where they are, and what opens them.

    Attributes:
        server: Postgres itself.
        pooled: The port of PgBouncer.
        passwords: The file for `PGPASSFILE`.
    """

    server: PostgresServer
    pooled: int
    passwords: Path

    @property
    def direct(self) -> int:
        """The port of Postgres."""
        return self.server.port

    def create(self) -> str:
        """Create an empty database, and return its address; the password is in the environment's `PGPASSFILE`."""
        return self.server.create(f"made_{secrets.token_hex(4)}")


def find_missing() -> str | None:
    """Return what is not installed, as a sentence; None if all of it is."""
    missing = [
        name for name, path in (("postgresql", find_program("initdb")), ("pgbouncer", _find_pool())) if path is None
    ]
    return f"Not installed: {', '.join(missing)} (apt-get install {' '.join(missing)})." if missing else None


def _find_pool() -> str | None:
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


def configure_home(home: Path, port: int, **changes: Any) -> None:
    """Write the dagster.yaml of plain machines into a home, with another port on loopback and other parts."""
    config: Any = load_yaml_from_path(str(ROOT / "deploy/machines/dagster.yaml"))
    config["storage"]["postgres"]["postgres_db"] |= {"hostname": "127.0.0.1", "port": port}
    for part, values in changes.items():
        config[part] |= values
    (home / "dagster.yaml").write_text(dump_run_config_yaml(config))


@contextmanager
def serve_pooled() -> Iterator[PooledPostgres]:
    """Serve an empty database on loopback, with a password of its own."""
    password = secrets.token_hex(16)
    server = PostgresServer(_ROLE, password=password, durable=True)
    try:
        server.create(_DATABASE)
        with TemporaryDirectory(prefix="passwords-") as name, _pool(server) as port:
            passwords = Path(name) / "pgpass"
            passwords.touch(0o600)
            passwords.write_text(f"*:*:*:{_ROLE}:{password}\n")
            yield PooledPostgres(server, port, passwords)
    finally:
        server.remove()


@contextmanager
def _pool(server: PostgresServer) -> Iterator[int]:
    """Serve PgBouncer in front of a server; give its port."""
    program, answers = _find_pool(), find_program("pg_isready")
    assert program is not None
    assert answers is not None
    place, port = server.folder / "pool", closed_port()
    place.mkdir()
    configuration = (ROOT / "deploy/pgbouncer.ini").read_text()
    for shipped, here in (
        ("host=postgres port=5432", f"host=127.0.0.1 port={server.port}"),
        ("listen_addr = *", f"listen_addr = 127.0.0.1\nunix_socket_dir = {place}"),
        ("listen_port = 6432", f"listen_port = {port}"),
        ("/etc/pgbouncer/userlist.txt", str(place / "userlist.txt")),
    ):
        assert shipped in configuration
        configuration = configuration.replace(shipped, here)
    (place / "pgbouncer.ini").write_text(configuration)
    with server.connect(_DATABASE) as connection:
        [(secret,)] = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = current_user").fetchall()
    (place / "userlist.txt").write_text(f'"{_ROLE}" "{secret}"\n')
    for path in (place, *place.iterdir()):
        # It does not start as root either.
        shutil.chown(path, server.folder.owner(), server.folder.group())
    pooling = subprocess.Popen(
        [program, "-q", str(place / "pgbouncer.ini")],
        user=server.folder.owner(), cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        ready = [answers, "-q", "-h", "127.0.0.1", "-p", str(port)]
        until(lambda: subprocess.run(ready, check=False).returncode == 0, 30)
        yield port
    finally:
        pooling.kill()
        pooling.wait()
