"""football-data.org v4: `GET {base}/v4/matches?dateFrom=D&dateTo=D+1` -> `{"filters": …, "matches": [...]}`.

Days are UTC days, and `dateTo` is not included (https://docs.football-data.org/general/v4/). Without a key the answer
is an empty day with status 200, told from a real one by `filters.permission`.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from fixtures_pipeline.days import list_utc_days
from fixtures_pipeline.providers.mapping import choose
from fixtures_pipeline.providers.provider import Plan, Provider, Request

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
        "halfTime": {"home": "JSON", "away": "JSON"},
        "regularTime": {"home": "JSON", "away": "JSON"},
        "extraTime": {"home": "JSON", "away": "JSON"},
        "penalties": {"home": "JSON", "away": "JSON"}
    }
}"""

_STATUS = choose(
    "word(e.status)",
    {
        "scheduled": "scheduled timed",
        "live": "inplay paused halftime extratime penaltyshootout live",
        "finished": "finished",
        "suspended": "suspended",
        "postponed": "postponed",
        "cancelled": "cancelled canceled",
        "abandoned": "abandoned",
        "awarded": "awarded walkover",
    },
    otherwise="'unknown'",
)

_TERMS = {
    "state": _STATUS,
    "status_word": "word(e.status)",
    "duration": "coalesce(word(e.score.duration), 'regular')",
    "begins": "instant(e.utcDate)",
} | {
    f"{side}_{name}": f"goals(e.score.{key}.{side})"
    for side in ("home", "away")
    for name, key in {
        "full": "fullTime",
        "half": "halfTime",
        "regular": "regularTime",
        "extra": "extraTime",
        "shoot_out": "penalties",
    }.items()
}

# The parts, which come with extra time only, say more than the sum: with a shoot-out, `fullTime` includes its goals.
_HAS_PARTS = "(home_regular + home_extra + away_regular + away_extra IS NOT NULL)"
# Where the parts are missing, the shoot-out is taken from the sum, unless that leaves less than the half-time score and
# extra time make together: the sum is then without it already, or wrong.
_IS_SUM_TRUE = " AND ".join(
    f"{side}_full - {side}_shoot_out >= coalesce({side}_half, 0) + coalesce({side}_extra, 0)"
    for side in ("home", "away")
)
_SCORE = f"""CASE
        WHEN {_HAS_PARTS} THEN {{side}}_regular + {{side}}_extra
        WHEN duration <> 'penaltyshootout' THEN {{side}}_full
        WHEN {_IS_SUM_TRUE} THEN {{side}}_full - {{side}}_shoot_out
    END"""
# A shoot-out without a score of its own is what the sum has and the parts have not.
_REST = "{side}_full - {side}_regular - {side}_extra"
_PENALTIES = f"""coalesce({{side}}_shoot_out, CASE
        WHEN duration = 'penaltyshootout' AND {_HAS_PARTS} AND {_REST} >= 0 THEN {_REST}
    END)"""

# Midnight of a match whose time is not fixed stands for nothing; that of one that is TIMED is real.
_HAS_TIME = "coalesce(NOT (status_word = 'scheduled' AND epoch(begins) % 86400 = 0), true)"

_COLUMNS = {
    "event_id": "whole(e.id)",
    "kickoff": f"CASE WHEN {_HAS_TIME} THEN begins END",
    "status": "state",
    "status_detail": """CASE
        WHEN duration = 'regular' THEN trimmed(e.status)
        ELSE concat_ws('/', trimmed(e.status), trimmed(e.score.duration))
    END""",
    "country": "trimmed(e.area.name)",
    "competition_id": "whole(e.competition.id)",
    "competition": "trimmed(e.competition.name)",
    "season": "nullif(left(trimmed(e.season.startDate), 4), '')",
    "round": """CASE
        WHEN word(e.stage) IN ('regularseason', 'leaguestage') THEN whole(e.matchday)::VARCHAR
        ELSE nullif(concat_ws(' ', trimmed(e.stage), trimmed(e."group")), '')
    END""",
    "home_team_id": "whole(e.homeTeam.id)",
    "home_team": "trimmed(e.homeTeam.name)",
    "away_team_id": "whole(e.awayTeam.id)",
    "away_team": "trimmed(e.awayTeam.name)",
    "home_score": _SCORE.format(side="home"),
    "away_score": _SCORE.format(side="away"),
    "home_penalties": _PENALTIES.format(side="home"),
    "away_penalties": _PENALTIES.format(side="away"),
    # While an event is on, `winner` says who leads.
    "winner": f"""CASE WHEN state IN ('finished', 'awarded') THEN {
        choose("word(e.score.winner)", {"home": "hometeam home", "away": "awayteam away", "draw": "draw"})
    } END""",
}

# Whatever is refused here is refused for the account's sake: no day is outside a plan, only competitions are.
_REFUSAL = """CASE
    WHEN status = 429 THEN {
        'error_type': 'RATE_LIMIT_ERROR', 'message': said(json_extract_string(body, '$.message')), 'scope': 'minute'
    }
    WHEN status IN (400, 403) AND regexp_matches(
        lower(json_extract_string(body, '$.message')), 'token|restricted|subscription|permission'
    ) THEN {'error_type': 'AUTH_ERROR', 'message': said(json_extract_string(body, '$.message')), 'scope': NULL}
    WHEN status <> 200 OR listed IS NULL THEN NULL
    WHEN coalesce(json_type(body, '$.filters.permission'), 'NULL') = 'NULL' THEN {
        'error_type': 'AUTH_ERROR',
        'message': 'the answer names no permission, so the key was missing or not known',
        'scope': NULL
    }
    WHEN left(json_extract_string(body, '$.filters.dateFrom'), 10) > json_extract_string(asked, '$.dateFrom')
        OR left(json_extract_string(body, '$.filters.dateTo'), 10) < json_extract_string(asked, '$.dateTo') THEN {
        'error_type': 'DATA_STRUCTURE_ERROR',
        'message': concat('it answers for ', json_extract_string(body, '$.filters.dateFrom'), ' to ',
            json_extract_string(body, '$.filters.dateTo'), ' instead'),
        'scope': NULL
    }
    WHEN whole(json_extract(body, '$.resultSet.count')) <> listed THEN {
        'error_type': 'DATA_STRUCTURE_ERROR',
        'message': concat('it counts ', json_extract_string(body, '$.resultSet.count'), ' matches but lists ', listed),
        'scope': NULL
    }
END"""


def _list_requests(day: date, timezone: str) -> list[Request]:
    """Ask for the UTC days that the day touches in its time zone; the store keeps what falls on the day."""
    touched = list_utc_days(day, ZoneInfo(timezone))
    until = touched[-1] + timedelta(days=1)
    return [Request("/v4/matches", {"dateFrom": touched[0].isoformat(), "dateTo": until.isoformat()})]


def _pause(headers: Mapping[str, str]) -> float:
    """Return how long to wait when the minute's quota is spent."""
    if headers.get("x-requests-available-minute", "").strip() != "0":
        return 0
    reset = headers.get("x-requestcounter-reset", "").strip()
    return min(float(reset), _LONGEST_PAUSE) if reset.isascii() and reset.isdigit() else 0


FOOTBALL_DATA = Provider(
    name="football-data",
    title="football-data.org",
    requests=_list_requests,
    list_key="matches",
    structure=_STRUCTURE,
    columns=_COLUMNS,
    terms=_TERMS,
    base_url="https://api.football-data.org",
    key_header="X-Auth-Token",
    written_kickoff=f"CASE WHEN {_HAS_TIME} THEN e.utcDate END",
    named_day="day_of(e.utcDate)",
    refusal=_REFUSAL,
    pause=_pause,
    attribution="Football data provided by the Football-Data.org API",
    # The free plan (https://docs.football-data.org/general/v4/policies.html).
    plan=Plan(requests_per_second=10 / 60),
)
