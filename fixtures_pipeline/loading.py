"""From settings to loaded days, without Dagster: opens the store and the API and takes days from one to the other."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date

from fixtures_pipeline.events_api import EventsApi
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import FixtureStore, Stored, StoreError, StoreMissingError


def open_store(settings: Settings) -> FixtureStore:
    """Return the store that the settings name; nothing is opened or created yet."""
    return FixtureStore(settings.database, settings.source, settings.zone, lock_timeout=settings.lock_timeout)


def load_days(settings: Settings, days: Sequence[date], run_id: str | None = None) -> Iterator[list[Stored]]:
    """Fetch each of `days` and store what comes of it; yield what stands in the database after each batch.

    What a batch brought is committed when it is yielded. Leaving the iteration early ends the requests under way.

    Args:
        settings: Whom to ask, and where to store.
        days: The days, each once.
        run_id: Noted in `load_log`.

    Raises:
        StoreError: the database or the file where requests are counted cannot be opened or written.
    """
    store = open_store(settings)
    requests_file = settings.database.with_suffix(".requests.sqlite")
    with ExitStack() as opened:
        base_url = settings.api_url or settings.source.base_url
        if base_url is None:
            # Imported here: only the sample provider needs a web server.
            from fixtures_pipeline.sample_api import SampleApi  # noqa: PLC0415

            base_url = opened.enter_context(SampleApi(failed_before=_failed_days(store))).url
        try:
            api = EventsApi(
                settings.source,
                base_url,
                zone=settings.zone,
                key=settings.api_key.get_secret_value() if settings.api_key else None,
                key_header=settings.api_key_header,
                concurrency=settings.concurrency,
                requests_per_second=settings.requests_per_second,
                requests_per_day=settings.requests_per_day,
                requests_file=requests_file,
            )
            for batch in opened.enter_context(api).fetch(days):
                yield store.load(batch, run_id)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"{requests_file}, where requests are counted, cannot be used: {error}. Check its folder, the free "
                "space and the permissions; if it is damaged, delete it."
            ) from error


def _failed_days(store: FixtureStore) -> list[date]:
    try:
        return [row["date"] for row in store.query("SELECT date FROM fixture_errors")]
    except StoreMissingError:
        return []
