"""The rules of the tables, told once more in plain Python: what the store must hold, independent of its SQL."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline_tests.stores import table, tables

_STATUS = {
    "notstarted": "scheduled",
    "delayed": "scheduled",
    "inprogress": "live",
    "interrupted": "live",
    "finished": "finished",
    "postponed": "postponed",
    "canceled": "cancelled",
    "suspended": "suspended",
    "willcontinue": "suspended",
}


def kickoff_of(event: dict[str, Any]) -> datetime | None:
    """Return when a Sofascore event begins; None for what is no time."""
    start = event.get("startTimestamp")
    if not isinstance(start, int | float) or isinstance(start, bool) or start % 1 or abs(start) >= 10**15:
        return None
    # Milliseconds, if it is that much.
    seconds = int(start) if abs(start) < 10**11 else int(start / 1000)
    try:
        kickoff = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return None
    # A few days less than Python knows, so that every time zone can show it.
    return kickoff if datetime(1, 1, 4, tzinfo=UTC) <= kickoff <= datetime(9999, 12, 28, tzinfo=UTC) else None


def own_events(events: Iterable[dict[str, Any]], day: date) -> list[dict[str, Any]]:
    """Return the events that belong to a day in UTC."""
    kickoffs = [(event, kickoff_of(event)) for event in events]
    return [event for event, kickoff in kickoffs if kickoff is None or kickoff.date() == day]


def fixture_of(event: dict[str, Any]) -> dict[str, Any]:
    """Return what `fixtures` must hold of a Sofascore event of the recorded shape."""

    def text(value: str | None) -> str | None:
        return (value or "").strip() or None

    def score(side: str) -> int | None:
        shown = [event[one].get("display") for one in ("homeScore", "awayScore")]
        trusted = all(goals is not None and goals >= 0 for goals in shown)
        goals: int | None = event[side].get("display" if trusted else "current")
        return goals

    status, tournament = event["status"], event["tournament"]
    competition = tournament.get("uniqueTournament") or tournament
    if event.get("isAwarded") or status["code"] == 91:
        word = "awarded"
    elif (status["type"], status["code"]) == ("canceled", 90):
        word = "abandoned"
    else:
        word = _STATUS.get(status["type"], "unknown")
    round_info = event.get("roundInfo") or {}
    number = round_info.get("round")
    return {
        "event_id": event["id"],
        "kickoff": kickoff_of(event),
        "status": word,
        "status_detail": text(status["description"]) or text(status["type"]),
        "country": text(tournament["category"]["name"]),
        "competition_id": competition["id"],
        "competition": text(competition["name"]),
        "season": text(event["season"]["year"]),
        "round": text(round_info.get("name")) or (str(number) if number is not None else None),
        "home_team_id": event["homeTeam"]["id"],
        "home_team": text(event["homeTeam"]["name"]),
        "away_team_id": event["awayTeam"]["id"],
        "away_team": text(event["awayTeam"]["name"]),
        "home_score": score("homeScore"),
        "away_score": score("awayScore"),
        "home_penalties": event["homeScore"].get("penalties"),
        "away_penalties": event["awayScore"].get("penalties"),
        "winner": {1: "home", 2: "away", 3: "draw"}.get(event.get("winnerCode", 0)),
    }


def assert_rules(store: FixtureStore) -> None:
    """Assert the rules that hold after every commit, for a store of Sofascore days in UTC."""
    answers, errors, fixtures, log, changes = tables(
        store, "fixture_days", "fixture_errors", "fixtures", "load_log", "fixture_changes"
    )
    days = {row["date"]: row for row in answers}
    attempts = [row for row in sorted(log, key=lambda row: row["at"]) if row["outcome"] != "stale"]
    latest = {row["date"]: row["outcome"] for row in attempts}

    # 1. A day that was just fetched is loaded and has no error row, or has exactly one. It also has one if it was asked
    # for again before its answer was stored, and that failed.
    failing = {row["date"] for row in errors}
    assert len(failing) == len(errors)
    failed = {day for day, outcome in latest.items() if outcome == "failed"}
    overtaken = {
        row["date"] for row in errors if row["date"] in days and row["fetched_at"] > days[row["date"]]["fetched_at"]
    }
    assert failed <= failing <= failed | overtaken
    assert {day for day, outcome in latest.items() if outcome == "loaded"} <= set(days)

    # 3. An event is there once, and belongs to the latest fetched of the days on which it kicks off. Without a kickoff
    # it belongs to the first of the days that list it: tests fetch all of them within a day.
    owners = {row["event_id"]: row["date"] for row in fixtures}
    assert len(owners) == len(fixtures)
    claims: dict[int, list[tuple[bool, datetime, date]]] = {}
    for day, row in days.items():
        listed = json.loads(row["data"])
        assert row["count"] == len(listed)
        for event in own_events(listed, day):
            claims.setdefault(event["id"], []).append((kickoff_of(event) is not None, row["fetched_at"], day))
    expected = {}
    for number, claiming in claims.items():
        dated = [(at, day) for has_kickoff, at, day in claiming if has_kickoff]
        expected[number] = max(dated)[1] if dated else min(day for _, _, day in claiming)

    # 2. So `fixtures` holds exactly what the stored answers list for their own day.
    assert owners == expected

    # 5. Every change leads from what the one before it left, and the last one to what stands now.
    now = {row["event_id"]: row for row in read_fixtures(store)}
    left: dict[tuple[int, str], str | None] = {}
    times = {row["event_id"]: row["created_at"] for row in fixtures}
    for change in sorted(changes, key=lambda row: row["changed_at"]):
        value = change["event_id"], change["field"]
        assert left.get(value, change["before"]) == change["before"] != change["after"]
        left[value] = change["after"]
        times[change["event_id"]] = change["changed_at"]
    assert left == {(number, name): now.get(number, {}).get(name) for number, name in left}
    assert {number: at for number, at in times.items() if number in now} == {
        row["event_id"]: row["updated_at"] for row in fixtures
    }


def read_fixtures(store: FixtureStore) -> list[dict[str, Any]]:
    """Return the rows of `fixtures`, each value as the text that `fixture_changes` has of it."""
    texts = [f"{column.name}::VARCHAR AS {column.name}" for column in COLUMNS["fixtures"] if column.name != "event_id"]
    return table(store, "fixtures", f"{', '.join(texts)}, event_id")


def go_back(
    fixtures: Iterable[Mapping[str, Any]], changes: Iterable[Mapping[str, Any]], moment: datetime
) -> dict[int, dict[str, Any]]:
    """Return what `fixtures` held at a moment, by event: the changes since then are undone.

    Args:
        fixtures: What it holds now, as `read_fixtures` gives it.
        changes: The rows of `fixture_changes`.
        moment: When.
    """
    rows = {row["event_id"]: {**row, "updated_at": None} for row in fixtures}
    latest: dict[int, datetime] = {}
    for change in sorted(changes, key=lambda change: change["changed_at"], reverse=True):
        number = change["event_id"]
        if change["changed_at"] > moment:
            rows.setdefault(number, {"event_id": number})[change["field"]] = change["before"]
        else:
            latest.setdefault(number, change["changed_at"])
    there = {}
    for number, row in rows.items():
        if row["date"] is not None and datetime.fromisoformat(row["created_at"]) <= moment:
            row["updated_at"] = max(
                datetime.fromisoformat(row["created_at"]), latest.get(number, moment.min.replace(tzinfo=UTC))
            )
            there[number] = {name: value for name, value in row.items() if value is not None}
    return there
