"""TheSportsDB v1: `GET {base}/api/v1/json/{key}/eventsday.php?d=D&s=SPORT` -> `{"events": [...]}`.

The key stands in the path (https://www.thesportsdb.com/documentation). The public one gets three events of a day. Days
are UTC days; every value of an event is a text or null, and a day without events is null.
"""

from datetime import date
from zoneinfo import ZoneInfo

from fixtures_pipeline.days import list_utc_days
from fixtures_pipeline.providers.mapping import choose
from fixtures_pipeline.providers.provider import FOOTBALL, Plan, Provider, Request

_STRUCTURE = """{
    "idEvent": "VARCHAR", "strTimestamp": "VARCHAR", "dateEvent": "VARCHAR", "strTime": "VARCHAR",
    "strStatus": "VARCHAR", "strPostponed": "VARCHAR", "strSport": "VARCHAR", "strCountry": "VARCHAR",
    "idLeague": "VARCHAR", "strLeague": "VARCHAR", "strSeason": "VARCHAR", "intRound": "VARCHAR",
    "idHomeTeam": "VARCHAR", "strHomeTeam": "VARCHAR", "idAwayTeam": "VARCHAR", "strAwayTeam": "VARCHAR",
    "intHomeScore": "VARCHAR", "intAwayScore": "VARCHAR",
    "intHomeScoreExtra": "VARCHAR", "intAwayScoreExtra": "VARCHAR"
}"""

_WORD = "word(e.strStatus)"
_STATUS = choose(
    _WORD,
    {
        "live": "1h 2h ht et bt p pt live int intr q1 q2 q3 q4 ot p1 p2 p3 so s1 s2 s3 s4 s5 "
        + " ".join(f"in{number}" for number in range(1, 10)),
        "finished": "ft aet pen ap aot matchfinished",
        "postponed": "pst post",
        "cancelled": "canc",
        "abandoned": "abd",
        "suspended": "susp",
        "awarded": "awd aw wo",
    },
    otherwise=f"""CASE
        WHEN word(e.strPostponed) = 'yes' THEN 'postponed'
        WHEN {_WORD} IN ('ns', 'tbd', 'notstarted') THEN 'scheduled'
        ELSE 'unknown'
    END""",
)

# Midnight of an event whose time is to be announced stands for nothing.
_HAS_TIME = "coalesce(NOT (short = 'tbd' AND begins = date_trunc('day', begins)), true)"

_TERMS = {
    "short": _WORD,
    "state": _STATUS,
    "begins": "coalesce(utc(e.strTimestamp), utc(e.dateEvent || 'T' || e.strTime))",
    "home": "goals(e.intHomeScore)",
    "away": "goals(e.intAwayScore)",
} | {
    # Other sports put something else there.
    f"{side}_shoot_out": f"""CASE
        WHEN word(e.strSport) = 'soccer' AND {_WORD} IN ('ap', 'pen') THEN goals(e.int{side.title()}ScoreExtra)
    END"""
    for side in ("home", "away")
}

_COLUMNS = {
    "event_id": "nullif(whole(e.idEvent), 0)",
    "kickoff": f"CASE WHEN {_HAS_TIME} THEN begins END",
    "status": "state",
    "status_detail": "trimmed(e.strStatus)",
    "country": "trimmed(e.strCountry)",
    "competition_id": "nullif(whole(e.idLeague), 0)",
    "competition": "trimmed(e.strLeague)",
    "season": "trimmed(e.strSeason)",
    "round": "nullif(trimmed(e.intRound), '0')",
    "home_team_id": "nullif(whole(e.idHomeTeam), 0)",
    "home_team": "trimmed(e.strHomeTeam)",
    "away_team_id": "nullif(whole(e.idAwayTeam), 0)",
    "away_team": "trimmed(e.strAwayTeam)",
    "home_score": "home",
    "away_score": "away",
    "home_penalties": "home_shoot_out",
    "away_penalties": "away_shoot_out",
    "winner": """CASE
        WHEN state <> 'finished' THEN NULL
        WHEN home_shoot_out > away_shoot_out OR (home > away AND home_shoot_out IS NULL) THEN 'home'
        WHEN home_shoot_out < away_shoot_out OR (home < away AND home_shoot_out IS NULL) THEN 'away'
        WHEN home = away AND home_shoot_out IS NOT DISTINCT FROM away_shoot_out THEN 'draw'
    END""",
}

_REFUSAL = """CASE
    WHEN status = 429 THEN {'error_type': 'RATE_LIMIT_ERROR', 'message': NULL::VARCHAR, 'scope': 'minute'}
    WHEN status = 400 AND contains(lower(json_extract_string(body, '$.Message')), 'api key') THEN {
        'error_type': 'AUTH_ERROR', 'message': said(json_extract_string(body, '$.Message')), 'scope': NULL
    }
END"""


def _have(sport: str, name: str) -> Provider:
    """Return what there is of a sport, which TheSportsDB calls `name`."""

    def list_requests(day: date, timezone: str) -> list[Request]:
        """Ask for each of the UTC days that the day touches in its time zone."""
        touched = list_utc_days(day, ZoneInfo(timezone))
        return [
            Request(
                "/api/v1/json/{key}/eventsday.php",
                {"d": one.isoformat(), "s": name},
                part=f"{one} (UTC)" if len(touched) > 1 else None,
            )
            for one in touched
        ]

    return Provider(
        name="thesportsdb",
        sport=sport,
        title="TheSportsDB",
        requests=list_requests,
        list_key="events",
        null_list=True,
        structure=_STRUCTURE,
        columns=_COLUMNS,
        terms=_TERMS,
        base_url="https://www.thesportsdb.com",
        key_in_path=True,
        public_key="123",
        written_kickoff=f"CASE WHEN {_HAS_TIME} THEN coalesce(nullif(e.strTimestamp, ''), e.strTime) END",
        named_day="day_of(e.dateEvent)",
        refusal=_REFUSAL,
        # 30 requests per minute with the public key, 100 with one of one's own (the documentation).
        plan=Plan(requests_per_second=0.5, most_events=3),
        own_key_plan=Plan(requests_per_second=100 / 60, most_events=1500),
        attribution="Data: TheSportsDB (www.thesportsdb.com)",
    )


#: What TheSportsDB has of the sports in which a home team meets an away team.
THESPORTSDB = (
    _have(FOOTBALL, "Soccer"),
    _have("basketball", "Basketball"),
    _have("ice-hockey", "Ice_Hockey"),
    _have("baseball", "Baseball"),
    _have("handball", "Handball"),
    _have("volleyball", "Volleyball"),
    _have("rugby", "Rugby"),
    _have("american-football", "American_Football"),
)
