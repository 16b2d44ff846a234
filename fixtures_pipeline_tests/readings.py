"""What a provider's mapping makes of single events, without a judge or a store, and events to change."""

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from fixtures_pipeline.days import day_bounds
from fixtures_pipeline.providers.mapping import define_words, select_listed
from fixtures_pipeline.providers.provider import Provider
from fixtures_pipeline_tests.answers import BODIES, IDENTITIES
from fixtures_pipeline_tests.days import MONDAY
from fixtures_pipeline_tests.stores import UTC

Event = dict[str, Any]
#: The value of a key that is taken away.
ABSENT = object()

#: In which keys each provider says what.
STATUS = {"sofascore": "status.type", "api-football": "fixture.status.short", "football-data": "status"}
KICKOFF = {"sofascore": "startTimestamp", "api-football": "fixture.timestamp", "football-data": "utcDate"}


class Reader:
    """Reads events with the mappings, in a session of its own."""

    def __init__(self) -> None:
        self._session = duckdb.connect()
        self._session.execute("SET TimeZone = 'UTC'")
        self._session.execute(define_words("MACRO"))

    def __call__(
        self,
        provider: str,
        *events: Event,
        day: date = MONDAY,
        zone: ZoneInfo = UTC,
        fetched_at: datetime = datetime(2025, 3, 10, tzinfo=UTC),
    ) -> list[Event]:
        """Return all that the mapping of a source (`Provider.identity`) gives of each event, in order."""
        source = IDENTITIES[provider]
        starts, ends = day_bounds(day, zone)
        body = source.compose([json.dumps(event) for event in events])
        values = {"day": day, "body": body, "starts": starts, "ends": ends, "fetched_at": fetched_at}
        answers = "(SELECT $day AS date, $body AS body, $starts AS starts, $ends AS ends, $fetched_at AS fetched_at)"
        result = self._session.execute(select_listed(source, tuple(source.columns), answers), values)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def an_event(provider: str, **changes: Any) -> Event:
    """Return a finished event of a provider's, with changes at paths in which `__` stands for a dot."""
    return change(listed_in(IDENTITIES[provider], BODIES[provider](MONDAY))[0], **changes)


def listed_in(source: Provider, body: bytes) -> list[Event]:
    """Return the events that an answer lists."""
    answer = json.loads(body)
    listed: list[Event] = answer if source.list_key is None else answer[source.list_key]
    return listed


def change(event: Event, **changes: Any) -> Event:
    """Return a copy of an event with other values at these paths, or without them."""
    changed = deepcopy(event)
    for path, value in changes.items():
        *outer, last = path.replace("__", ".").split(".")
        inside = changed
        for name in outer:
            inside = inside.setdefault(name, {})
        if value is ABSENT:
            inside.pop(last, None)
        else:
            inside[last] = value
    return changed


def paths_of(structure: Event, prefix: str = "") -> Iterator[str]:
    """Yield the path of every key in a structure, objects included."""
    for name, inner in structure.items():
        yield f"{prefix}{name}"
        if isinstance(inner, dict):
            yield from paths_of(inner, f"{prefix}{name}.")
