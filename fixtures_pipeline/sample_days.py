"""Invented football for the bundled API: what the answer for a day looks like.

Clubs, competitions and results are made up from the date alone, so every day is the same whenever and wherever it is
asked for. The shape, the window and the traps are those of Sofascore's real answers. Serving them, and the days that
fail, belong to `sample_api`.
"""

import json
import random
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

#: An answer lists events from 14 hours before its day begins to 36 hours after, as Sofascore's did.
_BEFORE, _AFTER = timedelta(hours=14), timedelta(hours=36)
#: Some events are postponed by this much, which becomes known this long before they were due.
_MOVED_BY, _MOVED_AHEAD = timedelta(days=3), timedelta(days=5)
#: How long an event is live.
_DURATION = timedelta(minutes=115)

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
        # Yesterday's last events may still be live; older ones no longer change.
        events = _list_past_events(near) if near < now.date() - timedelta(days=1) else _list_events(near, now)
        chosen = [event for event in events if begins - _BEFORE <= event.start < begins + _AFTER]
        listed += chosen[:own] if offset == 0 else chosen
    # By competition, as the real list is; never by time.
    listed.sort(key=lambda event: event.competition)
    return f'{{"events":[{",".join(event.text for event in listed)}]}}'.encode()


class _Event(NamedTuple):
    start: datetime
    competition: int
    text: str


def _list_events(day: date, now: datetime | None) -> list[_Event]:
    stayed = [_make_event(day, number, now) for number in range(_count_events(day)) if not _has_moved(day, number, now)]
    origin = day - _MOVED_BY
    arrived = [
        _make_event(origin, number, now) for number in range(_count_events(origin)) if _has_moved(origin, number, now)
    ]
    return stayed + arrived


def _has_moved(day: date, number: int, now: datetime | None) -> bool:
    """Say whether an event that was planned for a day is played on a later one; it is known some days ahead."""
    if number % 97 != 7:
        return False
    return now is None or now >= datetime.combine(day, time(), UTC) - _MOVED_AHEAD


@lru_cache(maxsize=64)
def _list_past_events(day: date) -> list[_Event]:
    return _list_events(day, None)


def _count_events(day: date) -> int:
    """Return how many events a day has: most at weekends, hardly any around Christmas."""
    dice = random.Random(day.toordinal())  # noqa: S311 - made-up football, no secrets
    if (day.month, day.day) in {(12, 24), (12, 25), (12, 26)}:
        return dice.randint(18, 26)
    weekday = (70, 80, 110, 90, 110, 330, 280)[day.weekday()]
    return round(weekday * dice.uniform(0.75, 1.15))


def _make_event(day: date, number: int, now: datetime | None) -> _Event:
    """Make up the event with this number on a day, as it is at `now` (None: long afterwards)."""
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
        "tournament": _make_tournament(competition, _LEAGUES[league], dice),
        "season": {
            "name": f"{_LEAGUES[league].strip()} {day.year}",
            "year": f"{day.year}{' ' * (number % 40 == 0)}",
            "editor": False,
            "id": competition * 100 + day.year % 100,
        },
        "customId": f"{min(home, away):x}x{max(home, away):x}",
        "homeTeam": _make_team(home, _COUNTRIES[country][1], dice),
        "awayTeam": _make_team(away, _COUNTRIES[country][1], dice),
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


def _make_tournament(competition: int, league: str, dice: random.Random) -> dict[str, Any]:
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


def _make_team(number: int, code: str, dice: random.Random) -> dict[str, Any]:
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
