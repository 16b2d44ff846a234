"""Decides what an answer is worth: JSON, shape, number, integrity, in that order.

What the HTTP exchange itself says (transport, status) is judged in `fetching`; what of an answer is kept, in `store`.

Answers are read by DuckDB, not by Python's json: it is three times as fast, works outside of Python's lock while other
days are fetched, and nothing that an answer may hold (a number of 400 digits, 10,000 nested lists) upsets it.
"""

import json
import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from fixtures_pipeline.days import day_bounds
from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.outcome import NEVER, DayFailed, DayLoaded
from fixtures_pipeline.providers.mapping import OPEN_STATUSES, SQL_WORDS, select_listed
from fixtures_pipeline.providers.provider import NO_REFUSAL, Provider
from fixtures_pipeline.text import excerpt

_LOOK = (
    "Open the address in a browser to see what answers there (a login page, a proxy, maintenance?), then load the day "
    "again."
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a provider's own words in an answer mean."""

    error_type: ErrorType
    message: str
    permanent: bool

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.permanent:
            return "It is not asked for again automatically; with another plan, load the day by hand."
        return {
            ErrorType.AUTH_ERROR: "Check FIXTURES_API_KEY and the plan, then load the day again.",
            ErrorType.RATE_LIMIT_ERROR: "Load the day again when the quota allows, or lower "
            "FIXTURES_REQUESTS_PER_SECOND.",
        }.get(self.error_type, "Load the day again later.")


class Judge:
    """Judges the answers of one provider; can be called from many threads at once."""

    def __init__(self, provider: Provider, zone: ZoneInfo) -> None:
        """Prepare to read `provider`'s answers; days begin and end in `zone`."""
        self._provider = provider
        self._zone = zone
        # One thread a query: many answers are judged at once, and each is small.
        self._memory = duckdb.connect(config={"threads": 1})
        for word in SQL_WORDS:
            self._memory.execute(f"CREATE MACRO {word}")
        answer = "(SELECT $body AS body, $starts AS starts, $ends AS ends)"
        # S608: the provider's constants are the only text put into these statements.
        self._verdict_sql = f"""
            SELECT
                {self._refusal_of(200)} AS refusal,
                count(*) AS events,
                count(event_id) AS with_id,
                coalesce(len(list_distinct(list(event_id))), 0) AS ids,
                count(*) FILTER (own) AS own,
                coalesce(bool_or(own AND status IN {OPEN_STATUSES}), false) AS in_progress
            FROM ({select_listed(provider, ("event_id", "kickoff", "status"), answer)})
        """  # noqa: S608
        self._refusal_sql = f"SELECT {self._refusal_of('$status')} AS refusal"

    def _refusal_of(self, status: object) -> str:
        if self._provider.refusal == NO_REFUSAL:
            return NO_REFUSAL
        source = f"(SELECT decode($body)::JSON AS body, {status} AS status)"
        return f"(SELECT {self._provider.refusal} FROM {source})"  # noqa: S608

    def judge(self, day: date, body: bytes) -> DayLoaded | DayFailed:
        """Judge the body of an answer with status 200.

        Args:
            day: The day that was asked for.
            body: The answer, unpacked; it stays bytes all the way, as text with one Arabic name takes three times
                the memory.

        Returns:
            What becomes of the day; sizes and times are left for the caller to fill in.
        """
        # NaN and Infinity, as Python writes them, are no JSON, but DuckDB would keep them and hand them on.
        row = None if b"NaN" in body or b"Infinity" in body else self._read(day, body)
        if row is None:
            try:
                repaired = _repair(body.decode())
            except UnicodeDecodeError:
                return DayFailed(
                    day,
                    ErrorType.JSON_DECODE_ERROR,
                    f"The answer for {day} is not UTF-8, so it is not JSON. It begins: "
                    f"{excerpt(body.decode('latin-1'))!a} {_LOOK}",
                    http_status=200,
                )
            row = None if repaired is None else self._read(day, repaired)
            body = repaired or body
        if row is None:
            return DayFailed(
                day,
                ErrorType.JSON_DECODE_ERROR,
                f"The answer for {day} is not JSON. {_begins(body)} {_LOOK}",
                http_status=200,
            )
        return self._weigh(day, body, row)

    def _read(self, day: date, body: bytes) -> dict[str, Any] | None:
        starts, ends = day_bounds(day, self._zone)
        return self._one(self._verdict_sql, {"body": body, "starts": starts, "ends": ends})

    def _weigh(self, day: date, body: bytes, row: dict[str, Any]) -> DayLoaded | DayFailed:
        def failed(error_type: ErrorType, message: str, events: int = 0, retry_at: datetime | None = None) -> DayFailed:
            return DayFailed(day, error_type, message, 200, body, events, retry_at=retry_at)

        refusal = _as_refusal(row["refusal"])
        if refusal is not None:
            words = excerpt(refusal.message).rstrip(".")
            message = f"{self._provider.title} did not give {day}: {words}. {refusal.advice}"
            return failed(refusal.error_type, message, retry_at=NEVER if refusal.permanent else None)
        events: int = row["events"]
        if events == 0 and (shape := self._shape(body)) is not None:
            return failed(
                ErrorType.DATA_STRUCTURE_ERROR,
                f"The answer for {day} has no list under {self._provider.list_key!r}: {shape}. "
                f"{_begins(body)} If the API has changed, the mapping of {self._provider.title} has to follow.",
            )
        if row["with_id"] < events:
            return failed(
                ErrorType.DATA_STRUCTURE_ERROR,
                f"Of the {events} events in the answer for {day}, {events - row['with_id']} are no object with an "
                f"integer id. If the API has changed, the mapping of {self._provider.title} has to follow.",
                events,
            )
        if row["own"] < 2:
            others = events - row["own"]
            beside = f", beside {others} of other days" if others else ""
            return failed(
                ErrorType.DEFAULT_DATA_ERROR,
                f"The answer for {day} lists {row['own']} events of that day{beside}; fewer than two count as no "
                "data. Load the day again later; a day without football may stay like this.",
                events,
            )
        if row["ids"] < events:
            return failed(
                ErrorType.INTEGRITY_ERROR,
                f"The answer for {day} lists {events} events but only {row['ids']} different ids: an event stands in "
                "it twice. Load the day again; if it stays, tell the provider.",
                events,
            )
        return DayLoaded(day, body, events, row["in_progress"])

    def refusal(self, status: int, body: bytes) -> Refusal | None:
        """Return what the provider's own words mean in an answer with a status other than 200, if it has any."""
        if self._provider.refusal == NO_REFUSAL:
            return None
        row = self._one(self._refusal_sql, {"status": status, "body": body})
        return _as_refusal(row["refusal"]) if row else None

    def is_json(self, body: bytes) -> bool:
        """Say whether a body is JSON, and may thus be kept in a JSON column."""
        row = self._one("SELECT json_valid(decode($body)) AS valid", {"body": body})
        return row is not None and row["valid"] is True

    def _shape(self, body: bytes) -> str | None:
        """Describe in a few words what stands where the list should be; None if it is one."""
        row = self._one(
            "SELECT json_type(decode($body)) AS whole, json_type(decode($body), $path) AS part",
            {"body": body, "path": f"$.{self._provider.list_key}"},
        )
        if row is None or row["whole"] != "OBJECT":
            return f"it is {_kind(row['whole'] if row else None)}"
        if row["part"] == "ARRAY":
            return None
        return "there is no such key" if row["part"] is None else f"there stands {_kind(row['part'])}"

    def _one(self, query: str, parameters: dict[str, Any]) -> dict[str, Any] | None:
        """Run a query that reads one body; None if DuckDB cannot read the body as JSON.

        DuckDB's error message quotes the body, cut anywhere, so that Python may fail to decode the message.
        """
        with self._memory.cursor() as cursor:
            try:
                [row] = cursor.execute(query, parameters).fetchall()
            except (duckdb.InvalidInputException, duckdb.ConversionException, UnicodeDecodeError):
                return None
            names = [column[0] for column in cursor.description or ()]
        return dict(zip(names, row, strict=True))


def _repair(body: str) -> bytes | None:
    """Return a body that only strict readers refuse, as plain JSON; None if it is no JSON at all.

    Half an emoji in a name (a lone surrogate) becomes U+FFFD, NaN and Infinity become null: neither may cost a day.
    """
    try:
        value = json.loads(body, parse_constant=lambda _: None, parse_float=_finite)
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return None
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


def _as_refusal(row: dict[str, Any] | None) -> Refusal | None:
    if row is None:
        return None
    return Refusal(ErrorType(row["error_type"]), row["message"] or "it does not say why", row["permanent"])


def _begins(body: bytes) -> str:
    shown = excerpt(body)
    return f"It begins: {shown}" if shown else "It is empty."


def _kind(json_type: str | None) -> str:
    """Name a type as DuckDB's `json_type` gives it in JSON's own words."""
    names = {"OBJECT": "an object", "ARRAY": "a list", "VARCHAR": "a text", "BOOLEAN": "a boolean", "NULL": "null"}
    return names.get(json_type or "NULL", "a number")
