"""Which version of the tables a file has, how it is brought up to date, and whose file it is.

The tables themselves are made by the scripts in `migrations/`; what their columns mean is in `tables`.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path

import duckdb

from fixtures_pipeline.errors import StoreError, StoreMissingError
from fixtures_pipeline.store.connection import transaction

_STORE_INFO = (
    "CREATE TABLE store_info (schema_version INTEGER NOT NULL, provider VARCHAR NOT NULL, timezone VARCHAR NOT NULL)"
)


def migrate(connection: duckdb.DuckDBPyConnection, path: Path, provider: str, zone: str) -> None:
    """Bring the tables up to date, each step in a transaction; a new file becomes this provider's and zone's.

    Raises:
        StoreError: the file was written by a newer version of the project, or holds other days than these.
    """
    version = _read_version(connection)
    _refuse_newer(version, path)
    for number, script in enumerate(_read_migrations()[version:], version + 1):
        with transaction(connection):
            if number == 1:
                connection.execute(_STORE_INFO)
                connection.execute(
                    "INSERT INTO store_info VALUES (1, $provider, $zone)", {"provider": provider, "zone": zone}
                )
            connection.execute(script)
            connection.execute("UPDATE store_info SET schema_version = $number", {"number": number})
    _refuse_foreign(connection, path, provider, zone)


def require_current(connection: duckdb.DuckDBPyConnection, path: Path, provider: str, zone: str) -> None:
    """Refuse to read a file of another version, provider or time zone.

    Raises:
        StoreMissingError: the file has no tables yet.
        StoreError: it has others than these.
    """
    version = _read_version(connection)
    if version == 0:
        raise StoreMissingError(f"Nothing has been loaded yet: {path} is empty.")
    _refuse_newer(version, path)
    if version < len(_read_migrations()):
        raise StoreError(
            f"{path} was written by an older version of this project; load any day to bring it up to date."
        )
    _refuse_foreign(connection, path, provider, zone)


def _refuse_newer(version: int, path: Path) -> None:
    known = len(_read_migrations())
    if version > known:
        raise StoreError(
            f"{path} was written by a newer version of this project (its tables are version {version}, this one knows "
            f"{known}). Update the project, or name another file in FIXTURES_DB."
        )


def _refuse_foreign(connection: duckdb.DuckDBPyConnection, path: Path, provider: str, zone: str) -> None:
    [(stored_provider, stored_zone)] = connection.execute("SELECT provider, timezone FROM store_info").fetchall()
    if stored_provider != provider:
        raise StoreError(
            f"{path} holds days of the provider {stored_provider}; days of {provider} do not mix with them. Name "
            "another file in FIXTURES_DB, or leave it out to have one per provider."
        )
    if stored_zone != zone:
        raise StoreError(
            f"{path} holds days of the time zone {stored_zone}, and FIXTURES_TIMEZONE is {zone}. Set it back, or name "
            "another file in FIXTURES_DB and load the days again."
        )


@cache
def _read_migrations() -> list[str]:
    """Return the scripts in `migrations/`, in order; the first one makes version 1."""
    folder = files("fixtures_pipeline.store") / "migrations"
    scripts = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [script.read_text(encoding="utf-8") for script in scripts]


def _read_version(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the version of the tables, 0 for a file without any."""
    try:
        rows = connection.execute("SELECT schema_version FROM store_info").fetchall()
    except duckdb.CatalogException:
        return 0
    return int(rows[0][0])
