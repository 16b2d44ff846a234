"""What a shell or cron asks for: load days, load failed days again, say how things are, copy a database.

Each is a function that says what there is to say in a few lines and returns the exit code. Runs are Dagster's, in the
home that `make run` serves, and carried out in this process: neither a server nor a daemon has to run. What a run says
of its failed days is written by `dagster.console`.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

from fixtures_pipeline import home as homes
from fixtures_pipeline.days import list_days
from fixtures_pipeline.errors import StoreMissingError
from fixtures_pipeline.loading import find_failing_days, open_store
from fixtures_pipeline.outcome import DayState, OpenError
from fixtures_pipeline.retries import next_retry
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.copying import copy_store
from fixtures_pipeline.store.questions import find_states
from fixtures_pipeline.text import format_moment

#: Exit codes; 2 is that of wrong use.
EXIT_DONE, EXIT_FAILED_DAYS, EXIT_IMPOSSIBLE = 0, 1, 3


def load(settings: Settings, first: date, last: date) -> int:
    """Load the days from `first` to `last` in one run.

    Raises:
        FixturesError: Dagster's home or the database cannot be used.
    """
    home = _open_home(settings)
    # Dagster takes a second to import, which `--help`, wrong use and `status` need not wait for.
    from fixtures_pipeline.dagster import launch  # noqa: PLC0415

    with homes.loading(home):
        loaded = launch.load_stretch(home, first, last)
    if not loaded:
        return EXIT_FAILED_DAYS
    days = list_days(first, last)
    fixtures = sum(state.fixtures for state in find_states(open_store(settings), days))
    stretch = f"{first}" if first == last else f"{first} to {last}"
    _say(f"{stretch}: {_count(len(days), 'day')} loaded, {_count(fixtures, 'fixture')}.")
    return EXIT_DONE


def retry(settings: Settings) -> int:
    """Load all days again that are failing, in one run, whatever their next retry.

    Raises:
        FixturesError: Dagster's home or the database cannot be used.
    """
    days = find_failing_days(settings)
    if not days:
        _say("No day is failing.")
        return EXIT_DONE
    home = _open_home(settings)
    from fixtures_pipeline.dagster import launch  # noqa: PLC0415

    with homes.loading(home):
        loaded = launch.load_failed_days(home)
    if not loaded:
        return EXIT_FAILED_DAYS
    _say(f"{_count(len(days), 'day')} loaded that failed before; no day is failing.")
    return EXIT_DONE


def status(settings: Settings) -> int:
    """Say what is loaded, what is failing and when it is tried again, and how large it all is.

    Raises:
        FixturesError: the database cannot be read.
    """
    store = open_store(settings)
    try:
        states = find_states(store, None)
    except StoreMissingError:
        states = []
    home = homes.choose_home(settings)
    errors = {state.day: state.error for state in states if state.error}
    for label, text in [
        ("Database", f"{store.database.shown} ({_format_size(store.database.measure())}), {settings.source.title}"),
        ("Loaded", _describe_loaded(states)),
        *(("Failing", text) for text in _describe_errors(errors)),
        ("Retries", _describe_retries(list(errors.values()), home)),
        ("Dagster", f"{home} ({_format_size(_measure(home))}), served by {homes.find_server(home) or 'nobody'}"),
    ]:
        _say(f"{label:<10}{text}")
    return EXIT_FAILED_DAYS if errors else EXIT_DONE


def copy(source: Settings, target: Settings) -> int:
    """Copy the database of `source` into that of `target`, which must be new or empty.

    Raises:
        FixturesError: one of them cannot be used; that of `target` is as it was.
    """
    database = open_store(target).database
    rows = copy_store(open_store(source).database, database)
    copied = f"{_count(rows['fixture_days'], 'day')} and {_count(rows['fixtures'], 'fixture')}"
    _say(f"{database.shown}: {copied} copied, every row of every table compared.")
    return EXIT_DONE


def _open_home(settings: Settings) -> Path:
    home = homes.choose_home(settings)
    if done := homes.open_home(settings, home):
        sys.stderr.write(f"{done}\n")
    return home


def _describe_loaded(states: list[DayState]) -> str:
    loaded = [state for state in states if state.loaded_at]
    if not loaded:
        return "nothing yet"
    fixtures = sum(state.fixtures for state in loaded)
    return f"{_count(len(loaded), 'day')}, {loaded[0].day} to {loaded[-1].day}, {_count(fixtures, 'fixture')}"


def _describe_errors(errors: dict[date, OpenError]) -> Iterator[str]:
    days: dict[str, list[date]] = defaultdict(list)
    for day, error in errors.items():
        days[error.error_type].append(day)
    for kind, failing in sorted(days.items(), key=lambda item: -len(item[1])):
        since = min(errors[day].failing_since for day in failing)
        yield f"{_count(len(failing), 'day')} {kind}, the oldest {min(failing)}, since {format_moment(since)}"
    if not errors:
        yield "no day"


def _describe_retries(errors: list[OpenError], home: Path) -> str:
    if not _is_retrying(home):
        return "none by itself: the sensor retry_failed_days is off"
    retries = [next_retry(error.attempts, error.failed_at, error.retry_at) for error in errors]
    times = [time for time in retries if time]
    parts = ["the sensor retry_failed_days is on"]
    if times:
        parts.append(f"next at {format_moment(min(times))}")
    if given_up := len(retries) - len(times):
        parts.append(f"{_count(given_up, 'day')} given up: load them by hand")
    return ", ".join(parts)


def _is_retrying(home: Path) -> bool:
    if homes.is_new(home):
        return False
    from fixtures_pipeline.dagster import launch  # noqa: PLC0415

    return launch.is_retrying_in(home)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _measure(folder: Path) -> int:
    size = 0
    for file in folder.rglob("*"):
        # Files come and go while somebody loads days.
        with suppress(OSError):
            size += file.stat().st_size
    return size


def _format_size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
