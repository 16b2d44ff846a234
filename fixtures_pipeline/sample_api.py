"""An API bundled with the project, so that everything works at once without an account or a network.

It speaks Sofascore's path and shape; its clubs, competitions and results are made up from the date alone, so every day
is the same whenever and wherever it is asked for. A few days fail, each in its own way. It serves on loopback only.

`python -m fixtures_pipeline.sample_api --port 8000` serves it alone.
"""

import argparse
import json
import logging
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

_PATH = "/api/v1/sport/football/scheduled-events/"
#: An answer lists events from 14 hours before its day to 36 hours after its beginning, as Sofascore's did.
_BEFORE, _AFTER = timedelta(hours=14), timedelta(hours=36)
#: Some events are moved by so much, which becomes known so long before they were to begin.
_MOVED_BY, _MOVED_AHEAD = timedelta(days=3), timedelta(days=5)
#: How long an event is live.
_DURATION = timedelta(minutes=115)
#: A day that is out of order recovers after so many refused requests of a server that serves on.
RECOVERS_AFTER = 5

#: Days that fail, by the day's ordinal modulo 22: any 22 days in a row hold each once.
_FAULTS = {2: "outage", 6: "login page", 11: "single event", 15: "no list", 20: "not found"}

_NOT_FOUND = b'{"error": {"code": 404, "message": "Not Found"}}'
_LOGIN = b"<!doctype html><html><title>Please log in</title><body><form>User <input name=user></form></body></html>"
_OUTAGE = b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>"

_COUNTRIES = (
    ("Norvania", "NV", "\u0646\u0648\u0631\u0641\u0627\u0646\u064a\u0627"),
    ("Eastmark", "EM", "\u0625\u064a\u0633\u062a\u0645\u0627\u0631\u0643"),
    ("G\u00fcne\u015fli", "GN", "\u062c\u0648\u0646\u0634\u0644\u064a"),
    ("S\u00e3o Mateo", "SM", "\u0633\u0627\u0648 \u0645\u0627\u062a\u064a\u0648"),
    ("Lakonia", "LK", "\u0644\u0627\u0643\u0648\u0646\u064a\u0627"),
    ("Vietmark", "VM", "\u0641\u064a\u062a\u0645\u0627\u0631\u0643"),
)
_LEAGUES = ("Premier Division", " Premier Division", "Second Division", "Cup", "Women's League", "U19 League")
_TOWNS = (
    "\u00c7amova", "I\u011fd\u0131rl\u0131", "\u015eenk\u00f6y", "Norheim", "Elbridge", "Vesterby",
    "Santa Rosina", "Ph\u00fa S\u01a1n", "G\u0259nc\u0259k", "Ostrava Nova", "Kalmaros", "Dunwick",
    "Almereia", "Tor de Vale", "Hy\u00f6d\u00f6n", "Be\u0301lova", "Quimbar", "Rivalta", "Skj\u00e6rvik",
    "Zlatograd", "Mirandela Nova", "Port Aster", "Yenih\u0259y", "Lochmore",
)  # fmt: skip
_CLUBS = ("United", "FC", "Athletic", "SK", "1907", "Rovers", "Spor", "  City")


class SampleApi:
    """The sample API, served on loopback by threads of this process while the context lasts."""

    def __init__(
        self,
        port: int = 0,
        *,
        failed_before: Collection[date] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Bind the port; serving begins with the context.

        Args:
            port: Port on 127.0.0.1; 0 takes a free one.
            failed_before: Days whose outage is over.
            now: The clock that events follow: scheduled, live, finished.
        """
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.recovered = frozenset(failed_before)
        self._server.now = now
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sample-api")

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "SampleApi":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """What the handlers share."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    recovered: Collection[date] = ()
    now: Callable[[], datetime]

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - handed on as they are
        self.refused: Counter[date] = Counter()
        super().__init__(*args)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request after another of a connection."""

    protocol_version = "HTTP/1.1"
    # An idle connection does not keep its thread for ever.
    timeout = 30
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        """Answer with a day, its fault, or 404."""
        status, kind, body = self._answer()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> tuple[int, str, bytes]:
        path = self.path.partition("?")[0]
        try:
            day = date.fromisoformat(path.removeprefix(_PATH))
        except ValueError:
            return 404, "application/json", _NOT_FOUND
        fault = _FAULTS.get(day.toordinal() % 22)
        if fault == "outage" and day not in self.server.recovered and self.server.refused[day] < RECOVERS_AFTER:
            self.server.refused[day] += 1
            return 503, "text/html", _OUTAGE
        if fault == "login page":
            return 200, "text/html", _LOGIN
        if fault == "not found":
            return 404, "application/json", _NOT_FOUND
        if fault == "no list":
            return 200, "application/json", b'{"scheduled": [], "hasNextPage": false}'
        body = day_body(day, self.server.now(), own=1 if fault == "single event" else None)
        return 200, "application/json", body

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the pipeline logs what matters."""


def day_body(day: date, now: datetime, own: int | None = None) -> bytes:
    """Return the good answer for a day, as compact JSON.

    Args:
        day: The day, in UTC.
        now: The time that statuses follow.
        own: Most events of the day itself to list; None for all.
    """
    begins = datetime.combine(day, time(), UTC)
    listed = []
    for offset in (-1, 0, 1):
        near = day + timedelta(days=offset)
        # Yesterday's last events may still go on; what is older does not change any more.
        events = _past_events(near) if near < now.date() - timedelta(days=1) else _events(near, now)
        chosen = [event for event in events if begins - _BEFORE <= event.start < begins + _AFTER]
        listed += chosen[:own] if offset == 0 else chosen
    # By competition, as the real list is; never by time.
    listed.sort(key=lambda event: event.competition)
    return f'{{"events":[{",".join(event.text for event in listed)}]}}'.encode()


class _Event(NamedTuple):
    start: datetime
    competition: int
    text: str


def _events(day: date, now: datetime | None) -> list[_Event]:
    stayed = [_made(day, number, now) for number in range(_number(day)) if not _has_moved(day, number, now)]
    origin = day - _MOVED_BY
    arrived = [_made(origin, number, now) for number in range(_number(origin)) if _has_moved(origin, number, now)]
    return stayed + arrived


def _has_moved(day: date, number: int, now: datetime | None) -> bool:
    """Say whether an event that was planned for a day is played on a later one; it is known some days ahead."""
    if number % 97 != 7:
        return False
    return now is None or now >= datetime.combine(day, time(), UTC) - _MOVED_AHEAD


@lru_cache(maxsize=64)
def _past_events(day: date) -> list[_Event]:
    return _events(day, None)


def _number(day: date) -> int:
    """Return how many events a day has: most at weekends, hardly any around Christmas."""
    dice = random.Random(day.toordinal())  # noqa: S311 - made-up football, no secrets
    if (day.month, day.day) in {(12, 24), (12, 25), (12, 26)}:
        return dice.randint(18, 26)
    weekday = (70, 80, 110, 90, 110, 330, 280)[day.weekday()]
    return round(weekday * dice.uniform(0.75, 1.15))


def _made(day: date, number: int, now: datetime | None) -> _Event:
    """Make up the event with this number on a day, as it stands at `now` (None: long afterwards)."""
    dice = random.Random(day.toordinal() * 10_000 + number)  # noqa: S311 - made-up football, no secrets
    start = datetime.combine(day, time(), UTC) + timedelta(minutes=15 * dice.choice(_SLOTS))
    if _has_moved(day, number, now):
        start += _MOVED_BY
    country, league = dice.randrange(len(_COUNTRIES)), dice.randrange(len(_LEAGUES))
    competition = 1000 + 10 * country + league
    home, away = dice.sample(range(len(_TOWNS) * len(_CLUBS)), 2)
    kind = dice.random()
    goals = [dice.choice((0, 0, 1, 1, 1, 2, 2, 3, 4)) for _ in range(2)]
    event: dict[str, Any] = {
        "tournament": _tournament(competition, _LEAGUES[league], dice),
        "season": {
            "name": f"{_LEAGUES[league].strip()} {day.year}",
            "year": f"{day.year}{' ' * (number % 40 == 0)}",
            "editor": False,
            "id": competition * 100 + day.year % 100,
        },
        "customId": f"{min(home, away):x}x{max(home, away):x}",
        "homeTeam": _team(home, _COUNTRIES[country][1], dice),
        "awayTeam": _team(away, _COUNTRIES[country][1], dice),
        "homeScore": {},
        "awayScore": {},
        "time": {},
        "changes": {"changeTimestamp": 0},
        "hasGlobalHighlights": False,
        "crowdsourcingDataDisplayEnabled": False,
        "id": day.toordinal() * 1000 + number,
        "slug": f"{_slug(away)}-{_slug(home)}",
        "startTimestamp": int(start.timestamp()),
        "finalResultOnly": kind > 0.9,
        "feedLocked": kind > 0.9,
        "isEditor": False,
    }
    if dice.random() > 0.07:
        event["roundInfo"] = {"round": 1 + day.timetuple().tm_yday // 8}
    if now is not None and start > now:
        event["status"] = {"code": 0, "description": "Not started", "type": "notstarted"}
        if kind < 0.03:
            event["status"] = {"code": 60, "description": "Postponed", "type": "postponed"}
    elif now is not None and now < start + _DURATION:
        half = now < start + timedelta(minutes=50)
        event["status"] = {"code": 6, "description": "1st half", "type": "inprogress"}
        if not half:
            event["status"] |= {"code": 7, "description": "2nd half"}
        _score(event, [goal // 2 for goal in goals])
    else:
        _finish(event, goals, kind, dice)
    return _Event(start, competition, json.dumps(event, ensure_ascii=False, separators=(",", ":")))


#: Kickoffs by the quarter of an hour: mostly afternoons and evenings of Europe, some at night.
_SLOTS = (*range(0, 96, 4), *range(44, 84), *range(52, 80), 56, 60, 64, 72, 74, 76)


def _finish(event: dict[str, Any], goals: list[int], kind: float, dice: random.Random) -> None:
    """Give an event its end: mostly a result, now and then something else."""
    for limit, code, description, word in (
        (0.03, 60, "Postponed", "postponed"),
        (0.034, 70, "Canceled", "canceled"),
        (0.036, 90, "Abandoned", "canceled"),
        (0.037, 81, "Suspended", "suspended"),
    ):
        if kind < limit:
            event["status"] = {"code": code, "description": description, "type": word}
            return
    event["changes"]["changeTimestamp"] = event["startTimestamp"] + 7000
    if kind < 0.039:
        event["status"] = {"code": 91, "description": "Walkover", "type": "finished"}
        event["isAwarded"] = True
        _score(event, [3, 0], winner=1)
    elif kind < 0.055:
        shoot_out = dice.choice(([5, 4], [3, 5], [4, 2]))
        event["status"] = {"code": 120, "description": "AP", "type": "finished"}
        _score(event, [1, 1], winner=1 + (shoot_out[1] > shoot_out[0]))
        for side, kicks in zip(("homeScore", "awayScore"), shoot_out, strict=True):
            event[side] |= {"penalties": kicks, "current": 1 + kicks}
            if kind < 0.0395:
                # Recorded answers have these: a display below zero, then current is without the shoot-out.
                event[side] |= {"display": 1 - kicks, "current": 1}
    elif kind < 0.062:
        event["status"] = {"code": 110, "description": "AET", "type": "finished"}
        _score(event, [goals[0] + 1, goals[0]], winner=1)
    else:
        event["status"] = {"code": 100, "description": "Ended", "type": "finished"}
        outcome = 3 if goals[0] == goals[1] else 1 + (goals[1] > goals[0])
        _score(event, goals, winner=None if kind > 0.998 else outcome)


def _score(event: dict[str, Any], goals: list[int], winner: int | None = None) -> None:
    for side, scored in zip(("homeScore", "awayScore"), goals, strict=True):
        event[side] = {"current": scored, "display": scored, "period1": scored // 2, "period2": scored - scored // 2}
        if winner is not None:
            event[side]["normaltime"] = scored
    if winner is not None:
        event["winnerCode"] = winner


def _tournament(competition: int, league: str, dice: random.Random) -> dict[str, Any]:
    country, code, arabic = _COUNTRIES[(competition - 1000) // 10]
    category = {
        "name": country,
        "slug": country.lower(),
        "sport": {"name": "Football", "slug": "football", "id": 1},
        "id": competition // 10,
        "country": {"alpha2": code, "name": country, "slug": country.lower()},
        "flag": country.lower(),
        "alpha2": code,
        "fieldTranslations": {"nameTranslation": {"ar": arabic}, "shortNameTranslation": {}},
    }
    tournament: dict[str, Any] = {
        "priority": competition % 997,
        "name": league,
        "slug": league.strip().lower(),
        "category": category,
        "isGroup": False,
        "id": competition * 7,
    }
    if dice.random() > 0.01:
        tournament["uniqueTournament"] = {
            "name": f"{country} {league.strip()}",
            "slug": league.strip().lower(),
            "category": category,
            "userCount": competition * 13,
            "id": competition,
            "country": {},
            "hasEventPlayerStatistics": competition % 2 == 0,
            "displayInverseHomeAwayTeams": False,
            "fieldTranslations": {"nameTranslation": {"ar": arabic}, "shortNameTranslation": {}},
        }
    return tournament


def _team(number: int, code: str, dice: random.Random) -> dict[str, Any]:
    town, club = _TOWNS[number % len(_TOWNS)], _CLUBS[number // len(_TOWNS)]
    team: dict[str, Any] = {
        "name": f"{town} {club}",
        "slug": _slug(number),
        "gender": "F" if number % 9 == 0 else "M",
        "sport": {"name": "Football", "slug": "football", "id": 1},
        "userCount": number * 31,
        "nameCode": town[:3].upper(),
        "disabled": False,
        "national": False,
        "type": 0,
        "id": 40_000 + number,
        "country": {} if number % 50 == 0 else {"alpha2": code, "slug": code.lower()},
        "subTeams": [],
        "teamColors": {"primary": "#374df5", "secondary": "#374df5", "text": "#ffffff"},
        "fieldTranslations": {
            "nameTranslation": {
                "ar": "\u0641\u0631\u064a\u0642",
                "ru": "\u041a\u043b\u0443\u0431",
                "hi": "\u0915\u094d\u0932\u092c",
                "bn": "\u0995\u09cd\u09b2\u09be\u09ac",
            },
            "shortNameTranslation": {},
        },
    }
    if dice.random() > 0.06:
        team["shortName"] = f"{town}{' ' * (number % 30 == 0)}"
    return team


def _slug(number: int) -> str:
    return f"club-{number}"


def main() -> None:
    """Serve the sample API until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m fixtures_pipeline.sample_api", description="Serve the sample API.")
    parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1 (8000)")
    port = parser.parse_args().port
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        served = SampleApi(port)
    except (OSError, OverflowError):
        raise SystemExit(f"Port {port} of 127.0.0.1 cannot be used; name another with --port.") from None
    with served as api:
        logging.getLogger(__name__).info("Serving the sample API on %s until Ctrl-C.", api.url)
        ended.wait()


if __name__ == "__main__":
    main()
