"""Sofascore's day list: `GET {base}/api/v1/sport/football/scheduled-events/{YYYY-MM-DD}` -> `{"events": [...]}`.

Sofascore withdrew this path in 2026 and refuses plain clients; mirrors, replay servers and recorded days speak it.
A list for day D holds every event from D-14 h to D+36 h in UTC, so about half of it belongs to other days.
"""

from datetime import date

from fixtures_pipeline.providers.mapping import choose
from fixtures_pipeline.providers.provider import Provider, Request

_STRUCTURE = """{
    "id": "JSON", "startTimestamp": "JSON", "winnerCode": "JSON", "isAwarded": "JSON",
    "status": {"code": "JSON", "type": "VARCHAR", "description": "VARCHAR"},
    "tournament": {
        "id": "JSON", "name": "VARCHAR",
        "category": {"name": "VARCHAR"},
        "uniqueTournament": {"id": "JSON", "name": "VARCHAR"}
    },
    "season": {"year": "VARCHAR"},
    "roundInfo": {"round": "JSON", "name": "VARCHAR"},
    "homeTeam": {"id": "JSON", "name": "VARCHAR"},
    "awayTeam": {"id": "JSON", "name": "VARCHAR"},
    "homeScore": {
        "current": "JSON", "display": "JSON", "penalties": "JSON",
        "normaltime": "JSON", "overtime": "JSON", "extra1": "JSON", "extra2": "JSON"
    },
    "awayScore": {
        "current": "JSON", "display": "JSON", "penalties": "JSON",
        "normaltime": "JSON", "overtime": "JSON", "extra1": "JSON", "extra2": "JSON"
    }
}"""

_TERMS = {"kind": "word(e.status.type)", "code": "whole(e.status.code)"} | {
    f"{side}_{name}": sql.format(side=side)
    for side in ("home", "away")
    for name, sql in {
        "display": "goals(e.{side}Score.display)",
        "current": "goals(e.{side}Score.current)",
        "shoot_out": "goals(e.{side}Score.penalties)",
        "parts": """(goals(e.{side}Score.normaltime) + coalesce(
            goals(e.{side}Score.overtime),
            coalesce(goals(e.{side}Score.extra1), 0) + coalesce(goals(e.{side}Score.extra2), 0)
        ))""",
    }.items()
}

_STATUS = choose(
    "kind",
    {
        "scheduled": "notstarted scheduled delayed",
        "live": "inprogress live interrupted",
        "finished": "finished ended",
        "postponed": "postponed",
        "cancelled": "canceled cancelled",
        "abandoned": "abandoned",
        "suspended": "suspended willcontinue",
    },
    otherwise="'unknown'",
)

# 0-0 is no shoot-out.
_HAS_SHOOT_OUT = "(coalesce(home_shoot_out, 0) + coalesce(away_shoot_out, 0) > 0)"
# `display` is the score without the shoot-out, but can be negative: then it is none. `current` includes the shoot-out,
# unless it is less.
_SHOWN = f"""(CASE
        WHEN home_display IS NOT NULL AND away_display IS NOT NULL THEN {{side}}_display
        WHEN {_HAS_SHOOT_OUT} AND home_parts IS NOT NULL AND away_parts IS NOT NULL THEN {{side}}_parts
        WHEN {_HAS_SHOOT_OUT} AND home_current >= home_shoot_out AND away_current >= away_shoot_out
        THEN {{side}}_current - {{side}}_shoot_out
        ELSE {{side}}_current
    END)"""
# Some events count the shoot-out that was won as one goal more. The parts tell, which are stale in others: so only
# where the two differ by just that goal.
_HAS_WINNING_GOAL = f"""(
        {_SHOWN.format(side="home")} - home_parts = (home_shoot_out > away_shoot_out)::INTEGER
        AND {_SHOWN.format(side="away")} - away_parts = (away_shoot_out > home_shoot_out)::INTEGER
    )"""
_SCORE = f"CASE WHEN {_HAS_WINNING_GOAL} THEN {{side}}_parts ELSE {_SHOWN} END"
_PENALTIES = f"CASE WHEN {_HAS_SHOOT_OUT} THEN {{side}}_shoot_out END"

_COLUMNS = {
    "event_id": "whole(e.id)",
    "kickoff": "moment(e.startTimestamp)",
    "status": f"""CASE
        WHEN word(e.isAwarded) = 'true' OR code = 91 THEN 'awarded'
        WHEN kind IN ('canceled', 'cancelled') AND code = 90 THEN 'abandoned'
        ELSE {_STATUS}
    END""",
    "status_detail": "coalesce(trimmed(e.status.description), trimmed(e.status.type))",
    "country": "trimmed(e.tournament.category.name)",
    "competition_id": "coalesce(whole(e.tournament.uniqueTournament.id), whole(e.tournament.id))",
    "competition": "coalesce(trimmed(e.tournament.uniqueTournament.name), trimmed(e.tournament.name))",
    "season": "trimmed(e.season.year)",
    "round": "coalesce(trimmed(e.roundInfo.name), whole(e.roundInfo.round)::VARCHAR)",
    "home_team_id": "whole(e.homeTeam.id)",
    "home_team": "trimmed(e.homeTeam.name)",
    "away_team_id": "whole(e.awayTeam.id)",
    "away_team": "trimmed(e.awayTeam.name)",
    "home_score": _SCORE.format(side="home"),
    "away_score": _SCORE.format(side="away"),
    "home_penalties": _PENALTIES.format(side="home"),
    "away_penalties": _PENALTIES.format(side="away"),
    "winner": "CASE whole(e.winnerCode) WHEN 1 THEN 'home' WHEN 2 THEN 'away' WHEN 3 THEN 'draw' END",
}


# The list can be asked for in pages by those who know how; one that says there is more is not the day.
_REFUSAL = """CASE
    WHEN status = 200 AND json_extract_string(body, '$.hasNextPage') = 'true' THEN {
        'error_type': 'DATA_STRUCTURE_ERROR', 'message': 'it says that there are further pages', 'scope': NULL::VARCHAR
    }
END"""


def _list_requests(day: date, timezone: str) -> list[Request]:  # noqa: ARG001 - the list covers the day in every time zone
    return [Request(f"/api/v1/sport/football/scheduled-events/{day.isoformat()}")]


SOFASCORE = Provider(
    name="sofascore",
    title="Sofascore's day list",
    requests=_list_requests,
    list_key="events",
    structure=_STRUCTURE,
    columns=_COLUMNS,
    terms=_TERMS,
    written_kickoff="e.startTimestamp",
    refusal=_REFUSAL,
)
