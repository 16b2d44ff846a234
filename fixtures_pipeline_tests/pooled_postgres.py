"""A Postgres server with PgBouncer in front of it, as deploy/ has them: for benchmarks, and to try the deployment."""

import os
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
from fixtures_pipeline_tests.postgres_server import find_program
from fixtures_pipeline_tests.processes import ROOT, until

_ROLE = _DATABASE = "fixtures"


@dataclass(frozen=True)
class PooledPostgres:
    """Where they are, and what opens them.

    Attributes:
        direct: The port of Postgres.
        pooled: The port of PgBouncer.
        passwords: The file for `PGPASSFILE`.
        programs: The folder of Postgres' programs.
    """

    direct: int
    pooled: int
    passwords: Path
    programs: Path

    def create(self) -> str:
        """Create an empty database, and return its address; the password is in the environment's `PGPASSFILE`."""
        name = f"made_{secrets.token_hex(4)}"
        server = ("-h", "127.0.0.1", "-p", str(self.direct), "-U", _ROLE)
        subprocess.run([str(self.programs / "createdb"), *server, name], check=True)
        return f"postgresql://{_ROLE}@127.0.0.1:{self.direct}/{name}"


def find_missing() -> str | None:
    """Return what is not installed, as a sentence; None if all of it is."""
    missing = [name for name, path in (("postgresql", _find_programs()), ("pgbouncer", _find_pool())) if path is None]
    return f"Not installed: {', '.join(missing)} (apt-get install {' '.join(missing)})." if missing else None


def _find_programs() -> Path | None:
    found = find_program("initdb")
    return Path(found).resolve().parent if found else None


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
    # A folder of its own, which the user that serves can get to.
    with TemporaryDirectory(prefix="postgres-") as name, _serve(Path(name)) as served:
        yield served


@contextmanager
def _serve(folder: Path) -> Iterator[PooledPostgres]:
    programs, pool = _find_programs(), _find_pool()
    assert programs is not None
    assert pool is not None
    place = folder / "postgres"
    place.mkdir()
    password = secrets.token_hex(16)
    served = PooledPostgres(closed_port(), closed_port(), folder / "pgpass", programs)
    served.passwords.touch(0o600)
    served.passwords.write_text(f"*:*:*:{_ROLE}:{password}\n")
    (place / "password").write_text(password)
    configuration = (ROOT / "deploy/pgbouncer.ini").read_text()
    for shipped, here in (
        ("host=postgres port=5432", f"host=127.0.0.1 port={served.direct}"),
        ("listen_addr = *", f"listen_addr = 127.0.0.1\nunix_socket_dir = {place}"),
        ("listen_port = 6432", f"listen_port = {served.pooled}"),
        ("/etc/pgbouncer/userlist.txt", str(place / "userlist.txt")),
    ):
        assert shipped in configuration
        configuration = configuration.replace(shipped, here)
    (place / "pgbouncer.ini").write_text(configuration)
    (place / "userlist.txt").write_text(f'"{_ROLE}" "{password}"\n')
    user = _give_away(folder, place)

    def run(*command: object) -> None:
        subprocess.run([str(part) for part in command], check=True, user=user, cwd=place, stdout=subprocess.DEVNULL)

    data = place / "data"
    run(programs / "initdb", "-D", data, "-U", _ROLE, "-A", "scram-sha-256", f"--pwfile={place / 'password'}")
    options = f"-h 127.0.0.1 -p {served.direct} -k {place}"
    run(programs / "pg_ctl", "-D", data, "-l", place / "log", "-o", options, "-w", "start")
    try:
        environment = {**os.environ, "PGPASSFILE": str(served.passwords)}
        create = [str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(served.direct), "-U", _ROLE, _DATABASE]
        subprocess.run(create, check=True, env=environment)
        command = [pool, "-q", str(place / "pgbouncer.ini")]
        pooling = subprocess.Popen(command, user=user, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: _answers(programs, served.pooled), 30)
            yield served
        finally:
            pooling.kill()
            pooling.wait()
    finally:
        run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")


def _give_away(folder: Path, place: Path) -> str | None:
    """Return the user that serves, None for this one: neither server starts as root."""
    if os.geteuid() != 0:
        return None
    folder.chmod(0o711)
    for path in (place, *place.iterdir()):
        shutil.chown(path, "postgres")
    return "postgres"


def _answers(programs: Path, port: int) -> bool:
    command = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(command, check=False).returncode == 0
