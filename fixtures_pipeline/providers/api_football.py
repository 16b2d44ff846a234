"""API-Football v3: `GET {base}/fixtures?date=D&timezone=TZ` -> `{"errors": …, "paging": …, "response": [...]}`.

Errors come with status 200 as a rule: `errors` is a list when there are none and an object when there are some
(https://www.api-football.com/documentation-v3).
"""

from datetime import date

from fixtures_pipeline.providers.mapping import choose
from fixtures_pipeline.providers.provider import Plan, Provider, Request

#: Header of the key, for all sports.
KEY_HEADER = "x-apisports-key"
#: A hundred requests a day, yesterday to tomorrow; ten a minute is what its users report.
FREE_PLAN = Plan(requests_per_second=10 / 60, requests_per_day=100, days=(1, 1))

_STRUCTURE = """{
    "fixture": {"id": "JSON", "timestamp": "JSON", "date": "VARCHAR", "status": {"short": "VARCHAR"}},
    "league": {"id": "JSON", "name": "VARCHAR", "country": "VARCHAR", "season": "VARCHAR", "round": "VARCHAR"},
    "teams": {
        "home": {"id": "JSON", "name": "VARCHAR", "winner": "JSON"},
        "away": {"id": "JSON", "name": "VARCHAR", "winner": "JSON"}
    },
    "goals": {"home": "JSON", "away": "JSON"},
    "score": {
        "fulltime": {"home": "JSON", "away": "JSON"},
        "extratime": {"home": "JSON", "away": "JSON"},
        "penalty": {"home": "JSON", "away": "JSON"}
    }
}"""

_WORD = "word(e.fixture.status.short)"

# The short words, and the long ones, should they ever stand in their place.
_STATUS = choose(
    _WORD,
    {
        "scheduled": "ns notstarted tbd timetobedefined",
        "live": "1h firsthalf firsthalfkickoff kickoff ht halftime 2h secondhalf 2ndhalf secondhalf2ndhalfstarted et "
        "extratime bt breaktime p penaltyinprogress live inprogress int interrupted matchinterrupted",
        "finished": "ft aet pen finished matchfinished matchfinishedafterextratime matchfinishedafterpenalty",
        "postponed": "pst post postponed matchpostponed",
        "cancelled": "canc cancelled canceled matchcancelled matchcanceled",
        "abandoned": "abd abandoned matchabandoned",
        "suspended": "susp suspended matchsuspended",
        "awarded": "awd awarded technicalloss wo walkover",
    },
    otherwise="'unknown'",
)

_TERMS = {"short": _WORD, "state": _STATUS} | {
    f"{side}_{name}": sql.format(side=side)
    for side in ("home", "away")
    for name, sql in {
        "won": "word(e.teams.{side}.winner)",
        "total": "goals(e.goals.{side})",
        "full": "goals(e.score.fulltime.{side})",
        "extra": "goals(e.score.extratime.{side})",
        "shoot_out": "goals(e.score.penalty.{side})",
    }.items()
}

# The time of a match that has none yet (TBD) is midnight, which stands for nothing.
_HAS_TIME = "coalesce(short NOT IN ('tbd', 'timetobedefined'), true)"

# The parts say more than the sum, once an event is over: `fulltime` is the score after 90 minutes, `extratime` what
# came on top of it.
_PARTS = """({side}_full + coalesce(
        {side}_extra, CASE WHEN short IN ('ft', 'finished', 'matchfinished') THEN 0 END
    ))"""
_SCORE = f"""CASE
        WHEN state = 'finished'
            AND {_PARTS.format(side="home")} IS NOT NULL AND {_PARTS.format(side="away")} IS NOT NULL
        THEN {_PARTS}
        ELSE {{side}}_total
    END"""

_COLUMNS = {
    "event_id": "whole(e.fixture.id)",
    "kickoff": f"CASE WHEN {_HAS_TIME} THEN coalesce(moment(e.fixture.timestamp), instant(e.fixture.date)) END",
    "status": "state",
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
    "home_score": _SCORE.format(side="home"),
    "away_score": _SCORE.format(side="away"),
    "home_penalties": "home_shoot_out",
    "away_penalties": "away_shoot_out",
    # While an event is on, `winner` says who leads. Two nulls are a draw only if the score is level.
    "winner": f"""CASE
        WHEN state NOT IN ('finished', 'awarded') THEN NULL
        WHEN home_won = 'true' AND away_won IS DISTINCT FROM 'true' THEN 'home'
        WHEN away_won = 'true' AND home_won IS DISTINCT FROM 'true' THEN 'away'
        WHEN state = 'finished' AND home_won IS NULL AND away_won IS NULL
            AND {_SCORE.format(side="home")} = {_SCORE.format(side="away")}
            AND home_shoot_out IS NOT DISTINCT FROM away_shoot_out THEN 'draw'
    END""",
}

_ERRORS = "list_transform(json_keys(body, '$.errors'), lambda key: word(key))"

# `errors` is an object whose keys say what is wrong; the words below are all that were ever seen of an account's.
REFUSAL = f"""CASE
    WHEN len({_ERRORS}) > 0 THEN {{
        'error_type': CASE
            WHEN list_has_any(
                {_ERRORS}, ['token', 'key', 'access', 'plan', 'ip', 'domain', 'account', 'subscription']
            ) THEN 'AUTH_ERROR'
            WHEN list_has_any({_ERRORS}, ['requests', 'ratelimit']) THEN 'RATE_LIMIT_ERROR'
            ELSE 'API_ERROR'
        END,
        'message': said(array_to_string(json_extract_string(body, '$.errors.*'), ' ')),
        'scope': CASE
            WHEN list_contains({_ERRORS}, 'plan') THEN 'plan'
            WHEN list_contains({_ERRORS}, 'requests') THEN 'day'
            WHEN list_contains({_ERRORS}, 'ratelimit') THEN 'minute'
        END
    }}
    WHEN json_array_length(body, '$.errors') > 0 THEN {{
        'error_type': 'API_ERROR',
        'message': said(array_to_string(json_extract_string(body, '$.errors[*]'), ' ')),
        'scope': NULL
    }}
    WHEN json_type(body, '$.errors') = 'VARCHAR' AND trimmed(json_extract_string(body, '$.errors')) IS NOT NULL THEN {{
        'error_type': 'API_ERROR', 'message': said(json_extract_string(body, '$.errors')), 'scope': NULL
    }}
    WHEN status <> 200 AND json_extract_string(body, '$.rateLimit') IS NOT NULL THEN {{
        'error_type': 'RATE_LIMIT_ERROR', 'message': said(json_extract_string(body, '$.rateLimit')), 'scope': 'minute'
    }}
    WHEN status <> 200 THEN NULL
    WHEN json_extract_string(body, '$.parameters.date') <> json_extract_string(asked, '$.date') THEN {{
        'error_type': 'DATA_STRUCTURE_ERROR',
        'message': concat('it answers for ', json_extract_string(body, '$.parameters.date'), ' instead'),
        'scope': NULL
    }}
    WHEN json_extract_string(body, '$.paging.total') <> '1' THEN {{
        'error_type': 'DATA_STRUCTURE_ERROR',
        'message': concat(
            'the day comes in ', json_extract_string(body, '$.paging.total'), ' pages, and one was expected'
        ),
        'scope': NULL
    }}
    WHEN whole(json_extract(body, '$.results')) <> listed THEN {{
        'error_type': 'DATA_STRUCTURE_ERROR',
        'message': concat('it counts ', json_extract_string(body, '$.results'), ' results but lists ', listed),
        'scope': NULL
    }}
END"""


def _list_requests(day: date, timezone: str) -> list[Request]:
    return [Request("/fixtures", {"date": day.isoformat(), "timezone": timezone})]


API_FOOTBALL = Provider(
    name="api-football",
    title="API-Football",
    requests=_list_requests,
    list_key="response",
    structure=_STRUCTURE,
    columns=_COLUMNS,
    terms=_TERMS,
    base_url="https://v3.football.api-sports.io",
    key_header=KEY_HEADER,
    written_kickoff=f"CASE WHEN {_HAS_TIME} THEN coalesce(written(e.fixture.timestamp::VARCHAR), e.fixture.date) END",
    named_day="day_of(e.fixture.date)",
    refusal=REFUSAL,
    plan=FREE_PLAN,
)
