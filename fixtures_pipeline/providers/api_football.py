"""API-Football v3: `GET {base}/fixtures?date=D&timezone=TZ` -> `{"errors": …, "paging": …, "response": [...]}`.

Errors come with status 200 as a rule: `errors` is a list when there are none and an object when there are some
(https://www.api-football.com/documentation-v3).
"""

from datetime import date

from fixtures_pipeline.providers.provider import Provider, Request

_STRUCTURE = """{
    "fixture": {"id": "JSON", "timestamp": "JSON", "status": {"short": "VARCHAR"}},
    "league": {"id": "JSON", "name": "VARCHAR", "country": "VARCHAR", "season": "VARCHAR", "round": "VARCHAR"},
    "teams": {
        "home": {"id": "JSON", "name": "VARCHAR", "winner": "JSON"},
        "away": {"id": "JSON", "name": "VARCHAR", "winner": "JSON"}
    },
    "goals": {"home": "JSON", "away": "JSON"},
    "score": {"penalty": {"home": "JSON", "away": "JSON"}}
}"""

_COLUMNS = {
    "event_id": "whole(e.fixture.id)",
    "kickoff": "moment(e.fixture.timestamp)",
    "status": """CASE
        WHEN e.fixture.status.short IN ('NS', 'TBD') THEN 'scheduled'
        WHEN e.fixture.status.short IN ('1H', 'HT', '2H', 'ET', 'BT', 'P', 'LIVE', 'INT') THEN 'live'
        WHEN e.fixture.status.short IN ('FT', 'AET', 'PEN') THEN 'finished'
        WHEN e.fixture.status.short = 'PST' THEN 'postponed'
        WHEN e.fixture.status.short = 'CANC' THEN 'cancelled'
        WHEN e.fixture.status.short = 'ABD' THEN 'abandoned'
        WHEN e.fixture.status.short = 'SUSP' THEN 'suspended'
        WHEN e.fixture.status.short IN ('AWD', 'WO') THEN 'awarded'
        ELSE 'unknown'
    END""",
    "status_detail": "trimmed(e.fixture.status.short)",
    "country": "trimmed(replace(e.league.country, '-', ' '))",
    "competition_id": "whole(e.league.id)",
    "competition": "trimmed(e.league.name)",
    "season": "trimmed(e.league.season)",
    "round": "trimmed(e.league.round)",
    "home_team_id": "whole(e.teams.home.id)",
    "home_team": "trimmed(e.teams.home.name)",
    "away_team_id": "whole(e.teams.away.id)",
    "away_team": "trimmed(e.teams.away.name)",
    "home_score": "goals(e.goals.home)",
    "away_score": "goals(e.goals.away)",
    "home_penalties": "goals(e.score.penalty.home)",
    "away_penalties": "goals(e.score.penalty.away)",
    # While an event goes on, `winner` says who leads.
    "winner": """CASE
        WHEN e.fixture.status.short NOT IN ('FT', 'AET', 'PEN', 'AWD', 'WO') THEN NULL
        WHEN e.teams.home.winner = 'true' THEN 'home'
        WHEN e.teams.away.winner = 'true' THEN 'away'
        WHEN e.fixture.status.short IN ('FT', 'AET', 'PEN') AND whole(e.fixture.id) IS NOT NULL
            AND e.teams.home.winner IS NULL AND e.teams.away.winner IS NULL THEN 'draw'
    END""",
}

_REFUSAL = """CASE
    WHEN len(json_keys(body, '$.errors')) > 0 THEN {
        'error_type': CASE
            WHEN list_has_any(json_keys(body, '$.errors'), ['token', 'access', 'plan']) THEN 'AUTH_ERROR'
            WHEN list_has_any(json_keys(body, '$.errors'), ['requests', 'rateLimit']) THEN 'RATE_LIMIT_ERROR'
            ELSE 'API_ERROR'
        END,
        'message': array_to_string(json_extract_string(body, '$.errors.*'), ' '),
        'permanent': list_contains(json_keys(body, '$.errors'), 'plan')
    }
    WHEN json_array_length(body, '$.errors') > 0 THEN {
        'error_type': 'API_ERROR',
        'message': array_to_string(json_extract_string(body, '$.errors[*]'), ' '),
        'permanent': false
    }
    WHEN json_exists(body, '$.paging.total') AND json_extract_string(body, '$.paging.total') <> '1' THEN {
        'error_type': 'API_ERROR',
        'message': 'the day comes in ' || json_extract_string(body, '$.paging.total') || ' pages, and one was expected',
        'permanent': false
    }
END"""


def _request(day: date, timezone: str) -> Request:
    return Request("/fixtures", {"date": day.isoformat(), "timezone": timezone})


API_FOOTBALL = Provider(
    name="api-football",
    title="API-Football",
    request=_request,
    list_key="response",
    structure=_STRUCTURE,
    columns=_COLUMNS,
    base_url="https://v3.football.api-sports.io",
    key_header="x-apisports-key",
    refusal=_REFUSAL,
    # The free plan: a hundred requests a day, yesterday to tomorrow; ten a minute is what its users report.
    requests_per_second=10 / 60,
    requests_per_day=100,
    free_days=(1, 1),
)
