"""football-data.org v4: `GET {base}/v4/matches?dateFrom=D&dateTo=D+1` -> `{"filters": …, "matches": [...]}`.

Days are UTC days, and `dateTo` is not included (https://docs.football-data.org/general/v4/). Without a key the answer
is an empty day with status 200, told from a real one by `filters.permission`.
"""

from collections.abc import Mapping
from datetime import UTC, date, timedelta
from zoneinfo import ZoneInfo

from fixtures_pipeline.days import day_bounds
from fixtures_pipeline.providers.provider import Provider, Request

#: Longest wait that a header may ask for, in seconds: the quota is one of a minute.
_LONGEST_PAUSE = 120

_STRUCTURE = """{
    "id": "JSON", "utcDate": "VARCHAR", "status": "VARCHAR", "matchday": "JSON", "stage": "VARCHAR", "group": "VARCHAR",
    "area": {"name": "VARCHAR"},
    "competition": {"id": "JSON", "name": "VARCHAR"},
    "season": {"startDate": "VARCHAR"},
    "homeTeam": {"id": "JSON", "name": "VARCHAR"},
    "awayTeam": {"id": "JSON", "name": "VARCHAR"},
    "score": {
        "winner": "VARCHAR", "duration": "VARCHAR",
        "fullTime": {"home": "JSON", "away": "JSON"},
        "penalties": {"home": "JSON", "away": "JSON"}
    }
}"""

# After a shoot-out `fullTime` includes its goals. Where taking them away gives no score, it stands as it is.
_SCORE = """CASE
        WHEN e.score.duration = 'PENALTY_SHOOTOUT'
            AND goals(e.score.fullTime.home) >= goals(e.score.penalties.home)
            AND goals(e.score.fullTime.away) >= goals(e.score.penalties.away)
        THEN goals(e.score.fullTime.{side}) - goals(e.score.penalties.{side})
        ELSE goals(e.score.fullTime.{side})
    END"""

_COLUMNS = {
    "event_id": "whole(e.id)",
    "kickoff": "instant(e.utcDate)",
    "status": """CASE e.status
        WHEN 'SCHEDULED' THEN 'scheduled'
        WHEN 'TIMED' THEN 'scheduled'
        WHEN 'IN_PLAY' THEN 'live'
        WHEN 'PAUSED' THEN 'live'
        WHEN 'EXTRA_TIME' THEN 'live'
        WHEN 'PENALTY_SHOOTOUT' THEN 'live'
        WHEN 'LIVE' THEN 'live'
        WHEN 'FINISHED' THEN 'finished'
        WHEN 'SUSPENDED' THEN 'suspended'
        WHEN 'POSTPONED' THEN 'postponed'
        WHEN 'CANCELLED' THEN 'cancelled'
        WHEN 'AWARDED' THEN 'awarded'
        ELSE 'unknown'
    END""",
    "status_detail": """CASE
        WHEN e.score.duration IS NULL OR e.score.duration = 'REGULAR' THEN trimmed(e.status)
        ELSE concat_ws('/', trimmed(e.status), trimmed(e.score.duration))
    END""",
    "country": "trimmed(e.area.name)",
    "competition_id": "whole(e.competition.id)",
    "competition": "trimmed(e.competition.name)",
    "season": "nullif(left(trimmed(e.season.startDate), 4), '')",
    "round": """CASE
        WHEN e.stage IN ('REGULAR_SEASON', 'LEAGUE_STAGE') THEN whole(e.matchday)::VARCHAR
        ELSE nullif(concat_ws(' ', trimmed(e.stage), trimmed(e."group")), '')
    END""",
    "home_team_id": "whole(e.homeTeam.id)",
    "home_team": "trimmed(e.homeTeam.name)",
    "away_team_id": "whole(e.awayTeam.id)",
    "away_team": "trimmed(e.awayTeam.name)",
    "home_score": _SCORE.format(side="home"),
    "away_score": _SCORE.format(side="away"),
    "home_penalties": "goals(e.score.penalties.home)",
    "away_penalties": "goals(e.score.penalties.away)",
    # While an event goes on, `winner` says who leads.
    "winner": """CASE WHEN e.status IN ('FINISHED', 'AWARDED') THEN
        CASE e.score.winner WHEN 'HOME_TEAM' THEN 'home' WHEN 'AWAY_TEAM' THEN 'away' WHEN 'DRAW' THEN 'draw' END
    END""",
}

_REFUSAL = """CASE
    WHEN status = 200 AND json_type(body, '$.matches') = 'ARRAY'
        AND coalesce(json_type(body, '$.filters.permission'), 'NULL') = 'NULL' THEN {
        'error_type': 'AUTH_ERROR',
        'message': 'the answer names no permission, so the key was missing or not known',
        'permanent': false
    }
    WHEN status = 400 AND contains(lower(json_extract_string(body, '$.message')), 'token') THEN {
        'error_type': 'AUTH_ERROR', 'message': json_extract_string(body, '$.message'), 'permanent': false
    }
    WHEN status = 403 AND contains(lower(json_extract_string(body, '$.message')), 'restricted') THEN {
        'error_type': 'AUTH_ERROR', 'message': json_extract_string(body, '$.message'), 'permanent': true
    }
END"""


def _request(day: date, timezone: str) -> Request:
    """Ask for the UTC days that the day touches in its time zone; the store keeps what falls on the day."""
    begins, ends = (moment.astimezone(UTC) for moment in day_bounds(day, ZoneInfo(timezone)))
    last = (ends - timedelta(microseconds=1)).date()
    return Request(
        "/v4/matches", {"dateFrom": begins.date().isoformat(), "dateTo": (last + timedelta(days=1)).isoformat()}
    )


def _pause(headers: Mapping[str, str]) -> float:
    """Return how long to wait when the minute's quota is spent."""
    if headers.get("x-requests-available-minute", "").strip() != "0":
        return 0
    reset = headers.get("x-requestcounter-reset", "").strip()
    return min(float(reset), _LONGEST_PAUSE) if reset.isascii() and reset.isdigit() else 0


FOOTBALL_DATA = Provider(
    name="football-data",
    title="football-data.org",
    request=_request,
    list_key="matches",
    structure=_STRUCTURE,
    columns=_COLUMNS,
    base_url="https://api.football-data.org",
    key_header="X-Auth-Token",
    refusal=_REFUSAL,
    pause=_pause,
    # The free plan (https://docs.football-data.org/general/v4/policies.html).
    requests_per_second=10 / 60,
)
