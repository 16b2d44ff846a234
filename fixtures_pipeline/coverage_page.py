"""What the report of `coverage` looks like: its charts, the page that holds them, and the picture for Dagster.

The page is drawn already and opens without a network; its only program shows what a square or point is about. Blue
stands for events, the darker the more. What is wrong has a mark of its own as well, so that nobody has to tell hues
apart.
"""

import re
import struct
import zlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from hashlib import sha256
from html import escape
from string import Template
from typing import Any

import altair as alt
import vl_convert

from fixtures_pipeline.coverage import Coverage, Day

#: Days in the picture, which goes into Dagster's event log with every load.
DAYS_IN_PICTURE = 400
#: Rows in the list of failed days, and in the chart of days in progress.
FAILED_LISTED = 200
IN_PROGRESS_SHOWN = 16
#: From this many days on, a line of single days is too restless to be read without a mean.
MANY_DAYS = 500

_Chart = alt.LayerChart | alt.FacetChart

_VERSION = ".".join(alt.SCHEMA_VERSION.split(".")[:2])
_INK = "#1a1a1a"
_EVENTS = ["#cfe1f2", "#6baed6", "#2171b5", "#08306b"]
_RED, _DARK_RED = "#e0362c", "#7f0000"
_GREY, _DARK_GREY = "#e9e9e9", "#8f8f8f"
_CROSS = "M-.5,-.5L.5,.5M-.5,.5L.5,-.5"
_IS_FAILED = alt.datum.state == "failed"
_IS_MISSING = alt.datum.state == "missing"
_IS_IN_PROGRESS = alt.datum.state == "in progress"
#: The calendar's grid: pixels a square, columns for the names of years and weekdays, rows from one year to the next.
_STEP, _MARGIN, _YEAR = 13, 6, 9
_WIDTH = (54 + _MARGIN) * _STEP
_WEEKDAYS = ("Mon", "", "Wed", "", "Fri", "", "Sun")
_MEANINGS = (
    (10, "in progress", "can still change"),
    (20, "failed", "failed"),
    (26, "missing", "missing: never asked for"),
)
_CONFIG = {
    "font": "Helvetica, Arial, sans-serif",
    "background": "white",
    "view": {"stroke": None},
    "axis": {"labelColor": _INK, "gridColor": "#e8e8e8"},
    "text": {"color": _INK, "fontSize": 11},
    "title": {
        "color": _INK,
        "subtitleColor": "#444444",
        "anchor": "start",
        "frame": "group",
        "fontSize": 14,
        "subtitleFontSize": 12,
    },
}


def picture(coverage: Coverage) -> bytes:
    """Return the charts of the latest days as PNG.

    Raises:
        ValueError: they cannot be drawn.
    """
    shown = replace(coverage, days=coverage.days[-DAYS_IN_PICTURE:])
    lines = [_about(coverage)]
    if len(shown.days) < len(coverage.days):
        lines.append(
            f"Only the latest {len(shown.days)} days are shown here; the HTML file has all {len(coverage.days):,}."
        )
    title = {"text": _title(coverage), "subtitle": lines, "fontSize": 18, "offset": 16}
    charts = _charts(shown) | {"title": title, "padding": 16}
    return _packed(vl_convert.vegalite_to_png(charts, vl_version=_VERSION))


def page(coverage: Coverage) -> str:
    """Return the whole report as an HTML page.

    Raises:
        ValueError: its charts cannot be drawn.
    """
    numbers = "".join(
        f"<div><dt>{name.replace('_', ' ')}</dt><dd>{number:,}</dd></div>" for name, number in coverage.numbers.items()
    )
    return _PAGE.substitute(
        title=escape(_title(coverage)),
        about=escape(_about(coverage)),
        numbers=numbers,
        charts=vl_convert.vegalite_to_svg(_charts(coverage), vl_version=_VERSION),
        program=_PROGRAM,
        allowed=f"sha256-{b64encode(sha256(_PROGRAM.encode()).digest()).decode()}",
        failed=_failed_days([day for day in reversed(coverage.days) if day.state == "failed"]),
    )


def _title(coverage: Coverage) -> str:
    return f"Coverage of {coverage.database}"


def _about(coverage: Coverage) -> str:
    made_up = " (made-up data, no real fixtures)" if coverage.provider == "sample" else ""
    extent = f"{coverage.days[0].day} to {coverage.days[-1].day}" if coverage.days else "nothing loaded yet"
    return f"Provider {coverage.provider}{made_up} · {extent} · made {coverage.made_at:%Y-%m-%d %H:%M %Z}"


def _charts(coverage: Coverage) -> dict[str, Any]:
    """Return the charts in Vega-Lite, with their data."""
    days, errors = coverage.days, coverage.errors
    rows = [_row(day, days[-1].day.year) for day in days]
    going_on = [row for row in rows if row["state"] == "in progress"]
    below = ([_errors()] if errors else []) + ([_in_progress(len(going_on))] if going_on else [])
    charts: list[Any] = [_calendar(days), _events(len(days))] if days else [_nothing()]
    if below:
        charts.append(alt.hconcat(*below, spacing=60))
    specification: dict[str, Any] = alt.concat(*charts, columns=1, align="none", spacing=30).to_dict()
    data = {
        "days": rows,
        "errors": [{"error": error, "days": count} for error, count in errors.items()],
        "in_progress": going_on[:IN_PROGRESS_SHOWN],
    }
    return specification | {"config": _CONFIG, "datasets": specification.get("datasets", {}) | data}


def _row(day: Day, latest: int) -> dict[str, Any]:
    """Return what the charts need of a day; what it does not have is left out."""
    parts = [
        f"{day.day:%a %Y-%m-%d}: {day.state}",
        None if day.events is None else f"{day.events:,} events",
        f"{day.open:,} of them can still change" if day.open else None,
        f"{day.error_type}: {_printable(day.error_message)}" if day.error_type else None,
        f"attempts: {day.attempts}" if day.attempts else None,
    ]
    row = {
        "day": day.day.isoformat(),
        "name": f"{day.day:%a %Y-%m-%d}",
        "week": _week(day.day),
        "row": (latest - day.day.year) * _YEAR + day.day.weekday(),
        "state": day.state,
        "events": day.events,
        "open": day.open,
        "about": "\n".join(part for part in parts if part),
    }
    return {name: value for name, value in row.items() if value is not None}


def _printable(text: str | None) -> str:
    """Return a text without the characters that no SVG may hold."""
    return re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text or "")


def _week(day: date) -> int:
    """Return a day's column in the calendar; weeks begin on Monday."""
    january = date(day.year, 1, 1)
    return ((day - january).days + january.weekday()) // 7


def _nothing() -> alt.Chart:
    chart: alt.Chart = alt.Chart(alt.InlineData(values=[{}])).mark_text(
        text="Nothing has been loaded yet.", fontSize=15
    )
    return chart.properties(width=_WIDTH, height=60)


def _calendar(days: Sequence[Day]) -> _Chart:
    """Return a square a day and a block a year, the latest year on top; above them what squares and marks mean."""
    first, latest = days[0].day.year, days[-1].day.year
    most = max(1, *(day.events or 0 for day in days))
    key = [{"week": n - _MARGIN, "row": -3, "state": "loaded", "events": most * n**2 / 16} for n in range(5)]
    key += [{"week": week, "row": -3, "state": state, "events": most / 16} for week, state, _ in _MEANINGS]
    texts = [{"week": -0.5, "row": -3, "text": f"0 to {most:,} events"}]
    texts += [{"week": week + 1, "row": -3, "text": meaning} for week, _, meaning in _MEANINGS]
    years = []
    for year in range(first, latest + 1):
        top = (latest - year) * _YEAR
        years.append({"week": -_MARGIN - 0.4, "row": top + 3, "text": str(year)})
        texts += [{"week": -2.7, "row": top + n, "text": name} for n, name in enumerate(_WEEKDAYS)]
        months = [date(year, month, 1) for month in range(1, 13)]
        texts += [{"week": _week(month) - 0.4, "row": top - 1.1, "text": f"{month:%b}"} for month in months]
    bottom = (latest - first) * _YEAR + 6.5
    x = alt.X("week:Q").scale(domain=[-_MARGIN - 0.5, 53.5], nice=False).axis(None)
    y = alt.Y("row:Q").scale(domain=[bottom, -3.5], nice=False).axis(None)

    words: dict[str, Any] = {"align": "left", "baseline": "middle", "aria": False}
    return alt.layer(
        *_squares(alt.Chart(alt.NamedData("days")).encode(x, y, description="about:N"), most),
        *_squares(alt.Chart(alt.InlineData(values=key)).encode(x, y, description="state:N"), most),
        alt.Chart(alt.InlineData(values=texts)).mark_text(**words).encode(x, y, text="text:N"),
        alt.Chart(alt.InlineData(values=years))
        .mark_text(**words, fontWeight="bold", fontSize=13)
        .encode(x, y, text="text:N"),
    ).properties(
        width=_WIDTH,
        height=(bottom + 3.5) * _STEP,
        title=alt.TitleParams("Every day", subtitle="A square a day, a column a week; Monday is on top."),
    )


def _squares(chart: alt.Chart, most: int) -> list[alt.Chart]:
    """Return squares in the colours of their states and events, and the marks of the states on them."""
    events = alt.Color("events:Q").scale(range=_EVENTS, domain=[0, most], type="sqrt").legend(None)
    square: dict[str, Any] = {"shape": "square", "size": (_STEP - 2) ** 2, "filled": True, "opacity": 1}
    failed, missing = chart.transform_filter(_IS_FAILED), chart.transform_filter(_IS_MISSING)
    return [
        chart.transform_filter(~(_IS_FAILED | _IS_MISSING)).mark_point(**square).encode(color=events),
        missing.mark_point(**square, color=_GREY, stroke=_DARK_GREY, strokeWidth=1),
        failed.mark_point(**square, color=_RED, stroke=_DARK_RED, strokeWidth=1),
        failed.mark_point(shape=_CROSS, size=110, color="white", strokeWidth=2, opacity=1),
        chart.transform_filter(_IS_IN_PROGRESS).mark_point(
            shape="circle", size=14, filled=True, color="white", stroke=_INK, strokeWidth=1, opacity=1
        ),
    ]


def _events(number: int) -> _Chart:
    """Return the events a day as a line that breaks where there are none, with a cross for each failed day."""
    many = number > MANY_DAYS
    chart = alt.Chart(alt.NamedData("days")).transform_calculate(
        at="toDate(datum.day)",
        height="isValid(datum.events) ? datum.events : 0",
    )
    x = alt.X("at:T").scale(type="utc", padding=8).axis(title=None, labelOverlap=True, labelSeparation=8, grid=False)
    y = alt.Y("events:Q").axis(
        title=None, orient="right", tickCount=5, tickMinStep=1, format=",d", domain=False, ticks=False
    )
    line: dict[str, Any] = {"invalid": "break-paths-show-domains", "aria": False}
    events = chart.mark_line(color=_EVENTS[1 if many else 2], strokeWidth=0.7 if many else 1.5, **line).encode(x, y)
    points = chart.transform_filter(alt.datum.state != "failed").transform_filter("isValid(datum.events)")
    points = points.mark_point(size=22, filled=True, color=_EVENTS[2], opacity=1).encode(x, y, description="about:N")
    mean = (
        chart.transform_window(mean="mean(events)", loaded="valid(events)", frame=[-14, 13])
        .transform_calculate(mean="datum.loaded < 14 ? null : datum.mean")
        .mark_line(color=_EVENTS[3], strokeWidth=2, **line)
        .encode(x, alt.Y("mean:Q"))
    )
    failed = (
        chart.transform_filter(_IS_FAILED)
        .mark_point(shape=_CROSS, size=90, color=_RED, strokeWidth=2, opacity=1)
        .encode(x, alt.Y("height:Q"), description="about:N")
    )
    dark = " The dark line is the mean of four weeks." if many else ""
    title = alt.TitleParams("Events a day", subtitle=f"A red cross is a failed day.{dark}")
    return alt.layer(events, mean if many else points, failed).properties(width=_WIDTH - 40, height=150, title=title)


def _errors() -> _Chart:
    """Return the failed days by error type; the names stand inside, so that all charts begin at the left."""
    chart = alt.Chart(alt.NamedData("errors")).encode(
        alt.Y("error:N").sort(field="days", order="descending").axis(None)
    )
    x = alt.X("days:Q").scale(range=[170, 330]).axis(None)
    return alt.layer(
        chart.mark_text(align="left", x=0, aria=False).encode(text="error:N"),
        chart.mark_bar(color=_RED, height=14, aria=False).encode(x),
        chart.mark_text(align="left", dx=5, aria=False).encode(x, text=alt.Text("days:Q", format=",")),
    ).properties(
        width=340, height=alt.Step(20), title=alt.TitleParams("Failed days", subtitle="By the type of their error.")
    )


def _in_progress(number: int) -> _Chart:
    """Return the days in progress; an old one among them is one to look at."""
    chart = alt.Chart(alt.NamedData("in_progress")).encode(
        alt.X("open:Q").axis(None),
        alt.Y("name:N").sort(None).axis(title=None, domain=False, ticks=False, labelPadding=6, labelFontSize=11),
    )
    counts = chart.transform_calculate(text="format(datum.open, ',') + ' of ' + format(datum.events, ',')")
    some = f"The first {IN_PROGRESS_SHOWN} of {number:,}: events" if number > IN_PROGRESS_SHOWN else "Events"
    return alt.layer(
        chart.mark_bar(color=_EVENTS[2], height=14).encode(description="about:N"),
        counts.mark_text(align="left", dx=5, aria=False).encode(text="text:N"),
    ).properties(
        width=200,
        height=alt.Step(20),
        title=alt.TitleParams("Days in progress", subtitle=f"{some} that can still change."),
    )


def _packed(png: bytes) -> bytes:
    """Return the same picture in a third of the bytes: vl-convert packs quickly rather than well."""
    kept, pixels, at = [], b"", 8
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        if kind == b"IDAT":
            pixels += data
        elif kind != b"IEND":
            kept.append((kind, data))
        at += size + 12
    chunks = [*kept, (b"IDAT", zlib.compress(zlib.decompress(pixels), 9)), (b"IEND", b"")]
    return png[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _failed_days(failed: Sequence[Day]) -> str:
    if not failed:
        return ""
    rows = "".join(
        f"<tr><td>{day.day:%a %Y-%m-%d}<td>{escape(day.error_type or '')}<td>{escape(_printable(day.error_message))}"
        f"<td>{day.attempts}"
        for day in failed[:FAILED_LISTED]
    )
    shown = f", the latest {FAILED_LISTED} of {len(failed):,}" if len(failed) > FAILED_LISTED else ""
    head = "<tr><th>day<th>error type<th>message<th>attempts"
    return f"<h2>Failed days{shown}</h2><table><thead>{head}<tbody>{rows}</table>"


#: Shows what is pointed at. The page lets no other program run, whatever an error message may hold.
_PROGRAM = """
const tip = document.getElementById("tip")
document.getElementById("charts").addEventListener("mousemove", event => {
  const about = event.target.getAttribute("aria-label")
  tip.hidden = !about
  tip.textContent = about
  tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px"
  tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8) + "px"
})
"""

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';
  script-src '$allowed'">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
body { margin: 2rem auto; max-width: 58rem; padding: 0 1rem; color: #1a1a1a; background: white;
  font: 15px/1.45 Helvetica, Arial, sans-serif }
h1 { margin: 0; font-size: 1.6rem }
h2 { margin: 2rem 0 .5rem; font-size: 1rem }
p { margin: .2rem 0 0; color: #444 }
dl { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; margin: 1.5rem 0 }
dt { color: #444 }
dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums }
#charts { overflow-x: auto }
#tip { position: fixed; max-width: 28rem; padding: .4rem .6rem; border-radius: .2rem; background: #1a1a1a; color: white;
  font-size: .8rem; white-space: pre-line; overflow-wrap: anywhere; pointer-events: none }
table { border-collapse: collapse; font-size: .85rem }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
td:first-child { white-space: nowrap; font-variant-numeric: tabular-nums }
td:nth-child(3) { overflow-wrap: anywhere }
</style>
</head>
<body>
<h1>$title</h1>
<p>$about</p>
<dl>$numbers</dl>
<div id="charts">$charts</div>
$failed
<div id="tip" hidden></div>
<script>$program</script>
</body>
</html>
""")
