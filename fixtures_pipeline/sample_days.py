"""Invented football for the bundled API: what the answer for a day looks like.

Clubs, competitions and results are made up from the date alone, so every day is the same whenever and wherever it is
asked for. The shape, the window and the traps are those of Sofascore's real answers. Serving them, and the days that
fail, belong to `sample_api`.

Every competition has twenty clubs of its own, and three rounds a week in which each of them plays once: one from Monday
to Thursday, one on Friday and Sunday, one on Saturday.
"""

import json
import random
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
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
_TOWNS = (
    ("Norheim", "Elbridge", "Vesterby", "Skjærvik", "Dunwick",
     "Lochmore", "Port Aster", "Fjellhavn", "Ashcombe", "Tarnby"),
    ("Ostrava Nova", "Zlatograd", "Be\u0301lova", "Mirograd", "Lipovice",
     "Drahov", "Želin", "Kostelka", "Vranik", "Sobota"),
    ("Çamova", "I\u011fd\u0131rl\u0131", "Şenköy", "Gəncək", "Yenihəy",
     "Ağbulut", "Üçkuyu", "Dereyurt", "Gölbaşak", "Kara\u0131rmak"),
    ("Santa Rosina", "Rivalta", "Tor de Vale", "Mirandela Nova", "Quimbar",
     "Almereia", "São Brento", "Pedraluz", "Vila Cortês", "Aldearés"),
    ("Kalmaros", "Palioros", "Hyödön", "Thalassa", "Argyri",
     "Melitos", "Xeronisi", "Kastrella", "Drosia", "Pyrgaki"),
    ("Phú Sơn", "Bình Lạc", "Hưng Trà", "Sông Lam", "Đồi Cao",
     "Thanh Khe", "An Lộc", "Mỹ Hòa", "Vĩnh Đông", "Tam Bình"),
)  # fmt: skip
_CLUBS = ("United", "FC", "Athletic", "SK", "1907", "Rovers", "Spor", "  City")
#: Competitions of each country: their names, which twenty of the country's sixty clubs play there, and with which side.
_LEAGUES = (
    ("Premier Division", 0, ""),
    (" First Division", 1, ""),
    ("Second Division", 0, " II"),
    ("Cup", 2, ""),
    ("Women's League", 0, " Women"),
    ("U19 League", 0, " U19"),
)
_CUP, _WOMEN = 3, 4
#: The competition without a `uniqueTournament`: its own id and name are read, and the name begins with a blank.
_NOT_UNIQUE = 1041
_SIZE = 20
#: The rounds of a week: how a round's matches spread over its weekdays.
_ROUNDS = ({0: 70, 1: 80, 2: 110, 3: 90}, {4: 100, 6: 260}, {5: 1})


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


class _Match(NamedTuple):
    """Two clubs, which are numbered from the first competition's first to the last one's twentieth."""

    home: int
    away: int


def _list_events(day: date, now: datetime | None) -> list[_Event]:
    origin = day - _MOVED_BY
    stayed = [
        _make_event(day, number, match, now) for number, match in _list_matches(day) if not _has_moved(day, number, now)
    ]
    arrived = [
        _make_event(origin, number, match, now)
        for number, match in _list_matches(origin)
        if _has_moved(origin, number, now)
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


@lru_cache(maxsize=64)
def _list_matches(day: date) -> list[tuple[int, _Match]]:
    """Return the numbers and matches of a day, without those of clubs that may play a moved match on it."""
    origin = day - _MOVED_BY
    moved = [match for number, match in enumerate(_plan_day(origin)) if _has_moved(origin, number, None)]
    busy = {club for match in moved for club in match}
    return [(number, match) for number, match in enumerate(_plan_day(day)) if busy.isdisjoint(match)]


def _plan_day(day: date) -> list[_Match]:
    """Return the matches that are planned for a day: most on Saturday, hardly any around Christmas."""
    week, weekday = _find_week(day)
    planned = _plan_week(week)[weekday]
    return planned[: 18 + day.toordinal() % 9] if (day.month, day.day) in {(12, 24), (12, 25), (12, 26)} else planned


@lru_cache(maxsize=16)
def _plan_week(week: int) -> list[list[_Match]]:
    """Return what is planned for each day of a week, Monday first."""
    dice = random.Random(week)  # noqa: S311 - made-up football, no secrets
    planned: list[list[_Match]] = [[] for _ in range(7)]
    for part, shares in enumerate(_ROUNDS):
        for competition in range(len(_COUNTRIES) * len(_LEAGUES)):
            matches = _pair_clubs(competition, len(_ROUNDS) * week + part)
            # No day of the round is without the competition.
            days = [*shares, *dice.choices(list(shares), list(shares.values()), k=len(matches) - len(shares))]
            dice.shuffle(days)
            for weekday, match in zip(days, matches, strict=True):
                planned[weekday].append(match)
    for matches in planned:
        dice.shuffle(matches)
    return planned


def _pair_clubs(competition: int, number: int) -> list[_Match]:
    """Return the matches of a competition's round.

    One club stays, the others move on around it by a seat each round, and those that face each other play: everybody
    meets everybody in 19 rounds, and in the next 19 once more at the other's ground.
    """
    seats = _SIZE - 1
    turn = (number + competition) % seats
    facing = [(turn, seats), *(((turn + n) % seats, (turn - n) % seats) for n in range(1, _SIZE // 2))]
    first = competition * _SIZE
    return [
        _Match(first + one, first + other) if number % 2 else _Match(first + other, first + one)
        for one, other in facing
    ]


def _number_round(day: date) -> int:
    """Return the number of a day's round within the year."""
    week, weekday = _find_week(day)
    [part] = [part for part, shares in enumerate(_ROUNDS) if weekday in shares]
    return 1 + len(_ROUNDS) * (week - _find_week(day.replace(month=1, day=1))[0]) + part


def _find_week(day: date) -> tuple[int, int]:
    """Return which week a day is in, and which day of it, Monday being 0."""
    return divmod(day.toordinal() - 1, 7)


def _make_event(day: date, number: int, match: _Match, now: datetime | None) -> _Event:
    """Make up the event with this number on a day, as it is at `now` (None: long afterwards)."""
    dice = random.Random(day.toordinal() * 10_000 + number)  # noqa: S311 - made-up football, no secrets
    start = datetime.combine(day, time(), UTC) + timedelta(minutes=15 * dice.choice(_SLOTS))
    if _has_moved(day, number, now):
        start += _MOVED_BY
    home, away = match
    country, league = divmod(home // _SIZE, len(_LEAGUES))
    name = _LEAGUES[league][0].strip()
    competition = 1000 + 10 * country + league
    kind = dice.random()
    goals = [dice.choice((0, 0, 1, 1, 1, 2, 2, 3, 4)), dice.choice((0, 0, 0, 1, 1, 1, 2, 2, 3))]
    event: dict[str, Any] = {
        "tournament": _make_tournament(country, league),
        "season": {
            "name": f"{name} {day.year}",
            "year": f"{day.year}{' ' * (number % 40 == 0)}",
            "editor": False,
            "id": competition * 100 + day.year % 100,
        },
        "customId": f"{min(home, away):x}x{max(home, away):x}",
        "homeTeam": _make_team(home),
        "awayTeam": _make_team(away),
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
        event["roundInfo"] = {"round": _number_round(day)}
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
        _finish(event, goals, kind, dice, is_cup=league == _CUP)
    return _Event(start, competition, json.dumps(event, ensure_ascii=False, separators=(",", ":")))


#: Kickoffs by the quarter of an hour: mostly afternoons and evenings of Europe, some at night.
_SLOTS = (*range(0, 96, 4), *range(44, 84), *range(52, 80), 56, 60, 64, 72, 74, 76)


def _finish(event: dict[str, Any], goals: list[int], kind: float, dice: random.Random, *, is_cup: bool) -> None:
    """Give an event its end: mostly a result, now and then something else; extra time only in a cup."""
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
    elif is_cup and kind < 0.14:
        shoot_out = dice.choice(([5, 4], [3, 5], [4, 2]))
        event["status"] = {"code": 120, "description": "AP", "type": "finished"}
        _score(event, [1, 1], winner=1 + (shoot_out[1] > shoot_out[0]))
        for side, kicks in zip(("homeScore", "awayScore"), shoot_out, strict=True):
            event[side] |= {"penalties": kicks, "current": 1 + kicks}
            if kind < 0.042:
                # Recorded answers have these: a display below zero, then current is without the shoot-out.
                event[side] |= {"display": 1 - kicks, "current": 1}
    elif is_cup and kind < 0.18:
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


@cache
def _make_tournament(country: int, league: int) -> dict[str, Any]:
    country_name, code, arabic = _COUNTRIES[country]
    name = _LEAGUES[league][0]
    competition = 1000 + 10 * country + league
    category = {
        "name": country_name,
        "slug": country_name.lower(),
        "sport": {"name": "Football", "slug": "football", "id": 1},
        "id": competition // 10,
        "country": {"alpha2": code, "name": country_name, "slug": country_name.lower()},
        "flag": country_name.lower(),
        "alpha2": code,
        "fieldTranslations": {"nameTranslation": {"ar": arabic}, "shortNameTranslation": {}},
    }
    tournament: dict[str, Any] = {
        "priority": competition % 997,
        "name": name,
        "slug": name.strip().lower(),
        "category": category,
        "isGroup": False,
        "id": competition * 7,
    }
    if competition != _NOT_UNIQUE:
        tournament["uniqueTournament"] = {
            "name": f"{country_name} {name.strip()}",
            "slug": name.strip().lower(),
            "category": category,
            "userCount": competition * 13,
            "id": competition,
            "country": {},
            "hasEventPlayerStatistics": competition % 2 == 0,
            "displayInverseHomeAwayTeams": False,
            "fieldTranslations": {"nameTranslation": {"ar": arabic}, "shortNameTranslation": {}},
        }
    return tournament


@cache
def _make_team(number: int) -> dict[str, Any]:
    country, league = divmod(number // _SIZE, len(_LEAGUES))
    code, towns = _COUNTRIES[country][1], _TOWNS[country]
    _, twenty, side = _LEAGUES[league]
    rank, place = divmod(twenty * _SIZE + number % _SIZE, len(towns))
    # Each town begins with another word, so that a competition has them all.
    town, club = towns[place], _CLUBS[(rank + place + country) % len(_CLUBS)]
    team: dict[str, Any] = {
        "name": f"{town} {club}{side}",
        "slug": _slug(number),
        "gender": "F" if league == _WOMEN else "M",
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
    if number % 17:
        team["shortName"] = f"{town}{' ' * (number % 30 == 0)}"
    return team


def _slug(number: int) -> str:
    return f"club-{number}"
