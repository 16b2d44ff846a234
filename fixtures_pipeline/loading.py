"""From settings to loaded days, without Dagster: opens the store and the API and takes days from one to the other."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import date, timedelta

from fixtures_pipeline.errors import StoreError, StoreMissingError
from fixtures_pipeline.fetching import Fetcher
from fixtures_pipeline.outcome import Stored
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.questions import list_failing_days

#: Days after today that can be loaded: fixtures of the coming week are known.
DAYS_AHEAD = 7


def open_store(settings: Settings) -> FixtureStore:
    """Return the store that the settings name; nothing is opened or created yet."""
    return FixtureStore(settings.database, settings.source, settings.zone, lock_timeout=settings.lock_timeout)


def choose_window(settings: Settings, today: date, behind: int, ahead: int = DAYS_AHEAD) -> tuple[date, date]:
    """Return the first and the last of the days around today that are loaded without anybody naming them.

    Args:
        settings: From when on days can be loaded, and from where. A free plan that serves only a few days is kept to
            unless `FIXTURES_REQUESTS_PER_DAY` says that it is another plan.
        today: Today in the configured time zone.
        behind: Days before today, if they can be had.
        ahead: Days after today, if they can be had.
    """
    served = settings.source.free_days if settings.requests_per_day is None else None
    if served is not None:
        behind, ahead = min(behind, served[0]), min(ahead, served[1])
    return max(today - timedelta(days=behind), settings.start_date), today + timedelta(days=ahead)


def load_days(settings: Settings, days: Sequence[date], run_id: str | None = None) -> Iterator[list[Stored]]:
    """Fetch each of `days` and store what comes of it; yield what is in the database after each batch.

    What a batch brought is committed when it is yielded. Leaving the iteration early ends the requests under way.

    Args:
        settings: Where to fetch from, and where to store.
        days: The days, each once.
        run_id: Noted in `load_log`.

    Raises:
        StoreError: the database or the file where requests are counted cannot be opened or written.
    """
    store = open_store(settings)
    with ExitStack() as opened:
        base_url = settings.api_url or settings.source.base_url
        if base_url is None:
            # Imported here: only the sample provider needs a web server.
            from fixtures_pipeline.sample_api import SampleApi  # noqa: PLC0415

            base_url = opened.enter_context(SampleApi(failed_before=_list_failures(store))).url
        try:
            api = opened.enter_context(
                Fetcher(
                    settings.source,
                    base_url,
                    zone=settings.zone,
                    key=settings.api_key.get_secret_value() if settings.api_key else None,
                    key_header=settings.api_key_header,
                    concurrency=settings.concurrency,
                    requests_per_second=settings.requests_per_second,
                    requests_per_day=settings.requests_per_day,
                    requests_file=settings.requests_file,
                )
            )
            for batch in opened.enter_context(closing(api.fetch(days))):
                yield store.put(batch, run_id)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"{settings.requests_file}, where requests are counted, cannot be used: {error}. Check its folder, the "
                "free space and the permissions; if it is damaged, delete it."
            ) from error


def _list_failures(store: FixtureStore) -> list[date]:
    try:
        return list_failing_days(store)
    except StoreMissingError:
        return []
