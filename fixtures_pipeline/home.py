"""Dagster's home: which folder it is, what is in it before Dagster comes, who is using it.

A home belongs to one database, as Dagster's record of loaded days does not tell databases apart. What Dagster itself
knows in its home is asked in `dagster.launch`.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fixtures_pipeline.errors import HomeError
from fixtures_pipeline.settings import PROJECT_ROOT, Settings
from fixtures_pipeline.store.questions import knows_run

_DATA = PROJECT_ROOT / "data"
#: Where the homes are. Version 0.1 had a single one, in this folder itself.
HOMES = _DATA / "dagster"
_CONFIG = "dagster.yaml"
_DEFAULT_CONFIG = PROJECT_ROOT / _CONFIG


def choose_home(settings: Settings) -> Path:
    """Return Dagster's home for the database of these settings: `DAGSTER_HOME`, or one of the project's own."""
    chosen = _find_choice()
    return (PROJECT_ROOT / chosen).resolve() if chosen else HOMES / _name(settings.database)


def _find_choice() -> str | None:
    """Return the home that somebody has chosen instead of the project's own."""
    return os.environ.get("DAGSTER_HOME") or None


def _name(database: Path) -> str:
    """Return a name that two databases never share: that of the file, and for one in another folder more than that."""
    if database == _DATA / f"{database.stem}.duckdb":
        return database.stem
    inside = database.is_relative_to(PROJECT_ROOT)
    # Counted from the project, so that its folder can be moved.
    path = database.relative_to(PROJECT_ROOT) if inside else database
    return f"{database.stem}-{hashlib.sha256(str(path).encode()).hexdigest()[:6]}"


def open_home(settings: Settings, home: Path) -> str | None:
    """Make a home that `choose_home` has chosen ready for Dagster; return a sentence if that took more than usual.

    Raises:
        HomeError: the folder cannot be written.
    """
    # Here: what asks nothing of Dagster does not wait until it is imported.
    from fixtures_pipeline.dagster import launch  # noqa: PLC0415

    # A home of somebody's own choice keeps its settings, and is not made of another one.
    chosen = _find_choice()
    with _explaining(home):
        done = None if chosen else _take_over(settings)
        home.mkdir(parents=True, exist_ok=True)
        if not chosen or is_new(home):
            shutil.copyfile(_DEFAULT_CONFIG, home / _CONFIG)
        with lock(home / "setup.lock"):
            launch.set_up(home)
    return done


@contextmanager
def _explaining(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HomeError(
            f"Dagster's home {home} cannot be used: {error.strerror}. Check the free space and the permissions."
        ) from error


def is_new(home: Path) -> bool:
    """Say whether nothing has used this home yet."""
    return not (home / _CONFIG).is_file()


@contextmanager
def lock(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[IO[str] | None]:
    """Hold a lock on a file, which ends with this process whatever becomes of it.

    Args:
        path: The file; it stays when the lock is gone.
        shared: Whether others that say so can hold it at the same time.
        wait: Whether to wait for it.

    Yields:
        The file, or None if another process holds the lock and it is not to be waited for.
    """
    with path.open("a+") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield None
        else:
            yield file


@contextmanager
def serving(home: Path) -> Iterator[IO[str]]:
    """Hold a home as the only one that serves it; a process that inherits the file holds it, too.

    Raises:
        HomeError: another process serves it, or the folder cannot be written.
    """
    with _explaining(home):
        home.mkdir(parents=True, exist_ok=True)
        _serving_lock(home).touch()
    while True:
        with lock(_serving_lock(home), wait=False) as file:
            if file is not None:
                yield file
                return
        # If nobody serves it, somebody has only asked who does.
        if who := find_server(home):
            raise HomeError(f"This database is served already, by {who}. Use that, or end it first.")


def sign(file: IO[str], who: str) -> None:
    """Write into the lock who holds it, for others to read."""
    file.truncate(0)
    file.write(who)
    file.flush()


def find_server(home: Path) -> str | None:
    """Return who serves a home, and where; None if nobody does."""
    path = _serving_lock(home)
    if not path.exists():
        return None
    with lock(path, shared=True, wait=False) as file:
        return None if file else path.read_text() or "another process"


def _serving_lock(home: Path) -> Path:
    return home / "serving.lock"


@contextmanager
def loading(home: Path) -> Iterator[None]:
    """Hold a home while a command of this process loads days; any number of them can."""
    with lock(home / "loading.lock", shared=True):
        yield


@contextmanager
def nobody_loading(home: Path) -> Iterator[bool]:
    """Say whether no command is loading days, and let none begin in the meantime."""
    with lock(home / "loading.lock", wait=False) as file:
        yield file is not None


def _take_over(settings: Settings) -> str | None:
    """Move the home of version 0.1, which was the only one, to where the database that it belongs to has its own.

    Returns:
        What was done, as a sentence; None if there was nothing to do.
    """
    if is_new(HOMES) or settings.address:
        return None
    kept = f"What Dagster recorded with version 0.1 stays in {HOMES}"
    owner = _find_owner(settings)
    if owner is None:
        return f"{kept}: no single database here is its own. Delete it, or look at it with DAGSTER_HOME={HOMES}."
    home = HOMES / _name(owner)
    if not is_new(home):
        return f"{kept}: {owner.name} has a newer record. Delete it, or look at it with DAGSTER_HOME={HOMES}."
    home.mkdir(exist_ok=True)
    found = [path for path in HOMES.iterdir() if path != home and is_new(path)]
    # Last the file by which a home is known, so that the next start finishes a move that was cut off.
    for path in sorted(found, key=lambda path: path.name == _CONFIG):
        path.rename(home / path.name)
    return f"What Dagster recorded with version 0.1 belongs to {owner.name} and is now in {home}."


def _find_owner(settings: Settings) -> Path | None:
    """Return the database that the latest run of version 0.1 loaded days into, or the only one that there is."""
    from fixtures_pipeline.dagster import launch  # noqa: PLC0415

    databases = sorted({path for path in [settings.database, *_DATA.glob("*.duckdb")] if path.is_file()})
    run_id = launch.find_latest_run(HOMES)
    owners = [path for path in databases if run_id and knows_run(path, run_id)]
    found = owners or databases
    return found[0] if len(found) == 1 else None
