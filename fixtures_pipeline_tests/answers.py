"""Answers of each provider, made up and recorded, and what an independent reading says of the recorded ones."""

import gzip
import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from fixtures_pipeline.providers import SOURCES
from fixtures_pipeline.providers.provider import Provider
from fixtures_pipeline_tests.conftest import REAL_DAYS
from fixtures_pipeline_tests.fault_server import Exchange, good_body, noon


def api_football_body(day: date) -> bytes:
    def fixture(n: int) -> dict[str, Any]:
        return {
            "fixture": {"id": day.toordinal() * 100 + n, "timestamp": noon(day), "status": {"short": "FT"}},
            "league": {"id": 39, "name": "League", "country": "South-Korea", "season": 2024, "round": "Round 1"},
            "teams": {
                "home": {"id": 1, "name": "Home", "winner": True},
                "away": {"id": 2, "name": "Away", "winner": False},
            },
            "goals": {"home": 2, "away": 1},
            "score": {"penalty": {"home": None, "away": None}},
        }

    response = [fixture(n) for n in range(3)]
    return json.dumps({"errors": [], "paging": {"current": 1, "total": 1}, "response": response}).encode()


def football_data_body(day: date) -> bytes:
    def match(n: int) -> dict[str, Any]:
        return {
            "id": day.toordinal() * 100 + n,
            "utcDate": f"{day}T12:00:00Z",
            "status": "FINISHED",
            "matchday": 3,
            "stage": "REGULAR_SEASON",
            "group": None,
            "area": {"name": "Land"},
            "competition": {"id": 39, "name": "League"},
            "season": {"startDate": "2024-08-01"},
            "homeTeam": {"id": 1, "name": "Home"},
            "awayTeam": {"id": 2, "name": "Away"},
            "score": {"winner": "HOME_TEAM", "duration": "REGULAR", "fullTime": {"home": 2, "away": 1}},
        }

    matches = [match(n) for n in range(3)]
    return json.dumps({"filters": {"permission": "TIER_ONE"}, "matches": matches}).encode()


def openligadb_match(number: int, kickoff: str | None, **changes: Any) -> dict[str, Any]:
    """Return a finished match of OpenLigaDB's; `kickoff` is as it is written."""
    rows = [(1, 1, "HalfTime", 1, 1), (2, 2, "After90Minutes", 2, 1)]
    return {
        "matchID": number,
        "matchDateTime": "2025-03-03T13:00:00",
        "timeZoneID": None,
        "leagueId": 4937,
        "leagueName": "1. Fußball-Bundesliga 2024/2025",
        "leagueSeason": 2024,
        "leagueShortcut": "bl1",
        "matchDateTimeUTC": kickoff,
        "group": {"groupName": "24. Spieltag", "groupOrderID": 24, "groupID": 1},
        "team1": {"teamId": 1, "teamName": "Home", "shortName": ""},
        "team2": {"teamId": 2, "teamName": "Away", "shortName": None},
        "lastUpdateDateTime": "2025-03-03T15:00:00.37",
        "matchIsFinished": True,
        "matchResults": [
            {"resultID": n, "resultTypeID": kind, "resultTypeKind": name, "pointsTeam1": home, "pointsTeam2": away}
            for n, kind, name, home, away in rows
        ],
        "goals": [],
        "location": None,
        "numberOfViewers": None,
        **changes,
    }


def openligadb_body(day: date) -> bytes:
    return json.dumps([openligadb_match(day.toordinal() * 100 + n, f"{day}T12:00:00Z") for n in range(3)]).encode()


def api_sports_body(day: date) -> bytes:
    def game(n: int) -> dict[str, Any]:
        return {
            "id": day.toordinal() * 100 + n,
            "date": f"{day}T12:00:00+00:00",
            "timestamp": noon(day),
            "timezone": "UTC",
            "stage": None,
            "week": "3",
            "status": {"long": "Finished", "short": "FT"},
            "country": {"id": 1, "name": "Land"},
            "league": {"id": 39, "name": "League", "type": "League", "season": 2024},
            "teams": {"home": {"id": 1, "name": "Home"}, "away": {"id": 2, "name": "Away"}},
            "scores": {"home": 36, "away": 33},
        }

    response = [game(n) for n in range(3)]
    return json.dumps({"get": "games", "errors": [], "results": 3, "response": response}).encode()


def american_football_body(day: date) -> bytes:
    answer = json.loads(api_sports_body(day))
    for row in answer["response"]:
        row["game"] = {name: row.pop(name) for name in ("id", "stage", "week", "status")}
        row["game"]["date"] = {"date": str(day), "time": "12:00", "timestamp": row.pop("timestamp"), "timezone": "UTC"}
        row["league"] |= {"season": "2024", "country": row.pop("country")}
        row["scores"] = {side: {"quarter_1": 7, "total": total} for side, total in row["scores"].items()}
        del row["date"], row["timezone"]
    return json.dumps(answer).encode()


def thesportsdb_body(day: date) -> bytes:
    def happening(n: int) -> dict[str, str | None]:
        return {
            "idEvent": str(day.toordinal() * 100 + n),
            "strTimestamp": f"{day}T12:00:00",
            "dateEvent": str(day),
            "strTime": "12:00:00",
            "strSport": "Soccer",
            "idLeague": "4629",
            "strLeague": "League",
            "strSeason": "2024-2025",
            "intRound": "9",
            "idHomeTeam": "134019",
            "strHomeTeam": "Home",
            "idAwayTeam": "133961",
            "strAwayTeam": "Away",
            "intHomeScore": "2",
            "intAwayScore": "1",
            "intHomeScoreExtra": None,
            "intAwayScoreExtra": None,
            "strCountry": "Land",
            "strStatus": "FT",
            "strPostponed": "no",
        }

    return json.dumps({"events": [happening(n) for n in range(3)]}).encode()


#: A good answer for a day from each source, by `Provider.identity`.
BODIES: dict[str, Callable[[date], bytes]] = {
    "sample": good_body,
    "sofascore": good_body,
    "api-football": api_football_body,
    "football-data": football_data_body,
    "api-football-american-football": american_football_body,
}
#: Every source of days, by the same name.
IDENTITIES = {source.identity: source for source in SOURCES.values()}
_ALIKE = {"api-football": api_sports_body, "openligadb": openligadb_body, "thesportsdb": thesportsdb_body}
BODIES |= {name: _ALIKE[source.name] for name, source in IDENTITIES.items() if name not in BODIES}


def respond(source: Provider, day: date) -> Callable[[Exchange], None]:
    """Answer as a source does that has something on one day: a season with it, or the day whichever is asked for."""
    body = BODIES[source.identity](day)

    def answer(exchange: Exchange) -> None:
        first = source.seasons is None or f"/{source.seasons.leagues[0]}/" in exchange.request.path
        exchange.answer(200, body if first else b"[]")

    return answer


def recorded(provider: str, pattern: str) -> list[Path]:
    found = sorted((REAL_DAYS / provider).glob(pattern))
    if not found:
        pytest.skip("the recorded answers are not beside this checkout (../shared/real_days)")
    return found


def api_football_days() -> dict[date, bytes]:
    [path] = recorded("api-football", "fixtures_date_2024-05-25.json.gz")
    return {date(2024, 5, 25): gzip.decompress(path.read_bytes())}


def football_data_days() -> dict[date, bytes]:
    days = {}
    for path in recorded("football-data", "matches_today_*.json.gz"):
        answer = json.loads(gzip.decompress(path.read_bytes()))
        body = answer.get("body", answer)
        body = json.loads(body) if isinstance(body, str) else body
        days[date.fromisoformat(path.name.split("_")[2][:10])] = json.dumps(body).encode()
    return days


def read_api_football(answer: dict[str, Any]) -> dict[int, dict[str, Any]]:
    words = {
        **dict.fromkeys(("NS", "TBD"), "scheduled"),
        **dict.fromkeys(("1H", "HT", "2H", "ET", "BT", "P", "LIVE", "INT"), "live"),
        **dict.fromkeys(("FT", "AET", "PEN"), "finished"),
        "PST": "postponed",
        "CANC": "cancelled",
        "ABD": "abandoned",
        "SUSP": "suspended",
        **dict.fromkeys(("AWD", "WO"), "awarded"),
    }

    def winner(row: dict[str, Any], status: str) -> str | None:
        sides = [side for side in ("home", "away") if row["teams"][side]["winner"]]
        if status not in {"finished", "awarded"}:
            return None
        return sides[0] if sides else ("draw" if status == "finished" else None)

    read = {}
    for row in answer["response"]:
        status = words.get(row["fixture"]["status"]["short"], "unknown")
        kickoff = datetime.fromisoformat(row["fixture"]["date"])
        read[row["fixture"]["id"]] = {
            "kickoff": None if row["fixture"]["status"]["short"] == "TBD" else kickoff,
            "status": status,
            "status_detail": row["fixture"]["status"]["short"],
            "country": row["league"]["country"].replace("-", " "),
            "competition_id": row["league"]["id"],
            "season": str(row["league"]["season"]),
            "home_team": row["teams"]["home"]["name"].strip(),
            "away_team": row["teams"]["away"]["name"].strip(),
            "home_score": row["goals"]["home"],
            "away_score": row["goals"]["away"],
            "home_penalties": row["score"]["penalty"]["home"],
            "away_penalties": row["score"]["penalty"]["away"],
            "winner": winner(row, status),
        }
    return read


def read_football_data(answer: dict[str, Any]) -> dict[int, dict[str, Any]]:
    words = {
        **dict.fromkeys(("SCHEDULED", "TIMED"), "scheduled"),
        **dict.fromkeys(("IN_PLAY", "PAUSED", "EXTRA_TIME", "PENALTY_SHOOTOUT", "LIVE"), "live"),
        "FINISHED": "finished",
        "SUSPENDED": "suspended",
        "POSTPONED": "postponed",
        "CANCELLED": "cancelled",
        "AWARDED": "awarded",
    }
    winners = {"HOME_TEAM": "home", "AWAY_TEAM": "away", "DRAW": "draw"}
    read = {}
    for row in answer["matches"]:
        score = row["score"]
        penalties = score.get("penalties") or {"home": None, "away": None}
        goals = dict(score["fullTime"])
        if score["duration"] == "PENALTY_SHOOTOUT" and penalties["home"] is not None:
            goals = {side: goals[side] - penalties[side] for side in goals}
        detail = row["status"] if score["duration"] == "REGULAR" else f"{row['status']}/{score['duration']}"
        read[row["id"]] = {
            "kickoff": datetime.fromisoformat(row["utcDate"]),
            "status": words.get(row["status"], "unknown"),
            "status_detail": detail,
            "country": row["area"]["name"],
            "competition_id": row["competition"]["id"],
            "season": row["season"]["startDate"][:4],
            "home_team": row["homeTeam"]["name"].strip(),
            "away_team": row["awayTeam"]["name"].strip(),
            "home_score": goals["home"],
            "away_score": goals["away"],
            "home_penalties": penalties["home"],
            "away_penalties": penalties["away"],
            "winner": winners.get(score["winner"]) if row["status"] in {"FINISHED", "AWARDED"} else None,
        }
    return read


READINGS = {
    "api-football": (api_football_days, read_api_football),
    "football-data": (football_data_days, read_football_data),
}
