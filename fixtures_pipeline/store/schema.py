"""Which version of the tables a file has, how it is brought up to date, and whose file it is.

The tables themselves are made by the scripts in `migrations/`; what their columns mean is in `tables`.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fixtures_pipeline.errors import StoreError, StoreMissingError, StoreOutdatedError
from fixtures_pipeline.store.session import Database, Session, WritingSession, fetch_records
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


def migrate(session: WritingSession, database: Database, provider: str, zone: str) -> None:
    """Bring the tables up to date, each step in a transaction; a new database becomes this provider's and zone's.

    Raises:
        StoreError: it was written by a newer version of the project, or by somebody else, or holds other days
            than these.
    """
    info = _read_info(session, database) or _Info(0, provider, zone)
    _refuse_other(info, database, provider, zone)
    pending = list(enumerate(_read_migrations(database.addenda), 1))[info.version :]
    # A new database appears as a whole, so that nobody reads an older version of it.
    for steps in [pending] if info.version == 0 else [[step] for step in pending]:
        with session.transaction():
            session.lock()
            done = _read_info(session, database)
            if done:
                _refuse_other(done, database, provider, zone)
            for number, script in steps:
                if done and done.version >= number:  # by another process in the meantime
                    continue
                if number == 1:
                    session.execute(_STORE_INFO)
                    session.execute(
                        "INSERT INTO store_info VALUES (1, $provider, $zone)", {"provider": provider, "zone": zone}
                    )
                session.execute(script)
                session.execute("UPDATE store_info SET schema_version = $number", {"number": number})


def require_current(session: Session, database: Database, provider: str, zone: str) -> None:
    """Refuse to read a file of another version, provider, time zone or project.

    Raises:
        StoreMissingError: the file has no tables yet.
        StoreOutdatedError: it has those of an older version.
        StoreError: it has others than these.
    """
    info = _read_info(session, database)
    if info is None:
        raise StoreMissingError(f"Nothing has been loaded yet: {database.shown} is empty.")
    _refuse_other(info, database, provider, zone)
    if info.version < len(_read_migrations(database.addenda)):
        raise StoreOutdatedError(
            f"{database.shown} was written by an older version of this project; load any day to bring it up to date."
        )


def _refuse_other(info: _Info, database: Database, provider: str, zone: str) -> None:
    known = len(_read_migrations(database.addenda))
    if info.version > known:
        raise StoreError(
            f"{database.shown} was written by a newer version of this project (its tables are version "
            f"{info.version}, this one knows {known}). Update the project, or name another {database.kind} in "
            "FIXTURES_DB."
        )
    if info.provider != provider:
        raise StoreError(
            f"{database.shown} holds days of the provider {info.provider}; days of {provider} do not mix with "
            f"them. Name another {database.kind} in FIXTURES_DB, or leave it out to have one per provider."
        )
    if info.zone != zone:
        raise StoreError(
            f"{database.shown} holds days of the time zone {info.zone}, and FIXTURES_TIMEZONE is {zone}. Set it back, "
            f"or name another {database.kind} in FIXTURES_DB and load the days again."
        )


@cache
def _read_migrations(addenda: str | None) -> list[str]:
    """Return the scripts in `migrations/`, in order, each with what follows it in a folder there."""
    folder = files("fixtures_pipeline.store") / "migrations"
    scripts = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    texts = []
    for script in scripts:
        texts.append(script.read_text(encoding="utf-8"))
        if addenda and (addendum := folder / addenda / script.name).is_file():
            texts[-1] += addendum.read_text(encoding="utf-8")
    return texts


def _read_info(session: Session, database: Database) -> _Info | None:
    """Return what a database says of itself; None for one without any tables.

    Raises:
        StoreError: its tables are somebody else's, or somebody else has changed what it says of itself.
    """
    # Listing them takes DuckDB longer than all else that is asked here.
    if not session.has("store_info"):
        names = [excerpt(name) for name in session.list_tables()]
        if not names:
            return None
        # Another process may have made it in the meantime.
        if "store_info" not in names:
            more = ", …" if len(names) > _TABLES_NAMED else ""
            raise StoreError(
                f"{database.shown} is not a database of this project and is left alone: it has "
                f"{', '.join(names[:_TABLES_NAMED])}{more}, but no store_info. Name another {database.kind} in "
                "FIXTURES_DB."
            )
    rows = fetch_records(session.execute("SELECT * FROM store_info LIMIT 2"))
    row: list[Any] = (
        [rows[0].get(name) for name in ("schema_version", "provider", "timezone")] if len(rows) == 1 else []
    )
    if list(map(type, row)) != [int, str, str] or row[0] < 1:
        raise StoreError(
            f"{database.shown} has a table store_info that is not as this project leaves it (one row with version, "
            f"provider and time zone). Put a copy of the {database.kind} in its place, or name another one in "
            "FIXTURES_DB."
        )
    return _Info(*row)
