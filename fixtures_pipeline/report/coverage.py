"""The numbers of the coverage report: which days are loaded, failed, missing or in progress.

Reading and counting belong here; drawing is in `page`, and the file is written by `write`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from fixtures_pipeline.errors import StoreMissingError
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.questions import summarize_days


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the report.

    Attributes:
        day: The day.
        events: Its rows in `fixtures`; None for a day that never loaded.
        open: How many of them can still change.
        in_progress: Whether `fixture_days` says that the day is in progress.
        error_type: Why its latest fetch failed; None if it did not.
        error_message: What was seen, and what to do.
        attempts: Failures in a row.
    """

    day: date
    events: int | None = None
    open: int = 0
    in_progress: bool = False
    error_type: str | None = None
    error_message: str | None = None
    attempts: int | None = None

    @property
    def state(self) -> str:
        """What matters most about the day: failed, missing, in progress or loaded."""
        if self.error_type is not None:
            return "failed"
        if self.events is None:
            return "missing"
        return "in progress" if self.in_progress else "loaded"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the database holds, day by day.

    Attributes:
        database: Name of the DuckDB file.
        provider: The provider of its days, and the sport if it is not football.
        attribution: The line with which the provider is named where its data are shown; None if it asks for none.
        made_at: When it was read, in the time zone of the days.
        days: Every day from the first to the last that was ever fetched, in order. A future day that was not fetched
            is left out: it is not missing yet.
    """

    database: str
    provider: str
    attribution: str | None
    made_at: datetime
    days: Sequence[Day]

    @property
    def numbers(self) -> dict[str, int]:
        """Days by state, and events. A day that failed after it had loaded counts as both."""
        return {
            "loaded": sum(day.events is not None for day in self.days),
            "failed": sum(day.state == "failed" for day in self.days),
            "missing": sum(day.state == "missing" for day in self.days),
            "in_progress": sum(day.in_progress for day in self.days),
            "events": sum(day.events or 0 for day in self.days),
        }

    @property
    def errors(self) -> Mapping[str, int]:
        """Failed days by error type, the most frequent first."""
        return dict(Counter(day.error_type for day in self.days if day.error_type is not None).most_common())


def read_coverage(settings: Settings) -> Coverage:
    """Read what the database holds; if there is no database yet, that is nothing.

    Raises:
        StoreError: the database cannot be read.
    """
    made_at = datetime.now(settings.zone)
    try:
        rows = summarize_days(open_store(settings))
    except StoreMissingError:
        rows = []
    source = settings.source
    days = list(fill_gaps(rows, made_at.date()))
    return Coverage(
        settings.database.stem if settings.address else settings.database.name,
        source.identity,
        source.attribution,
        made_at,
        days,
    )


def fill_gaps(rows: Sequence[Mapping[str, Any]], today: date) -> Iterator[Day]:
    """Yield the known days, and between them those that are missing: not fetched although they are not in the future.

    Args:
        rows: What is known, in the order of the days; the keys are the attributes of `Day`.
        today: The last day that can be missing.
    """
    known = {row["day"]: Day(**row) for row in rows}
    for number in range((rows[-1]["day"] - rows[0]["day"]).days + 1 if rows else 0):
        day = rows[0]["day"] + timedelta(days=number)
        if day in known or day <= today:
            yield known.get(day, Day(day))
