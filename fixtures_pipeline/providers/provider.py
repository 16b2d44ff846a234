"""What a provider says about itself: its requests, its envelope, its mapping to `fixtures`, its plan.

Only the shape of it is here; each provider has a module of its own. The words that mappings are written in are in
`mapping`. How requests are sent is in `fetching` and `transport`, what answers are worth in `judge`, and how seasons
become days in `seasons`.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

#: The sport whose database is named after its provider alone.
FOOTBALL = "football"

#: `Provider.refusal` of one that says nothing beside the status.
NO_REFUSAL = "NULL::STRUCT(error_type VARCHAR, message VARCHAR, scope VARCHAR)"
#: `Provider.named_day` of one that names no day for an event without a kickoff.
NO_NAMED_DAY = "NULL::DATE"


@dataclass(frozen=True, slots=True)
class Request:
    """One GET request: a path below the base URL, and its query.

    Attributes:
        path: The path. `{key}` in it stands for the key of a provider that takes it there (`Provider.key_in_path`).
        query: The query.
        part: What it asks for, in words for messages, if that is not the whole of one day.
    """

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    part: str | None = None


@dataclass(frozen=True, slots=True)
class Seasons:
    """How a provider is asked that has no request for a day, only one for a season of a league.

    A day is cut out of the seasons of all leagues. It is as good as these: when they came, a day without events is one.

    Attributes:
        leagues: The leagues, unless the operator names others.
        years: The seasons that a day can belong to.
        request: The request for a season of a league.
    """

    leagues: Sequence[str]
    years: Callable[[date], Sequence[int]]
    request: Callable[[str, int], Request]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an account may ask for.

    Attributes:
        requests_per_second: Rate unless the operator names another.
        requests_per_day: Requests within 24 hours unless the operator names another figure; None for no limit.
        days: Days before and after today that are served; None if any day is.
        most_events: Events that one answer lists at most, however many there are; None if it lists all.
    """

    requests_per_second: float = 10
    requests_per_day: int | None = None
    days: tuple[int, int] | None = None
    most_events: int | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """A source of days: what one provider has of one sport.

    Attributes:
        name: Value of `FIXTURES_PROVIDER` and of the `provider` columns.
        title: How people call it.
        structure: What is read of an event, as `from_json` of DuckDB takes it
            (https://duckdb.org/docs/stable/data/json/json_functions). What is declared as "JSON" keeps its own text.
        columns: Column of `fixtures`, from `event_id` to `winner`, and the SQL that reads it from the struct `e`, from
            `terms` and from `fetched_at`, the moment of the answer.
        sport: Value of `FIXTURES_SPORT`.
        requests: The requests whose answers together are a day; gets the day and the name of the configured time zone.
        seasons: How it is asked instead, if it has no request for a day.
        list_key: Key of the answer under which the list of events stands; None if the answer is the list.
        null_list: Whether null in place of the list says that it is empty.
        terms: Names for what columns need more than once, and the SQL that reads each from `e`. It is then planned and
            read once per event.
        base_url: Where the API is; None if only the operator can say.
        key_header: Header that takes the key, unless the operator names another.
        key_in_path: Whether the key goes into the path instead.
        public_key: Key that anybody may use, and that is no secret.
        written_kickoff: SQL over `e` for what the provider wrote as the kickoff; NULL where it says that there is none
            yet, so that a kickoff in a form that nobody can read is told from one that is not fixed.
        named_day: SQL over `e` for the day (DATE) that the provider names for an event without a kickoff.
        refusal: SQL over `status` (INTEGER), `body` (JSON: the answer without its list), `listed` (elements of the
            list; NULL if there is none) and `asked` (JSON: the query of the request): NULL for an answer that gives
            what was asked for, else a struct of `error_type`, `message` (what it `said`, or what is wrong with it; NULL
            if it does not say) and `scope`, how far the refusal reaches: `minute` (a brake: wait a minute), `day` (the
            day's quota is spent), `plan` (this day is outside the plan) or NULL (it does not say).
        pause: Seconds to wait before the next request of the run, read from an answer's headers (lower-case names).
        plan: The plan that costs nothing.
        own_key_plan: The plan of those who have a key of their own, where it is another one.
        attribution: The line with which the provider wants to be named, or names itself, where its data are shown.
    """

    name: str
    title: str
    structure: str
    columns: Mapping[str, str]
    sport: str = FOOTBALL
    requests: Callable[[date, str], Sequence[Request]] = lambda day, timezone: ()  # noqa: ARG005 - it has `seasons`
    seasons: Seasons | None = None
    list_key: str | None = None
    null_list: bool = False
    terms: Mapping[str, str] = field(default_factory=dict)
    base_url: str | None = None
    key_header: str | None = None
    key_in_path: bool = False
    public_key: str | None = None
    written_kickoff: str = "NULL"
    named_day: str = NO_NAMED_DAY
    refusal: str = NO_REFUSAL
    pause: Callable[[Mapping[str, str]], float] = lambda headers: 0.0  # noqa: ARG005 - most providers say nothing
    plan: Plan = Plan()
    own_key_plan: Plan | None = None
    attribution: str | None = None

    @property
    def identity(self) -> str:
        """Name of what a database holds: the provider, and with another sport than football that as well."""
        return self.name if self.sport == FOOTBALL else f"{self.name}-{self.sport}"

    def compose(self, elements: Sequence[str]) -> bytes:
        """Return an answer that lists these elements, each of them JSON, and says nothing else."""
        listed = f"[{','.join(elements)}]"
        return (listed if self.list_key is None else f'{{"{self.list_key}":{listed}}}').encode()

    def terms_of(self, *columns: str) -> dict[str, str]:
        """Return the part of `terms` that these columns use."""
        read = self._read(*columns)
        return {name: sql for name, sql in self.terms.items() if re.search(rf"\b{name}\b", read)}

    def judges_by_time(self, *columns: str) -> bool:
        """Say whether what these columns hold depends on when the answer was fetched."""
        return "fetched_at" in " ".join([self._read(*columns), *self.terms_of(*columns).values()])

    def _read(self, *columns: str) -> str:
        return " ".join([*(self.columns[column] for column in columns), self.written_kickoff, self.named_day])

    def structure_of(self, *columns: str) -> str:
        """Return the part of `structure` that these columns are read from; reading less of an event is faster."""
        needed: dict[str, Any] = {}
        read = " ".join([self._read(*columns), *self.terms_of(*columns).values()])
        for path in re.findall(r"\be((?:\.(?:\w+|\"\w+\"))+)", read):
            source, target = json.loads(self.structure), needed
            *outer, last = path[1:].replace('"', "").split(".")
            for name in outer:
                source, target = source[name], target.setdefault(name, {})
            target[last] = source[last]
        return json.dumps(needed)
