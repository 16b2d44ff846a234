"""Decides what an answer is worth: JSON, shape, number, integrity, in that order.

What the HTTP exchange itself says (transport, status) is judged in `fetching`; what of an answer is kept, in `store`.

Answers are read by DuckDB, not by Python's json: it is three times as fast, works outside of Python's lock while other
days are fetched, and nothing that an answer may hold (a number of 400 digits, 10,000 nested lists) upsets it.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from fixtures_pipeline.days import day_bounds
from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.outcome import DayFailed, DayLoaded
from fixtures_pipeline.providers.mapping import OPEN_STATUSES, define_words, list_path, select_elements, select_listed
from fixtures_pipeline.providers.provider import NO_REFUSAL, Provider
from fixtures_pipeline.text import count, excerpt

#: Most elements that an answer may list: a hundred times a full day. To take more of them apart needs gigabytes.
MOST_ELEMENTS = 100_000
#: Memory for the one answer that is being read: enough for twenty full days at once, not for any heap of brackets.
#: Without a disk to spill to, so that it is a limit.
_MEMORY_LIMIT = "128MB"
#: Most bytes of an answer beside its list: a thousand times what providers put there.
_LARGEST_ENVELOPE = 256 * 1024

#: What a statement is given to read, and of which type.
_GIVEN = {
    "body": "BLOB",
    "date": "DATE",
    "starts": "TIMESTAMPTZ",
    "ends": "TIMESTAMPTZ",
    "fetched_at": "TIMESTAMPTZ",
    "status": "INTEGER",
    "asked": "JSON",
    "listed": "BIGINT",
}

_NUMBERS = (b"nan", b"inf", b"infinity")

_LOOK = (
    "Open the address in a browser to see what answers there (a login page, a proxy, maintenance?), then load the day "
    "again."
)

#: What DuckDB takes for JSON though it is not: not a number, a comma too many, and half of a character that was written
#: as two. Texts may hold any of it, so quotes and escapes are looked at as well.
_NOT_STRICT = re.compile(
    rb'(?P<quote>")|-?\b(?P<number>nan|inf(?:inity)?)\b|(?P<comma>,)(?=\s*+[\]}])'
    rb"|\\(?:u(?:d[89ab][0-9a-f]{2}\\ud[c-f]|(?P<half>d[89a-f]))[0-9a-f]{2}|.)",
    re.IGNORECASE | re.DOTALL,
)
#: A closer look takes long, and most answers are spared it: what it would find is seen without blanks, in small letters
#: and with one kind of bracket.
_BARE = bytes.maketrans(bytes(range(256)), bytes(range(256)).lower().replace(b"]", b"}"))
_BLANKS = b" \t\r\n"
#: Most places that are looked at one by one.
_MOST_LOOKED_AT = 10_000
_MAY_BE_HALF = re.compile(rb"\\[uU][dD]")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a provider's own words in an answer mean.

    Attributes:
        error_type: The kind of failure.
        message: The provider's words.
        scope: How far the refusal reaches, as in `Provider.refusal`.
    """

    error_type: ErrorType
    message: str
    scope: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer is worth.

    Attributes:
        outcome: What becomes of the day; sizes and times are left for the caller to fill in.
        refusal: The provider's own words, if the day was refused.
    """

    outcome: DayLoaded | DayFailed
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Element:
    """An event of an answer.

    Attributes:
        kickoff: When it begins; None if that is not fixed.
        named_day: The day that the provider names for one without a kickoff.
        text: The event itself: JSON.
    """

    kickoff: datetime | None
    named_day: date | None
    text: str


class Judge:
    """Judges the answers of one provider; can be called from many threads at once."""

    def __init__(
        self,
        provider: Provider,
        zone: ZoneInfo,
        *,
        least_events: int = 2,
        quote: Callable[[str | bytes], str] = excerpt,
    ) -> None:
        """Prepare to read answers.

        Args:
            provider: Whose answers they are.
            zone: Time zone in which days begin and end.
            least_events: Events that a day needs to count as loaded (`FIXTURES_MIN_EVENTS`).
            quote: Makes the beginning of a body, or a provider's words, fit to be shown.
        """
        self._provider = provider
        self._zone = zone
        self._least_events = least_events
        self._quote = quote
        # One answer at a time, so that none is refused for the memory that another one takes.
        self._lock = threading.Lock()
        self._memory = duckdb.connect(config={"threads": 1, "memory_limit": _MEMORY_LIMIT, "temp_directory": ""})
        self._memory.execute("SET GLOBAL TimeZone = 'UTC'")
        self._memory.execute(define_words("MACRO"))
        # DuckDB keeps the plan of a statement that reads no table and has no parameters, and to make it takes longer
        # than to read an answer: what is read is given by a function.
        self._given = given = dict[str, Any]()
        struct = f"STRUCT({', '.join(f'{name} {type_}' for name, type_ in _GIVEN.items())})"
        # It knows what is given, and not the judge: the two would keep each other alive.
        self._memory.create_function("given", lambda: given, [], struct, side_effects=True)
        self._prepared: set[str] = set()
        self._good_outline = {"whole": "ARRAY" if provider.list_key is None else "OBJECT", "part": "ARRAY"}
        path = list_path(provider)
        parts = ", ".join(f"given.{name}" for name in _GIVEN)
        answer = f"(SELECT {parts} FROM (SELECT given() AS given))"  # noqa: S608
        # S608: the provider's constants are the only text put into these statements.
        self._statements = {
            "verdict": f"""
                SELECT
                    count(*) AS events,
                    count(event_id) AS with_id,
                    count(kickoff) AS read,
                    count(*) FILTER (unread) AS unread,
                    coalesce(len(list_distinct(list(event_id))), 0) AS ids,
                    count(*) FILTER (own) AS own,
                    coalesce(bool_or(own AND status IN {OPEN_STATUSES}), false) AS in_progress
                FROM ({select_listed(provider, ("event_id", "kickoff", "status"), answer)})
            """,  # noqa: S608
            # Apart: each look at an answer takes memory of its own.
            "number": f"SELECT json_array_length(decode(body), '{path}') AS elements FROM {answer}",  # noqa: S608
            "outline": f"""
                SELECT json_type(decode(body)) AS whole, json_type(decode(body), '{path}') AS part FROM {answer}
            """,  # noqa: S608
            "refusal": _select_refusal(provider, answer),
            "elements": select_elements(provider, answer),
            "values": f"SELECT * EXCLUDE (body) FROM {answer}",  # noqa: S608
            "validity": f"SELECT json_valid(decode(body)) AS valid FROM {answer}",  # noqa: S608
        }

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()

    def judge(
        self,
        day: date,
        body: bytes,
        asked: Mapping[str, str] | None = None,
        *,
        part: str | None = None,
        fetched_at: datetime | None = None,
    ) -> Verdict:
        """Judge the body of an answer with status 200.

        Args:
            day: The day that was asked for.
            body: The answer, unpacked; it stays bytes all the way, as text with one Arabic name takes three times
                the memory.
            asked: The query of the request, which some providers echo.
            part: What the answer is for, if it is not the whole of the day, as in `Request.part`: its events are not
                counted then.
            fetched_at: When the answer was asked for; None for just now.
        """
        try:
            with self._lock:
                return self._judge(day, _make_strict(body), asked or {}, part, fetched_at or datetime.now(UTC))
        except duckdb.OutOfMemoryException:
            size = f"{len(body) / 1024 / 1024:.1f} MiB"
            return Verdict(
                DayFailed(
                    day,
                    ErrorType.DATA_STRUCTURE_ERROR,
                    f"The answer for {part or day} ({size}) takes more memory than a day of fixtures can "
                    f"({_MEMORY_LIMIT}). {self._begin(body)} If the provider really lists so much, report it.",
                    http_status=200,
                )
            )

    def _judge(
        self, day: date, body: bytes, asked: Mapping[str, str], part: str | None, fetched_at: datetime
    ) -> Verdict:
        subject = part or str(day)
        # Each look at an answer reads all of it, and for most one is enough.
        row = self._weigh(day, body, fetched_at) if body.count(b",") < MOST_ELEMENTS else None
        if row is not None and row["events"]:
            outline: dict[str, Any] | None = self._good_outline | {"elements": row["events"]}
        else:
            outline = self._outline(body)
        if outline is not None and outline["part"] == "NULL" and self._provider.null_list:
            body, row = self._provider.compose([]), None
            outline |= {"part": "ARRAY", "elements": 0}
        listed = outline["elements"] if outline is not None and outline["part"] == "ARRAY" else None
        if listed is not None and listed > MOST_ELEMENTS:
            message = (
                f"The answer for {subject} lists {listed} elements, more than any day has. {self._begin(body)} {_LOOK}"
            )
            return Verdict(DayFailed(day, ErrorType.DATA_STRUCTURE_ERROR, message, http_status=200))
        if outline is not None and row is None:
            row = self._weigh(day, body, fetched_at)
        refused = None if row is None else self._ask_refusal(200, body, asked, listed)
        if outline is None or row is None or refused is None:
            kind = "JSON" if _is_utf8(body) else "UTF-8, so it is not JSON"
            message = f"The answer for {subject} is not {kind}. {self._begin(body)} {_LOOK}"
            return Verdict(DayFailed(day, ErrorType.JSON_DECODE_ERROR, message, http_status=200))
        refusal = _to_refusal(refused["refusal"])
        if refusal is not None:
            words = self._quote(refusal.message).rstrip(".")
            message = f"{self._provider.title} did not give {subject}: {words}."
            return Verdict(DayFailed(day, refusal.error_type, message, 200, body), refusal)
        return Verdict(self._decide(day, body, row, self._describe_shape(outline), part))

    def _outline(self, body: bytes) -> dict[str, Any] | None:
        """Return of which types an answer and its list are, and how many elements it lists; None if it is not JSON."""
        number = self._read("number", body=body)
        if number is None:
            return None
        outline = self._good_outline if number["elements"] else self._read("outline", body=body)
        return None if outline is None else outline | number

    def _weigh(self, day: date, body: bytes, fetched_at: datetime) -> dict[str, Any] | None:
        """Return how many events an answer lists, and of what kinds; None if it is not JSON."""
        starts, ends = day_bounds(day, self._zone)
        return self._read("verdict", body=body, date=day, starts=starts, ends=ends, fetched_at=fetched_at)

    def _ask_refusal(
        self, status: int, body: bytes, asked: Mapping[str, str], listed: int | None
    ) -> dict[str, Any] | None:
        """Return the provider's own words as `refusal`; None if the answer is not JSON."""
        if self._provider.refusal == NO_REFUSAL:
            return {"refusal": None}
        return self._read("refusal", body=body, status=status, asked=json.dumps(dict(asked)), listed=listed)

    def _decide(
        self, day: date, body: bytes, row: Mapping[str, Any], shape: str | None, part: str | None
    ) -> DayLoaded | DayFailed:
        events: int = row["events"]
        subject = part or str(day)
        failed = DayFailed(day, ErrorType.DATA_STRUCTURE_ERROR, "", 200, body, events)
        update = f"If the API has changed, the mapping of {self._provider.title} must be updated."
        if shape is not None:
            message = f"The answer for {subject} {shape}. {self._begin(body)} "
            return replace(failed, message=message + update)
        if (without := events - row["with_id"]) > 0:
            message = (
                f"Of the {events} events in the answer for {subject}, {without} are not objects with an integer id. "
            )
            return replace(failed, message=message + update)
        if row["unread"] > row["read"]:
            unread = f"{row['unread']} have a kickoff that cannot be read"
            message = f"Of the {events} events in the answer for {subject}, {unread}. "
            return replace(failed, message=message + update)
        if part is not None:
            return DayLoaded(day, body, events, row["in_progress"])
        if row["own"] < self._least_events:
            message = (
                f"The answer for {day} has {count(row['own'], 'event')} on that day"
                f"{_name_others(events - row['own'])}; fewer than {self._least_events} count as no data. Load the day "
                "again later; a day without events may stay like this."
            )
            return replace(failed, error_type=ErrorType.DEFAULT_DATA_ERROR, message=message)
        if row["ids"] < events:
            message = (
                f"The answer for {day} lists {events} events but only {row['ids']} different ids: it lists an event "
                "twice. Load the day again; if that does not help, tell the provider."
            )
            return replace(failed, error_type=ErrorType.INTEGRITY_ERROR, message=message)
        return DayLoaded(day, body, events, row["in_progress"])

    def list_elements(self, body: bytes) -> list[Element]:
        """Return the events of an answer that was judged to be good, in order."""
        with self._lock:
            rows = self._execute("elements", body=_make_strict(body))
        return [Element(*row) for row in rows]

    def read_refusal(self, status: int, body: bytes, asked: Mapping[str, str]) -> Refusal | None:
        """Return what the provider's own words mean in an answer with a status other than 200, if it has any."""
        try:
            with self._lock:
                row = self._ask_refusal(status, _make_strict(body), asked, None)
        except duckdb.OutOfMemoryException:
            return None
        return _to_refusal(row["refusal"]) if row else None

    def _describe_shape(self, outline: Mapping[str, Any]) -> str | None:
        """Say what stands where the list should be; None if it is one."""
        key, whole, found = self._provider.list_key, outline["whole"], outline["part"]
        if found == "ARRAY" and (key is None or whole == "OBJECT"):
            return None
        if key is None:
            return f"is no list: it is {_kind(whole)}"
        if whole != "OBJECT":
            return f"has no list under {key!r}: the answer is {_kind(whole)}"
        return f"has no list under {key!r}: " + ("there is no such key" if found is None else f"it is {_kind(found)}")

    def _begin(self, body: bytes) -> str:
        shown = self._quote(body)
        return f"It begins: “{shown}”." if shown else "It is empty."

    def keep(self, body: bytes) -> bytes | None:
        """Return a body as strict JSON, which a JSON column can keep; None if it is not JSON."""
        try:
            with self._lock:
                body = _make_strict(body)
                row = self._read("validity", body=body)
        except duckdb.OutOfMemoryException:
            return None
        return body if row is not None and row["valid"] else None

    def _read(self, statement: str, **given: object) -> dict[str, Any] | None:
        """Execute a statement that reads one body; None if DuckDB cannot read the body as JSON.

        DuckDB's error message quotes the body, cut anywhere, so that Python may fail to decode the message.
        """
        try:
            [row] = self._execute(statement, **given)
        except (duckdb.DataError, duckdb.InvalidInputException, UnicodeDecodeError):
            # Raises if it is not the body that cannot be read.
            self._execute("values", **given)
            return None
        return dict(zip([column[0] for column in self._memory.description or ()], row, strict=True))

    def _execute(self, statement: str, **given: object) -> list[tuple[Any, ...]]:
        if statement not in self._prepared:
            self._memory.execute(f"PREPARE {statement} AS {self._statements[statement]}")
            self._prepared.add(statement)
        self._given |= dict.fromkeys(_GIVEN) | given
        try:
            return self._memory.execute(f"EXECUTE {statement}").fetchall()
        finally:
            self._given.clear()


def _select_refusal(provider: Provider, answer: str) -> str:
    # What is read beside the list is taken out once for all: each look at the whole takes time and memory.
    envelope = dict.fromkeys(re.findall(r"body, '\$\.(\w+)", provider.refusal), "JSON")
    return f"""
        SELECT {provider.refusal} AS refusal
        FROM (
            SELECT
                CASE WHEN strlen(envelope::VARCHAR) <= {_LARGEST_ENVELOPE} THEN envelope END AS body,
                status, asked, listed
            FROM (
                SELECT *, to_json(from_json(decode(body), '{json.dumps(envelope)}')) AS envelope FROM {answer}
            )
        )
    """  # noqa: S608


def _make_strict(body: bytes) -> bytes:
    """Return a body as strict JSON where careless writers have left it just short of that; all else stays as it came.

    What is not a number becomes null, a comma too many goes, and half an emoji (a lone surrogate) becomes U+FFFD.
    """
    if not _may_be_careless(body):
        return body
    strict = bytearray()
    copied, in_text = 0, False
    for found in _NOT_STRICT.finditer(body):
        if found["quote"]:
            in_text = not in_text
        elif found["half"] if in_text else found["number"] or found["comma"]:
            strict += body[copied : found.start()]
            strict += rb"\ufffd" if in_text else b"null" if found["number"] else b""
            copied = found.end()
    return bytes(strict + body[copied:])


def _may_be_careless(body: bytes) -> bool:
    """Say whether a body may be JSON that is not strict; it may say so of a text in it that only looks like that."""
    # Imported here: it takes a while, and only loads need it.
    import numpy  # noqa: PLC0415

    if _MAY_BE_HALF.search(body):
        return True
    bare = body.translate(_BARE, _BLANKS)
    codes = numpy.frombuffer(bare, numpy.uint8)
    before, after = codes[:-1], codes[1:]
    ends = after == ord("}")
    if (ends & (before == ord(","))).any():
        return True
    # Where a value ends in a letter with which a word for no number may end. In place: room for more takes longer.
    ends |= after == ord(",")
    letters = before == ord("n")
    letters |= before == ord("f")
    letters |= before == ord("y")
    ends &= letters
    found = numpy.flatnonzero(ends)
    if len(found) > _MOST_LOOKED_AT:
        marked = bare.replace(b",", b"}")
        return bare.endswith(_NUMBERS) or any(number + b"}" in marked for number in _NUMBERS)
    return bare.endswith(_NUMBERS) or any(bare.endswith(_NUMBERS, 0, end + 1) for end in found)


def _to_refusal(row: dict[str, Any] | None) -> Refusal | None:
    if row is None:
        return None
    return Refusal(ErrorType(row["error_type"]), row["message"] or "it does not say why", row["scope"])


def _name_others(number: int) -> str:
    return f" (and {number} on neighbouring days)" if number else ""


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _kind(json_type: str | None) -> str:
    """Name a type as DuckDB's `json_type` gives it in JSON's own words."""
    names = {"OBJECT": "an object", "ARRAY": "a list", "VARCHAR": "a text", "BOOLEAN": "a boolean", "NULL": "null"}
    return names.get(json_type or "NULL", "a number")
