"""Sofascore's day list: `GET {base}/api/v1/sport/football/scheduled-events/{YYYY-MM-DD}` -> `{"events": [...]}`.

Sofascore withdrew this path in 2026 and refuses plain clients; mirrors, replay servers and recorded days speak it.
A list for day D holds every event from D-14 h to D+36 h in UTC, so about half of it belongs to other days.
"""

from datetime import date

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
    "homeScore": {"current": "JSON", "display": "JSON", "penalties": "JSON"},
    "awayScore": {"current": "JSON", "display": "JSON", "penalties": "JSON"}
}"""

# `display` is the score without the shoot-out, but can be negative on a side: then both are read from `current`, which
# holds it.
_SCORE = """CASE
        WHEN goals(e.homeScore.display) IS NOT NULL AND goals(e.awayScore.display) IS NOT NULL
        THEN goals(e.{side}Score.display)
        ELSE goals(e.{side}Score.current)
    END"""

_COLUMNS = {
    "event_id": "whole(e.id)",
    "kickoff": "moment(e.startTimestamp)",
    "status": """CASE
        WHEN e.isAwarded = 'true' OR whole(e.status.code) = 91 THEN 'awarded'
        WHEN e.status.type = 'canceled' AND whole(e.status.code) = 90 THEN 'abandoned'
        ELSE CASE e.status.type
            WHEN 'notstarted' THEN 'scheduled'
            WHEN 'delayed' THEN 'scheduled'
            WHEN 'inprogress' THEN 'live'
            WHEN 'interrupted' THEN 'live'
            WHEN 'finished' THEN 'finished'
            WHEN 'postponed' THEN 'postponed'
            WHEN 'canceled' THEN 'cancelled'
            WHEN 'suspended' THEN 'suspended'
            WHEN 'willcontinue' THEN 'suspended'
            ELSE 'unknown'
        END
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
    "home_penalties": "goals(e.homeScore.penalties)",
    "away_penalties": "goals(e.awayScore.penalties)",
    "winner": "CASE whole(e.winnerCode) WHEN 1 THEN 'home' WHEN 2 THEN 'away' WHEN 3 THEN 'draw' END",
}


def _request(day: date, timezone: str) -> Request:  # noqa: ARG001 - the list covers the day in every time zone
    return Request(f"/api/v1/sport/football/scheduled-events/{day.isoformat()}")


SOFASCORE = Provider(
    name="sofascore",
    title="Sofascore's day list",
    request=_request,
    list_key="events",
    structure=_STRUCTURE,
    columns=_COLUMNS,
)
