"""The page of the coverage report: `page.html` filled in.

It is one file that needs no network and runs no script. Whatever the template prints is escaped and made printable.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fixtures_pipeline.report import charts
from fixtures_pipeline.report.coverage import Coverage, Day

#: Rows in the list of failed days, and in the list of days in progress.
FAILED_LISTED = 200
IN_PROGRESS_LISTED = 16

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class _Square:
    """A date in the calendar: what it looks like (a CSS class), and its day; None for one that was not fetched yet."""

    look: str
    day: Day | None = None


@dataclass(frozen=True, slots=True)
class _Year:
    """A block of the calendar: months with the columns that they span, and a row per weekday with a cell per week."""

    number: int
    months: Sequence[tuple[str, int]]
    rows: Sequence[tuple[str, Sequence[_Square | None]]]


def draw_page(coverage: Coverage) -> str:
    """Return the whole report as an HTML page.

    Raises:
        ValueError: its chart cannot be drawn.
    """
    days, limits = coverage.days, charts.scale_events(coverage.days)
    return _TEMPLATES.get_template("page.html").render(
        coverage=coverage,
        about=_describe(coverage),
        charts=charts,
        legend=list(_explain_blues(limits)),
        years=list(_arrange_years(days, limits)),
        # Safe: the chart holds dates and numbers only.
        line=Markup(charts.draw_line(days)) if days else None,  # noqa: S704
        in_progress=[day for day in days if day.state == "in progress"],
        in_progress_listed=IN_PROGRESS_LISTED,
        failed=[day for day in reversed(days) if day.state == "failed"],
        failed_listed=FAILED_LISTED,
    )


def _clean(value: Any) -> Any:  # noqa: ANN401 - Jinja hands over whatever a template prints
    """Return text on one line and without control characters; anything else as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return " ".join("".join(character if character.isprintable() else " " for character in value).split())


_TEMPLATES = Environment(
    loader=PackageLoader(__package__, ""),
    autoescape=True,
    finalize=_clean,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["grouped"] = "{:,}".format


def _describe(coverage: Coverage) -> str:
    invented = " (invented data, not real fixtures)" if coverage.provider == "sample" else ""
    extent = f"{coverage.days[0].day} to {coverage.days[-1].day}" if coverage.days else "nothing loaded yet"
    return f"Provider {coverage.provider}{invented} · {extent} · made {coverage.made_at:%Y-%m-%d %H:%M %Z}"


def _explain_blues(limits: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Yield each blue that is in use, and the events that it stands for."""
    first = 0
    for blue, last in enumerate(limits):
        if first <= last:
            yield blue, f"{first:,}" if first == last else f"{first:,}\N{EN DASH}{last:,}"
            first = last + 1


def _arrange_years(days: Sequence[Day], limits: Sequence[int]) -> Iterator[_Year]:
    """Yield the blocks of the calendar, the latest year first."""
    squares = {day.day: _Square(_choose_look(day, limits), day) for day in days}
    for number in sorted({day.day.year for day in days}, reverse=True):
        new_year = date(number, 1, 1)
        monday = new_year - timedelta(days=new_year.weekday())
        weeks = (date(number, 12, 31) - monday).days // 7 + 1
        starts = [(date(number, month, 1) - monday).days // 7 for month in range(1, 13)]
        months = [
            (f"{date(number, month, 1):%b}", end - start)
            for month, (start, end) in enumerate(zip(starts, [*starts[1:], weeks], strict=True), 1)
        ]
        rows = []
        for weekday, name in enumerate(_WEEKDAYS):
            dates = [monday + timedelta(weeks=week, days=weekday) for week in range(weeks)]
            rows.append((name, [squares.get(day, _Square("outside")) if day.year == number else None for day in dates]))
        yield _Year(number, months, rows)


def _choose_look(day: Day, limits: Sequence[int]) -> str:
    if day.state in {"failed", "missing"}:
        return day.state
    blue = f"blue{bisect_left(limits, day.events or 0)}"
    return f"{blue} open" if day.state == "in progress" else blue
