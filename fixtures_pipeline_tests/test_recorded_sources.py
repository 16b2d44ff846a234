"""Recorded answers of every source, served over HTTP and loaded as ranges by Dagster: an independent reading agrees."""

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from dagster import DagsterInstance

from fixtures_pipeline.fetching import Fetcher
from fixtures_pipeline.loading import load_days, open_store
from fixtures_pipeline.outcome import DayFailed
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline_tests.answers import IDENTITIES, READINGS, recorded
from fixtures_pipeline_tests.fault_server import Exchange, FaultServer
from fixtures_pipeline_tests.runs import run
from fixtures_pipeline_tests.stores import UTC as ZONE
from fixtures_pipeline_tests.stores import table

Row = dict[str, Any]
Event = dict[str, Any]


def read_events(folder: str, pattern: str, key: str | None = None) -> list[Event]:
    """Return the events of a recorded answer."""
    [path] = recorded(folder, pattern)
    answer = json.loads(gzip.decompress(path.read_bytes()))
    listed: list[Event] = answer if key is None else answer[key]
    return listed


# What an independent reading says


def winner(home: int | None, away: int | None) -> str | None:
    if home is None or away is None:
        return None
    return "home" if home > away else "away" if away > home else "draw"


def read_openligadb(event: Event) -> Row:
    """Read a match of the recordings, all of which ended in normal time, in extra time or not yet."""
    ended = event["matchIsFinished"]
    kinds = {2: "After90Minutes", 4: "AfterExtraTime"}
    final = {
        kinds[row["resultTypeID"]]: (row["pointsTeam1"], row["pointsTeam2"])
        for row in event["matchResults"]
        if row["resultTypeID"] in kinds
    }
    assert not any(row["resultTypeID"] == 5 for row in event["matchResults"])
    detail = max(final, key=["After90Minutes", "AfterExtraTime"].index, default=None)
    home, away = final[detail] if detail else (None, None)
    kickoff = datetime.fromisoformat(event["matchDateTimeUTC"])
    return {
        "event_id": event["matchID"],
        "kickoff": kickoff,
        "status": "finished" if ended else "scheduled" if kickoff > datetime.now(UTC) else "unknown",
        "status_detail": detail if ended else None,
        "competition_id": event["leagueId"],
        "competition": event["leagueName"],
        "season": str(event["leagueSeason"]),
        "round": event["group"]["groupName"],
        "home_team_id": event["team1"]["teamId"],
        "home_team": event["team1"]["teamName"],
        "away_team": event["team2"]["teamName"],
        "home_score": home,
        "away_score": away,
        "home_penalties": None,
        "away_penalties": None,
        "winner": winner(home, away) if ended else None,
    }


def read_api_sports(event: Event) -> Row:
    """Read a game of the recordings, all of which are over or have not begun."""
    game = event.get("game", event)
    word = game["status"]["short"]
    assert word in {"FT", "NS"}
    seconds = game["date"]["timestamp"] if "game" in event else event["timestamp"]
    scores = event["scores"]
    home, away = (side["total"] if isinstance(side, dict) else side for side in (scores["home"], scores["away"]))
    if word == "NS":
        home = away = None
    return {
        "event_id": game["id"],
        "kickoff": datetime.fromtimestamp(seconds, UTC),
        "status": {"FT": "finished", "NS": "scheduled"}[word],
        "status_detail": word,
        "country": (event["league"] if "game" in event else event)["country"]["name"],
        "competition_id": event["league"]["id"],
        "season": str(event["league"]["season"]),
        "home_team": event["teams"]["home"]["name"],
        "away_team_id": event["teams"]["away"]["id"],
        "home_score": home,
        "away_score": away,
        "home_penalties": None,
        "away_penalties": None,
        "winner": winner(home, away),
    }


def read_thesportsdb(event: Event) -> Row:
    statuses = {"FT": "finished", "AOT": "finished", "AP": "finished", "NS": "scheduled", "PST": "postponed"}
    home, away = (None if event[key] is None else int(event[key]) for key in ("intHomeScore", "intAwayScore"))
    status = statuses[event["strStatus"]]
    return {
        "event_id": int(event["idEvent"]),
        "kickoff": datetime.fromisoformat(event["strTimestamp"]).replace(tzinfo=UTC),
        "status": status,
        "status_detail": event["strStatus"],
        "country": event["strCountry"],
        "competition_id": int(event["idLeague"]),
        "season": event["strSeason"],
        "round": None if event["intRound"] == "0" else event["intRound"],
        "home_team_id": int(event["idHomeTeam"]),
        "home_team": event["strHomeTeam"],
        "away_team": event["strAwayTeam"],
        "home_score": home,
        "away_score": away,
        "home_penalties": None,
        "away_penalties": None,
        "winner": winner(home, away) if status == "finished" else None,
    }


# The servers


def query_of(exchange: Exchange) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(exchange.request.path).query).items()}


def give_seasons(events: Iterable[Event]) -> Callable[[Exchange], bytes]:
    """Answer for each season of a league, whichever case it is asked for in."""
    seasons: dict[str, list[Event]] = {}
    for event in events:
        seasons.setdefault(f"{event['leagueShortcut']}/{event['leagueSeason']}".lower(), []).append(event)
    return lambda exchange: json.dumps(
        seasons.get(exchange.request.path.removeprefix("/getmatchdata/").lower(), [])
    ).encode()


def give_games(events: Iterable[Event]) -> Callable[[Exchange], bytes]:
    """Answer for each day in UTC, as `timezone` asks for."""
    rows = [(read_api_sports(event)["kickoff"].date().isoformat(), event) for event in events]

    def answer(exchange: Exchange) -> bytes:
        query = query_of(exchange)
        assert query["timezone"] == "UTC"
        listed = [event for day, event in rows if day == query["date"]]
        body = {"get": "games", "parameters": query, "errors": [], "results": len(listed), "response": listed}
        return json.dumps(body).encode()

    return answer


def give_events(events: Iterable[Event]) -> Callable[[Exchange], bytes]:
    """Answer for each day of a sport, and with null where there is nothing."""
    rows = list(events)

    def answer(exchange: Exchange) -> bytes:
        assert exchange.request.path.startswith("/api/v1/json/123/eventsday.php?")
        query = query_of(exchange)
        listed = [
            event
            for event in rows
            if event["dateEvent"] == query["d"] and event["strSport"].replace(" ", "_") == query["s"]
        ]
        return json.dumps({"events": listed or None}).encode()

    return answer


@dataclass(frozen=True)
class Recording:
    """Recorded answers of a source.

    Attributes:
        answer: What the server gives for a request.
        expected: What the independent reading says, by event.
        leagues: Leagues to ask for.
        ranges: First and last days to load; the days of all events if there are none.
    """

    answer: Callable[[Exchange], bytes]
    expected: Mapping[int, Row]
    leagues: str | None = None
    ranges: list[tuple[date, date]] = field(default_factory=list)


def record(
    give: Callable[[Iterable[Event]], Callable[[Exchange], bytes]],
    read: Callable[[Event], Row],
    *events: list[Event],
    **options: Any,
) -> Recording:
    listed = [event for some in events for event in some]
    return Recording(give(listed), {row["event_id"]: row for row in map(read, listed)}, **options)


def record_football(name: str) -> Recording:
    """Return the recorded days of a provider that has been read elsewhere."""
    days, read = READINGS[name]
    answers = days()
    rows = {
        key: row
        for day, body in answers.items()
        for key, row in read(json.loads(body)).items()
        if row["kickoff"] is None or row["kickoff"].date() == day
    }
    return Recording(lambda exchange: answers[exchange.day], rows, ranges=[(day, day) for day in answers])


RECORDINGS: dict[str, Callable[[], Recording]] = {
    "api-football": lambda: record_football("api-football"),
    "football-data": lambda: record_football("football-data"),
    "openligadb": lambda: record(
        give_seasons,
        read_openligadb,
        read_events("openligadb", "bl1_2023_matchday12.json.gz"),
        read_events("openligadb", "bl1_2026_matchdays04_05_with_scheduled.json.gz"),
        read_events("openligadb", "pl_2026_matchday01.json.gz"),
        read_events("openligadb", "uefa-em-2020_2020_group_stage.json.gz"),
        leagues="bl1,pl,uefa-em-2020",
        ranges=[
            (date(2021, 6, 10), date(2021, 6, 24)),
            (date(2023, 11, 20), date(2023, 11, 30)),
            (date(2026, 8, 20), date(2026, 10, 12)),
        ],
    ),
    "openligadb-ice-hockey": lambda: record(
        give_seasons, read_openligadb, read_events("openligadb", "chl_2026_*.json.gz"), leagues="chl"
    ),
    "api-football-baseball": lambda: record(
        give_games, read_api_sports, read_events("api-sports", "baseball_*.json.gz", "response")
    ),
    "api-football-basketball": lambda: record(
        give_games, read_api_sports, read_events("api-sports", "basketball_*.json.gz", "response")
    ),
    "api-football-handball": lambda: record(
        give_games, read_api_sports, read_events("api-sports", "handball_*.json.gz", "response")
    ),
    "api-football-american-football": lambda: record(
        give_games, read_api_sports, read_events("api-sports", "american-football_*.json.gz", "response")
    ),
    "thesportsdb": lambda: record(
        give_events, read_thesportsdb, read_events("thesportsdb", "events_scheduled_*.json.gz", "events")
    ),
    "thesportsdb-ice-hockey": lambda: record(
        give_events, read_thesportsdb, read_events("thesportsdb", "*_ice_hockey.json.gz", "events")
    ),
    "thesportsdb-american-football": lambda: record(
        give_events, read_thesportsdb, read_events("thesportsdb", "*_key_123.json.gz", "events")
    ),
}


def ask(name: str, api: FaultServer, folder: Path, **changes: Any) -> Settings:
    """Return settings that ask `api` as a source; a day may have any number of events, as recordings are excerpts."""
    source = IDENTITIES[name]
    return Settings.load(
        provider=source.name,
        sport=source.sport,
        api_url=api.url,
        api_key="some-key" if source.key_header else None,
        db=folder / "fixtures.duckdb",
        start_date="2020-01-01",
        requests_per_second=1000,
        requests_per_day=10_000,
        min_events=0,
        **changes,
    )


@pytest.mark.parametrize("name", RECORDINGS)
def test_ranges_of_recorded_answers_hold_what_an_independent_reading_says(
    name: str, api: FaultServer, tmp_path: Path, instance: DagsterInstance
) -> None:
    recording = RECORDINGS[name]()
    settings = ask(name, api, tmp_path, leagues=recording.leagues)
    api.plan_any(lambda exchange: exchange.answer(200, recording.answer(exchange)))
    days = sorted(row["kickoff"].date() for row in recording.expected.values() if row["kickoff"])
    ranges = recording.ranges or [(days[0], days[-1])]
    for first, last in ranges:
        result = run(settings, instance, first, last)
        assert result.success
    found = {row["event_id"]: row for row in table(open_store(settings), "fixtures")}
    assert set(found) == set(recording.expected)
    for key, row in recording.expected.items():
        assert {column: found[key][column] for column in row} == row
    # Every day of every range is loaded, those without an event as well.
    loaded = {row["date"] for row in table(open_store(settings), "fixture_days")}
    assert len(loaded) == sum((last - first).days + 1 for first, last in ranges)


def test_the_old_spelling_of_openligadb_is_another_structure(api: FaultServer, tmp_path: Path) -> None:
    [path] = recorded("openligadb", "bl1_2018_*.json.gz")
    api.plan_any(gzip.decompress(path.read_bytes()))
    [[stored]] = load_days(ask("openligadb", api, tmp_path, leagues="bl1"), [date(2019, 2, 16)])
    assert isinstance(stored.outcome, DayFailed)
    assert stored.outcome.error_type == "DATA_STRUCTURE_ERROR"
    assert "bl1 2018" in stored.outcome.message


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        (
            "thesportsdb",
            "thesportsdb",
            "AUTH_ERROR RATE_LIMIT_ERROR DEFAULT_DATA_ERROR DATA_STRUCTURE_ERROR JSON_DECODE_ERROR",
        ),
        ("api-sports", "api-football-basketball", "AUTH_ERROR AUTH_ERROR"),
    ],
)
def test_quoted_refusals_have_their_error_type(folder: str, name: str, expected: str, api: FaultServer) -> None:
    [path] = recorded(folder, "errors_quoted.jsonl")
    found = []
    for line in path.read_text().splitlines():
        quoted = json.loads(line)
        body = b"" if quoted["body"] is None else json.dumps(quoted["body"]).encode()
        api.plan_any((quoted["status"], body))
        limits = Limits(tries=1, minute=0.1)
        with Fetcher(IDENTITIES[name], api.url, zone=ZONE, requests_per_second=1000, limits=limits) as fetcher:
            [[outcome]] = fetcher.fetch([date(2025, 3, 3)])
        assert isinstance(outcome, DayFailed)
        found.append(outcome.error_type)
    assert " ".join(found) == expected
