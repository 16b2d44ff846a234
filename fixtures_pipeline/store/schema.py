"""Which version of the tables a file has, how it is brought up to date, and whose file it is.

The tables themselves are made by the scripts in `migrations/`; what their columns mean is in `tables`.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import duckdb

from fixtures_pipeline.errors import StoreError, StoreMissingError, StoreOutdatedError
from fixtures_pipeline.store.connection import transaction
from fixtures_pipeline.text import excerpt

#: Tables of somebody else that a message names.
_TABLES_NAMED = 3

_STORE_INFO = (
    "CREATE TABLE store_info (schema_version INTEGER NOT NULL, provider VARCHAR NOT NULL, timezone VARCHAR NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class _Info:
    """What `store_info` says of a file."""

    version: int
    provider: str
    zone: str


def migrate(connection: duckdb.DuckDBPyConnection, path: Path, provider: str, zone: str) -> None:
    """Bring the tables up to date, each step in a transaction; a new file becomes this provider's and zone's.

    Raises:
        StoreError: the file was written by a newer version of the project, or by somebody else, or holds other days
            than these.
    """
    info = _read_info(connection, path) or _Info(0, provider, zone)
    _refuse_other(info, path, provider, zone)
    for number, script in enumerate(_read_migrations()[info.version :], info.version + 1):
        with transaction(connection):
            if number == 1:
                connection.execute(_STORE_INFO)
                connection.execute(
                    "INSERT INTO store_info VALUES (1, $provider, $zone)", {"provider": provider, "zone": zone}
                )
            connection.execute(script)
            connection.execute("UPDATE store_info SET schema_version = $number", {"number": number})


def require_current(connection: duckdb.DuckDBPyConnection, path: Path, provider: str, zone: str) -> None:
    """Refuse to read a file of another version, provider, time zone or project.

    Raises:
        StoreMissingError: the file has no tables yet.
        StoreOutdatedError: it has those of an older version.
        StoreError: it has others than these.
    """
    info = _read_info(connection, path)
    if info is None:
        raise StoreMissingError(f"Nothing has been loaded yet: {path} is empty.")
    _refuse_other(info, path, provider, zone)
    if info.version < len(_read_migrations()):
        raise StoreOutdatedError(
            f"{path} was written by an older version of this project; load any day to bring it up to date."
        )


def _refuse_other(info: _Info, path: Path, provider: str, zone: str) -> None:
    known = len(_read_migrations())
    if info.version > known:
        raise StoreError(
            f"{path} was written by a newer version of this project (its tables are version {info.version}, this one "
            f"knows {known}). Update the project, or name another file in FIXTURES_DB."
        )
    if info.provider != provider:
        raise StoreError(
            f"{path} holds days of the provider {info.provider}; days of {provider} do not mix with them. Name "
            "another file in FIXTURES_DB, or leave it out to have one per provider."
        )
    if info.zone != zone:
        raise StoreError(
            f"{path} holds days of the time zone {info.zone}, and FIXTURES_TIMEZONE is {zone}. Set it back, or name "
            "another file in FIXTURES_DB and load the days again."
        )


@cache
def _read_migrations() -> list[str]:
    """Return the scripts in `migrations/`, in order; the first one makes version 1."""
    folder = files("fixtures_pipeline.store") / "migrations"
    scripts = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [script.read_text(encoding="utf-8") for script in scripts]


def _read_info(connection: duckdb.DuckDBPyConnection, path: Path) -> _Info | None:
    """Return what a file says of itself; None for one without any tables.

    Raises:
        StoreError: its tables are somebody else's, or somebody else has changed what it says of itself.
    """
    names = [excerpt(name) for (name,) in connection.execute(_TABLES).fetchall()]
    if not names:
        return None
    if "store_info" not in names:
        more = ", …" if len(names) > _TABLES_NAMED else ""
        raise StoreError(
            f"{path} is not a database of this project and is left alone: it has {', '.join(names[:_TABLES_NAMED])}"
            f"{more}, but no store_info. Name another file in FIXTURES_DB."
        )
    try:
        rows = connection.execute("SELECT schema_version, provider, timezone FROM store_info").fetchall()
    except duckdb.BinderException:
        rows = []
    [row] = rows if len(rows) == 1 else [(None,)]
    if tuple(map(type, row)) != (int, str, str) or row[0] < 1:
        raise StoreError(
            f"{path} has a table store_info that is not as this project leaves it (one row with version, provider and "
            "time zone). Put a copy of the file in its place, or name another one in FIXTURES_DB."
        )
    return _Info(*row)


#: Tables and views, those that DuckDB brings along and temporary ones left out.
_TABLES = """
    SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary
    UNION ALL
    SELECT view_name FROM duckdb_views() WHERE NOT internal AND NOT temporary
    ORDER BY 1
"""
