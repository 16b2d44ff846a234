"""Coverage at a glance: which days are loaded, failed, missing or in progress, as a picture and an HTML file.

Reading, counting and writing belong here; the looks are in `coverage_page`, when it is made in `assets`.
`coverage_page` is imported where it draws: its libraries take time that starting up does not have.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.providers.base import OPEN_STATUSES
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import StoreMissingError


class ReportError(Exception):
    """The report cannot be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the report.

    Attributes:
        day: The day.
        events: Its rows in `fixtures`; None for a day that never loaded.
        open: Those of them that can still change.
        in_progress: Whether it stands so in `fixture_days`.
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
        provider: Whose days they are.
        made_at: When it was read, in the time zone of the days.
        days: Every day from the first to the last that was ever asked for. A day ahead that was not is left out: it is
            not missing yet.
    """

    database: str
    provider: str
    made_at: datetime
    days: Sequence[Day]

    @property
    def numbers(self) -> dict[str, int]:
        """Days by state, and events. A day that failed after it had loaded is counted as both."""
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


@dataclass(frozen=True, slots=True)
class Report:
    """A report that has been written.

    Attributes:
        coverage: What it says.
        picture: Its charts as PNG, without the older years.
        path: The HTML file, which has all years.
    """

    coverage: Coverage
    picture: bytes
    path: Path


def report_path(settings: Settings) -> Path:
    """Return where the HTML file is: beside the database."""
    return settings.database.with_suffix(".coverage.html")


def read_coverage(settings: Settings) -> Coverage:
    """Read what the database holds.

    Raises:
        StoreError: the database cannot be read. That there is none yet is no error.
    """
    made_at = datetime.now(settings.zone)
    try:
        rows = open_store(settings).query(_KNOWN_DAYS, {"open_statuses": list(OPEN_STATUSES)})
    except StoreMissingError:
        rows = []
    return Coverage(settings.database.name, settings.provider, made_at, list(_days(rows, made_at.date())))


# The stored answers are not read, so that twenty years are cheap.
_KNOWN_DAYS = """
    SELECT
        date AS day, if(data_id IS NULL, NULL, coalesce(events, 0)) AS events, coalesce(open, 0) AS open,
        coalesce(in_progress, false) AS in_progress, error_type, error_message, attempts
    FROM (SELECT date, data_id, in_progress FROM fixture_days)
    FULL JOIN (SELECT date, error_type, error_message, attempts FROM fixture_errors) USING (date)
    LEFT JOIN (
        SELECT
            date, count(*) AS events,
            count(*) FILTER (list_contains($open_statuses, status)) AS open
        FROM fixtures
        GROUP BY date
    ) USING (date)
    ORDER BY date
"""


def _days(rows: Sequence[Mapping[str, Any]], today: date) -> Iterator[Day]:
    known = {row["day"]: Day(**row) for row in rows}
    for number in range((rows[-1]["day"] - rows[0]["day"]).days + 1 if rows else 0):
        day = rows[0]["day"] + timedelta(days=number)
        if day in known or day <= today:
            yield known.get(day, Day(day))


def write_report(settings: Settings) -> Report:
    """Write the HTML file anew.

    Raises:
        StoreError: the database cannot be read.
        ReportError: the charts cannot be drawn or the file cannot be written; the earlier file stays as it was.
    """
    from fixtures_pipeline import coverage_page  # noqa: PLC0415 - see the top

    path = report_path(settings)
    coverage = read_coverage(settings)
    try:
        picture = coverage_page.picture(coverage)
        _replace(path, coverage_page.page(coverage))
    except OSError as error:
        raise ReportError(
            f"The report {path} cannot be written: {error.strerror}. Check its folder, the free space "
            "and the permissions; an earlier report is as it was."
        ) from error
    except ValueError as error:
        # What vl-convert raises when it cannot draw.
        raise ReportError(f"The report {path} cannot be drawn: {error}") from error
    return Report(coverage, picture, path)


def _replace(path: Path, text: str) -> None:
    """Write a file in one go: whoever opens it sees the old text or the new one, and all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        draft = Path(folder) / path.name
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
