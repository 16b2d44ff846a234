"""What a provider has to say about itself, and the SQL words it says it with.

A provider's module holds its request, its envelope and its mapping to `fixtures`. How requests are sent is in
`events_api`; how answers are judged and stored is in `judge` and `store`, which run the SQL that providers give here.
All of that SQL is constant text: data reaches it only as parameters.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

#: Statuses of `fixtures.status` under which an event can still change.
OPEN_STATUSES = ("scheduled", "live", "suspended", "unknown")

#: `Provider.refusal` of one that says nothing beside the status.
NO_REFUSAL = "NULL::STRUCT(error_type VARCHAR, message VARCHAR, permanent BOOLEAN)"

#: Words for the mappings below: macros that every DuckDB session which reads answers creates. Answers may hold anything
#: anywhere, so each word gives NULL for what it cannot read and never fails.
SQL_WORDS = (
    # Text without blanks around it; NULL for nothing, and for a list or an object where a word should stand.
    """trimmed(t) AS CASE
        WHEN (t LIKE '{%' OR t LIKE '[%') AND json_valid(t) THEN NULL
        ELSE nullif(trim(t, chr(32) || chr(9) || chr(10) || chr(13) || chr(160)), '') END""",
    # A whole number of at most 64 bits; NULL for text, fractions, booleans and what is larger.
    """whole(j) AS CASE
        WHEN regexp_full_match(j::VARCHAR, '-?[0-9]{1,19}') THEN TRY_CAST(j::VARCHAR AS BIGINT) END""",
    # A score: a small number that is not negative.
    """goals(j) AS CASE
        WHEN regexp_full_match(j::VARCHAR, '[0-9]{1,3}') THEN j::VARCHAR::INTEGER END""",
    # Seconds since 1970 as a point in time; NULL outside the years 1 to 9999.
    """moment(j) AS CASE
        WHEN whole(j) BETWEEN -62135596800 AND 253402300799 THEN to_timestamp(whole(j)) END""",
    # A point in time in UTC as ISO 8601 writes it.
    """instant(t) AS CASE
        WHEN regexp_full_match(t, '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z')
        THEN TRY_CAST(t AS TIMESTAMPTZ) END""",
)


@dataclass(frozen=True, slots=True)
class Request:
    """One GET request: a path below the base URL, and its query."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provider:
    """A source of days.

    Attributes:
        name: Value of `FIXTURES_PROVIDER` and of the `provider` columns.
        title: How people call it.
        request: The request for a day; gets the day and the name of the configured time zone.
        list_key: Key of the answer under which the list of events stands.
        structure: What is read of an event, as `from_json` of DuckDB takes it
            (https://duckdb.org/docs/stable/data/json/json_functions). What is declared as "JSON" keeps its own text.
        columns: Column of `fixtures`, from `event_id` to `winner`, and the SQL that reads it from the struct `e`.
        base_url: Where the API is; None if only the operator can say.
        key_header: Header that takes the key, unless the operator names another.
        refusal: SQL over `status` (INTEGER) and `body` (JSON): NULL, or a struct of `error_type`, `message` (the
            provider's own words; NULL if it has none) and `permanent` (asking for this day again is pointless) for an
            answer that refuses.
        pause: Seconds to wait before the next request of the run, read from an answer's headers (lower-case names).
        requests_per_second: Rate unless the operator names another.
        requests_per_day: Requests within 24 hours unless the operator names another figure; None for no limit.
        free_days: Days before and after today that the free plan serves; None if it serves any day.
    """

    name: str
    title: str
    request: Callable[[date, str], Request]
    list_key: str
    structure: str
    columns: Mapping[str, str]
    base_url: str | None = None
    key_header: str | None = None
    refusal: str = NO_REFUSAL
    pause: Callable[[Mapping[str, str]], float] = lambda headers: 0.0  # noqa: ARG005 - most providers say nothing
    requests_per_second: float = 10
    requests_per_day: int | None = None
    free_days: tuple[int, int] | None = None

    def structure_of(self, *columns: str) -> str:
        """Return the part of `structure` that these columns are read from; reading less of an event is faster."""
        needed: dict[str, Any] = {}
        for path in re.findall(r"\be((?:\.\w+)+)", " ".join(self.columns[column] for column in columns)):
            source, target = json.loads(self.structure), needed
            *outer, last = path[1:].split(".")
            for name in outer:
                source, target = source[name], target.setdefault(name, {})
            target[last] = source[last]
        return json.dumps(needed)
