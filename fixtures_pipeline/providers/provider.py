"""What a provider says about itself: its request, its envelope, its mapping to `fixtures`, its limits.

Only the shape of it is here; each provider has a module of its own. The words that mappings are written in are in
`mapping`. How requests are sent is in `fetching` and `transport`, what answers are worth in `judge`.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

#: `Provider.refusal` of one that says nothing beside the status.
NO_REFUSAL = "NULL::STRUCT(error_type VARCHAR, message VARCHAR, scope VARCHAR)"
#: `Provider.named_day` of one that names no day for an event without a kickoff.
NO_NAMED_DAY = "NULL::DATE"


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
        columns: Column of `fixtures`, from `event_id` to `winner`, and the SQL that reads it from the struct `e` and
            from `terms`.
        terms: Names for what columns need more than once, and the SQL that reads each from `e`. It is then planned and
            read once per event.
        base_url: Where the API is; None if only the operator can say.
        key_header: Header that takes the key, unless the operator names another.
        written_kickoff: SQL over `e` for what the provider wrote as the kickoff; NULL where it says that there is none
            yet, so that a kickoff in a form that nobody can read is told from one that is not fixed.
        named_day: SQL over `e` for the day (DATE) that the provider names for an event without a kickoff.
        refusal: SQL over `status` (INTEGER), `body` (JSON: the answer without its list), `listed` (elements of the
            list; NULL if there is none) and `asked` (JSON: the query of the request): NULL for an answer that gives
            what was asked for, else a struct of `error_type`, `message` (what it `said`, or what is wrong with it; NULL
            if it does not say) and `scope`, how far the refusal reaches: `minute` (a brake: wait a minute), `day` (the
            day's quota is spent), `plan` (this day is outside the plan) or NULL (it does not say).
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
    terms: Mapping[str, str] = field(default_factory=dict)
    base_url: str | None = None
    key_header: str | None = None
    written_kickoff: str = "NULL"
    named_day: str = NO_NAMED_DAY
    refusal: str = NO_REFUSAL
    pause: Callable[[Mapping[str, str]], float] = lambda headers: 0.0  # noqa: ARG005 - most providers say nothing
    requests_per_second: float = 10
    requests_per_day: int | None = None
    free_days: tuple[int, int] | None = None

    def terms_of(self, *columns: str) -> dict[str, str]:
        """Return the part of `terms` that these columns use."""
        read = " ".join([*(self.columns[column] for column in columns), self.written_kickoff, self.named_day])
        return {name: sql for name, sql in self.terms.items() if re.search(rf"\b{name}\b", read)}

    def structure_of(self, *columns: str) -> str:
        """Return the part of `structure` that these columns are read from; reading less of an event is faster."""
        needed: dict[str, Any] = {}
        read = " ".join([*(self.columns[column] for column in columns), self.written_kickoff, self.named_day])
        read = " ".join([read, *self.terms_of(*columns).values()])
        for path in re.findall(r"\be((?:\.(?:\w+|\"\w+\"))+)", read):
            source, target = json.loads(self.structure), needed
            *outer, last = path[1:].replace('"', "").split(".")
            for name in outer:
                source, target = source[name], target.setdefault(name, {})
            target[last] = source[last]
        return json.dumps(needed)
