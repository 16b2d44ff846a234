"""OpenLigaDB: `GET {base}/getmatchdata/{league}/{season}` -> `[…]`, every match of a season (https://openligadb.de).

It has no request for a day. People enter the results, minutes to days after the end, and sometimes twice. A league or a
season that does not exist is an empty list.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from fixtures_pipeline.providers.provider import Plan, Provider, Request, Seasons

_STRUCTURE = """{
    "matchID": "JSON", "matchDateTimeUTC": "VARCHAR", "matchIsFinished": "JSON",
    "leagueId": "JSON", "leagueName": "VARCHAR", "leagueSeason": "JSON",
    "group": {"groupName": "VARCHAR"},
    "team1": {"teamId": "JSON", "teamName": "VARCHAR"},
    "team2": {"teamId": "JSON", "teamName": "VARCHAR"},
    "matchResults": [{
        "resultID": "JSON", "pointsTeam1": "JSON", "pointsTeam2": "JSON",
        "resultTypeID": "JSON", "resultTypeKind": "VARCHAR"
    }]
}"""

# The kind of a row, which answers of before the season of 2025 do not name.
_KIND = "coalesce(word(r.resultTypeKind), CASE whole(r.resultTypeID) {} END)".format(
    " ".join(
        f"WHEN {number} THEN '{kind}'"
        for number, kind in {2: "after90minutes", 4: "afterextratime", 5: "afterpenalties"}.items()
    )
)


def _row(kind: str) -> str:
    """Return the score of a kind, a list of both sides: of several rows, which may disagree, the one entered first."""
    rows = (
        "list_transform(e.matchResults, lambda r: {"
        f"'number': whole(r.resultID), 'kind': {_KIND}, 'score': [goals(r.pointsTeam1), goals(r.pointsTeam2)]}})"
    )
    return f"""list_sort(list_filter(
        {rows}, lambda r: r.kind = '{kind}' AND r.score[1] IS NOT NULL AND r.score[2] IS NOT NULL
    ), 'ASC', 'NULLS LAST')[1].score"""


_IS_FINISHED = "coalesce(word(e.matchIsFinished) = 'true', false)"
# Without a time yet: some leave it at the beginning of 1970.
_BEGINS = "instant(e.matchDateTimeUTC)"
_HAS_TIME = f"coalesce(abs(epoch({_BEGINS})) > 86400, true)"

_TERMS = {
    "begins": f"CASE WHEN {_HAS_TIME} THEN {_BEGINS} END",
    "normal": _row("after90minutes"),
    "extra": _row("afterextratime"),
    "shoot_out": _row("afterpenalties"),
}

# Each row counts on from the one before: extra time includes normal time, and penalties include both.
_SCORE = "coalesce(extra, normal)"
# No shoot-out ends level: the row before counts the goal that decided it already.
_PENALTIES = f"""CASE
        WHEN shoot_out[1] >= {_SCORE}[1] AND shoot_out[2] >= {_SCORE}[2]
            AND shoot_out[1] - {_SCORE}[1] <> shoot_out[2] - {_SCORE}[2]
        THEN shoot_out[{{side}}] - {_SCORE}[{{side}}]
    END"""
_FINAL = "coalesce(shoot_out, extra, normal)"

_COLUMNS = {
    "event_id": "whole(e.matchID)",
    "kickoff": "begins",
    # Running, postponed and played but not entered yet look alike.
    "status": f"""CASE
        WHEN {_IS_FINISHED} THEN 'finished' WHEN begins > fetched_at THEN 'scheduled' ELSE 'unknown'
    END""",
    "status_detail": f"""CASE
        WHEN NOT {_IS_FINISHED} THEN NULL
        WHEN shoot_out IS NOT NULL THEN 'AfterPenalties'
        WHEN extra IS NOT NULL THEN 'AfterExtraTime'
        WHEN normal IS NOT NULL THEN 'After90Minutes'
    END""",
    "country": "NULL::VARCHAR",
    "competition_id": "whole(e.leagueId)",
    "competition": "trimmed(e.leagueName)",
    "season": "whole(e.leagueSeason)::VARCHAR",
    "round": 'trimmed(e."group".groupName)',
    "home_team_id": "whole(e.team1.teamId)",
    "home_team": "trimmed(e.team1.teamName)",
    "away_team_id": "whole(e.team2.teamId)",
    "away_team": "trimmed(e.team2.teamName)",
    "home_score": f"{_SCORE}[1]",
    "away_score": f"{_SCORE}[2]",
    "home_penalties": _PENALTIES.format(side=1),
    "away_penalties": _PENALTIES.format(side=2),
    "winner": f"""CASE
        WHEN NOT {_IS_FINISHED} THEN NULL
        WHEN {_FINAL}[1] > {_FINAL}[2] THEN 'home'
        WHEN {_FINAL}[1] < {_FINAL}[2] THEN 'away'
        WHEN {_FINAL}[1] = {_FINAL}[2] THEN 'draw'
    END""",
}


def _list_years(day: date) -> Sequence[int]:
    """Return the seasons that a day can belong to, each by the year that it begins in.

    One ends and the next begins in the summer, in which those that have a year to themselves are on as well.

    >>> [_list_years(date(2026, month, 1)) for month in (5, 6, 7, 8)]
    [[2025], [2025, 2026], [2025, 2026], [2026]]
    """
    return [year for year in (day.year - 1, day.year) if (day.month <= 7 if year < day.year else day.month >= 6)]


def _request_season(league: str, year: int) -> Request:
    return Request(f"/getmatchdata/{league}/{year}", part=f"{league} {year}")


def _have(sport: str, *leagues: str) -> Provider:
    return replace(_FOOTBALL, sport=sport, seasons=Seasons(leagues, _list_years, _request_season))


_FOOTBALL = Provider(
    name="openligadb",
    title="OpenLigaDB",
    # The two Bundesligas, 3. Liga, DFB-Pokal, Premier League and La Liga.
    seasons=Seasons(("bl1", "bl2", "bl3", "dfb", "pl", "la1"), _list_years, _request_season),
    structure=_STRUCTURE,
    columns=_COLUMNS,
    terms=_TERMS,
    base_url="https://api.openligadb.de",
    written_kickoff=f"CASE WHEN {_HAS_TIME} THEN e.matchDateTimeUTC END",
    # 60 requests per minute and 5,000 per day (https://www.openligadb.de).
    plan=Plan(requests_per_second=1, requests_per_day=5000),
    attribution="Datenquelle: OpenLigaDB (www.openligadb.de), Open Database License (ODbL) v1.0",
)

#: What OpenLigaDB has, by sport.
OPENLIGADB = (_FOOTBALL, _have("ice-hockey", "del", "del2", "chl"))
