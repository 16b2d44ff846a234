"""Every way in which a server can misbehave, by name, and what must become of it."""

import gzip
import html
import json
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from fixtures_pipeline_tests.fault_server import (
    Exchange,
    Plan,
    answer_of,
    body_of,
    good_body,
    head_of,
    neighbours,
    noon,
    own,
)


def usual_ids(day: date) -> list[int]:
    """Return the ids of what a good answer for a day lists; no other day's answer lists the same."""
    return [event["id"] for event in (*own(day), *neighbours(day))]


@dataclass(frozen=True)
class Fault:
    """A way to misbehave.

    Attributes:
        respond: What the server does.
        expected: The error type that it must become; None for an answer that must load all the same.
        loaded: Rows that `fixtures` then holds for the day.
        ids: The events that an answer which must load lists, by day.
        slow: Whether it takes more than half a second.
    """

    respond: Plan
    expected: str | None
    loaded: int | None = None
    ids: Callable[[date], Iterable[int]] = usual_ids
    slow: bool = False


def status(code: int, body: bytes = b"", **headers: str) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.answer(code, body, **headers)


def encoded(encoding: str, pack: Callable[[bytes], bytes]) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.answer(200, pack(exchange.good()), Content_Encoding=encoding)


def day_body(make: Callable[[date], object]) -> Callable[[Exchange], None]:
    """Answer with what `make` gives for the day: bytes as they are, anything else as the list of events."""

    def respond(exchange: Exchange) -> None:
        made = make(exchange.day)
        exchange.answer(200, made if isinstance(made, bytes) else body_of(made))

    return respond


def with_first(**changes: Any) -> Callable[[Exchange], None]:
    """Answer with a good day whose first event is odd."""
    return day_body(lambda day: [{**own(day)[0], **changes}, *own(day)[1:], *neighbours(day)])


def recovering(code: int) -> Callable[[Exchange], None]:
    def respond(exchange: Exchange) -> None:
        exchange.answer(*((code, b"") if exchange.request.before == 0 else (200, exchange.good())))

    return respond


def redirected(target: Callable[[Exchange], str], code: int = 302) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.answer(code, b"", Location=target(exchange))


def to_login(exchange: Exchange) -> None:
    if "login" in exchange.request.path:
        exchange.answer(200, b"<html>Please log in</html>", Content_Type="text/html")
    else:
        exchange.answer(302, b"", Location=f"/login/{exchange.day}")


def reset_before_headers(exchange: Exchange) -> None:
    exchange.reset()


def closed_before_headers(exchange: Exchange) -> None:
    exchange.close()


def reset_in_body(exchange: Exchange) -> None:
    exchange.head(Content_Length="100000")
    exchange.send(exchange.good()[:200])
    time.sleep(0.05)
    exchange.reset()


def shorter_than_announced(exchange: Exchange) -> None:
    good = exchange.good()
    exchange.head(Content_Length=str(len(good) + 1000))
    exchange.send(good)
    exchange.close()


def chunked_and_broken_off(exchange: Exchange) -> None:
    exchange.head(Transfer_Encoding="chunked")
    exchange.send(b"40\r\n" + exchange.good()[:64] + b"\r\n40\r\nhalf")
    exchange.close()


def interim(*codes: int, pause: float = 0.02) -> Callable[[Exchange], None]:
    """Answer with interim answers, a pause after each, and then well."""

    def respond(exchange: Exchange) -> None:
        for code in codes:
            exchange.head(code, Link="</style.css>; rel=preload")
            time.sleep(pause)
        exchange.answer(200, exchange.good())

    return respond


def followed_by(surplus: Callable[[Exchange], bytes], after: float = 0) -> Callable[[Exchange], None]:
    """Answer well, and go on: with the same piece of the connection, or some seconds later."""

    def respond(exchange: Exchange) -> None:
        answer = answer_of(exchange.good())
        if after:
            exchange.send(answer)
            time.sleep(after)
            exchange.send(surplus(exchange))
        else:
            exchange.send(answer + surplus(exchange))

    return respond


def another_day(exchange: Exchange) -> bytes:
    """Return a whole answer for another day."""
    return answer_of(good_body(date(1999, 1, 1)))


def raw(answer: bytes) -> Callable[[Exchange], None]:
    """Answer with these bytes and nothing else, and close the connection."""

    def respond(exchange: Exchange) -> None:
        exchange.send(answer)
        exchange.close()

    return respond


def without_length(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.0 200 OK\r\n\r\n" + exchange.good())
    exchange.close()


def in_chunks(exchange: Exchange) -> None:
    good = exchange.good()
    pieces = [good[at : at + 700] for at in range(0, len(good), 700)]
    exchange.head(200, Transfer_Encoding="chunked")
    for piece in pieces:
        exchange.send(b"%x;name=value\r\n%s\r\n" % (len(piece), piece))
    exchange.send(b"0\r\nX-Trailer: yes\r\n\r\n")


def silent(exchange: Exchange) -> None:
    exchange.idle()


def dripping_headers(exchange: Exchange) -> None:
    exchange.drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000)


def dripping_body(exchange: Exchange) -> None:
    exchange.head(Content_Length="1000")
    exchange.drip(b" " * 1000)


def spaces_without_end(exchange: Exchange) -> None:
    exchange.head(Content_Length=str(200_000_000))
    for _ in range(200):
        exchange.send(b" " * 1_000_000)


@lru_cache
def bomb() -> bytes:
    """Return 160 megabytes of blanks, packed into less than one; quickly, as a request waits for it."""
    return gzip.compress(b" " * 16_000_000, 1) * 10


def gzip_bomb(exchange: Exchange) -> None:
    exchange.answer(200, bomb(), Content_Encoding="gzip")


def echo_as(write: Callable[[str], str | bytes], code: int = 403) -> Callable[[Exchange], None]:
    """Answer with the key, written in some way."""

    def respond(exchange: Exchange) -> None:
        said = write(key_of(exchange))
        exchange.answer(code, said if isinstance(said, bytes) else said.encode())

    return respond


def key_of(exchange: Exchange) -> str:
    """Return the key of a request; another word if it has none."""
    return exchange.request.headers.get("X-API-Key", "no-key")


def echo_in_headers(exchange: Exchange) -> None:
    """Answer with headers that are none, the key among them."""
    exchange.send(b"HTTP/1.1 403 Forbidden\r\nno colon, but " + key_of(exchange).encode() + b"\r\n\r\n")
    exchange.close()


def redirect_with_key(write: Callable[[str], str], before: int = 0) -> Callable[[Exchange], None]:
    return redirected(lambda exchange: f"/{'x' * before}{write(key_of(exchange))}/{exchange.day}")


def echo(code: int) -> Callable[[Exchange], None]:
    """Answer with the request's own headers, as some error pages do."""

    def respond(exchange: Exchange) -> None:
        exchange.answer(code, json.dumps({"you sent": exchange.request.headers}).encode())

    return respond


def kickoffs(write: Callable[[int], object]) -> Callable[[Exchange], None]:
    """Answer with a day whose kickoffs are written in another way."""

    def respond(exchange: Exchange) -> None:
        events = [*own(exchange.day), *neighbours(exchange.day)]
        exchange.answer(200, body_of([{**one, "startTimestamp": write(one["startTimestamp"])} for one in events]))

    return respond


def enveloped(**more: Any) -> Callable[[Exchange], None]:
    """Answer well, with more than the list in the answer."""
    return day_body(lambda day: json.dumps({"events": [*own(day), *neighbours(day)], **more}).encode())


def packed(body: bytes, code: int = 200) -> Callable[[Exchange], None]:
    small = gzip.compress(body, 1)
    return lambda exchange: exchange.answer(code, small, Content_Encoding="gzip")


DEEP = b"[" * 10_000 + b"]" * 10_000
LONG_NAME = {"homeTeam": {"id": 10, "name": "N" * 100_000}}
INJECTION = {"homeTeam": {"id": 10, "name": "'); DROP TABLE fixtures; --"}}

FAULTS: dict[str, Fault] = {
    # Transport
    "301 to itself": Fault(redirected(lambda exchange: exchange.request.path, 301), "API_ERROR"),
    "302 to a login page": Fault(to_login, "JSON_DECODE_ERROR"),
    "302 to nowhere": Fault(redirected(lambda _: "http://[::1"), "API_ERROR"),
    "302 to Latin-1": Fault(
        lambda exchange: exchange.send(b"HTTP/1.1 302 Found\r\nLocation: /caf\xe9\r\nContent-Length: 0\r\n\r\n"),
        "API_ERROR",
    ),
    "302 to a label too long": Fault(redirected(lambda _: f"http://{'a' * 70}.example"), "API_ERROR"),
    "302 to a file": Fault(redirected(lambda _: "file:///etc/passwd"), "API_ERROR"),
    "302 to a port that is none": Fault(redirected(lambda _: "http://127.0.0.1:99999/"), "API_ERROR"),
    "302 to no host": Fault(redirected(lambda _: "http://"), "API_ERROR"),
    "302 to a mail address": Fault(redirected(lambda _: "mailto:a@b.example"), "API_ERROR"),
    "302 without a place": Fault(status(302), "API_ERROR"),
    "103, a pause, 200": Fault(interim(103, pause=0.2), None, 5),
    "102, 103, 100, 200": Fault(interim(102, 103, 100), None, 5),
    "199, 200": Fault(interim(199), None, 5),
    "103 and 200 at once": Fault(
        lambda exchange: exchange.send(head_of(103, Link="</x>") + answer_of(exchange.good())), None, 5
    ),
    "103 without an end": Fault(interim(*[103] * 30, pause=0), "API_ERROR"),
    "103 and nothing more": Fault(raw(head_of(103)), "CONNECTION_RESET_ERROR"),
    "101": Fault(status(101), "API_ERROR"),
    "three bytes too many": Fault(followed_by(lambda _: b"\r\n\0"), None, 5),
    "three bytes too many, late": Fault(followed_by(lambda _: b"\r\n\0", after=0.2), None, 5),
    "another day's answer too": Fault(followed_by(another_day), None, 5),
    "another day's answer too, late": Fault(followed_by(another_day, after=0.2), None, 5),
    "no length and no chunks": Fault(without_length, None, 5),
    "chunks with extensions and a trailer": Fault(in_chunks, None, 5),
    "a length of zero and a body": Fault(
        lambda exchange: exchange.send(head_of(200, Content_Length="0") + exchange.good()), "JSON_DECODE_ERROR"
    ),
    "a negative length": Fault(lambda exchange: exchange.head(200, Content_Length="-5"), "TIMEOUT_ERROR", slow=True),
    "a length that is a word": Fault(
        lambda exchange: exchange.send(head_of(200, Content_Length="many") + exchange.good()),
        "TIMEOUT_ERROR",
        slow=True,
    ),
    "two lengths": Fault(
        lambda exchange: exchange.send(head_of(200, Content_Length="5, 6") + exchange.good()), "API_ERROR"
    ),
    "a chunk of no size": Fault(
        raw(head_of(200, Transfer_Encoding="chunked") + b"what?\r\n"), "CONNECTION_RESET_ERROR"
    ),
    "a chunk of a huge size": Fault(
        raw(head_of(200, Transfer_Encoding="chunked") + b"f" * 300 + b"\r\n{}"), "CONNECTION_RESET_ERROR"
    ),
    "a header of 100 KB": Fault(lambda exchange: exchange.answer(200, b"", X_Long="x" * 100_000), "API_ERROR"),
    "a broken status line": Fault(raw(b"HTTP/1.1 2OO OK\r\n\r\n"), "API_ERROR"),
    "half a status line": Fault(raw(b"HTTP/1"), "API_ERROR"),
    "a status of four digits": Fault(raw(b"HTTP/1.1 2000 OK\r\n\r\n"), "API_ERROR"),
    "HTTP/2": Fault(raw(b"\0\0\x12\4\0\0\0\0\0"), "API_ERROR"),
    "reset before the headers": Fault(reset_before_headers, "CONNECTION_RESET_ERROR"),
    "closed before the headers": Fault(closed_before_headers, "CONNECTION_RESET_ERROR"),
    "reset in the body": Fault(reset_in_body, "CONNECTION_RESET_ERROR"),
    "shorter than announced": Fault(shorter_than_announced, "CONNECTION_RESET_ERROR"),
    "chunked and broken off": Fault(chunked_and_broken_off, "CONNECTION_RESET_ERROR"),
    "silent after accept": Fault(silent, "TIMEOUT_ERROR", slow=True),
    "headers a byte a second": Fault(dripping_headers, "TIMEOUT_ERROR", slow=True),
    "body a byte a second": Fault(dripping_body, "TIMEOUT_ERROR", slow=True),
    "200 MB of spaces": Fault(spaces_without_end, "API_ERROR", slow=True),
    "gzip bomb": Fault(gzip_bomb, "API_ERROR"),
    "broken gzip": Fault(status(200, b"no gzip at all", Content_Encoding="gzip"), "API_ERROR"),
    "no HTTP": Fault(lambda exchange: exchange.send(b"220 smtp ready\r\n\r\n"), "API_ERROR"),
    "a thousand headers": Fault(
        lambda exchange: exchange.answer(200, b"", **{f"X_{n}": "x" for n in range(1000)}), "API_ERROR"
    ),
    # Status
    **{str(code): Fault(status(code), "API_ERROR") for code in (203, 204, 206, 226, 304, 408, 451, 499, 520, 524, 599)},
    "407": Fault(status(407, b"log in to the proxy"), "API_ERROR"),
    "400": Fault(status(400, b'{"error": "bad request"}'), "API_ERROR"),
    "401": Fault(status(401, b'{"error": "who are you?"}'), "AUTH_ERROR"),
    "403 challenge": Fault(status(403, b'{"error":{"code":403,"reason":"challenge"}}'), "AUTH_ERROR"),
    "403 HTML": Fault(status(403, b"<html>Forbidden</html>"), "AUTH_ERROR"),
    "404": Fault(status(404, b'{"error": {"code": 404, "message": "Not Found"}}'), "API_ERROR"),
    "418": Fault(status(418, b"short and stout"), "API_ERROR"),
    "429 for a second": Fault(status(429, b"", Retry_After="1"), "RATE_LIMIT_ERROR", slow=True),
    "429 until a date": Fault(
        lambda exchange: exchange.answer(
            429, b"", Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
        ),
        "RATE_LIMIT_ERROR",
        slow=True,
    ),
    "429 for three days": Fault(status(429, b"", Retry_After=str(3 * 86400)), "RATE_LIMIT_ERROR"),
    "429 without a time": Fault(status(429), "RATE_LIMIT_ERROR"),
    "429 beyond all dates": Fault(status(429, b"", Retry_After="1 Jan 99999999999 00:00:00 GMT"), "RATE_LIMIT_ERROR"),
    "503 until the year 10000": Fault(status(503, b"", Retry_After="Fri, 31 Dec 9999 23:59:59 -1200"), "API_ERROR"),
    "429 in an impossible zone": Fault(
        status(429, b"", Retry_After="Mon, 01 Jan 2035 00:00:00 +99999999999999999999"), "RATE_LIMIT_ERROR"
    ),
    "502 beyond all dates": Fault(status(502, b"", Retry_After="1 Jan 99999999999999999999 00:00:00 GMT"), "API_ERROR"),
    "429 of a spent month": Fault(
        status(429, b"", X_RateLimit_Requests_Remaining="0", X_RateLimit_Requests_Reset="1209600"), "RATE_LIMIT_ERROR"
    ),
    "429 of a quota beyond all numbers": Fault(
        status(429, b"", X_RateLimit_Requests_Remaining="0", X_RateLimit_Requests_Reset="9" * 5000), "RATE_LIMIT_ERROR"
    ),
    "429 with nonsense": Fault(status(429, b"", Retry_After="soon"), "RATE_LIMIT_ERROR"),
    "500": Fault(status(500, b"<html>oops</html>"), "API_ERROR"),
    "502": Fault(status(502), "API_ERROR"),
    "503 once": Fault(recovering(503), None, 5),
    "503 for ever": Fault(status(503), "API_ERROR"),
    # JSON
    "empty": Fault(b"", "JSON_DECODE_ERROR"),
    "HTML": Fault(b"<!doctype html><html>Welcome</html>", "JSON_DECODE_ERROR"),
    # Whatever DuckDB quotes of them in its error message ends within a character in one of the two.
    "text in another script": Fault(("ساعت" * 100).encode(), "JSON_DECODE_ERROR"),
    "text in another script, shifted": Fault((" " + "ساعت" * 100).encode(), "JSON_DECODE_ERROR"),
    "truncated": Fault(day_body(lambda day: good_body(day)[:-20]), "JSON_DECODE_ERROR"),
    "UTF-16": Fault(day_body(lambda day: good_body(day).decode().encode("utf-16")), "JSON_DECODE_ERROR"),
    "Latin-1": Fault(
        day_body(lambda day: good_body(day).replace(b'"Home"', '"Malm\xf6"'.encode("latin-1"))), "JSON_DECODE_ERROR"
    ),
    "byte order mark": Fault(day_body(lambda day: b"\xef\xbb\xbf" + good_body(day)), None, 5),
    "wrong content type": Fault(
        lambda exchange: exchange.answer(200, exchange.good(), Content_Type="text/html"), None, 5
    ),
    "gzip": Fault(encoded("gzip", gzip.compress), None, 5),
    "deflate": Fault(encoded("deflate", zlib.compress), None, 5),
    "gzip twice": Fault(encoded("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))), None, 5),
    "gzip without an end": Fault(encoded("gzip", lambda body: gzip.compress(body)[:-20]), "JSON_DECODE_ERROR"),
    "gzip that is not said": Fault(encoded("identity", gzip.compress), "JSON_DECODE_ERROR"),
    "NaN in a failure": Fault(status(500, b'{"retry": NaN}'), "API_ERROR"),
    "lone surrogate": Fault(with_first(homeTeam={"id": 10, "name": "half \ud83d"}), None, 5),
    "NaN": Fault(with_first(coverage=float("nan")), None, 5),
    "a number of 400 digits": Fault(with_first(coverage=10**400), None, 5),
    "10,000 lists in a list": Fault(DEEP, "DATA_STRUCTURE_ERROR"),
    "10,000 lists in an event": Fault(
        day_body(lambda day: good_body(day).replace(b'"season"', b'"deep": ' + DEEP + b', "season"', 1)), None, 5
    ),
    "duplicate keys": Fault(
        day_body(lambda day: good_body(day).replace(b'"season"', b'"season": {"year": "x"}, "season"')), None, 5
    ),
    # Shape
    "null": Fault(b"null", "DATA_STRUCTURE_ERROR"),
    "[]": Fault(b"[]", "DATA_STRUCTURE_ERROR"),
    "{}": Fault(b"{}", "DATA_STRUCTURE_ERROR"),
    "events null": Fault(body_of(None), "DATA_STRUCTURE_ERROR"),
    "events an object": Fault(body_of({}), "DATA_STRUCTURE_ERROR"),
    "events a text": Fault(body_of("none"), "DATA_STRUCTURE_ERROR"),
    "events a number": Fault(body_of(7), "DATA_STRUCTURE_ERROR"),
    "a list of lists": Fault(body_of([[], []]), "DATA_STRUCTURE_ERROR"),
    "no id": Fault(day_body(lambda day: [{"startTimestamp": noon(day)}, *own(day)]), "DATA_STRUCTURE_ERROR"),
    "text id": Fault(with_first(id="12"), "DATA_STRUCTURE_ERROR"),
    "negative id": Fault(with_first(id=-12), None, 5, lambda day: [-12, *usual_ids(day)[1:]]),
    "float id": Fault(with_first(id=12.5), "DATA_STRUCTURE_ERROR"),
    "boolean id": Fault(with_first(id=True), "DATA_STRUCTURE_ERROR"),
    "huge id": Fault(with_first(id=10**30), "DATA_STRUCTURE_ERROR"),
    "there are further pages": Fault(enveloped(hasNextPage=True), "DATA_STRUCTURE_ERROR"),
    "there are no further pages": Fault(enveloped(hasNextPage=False), None, 5),
    "kickoffs in milliseconds": Fault(kickoffs(lambda start: start * 1000), None, 5),
    "kickoffs with a fraction": Fault(kickoffs(float), None, 5),
    "kickoffs in microseconds": Fault(kickoffs(lambda start: start * 1_000_000), "DATA_STRUCTURE_ERROR"),
    "kickoffs as texts": Fault(kickoffs(lambda start: f"{start} s"), "DATA_STRUCTURE_ERROR"),
    "kickoffs as objects": Fault(kickoffs(lambda start: {"seconds": start}), "DATA_STRUCTURE_ERROR"),
    # Small and large: what is packed here takes gigabytes to take apart.
    "3,000,000 ones": Fault(packed(b'{"events": [' + b"1," * 2_999_999 + b"1]}"), "DATA_STRUCTURE_ERROR", slow=True),
    "2,000,000 objects": Fault(
        packed(b'{"events": [' + b"{}," * 1_999_999 + b"{}]}"), "DATA_STRUCTURE_ERROR", slow=True
    ),
    "3,000,000 ones in a failure": Fault(packed(b"[" + b"1," * 2_999_999 + b"1]", 500), "API_ERROR", slow=True),
    # Number and integrity
    "none": Fault(body_of([]), "DEFAULT_DATA_ERROR"),
    "one event": Fault(day_body(lambda day: own(day, 1)), "DEFAULT_DATA_ERROR"),
    "events of other days only": Fault(day_body(neighbours), "DEFAULT_DATA_ERROR"),
    "the same id twice": Fault(day_body(lambda day: [*own(day), own(day)[0]]), "INTEGRITY_ERROR"),
    "50,000 events": Fault(
        day_body(lambda day: [{"id": n, "startTimestamp": noon(day)} for n in range(50_000)]),
        None,
        50_000,
        lambda _: range(50_000),
        slow=True,
    ),
    # Good answers with odd parts
    "start as text": Fault(with_first(startTimestamp="12:00"), None, 5),
    "start null": Fault(with_first(startTimestamp=None), None, 5),
    "start zero": Fault(with_first(startTimestamp=0), None, 4),
    "start negative": Fault(with_first(startTimestamp=-86400), None, 4),
    "start beyond the year 9999": Fault(with_first(startTimestamp=10**15), None, 5),
    "start a fraction": Fault(with_first(startTimestamp=1.5), None, 5),
    "no team": Fault(with_first(homeTeam=None), None, 5),
    "tournament a text": Fault(with_first(tournament="Cup"), None, 5),
    "status missing": Fault(with_first(status={}), None, 5),
    "score a text": Fault(with_first(homeScore={"current": "two"}), None, 5),
    "season a list": Fault(with_first(season=[]), None, 5),
    "a very long name": Fault(with_first(**LONG_NAME), None, 5),
    "a name that looks like SQL": Fault(with_first(**INJECTION), None, 5),
    # Echoes
    "403 echoing the key": Fault(echo(403), "AUTH_ERROR"),
    "200 echoing the key": Fault(echo(200), "DATA_STRUCTURE_ERROR"),
    "the key in UTF-16": Fault(echo_as(lambda key: key.encode("utf-16")), "AUTH_ERROR"),
    "the key in UTF-16, the other way": Fault(echo_as(lambda key: key.encode("utf-16-be")), "AUTH_ERROR"),
    "the key in percent signs": Fault(echo_as(lambda key: quote(key, safe="").lower()), "AUTH_ERROR"),
    "the key in entities": Fault(echo_as(lambda key: "".join(f"&#{ord(one)};" for one in key)), "AUTH_ERROR"),
    "the key in entities with names": Fault(echo_as(lambda key: html.escape(f"<{key}>")), "AUTH_ERROR"),
    "the key in JSON's escapes": Fault(
        echo_as(lambda key: "".join(['["', *(f"\\u{ord(one):04X}" for one in key), '"]'])), "AUTH_ERROR"
    ),
    "the key in JSON within JSON": Fault(
        echo_as(lambda key: json.dumps(json.dumps({"key": key.replace("/", r"\/")}))), "AUTH_ERROR"
    ),
    "the key across the cut": Fault(echo_as(lambda key: "x" * 190 + key), "AUTH_ERROR"),
    "the key far behind": Fault(echo_as(lambda key: json.dumps(["x" * 70_000, key])), "AUTH_ERROR"),
    "the key in capitals": Fault(echo_as(str.upper), "AUTH_ERROR"),
    "the key in a page": Fault(echo_as(lambda key: f"<html>{key}</html>", 200), "JSON_DECODE_ERROR"),
    "the key in broken headers": Fault(echo_in_headers, "AUTH_ERROR"),
    "the key in an address": Fault(redirect_with_key(str), "API_ERROR"),
    "the key in an address, across the cut": Fault(redirect_with_key(str, before=160), "API_ERROR"),
    "the key in an address, in UTF-16": Fault(redirect_with_key("%00".join), "API_ERROR"),
    "control characters": Fault(status(500, b"\x1b]0;gone\x07\x1b[2J \xe2\x80\xaedlrow"), "API_ERROR"),
}
