"""A real Postgres of the tests' own: made in a temporary folder, on loopback, gone afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

#: Where Debian puts what it does not put on the PATH.
_DEBIAN = Path("/usr/lib/postgresql")


def find_program(name: str) -> str | None:
    """Return where a program of Postgres's is; None if there is none. Debian's newest comes after the PATH."""
    installed = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]), reverse=True)
    return shutil.which(name) or next(map(str, installed), None)


class PostgresServer:
    """A server with databases for tests."""

    def __init__(self, role: str = "postgres", *, password: str | None = None, durable: bool = False) -> None:
        """Make it and start it.

        Args:
            role: Its superuser.
            password: What everybody needs who connects as that; None if nobody needs one.
            durable: Whether it survives a crash of the machine; it is faster if it does not.
        """
        self._role, self._password, self._durable = role, password, durable
        self.folder = Path(tempfile.mkdtemp(prefix="fixtures-postgres-"))
        # Postgres refuses to run as root.
        self._as: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(self.folder, "postgres", "postgres")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._data = self.folder / "data"
        login = ["-A", "trust"]
        if password:
            file = self.folder / "password"
            file.write_text(password)
            login = ["-A", "scram-sha-256", f"--pwfile={file}"]
        self._run("initdb", "-D", str(self._data), "-U", role, *login, "-E", "UTF8", "--no-sync")
        # Roles of little power, one of whom needs a password.
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        self.start()
        with self.connect("postgres") as connection:
            connection.execute("CREATE ROLE nobody LOGIN; CREATE ROLE guarded LOGIN PASSWORD 'a-secret'")

    def _run(self, program: str, *arguments: str) -> None:
        found = find_program(program)
        assert found
        subprocess.run([found, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **self._as)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        found = find_program("postgres")
        assert found
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "log_min_messages": "panic",
            **({} if self._durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [found, "-D", str(self._data), *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder, process_group=0, **self._as,
        )  # fmt: skip
        end = time.monotonic() + 30
        while True:
            try:
                self.connect("postgres").close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, "the server has ended by itself"
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.02)
            else:
                return

    def stop(self, *, at_once: bool = False) -> None:
        """End the server: politely, but without waiting for clients, or as a crash does."""
        self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
        self._process.wait(30)

    def remove(self) -> None:
        """End the server and delete all that it had."""
        self.stop(at_once=True)
        shutil.rmtree(self.folder)

    def connect(self, database: str, **options: Any) -> psycopg.Connection[Any]:
        """Return a connection of the superuser's."""
        return psycopg.connect(self.address(database), password=self._password, autocommit=True, **options)

    def address(self, database: str, user: str | None = None) -> str:
        """Return the address of a database, as FIXTURES_DB takes it."""
        return f"postgresql://{user or self._role}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Create a database, empty, in place of one of that name; return its address."""
        with self.connect("postgres") as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.address(database)
