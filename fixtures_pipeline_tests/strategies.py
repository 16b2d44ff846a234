"""What the property tests are given: JSON, damaged answers, histories of loads, days of a zone."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.outcome import DayFailed, Outcome
from fixtures_pipeline_tests.conftest import Judged
from fixtures_pipeline_tests.days import MONDAY
from fixtures_pipeline_tests.fault_server import body_of, event, noon

#: Examples share the fixtures of their test: whoever writes to a store empties it first.
leisurely = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=25)
#: For examples of many loads.
sparing = settings(leisurely, max_examples=12)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

#: Where in a JSON value something is: at each level a number that is taken modulo its size.
paths = st.lists(st.integers(min_value=0, max_value=40), min_size=1, max_size=5)


def mutate(value: Any, path: list[int], new: Any) -> Any:
    """Return a copy of a JSON value in which the part that `path` leads to is something else."""
    if not path or not isinstance(value, dict | list) or not value:
        return new
    if isinstance(value, list):
        at = path[0] % len(value)
        return [mutate(part, path[1:], new) if n == at else part for n, part in enumerate(value)]
    key = sorted(value)[path[0] % len(value)]
    return {name: mutate(part, path[1:], new) if name == key else part for name, part in value.items()}


@st.composite
def damage(draw: st.DrawFn, body: bytes) -> bytes:
    """Return `body` with some of its bytes replaced by any others, or cut off."""
    start = draw(st.integers(0, len(body)))
    end = draw(st.just(len(body)) | st.integers(start, min(start + 8, len(body))))
    return body[:start] + draw(st.binary(max_size=8)) + body[end:]


#: A history: which days, counted from Monday, are loaded with which events, or fail. Of each event: on which day it
#: kicks off, if that is known, and the goals of the home team.
History = list[tuple[int, dict[int, tuple[int | None, int]] | None]]
_listed = st.tuples(st.none() | st.integers(-1, 4), st.integers(0, 2))
histories = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.none() | st.dictionaries(st.integers(1, 12), _listed, min_size=0, max_size=8),
    ),
    min_size=1,
    max_size=8,
)


def tell(history: History, judged: Judged) -> list[Outcome]:
    """Return the outcomes of a history, in order."""
    outcomes: list[Outcome] = []
    for offset, listed in history:
        day = MONDAY + timedelta(days=offset)
        if listed is None:
            outcomes.append(DayFailed(day, ErrorType.TIMEOUT_ERROR, "Too slow."))
        else:
            events = [
                event(
                    number,
                    None if shift is None else noon(MONDAY + timedelta(days=shift)),
                    homeScore={"current": goals, "display": goals},
                )
                for number, (shift, goals) in listed.items()
            ]
            outcomes.append(judged(day, body_of(events)))
    return outcomes


def days_of(zone: ZoneInfo) -> st.SearchStrategy[date]:
    """Return days of a zone, about every second of them one on which its clocks change, or the day before or after."""
    first, last = date(1985, 1, 1), date(2035, 12, 31)

    def offset(day: date) -> timedelta | None:
        return datetime(day.year, day.month, day.day, tzinfo=UTC).astimezone(zone).utcoffset()

    every = [first + timedelta(days=n) for n in range((last - first).days)]
    changes = [day for day in every if offset(day) != offset(day + timedelta(days=1))]
    near = st.builds(lambda day, n: day + timedelta(days=n), st.sampled_from(changes), st.integers(-1, 1))
    return st.dates(first, last) | near
