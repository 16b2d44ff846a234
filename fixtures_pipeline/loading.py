"""From settings to loaded days, without Dagster: opens the store and the API and takes days from one to the other."""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fixtures_pipeline.errors import StoreMissingError, StoreOutdatedError
from fixtures_pipeline.fetching import Fetcher
from fixtures_pipeline.files import sweep_drafts
from fixtures_pipeline.outcome import DayFixtures, Stored
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import questions
from fixtures_pipeline.store.database import FileDatabase
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.session import Database

if TYPE_CHECKING:
    from fixtures_pipeline.store.postgres import PostgresDatabase

_log = logging.getLogger(__name__)

#: Days after today that are loaded without anybody naming them, if that many can be loaded at all.
COMING_DAYS = 7

#: Days that are replayed before others may have the database: opening it takes as long as some twenty days.
REPLAYED_AT_ONCE = 512


def open_store(settings: Settings) -> FixtureStore:
    """Return the store that the settings name; nothing is opened or created yet."""
    return FixtureStore(open_database(settings), settings.source, settings.zone)


def open_database(settings: Settings) -> Database:
    """Return the database that the settings name; nothing is opened or created yet."""
    if settings.address is None:
        return _open_file(settings)
    return _open_shared(settings, settings.address)


def _open_file(settings: Settings) -> FileDatabase:
    return FileDatabase(settings.database, settings.source.identity, settings.zone, lock_timeout=settings.lock_timeout)


def _open_shared(settings: Settings, address: str) -> "PostgresDatabase":
    # Imported here: psycopg is not installed everywhere.
    from fixtures_pipeline.store.postgres import PostgresDatabase  # noqa: PLC0415

    return PostgresDatabase(address, settings.source.identity, settings.zone, lock_timeout=settings.lock_timeout)


def copy_for_readers(settings: Settings) -> None:
    """Put a copy of the file where the settings want one for readers, if they do.

    Raises:
        StoreError: the database cannot be opened, or the copy not written.
    """
    if settings.snapshot_file:
        _open_file(settings).copy(settings.snapshot_file)


def find_bounds(settings: Settings) -> tuple[date, date]:
    """Return the first and the last day that can be loaded now."""
    today = datetime.now(settings.zone).date()
    return settings.start_date, today + timedelta(days=settings.days_ahead)


def choose_window(settings: Settings, today: date, behind: int, ahead: int = COMING_DAYS) -> tuple[date, date]:
    """Return the first and the last of the days around today that are loaded without anybody naming them.

    Args:
        settings: From when on days can be loaded, and from where. A free plan that serves only a few days is kept to
            unless `FIXTURES_REQUESTS_PER_DAY` says that it is another plan.
        today: Today in the configured time zone.
        behind: Days before today, if they can be had.
        ahead: Days after today, if they can be had.
    """
    ahead = min(ahead, settings.days_ahead)
    served = settings.source.plan.days if settings.requests_per_day is None else None
    if served is not None:
        behind, ahead = min(behind, served[0]), min(ahead, served[1])
    return max(today - timedelta(days=behind), settings.start_date), today + timedelta(days=ahead)


def load_days(
    settings: Settings,
    days: Sequence[date],
    run_id: str | None = None,
    *,
    note: Callable[[list[Stored]], object] = lambda _: None,
    warn: Callable[[str], None] = _log.warning,
) -> Iterator[list[Stored]]:
    """Fetch each of `days` and store what comes of it; yield what is in the database after each batch.

    What a batch brought is committed when it is yielded. Meanwhile the next one is fetched and stored; leaving the
    iteration early ends its requests, or waits until it is committed.

    Args:
        settings: Where to fetch from, and where to store.
        days: The days, each once.
        run_id: Noted in `load_log`.
        note: Called in another thread with each batch that is committed, those included that nobody waits for any more.
        warn: Takes a sentence about what was odd though nothing failed.

    Raises:
        StoreError: the database or the file where requests are counted cannot be opened or written.
    """
    for path in filter(None, (settings.database, settings.report_file, settings.snapshot_file)):
        sweep_drafts(path)
    store = open_store(settings)
    with ExitStack() as opened:
        base_url = settings.api_url or settings.source.base_url
        if base_url is None:
            # Imported here: only the sample provider needs a web server.
            from fixtures_pipeline.sample_api import SampleApi  # noqa: PLC0415

            sample = SampleApi(asked_before=list_known_days(settings), loaded_before=list_loaded_days(settings))
            base_url = opened.enter_context(sample).url
        fetcher = opened.enter_context(
            Fetcher(
                settings.source,
                base_url,
                zone=settings.zone,
                key=settings.api_key.get_secret_value() if settings.api_key else None,
                key_header=settings.api_key_header,
                concurrency=settings.concurrency,
                requests_per_second=settings.requests_per_second,
                requests_per_day=settings.requests_per_day,
                counted_in=_choose_counter(settings),
                patience=settings.lock_timeout,
                least_events=settings.min_events,
                warn=warn,
            )
        )

        def store_batches() -> Generator[list[Stored], None, None]:
            with closing(fetcher.fetch(days)) as batches:
                for batch in batches:
                    stored = store.put(batch, run_id)
                    note(stored)
                    yield stored

        def leave() -> None:
            store.database.leaving.set()
            fetcher.stop()

        yield from _run_ahead(store_batches(), leave)


def _choose_counter(settings: Settings) -> Path | str:
    """Return where requests are counted: beside the file, or in the schema that is shared, made first if need be.

    Raises:
        StoreError: the shared database cannot be opened or written.
    """
    if settings.address is None:
        return settings.requests_file
    database = _open_shared(settings, settings.address)
    with database.writing():
        return database.connected_by


def _run_ahead(batches: Generator[list[Stored], None, None], leave: Callable[[], None]) -> Iterator[list[Stored]]:
    """Yield each batch while a thread is at the next one; `leave` is called at the end, and hurries that thread."""
    with closing(batches), ThreadPoolExecutor(1, thread_name_prefix="load") as thread:
        try:
            upcoming = thread.submit(next, batches, None)
            while (batch := upcoming.result()) is not None:
                upcoming = thread.submit(next, batches, None)
                yield batch
        finally:
            leave()


def replay_days(settings: Settings, days: Sequence[date], run_id: str | None = None) -> Iterator[list[DayFixtures]]:
    """Make the rows of `days` in `fixtures` again from their stored answers; yield what they are after each batch.

    Days without a stored answer are left out. What a batch changed is committed when it is yielded.

    Args:
        settings: Where the answers are stored, and by whose mapping they are read.
        days: The days, each once.
        run_id: Noted in `fixture_changes`.

    Raises:
        StoreError: the database cannot be opened or written.
    """
    store = open_store(settings)
    wanted = set(days)
    stored = [day for day in list_loaded_days(settings) if day in wanted]
    for start in range(0, len(stored), REPLAYED_AT_ONCE):
        yield store.replay(stored[start : start + REPLAYED_AT_ONCE], run_id)


def list_known_days(settings: Settings) -> list[date]:
    """Return every day that was ever asked for, in order.

    Raises:
        StoreError: the database cannot be read.
    """
    return _ask(open_store(settings), questions.list_asked_days)


def list_loaded_days(settings: Settings) -> list[date]:
    """Return every day that is loaded, in order, whether it is failing now or not.

    Raises:
        StoreError: the database cannot be read.
    """
    return _ask(open_store(settings), questions.list_loaded_days)


def find_failing_days(settings: Settings) -> list[date]:
    """Return the days that are failing and can be loaded, in order; those before `FIXTURES_START_DATE` cannot.

    Raises:
        StoreError: the database cannot be read.
    """
    first, last = find_bounds(settings)
    return [day for day in _ask(open_store(settings), questions.list_failing_days) if first <= day <= last]


def _ask(store: FixtureStore, question: Callable[[FixtureStore], list[date]]) -> list[date]:
    """Return the days that a question gives, none if there is no store yet; an older one is brought up to date."""
    try:
        return question(store)
    except StoreMissingError:
        return []
    except StoreOutdatedError:
        with store.database.writing():
            pass
        return question(store)
