"""The views `team_matches` and `standings`, against a computation of their own in plain Python."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from typing import Any

import pytest

from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline_tests.conftest import Judged
from fixtures_pipeline_tests.days import MONDAY
from fixtures_pipeline_tests.fault_server import body_of, event, noon
from fixtures_pipeline_tests.stores import kept_open, table

pytestmark = pytest.mark.both_stores

SIDES = {"home": "away", "away": "home"}


def result_of(fixture: dict[str, Any], side: str) -> str | None:
    """Return how a fixture ended for one side."""
    if fixture["status"] not in {"finished", "awarded"}:
        return None
    if fixture["status"] == "awarded" and fixture["winner"]:
        winner = fixture["winner"]
    elif fixture["home_score"] is None or fixture["away_score"] is None:
        return None
    else:
        ahead = fixture["home_score"] - fixture["away_score"]
        winner = "home" if ahead > 0 else "away" if ahead < 0 else "draw"
    return "D" if winner == "draw" else "W" if winner == side else "L"


def see_from_teams(fixtures: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the matches of each team, by event and venue."""
    matches = []
    for fixture in fixtures:
        for side, other in SIDES.items():
            if fixture[f"{side}_team_id"] is None and fixture[f"{side}_team"] is None:
                continue
            names = ("event_id", "date", "kickoff", "status", "country", "competition_id", "competition")
            matches.append(
                {name: fixture[name] for name in (*names, "season", "round")}
                | {
                    "team_id": fixture[f"{side}_team_id"],
                    "team": fixture[f"{side}_team"],
                    "opponent_id": fixture[f"{other}_team_id"],
                    "opponent": fixture[f"{other}_team"],
                    "venue": side,
                    "goals_for": fixture[f"{side}_score"],
                    "goals_against": fixture[f"{other}_score"],
                    "penalties_for": fixture[f"{side}_penalties"],
                    "penalties_against": fixture[f"{other}_penalties"],
                    "result": result_of(fixture, side),
                }
            )
    return sorted(matches, key=lambda match: (match["event_id"], match["venue"]))


def rank(matches: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the league tables of matches whose competitions and teams have ids."""

    def league(row: dict[str, Any]) -> tuple[str, int, str]:
        return str(row["country"]), row["competition_id"], str(row["season"])

    def team(row: dict[str, Any]) -> tuple[Any, ...]:
        return (*league(row), row["team_id"])

    rows = []
    played = sorted((match for match in matches if match["result"]), key=lambda one: (*team(one), one["date"]))
    names = {league(one): one for one in sorted(played, key=lambda one: (one["date"], one["event_id"]))}
    for key, group in groupby(played, key=team):
        own = sorted(group, key=lambda one: (one["date"], one["event_id"]))
        results = [match["result"] for match in own]
        scored, conceded = (sum(match[f"goals_{way}"] or 0 for match in own) for way in ("for", "against"))
        rows.append(
            {
                "country": own[-1]["country"],
                "competition_id": own[-1]["competition_id"],
                "season": own[-1]["season"],
                "team_id": key[-1],
                "team": own[-1]["team"],
                "played": len(own),
                "won": results.count("W"),
                "drawn": results.count("D"),
                "lost": results.count("L"),
                "goals_for": scored,
                "goals_against": conceded,
                "difference": scored - conceded,
                "points": 3 * results.count("W") + results.count("D"),
            }
        )
    order = ("points", "difference", "goals_for")
    rows.sort(key=lambda row: (*league(row), *(-row[name] for name in order), row["team"].encode(), row["team_id"]))
    for _, group in groupby(rows, key=league):
        for place, row in enumerate(group, 1):
            row["place"] = place
            row["competition"] = names[league(row)]["competition"]
    return rows


@contextmanager
def assert_views(store: FixtureStore) -> Iterator[list[dict[str, Any]]]:
    """Assert that both views are as they are computed here; give the league tables."""
    with kept_open(store):
        matches = see_from_teams(table(store, "fixtures"))
        seen = sorted(table(store, "team_matches"), key=lambda match: (match["event_id"], match["venue"]))
        assert seen == matches
        standings = table(store, "standings")
        by_team = {
            (str(row["country"]), row["competition_id"], str(row["season"]), row["team_id"]): row for row in standings
        }
        expected = rank(matches)
        assert len(by_team) == len(standings) == len(expected)
        for row in expected:
            key = (str(row["country"]), row["competition_id"], str(row["season"]), row["team_id"])
            assert by_team[key] == row
        yield standings


def test_of_recorded_days_are_those_of_an_independent_computation(
    real_days: dict[date, bytes], judged: Judged, store: FixtureStore
) -> None:
    store.put([judged(day, body) for day, body in list(real_days.items())[-14:]])
    with assert_views(store) as standings:
        assert max(row["played"] for row in standings) > 1
        assert len(standings) > 100


def match(number: int, home: str, away: str, score: tuple[int, int] | None, **changes: Any) -> dict[str, Any]:
    goals = [{} if score is None else {"current": n, "display": n} for n in score or (0, 0)]
    made = event(number, noon(MONDAY) + number, homeScore=goals[0], awayScore=goals[1], **changes)
    teams = {"A": 1, "B": 2, "C": 3}
    return made | {"homeTeam": {"id": teams[home], "name": home}, "awayTeam": {"id": teams[away], "name": away}}


def test_of_matches_of_every_kind_are_those_of_an_independent_computation(store: FixtureStore, judged: Judged) -> None:
    awarded = {"status": {"code": 91, "type": "finished", "description": "Walkover"}, "isAwarded": True}
    live = {"status": {"code": 6, "type": "inprogress", "description": "1st half"}}
    kicks = [{"current": 1 + kicked, "display": 1, "penalties": kicked} for kicked in (5, 4)]
    listed = [
        match(1, "A", "B", (2, 1)),
        match(2, "B", "A", (0, 0)),
        match(3, "C", "A", None, **awarded, winnerCode=2),
        match(4, "B", "C", (1, 3), **awarded, winnerCode=1),
        match(5, "A", "C", (1, 0), **live),
        match(6, "C", "B", None),
        match(7, "C", "A", (1, 1)) | {"homeScore": kicks[0], "awayScore": kicks[1]},
        match(8, "A", "B", (1, 0), season={"year": "25/26"}),
    ]
    store.put([judged(MONDAY, body_of(listed))])
    with assert_views(store) as standings:
        table_of_24 = [
            (row["place"], row["team"], row["played"], row["points"])
            for row in sorted(standings, key=lambda row: (row["season"], row["place"]))
            if row["season"] == "24/25"
        ]
        assert table_of_24 == [(1, "A", 4, 8), (2, "B", 3, 4), (3, "C", 3, 1)]
