"""The two charts of the coverage report that altair draws: a line for the page, and a small picture for Dagster's UI.

They hold dates and numbers but no text from outside. Blue stands for events, the darker the more; what needs attention
has a shape as well as a colour, so that nobody has to tell hues apart. The rest of the page is in `page`.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import altair as alt
import vl_convert

from fixtures_pipeline.report.coverage import Day

BLUES = ("#d3e4f3", "#9ecae1", "#5ba3cf", "#2171b5", "#08306b")
RED, GREY, INK = "#d92d20", "#8c959f", "#1f2328"
#: Above this many days, a line through single days is too restless to be read without a mean.
MANY_DAYS = 500
#: Days in the picture, which Dagster keeps in its event log.
DAYS_IN_PICTURE = 400

# Pixels of a square in the picture.
_SQUARE = 10
_WEEK = timedelta(weeks=1) // timedelta(milliseconds=1)
_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.split(".")[:2])
_CONFIG = {
    "aria": False,
    "font": "Helvetica, Arial, sans-serif",
    "background": "white",
    "view": {"stroke": None},
    "axis": {"labelColor": INK, "gridColor": "#e6e8eb", "domain": False, "ticks": False, "title": None},
    "title": {"color": INK, "fontSize": 11, "fontWeight": "normal", "anchor": "start", "offset": 6},
    "point": {"opacity": 1},
    # A line breaks where a day has no events.
    "line": {"invalid": "break-paths-show-domains"},
}


def scale_events(days: Sequence[Day]) -> list[int]:
    """Return the most events that each blue stands for; the steps grow, as days with few events are many."""
    most = max((day.events or 0 for day in days), default=0)
    return [round(most * (step / len(BLUES)) ** 2) for step in range(1, len(BLUES) + 1)]


def draw_line(days: Sequence[Day]) -> str:
    """Return the events per day as SVG: a line, and a cross for each failed day.

    Raises:
        ValueError: it cannot be drawn.
    """
    many = len(days) > MANY_DAYS
    base = _chart(820, 160).encode(
        alt.X("day:T").scale(type="utc", padding=8).axis(grid=False, labelOverlap=True, labelSeparation=8)
    )
    events = alt.Y("events:Q").axis(orient="right", tickCount=5, tickMinStep=1, format=",d")
    line = base.mark_line(color=BLUES[1 if many else 3], strokeWidth=0.8 if many else 1.5).encode(events)
    if many:
        mean = base.transform_window(mean="mean(events)", loaded="valid(events)", frame=[-14, 13])
        mean = mean.transform_calculate(mean="datum.loaded < 14 ? null : datum.mean")
        detail = mean.mark_line(color=BLUES[4], strokeWidth=2).encode(alt.Y("mean:Q"))
    else:
        loaded = base.transform_filter("isValid(datum.events) && datum.state != 'failed'")
        detail = loaded.mark_point(size=16, filled=True, color=BLUES[3]).encode(events)
    failed = _cross(_only("failed", base), RED, 70, 2).encode(alt.Y("height:Q"))
    return vl_convert.vegalite_to_svg(_specify(alt.layer(line, detail, failed), days), vl_version=_VEGA_LITE)


def draw_picture(days: Sequence[Day]) -> bytes:
    """Return the latest days as a small PNG: a calendar in one strip, and below it a point per day.

    Its squares touch and it has few words, because vl-convert packs edges and letters badly.

    Raises:
        ValueError: it cannot be drawn.
    """
    shown = days[-DAYS_IN_PICTURE:]
    if len(shown) < len(days):
        about = f"The latest {len(shown)} of {len(days):,} days; the HTML file has all of them."
    else:
        about = f"{len(days)} days" if days else "Nothing has been loaded yet."
    legend = "Darker: more events. Cross: failed. Dot: in progress. Grey: missing."
    last = _monday(shown[-1].day if shown else date(1970, 1, 1))
    # A year at least, so that the picture does not jump about while the first days are loaded.
    first = min(_monday(shown[0].day if shown else last), last - timedelta(weeks=52))
    weeks = [_milliseconds(first + timedelta(weeks=number)) for number in range((last - first).days // 7 + 1)]
    charts = alt.vconcat(_chart_calendar(weeks), _chart_points(weeks), spacing=8, title=[about, legend])
    return vl_convert.vegalite_to_png(_specify(charts, shown), vl_version=_VEGA_LITE)


def _chart_calendar(weeks: Sequence[int]) -> alt.LayerChart | alt.FacetChart:
    month = "utcdate(datum.value) < 8 ? utcFormat(datum.value, '%b') : ''"
    base = _chart(alt.Step(_SQUARE), alt.Step(_SQUARE)).encode(
        alt.X("week:O").scale(domain=weeks, padding=0).axis(labelExpr=month, labelAngle=0, orient="top"),
        alt.Y("weekday:O")
        .scale(domain=[*range(7)], padding=0)
        .axis(labelExpr="datum.value ? 'Sun' : 'Mon'", values=[0, 6]),
    )
    blue = alt.Color("blue:O").scale(domain=[*range(len(BLUES))], range=BLUES).legend(None)
    return alt.layer(
        base.transform_filter("isValid(datum.events)").mark_rect().encode(blue),
        _only("missing", base).mark_rect(color="#e6e8eb"),
        _only("in progress", base).mark_point(size=8, filled=True, color="white"),
        _only("failed", base).mark_rect(color=RED),
        _cross(_only("failed", base), "white", 60, 1.2),
    )


def _chart_points(weeks: Sequence[int]) -> alt.LayerChart | alt.FacetChart:
    span = [weeks[0], weeks[-1] + _WEEK]
    base = _chart(_SQUARE * len(weeks), 40).encode(alt.X("day:T").scale(type="utc", domain=span, nice=False).axis(None))
    events = alt.Y("events:Q").axis(orient="right", tickCount=2, tickMinStep=1, format=",d")
    points = base.transform_filter("isValid(datum.events)").mark_point(size=4, filled=True, color=BLUES[3])
    return alt.layer(points.encode(events), _cross(_only("failed", base), RED, 25, 1.5).encode(alt.Y("height:Q")))


def _chart(width: float | alt.Step, height: float | alt.Step) -> alt.Chart:
    return alt.Chart(alt.NamedData("days"), width=width, height=height)


def _only(state: str, chart: alt.Chart) -> alt.Chart:
    return chart.transform_filter(f"datum.state == '{state}'")


def _cross(chart: alt.Chart, color: str, size: int, stroke: float) -> alt.Chart:
    shape = "M-.5,-.5L.5,.5M-.5,.5L.5,-.5"
    crosses: alt.Chart = chart.mark_point(shape=shape, size=size, color=color, strokeWidth=stroke)
    return crosses


def _specify(chart: alt.TopLevelMixin, days: Sequence[Day]) -> dict[str, Any]:
    """Return a chart in Vega-Lite, with the days as its data."""
    limits = scale_events(days)
    rows: list[dict[str, Any]] = []
    for day in days:
        row = {"day": _milliseconds(day.day), "state": day.state, "height": day.events or 0}
        row |= {"week": _milliseconds(_monday(day.day)), "weekday": day.day.weekday()}
        if day.events is not None:
            row |= {"events": day.events, "blue": bisect_left(limits, day.events)}
        rows.append(row)
    return chart.to_dict() | {"config": _CONFIG, "padding": 6, "datasets": {"days": rows}}


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _milliseconds(day: date) -> int:
    return (day - date(1970, 1, 1)) // timedelta(milliseconds=1)
