"""API-Sports' other sports: `GET {base}/games?date=D&timezone=TZ` -> `{"errors": …, "response": [...]}`.

The account, the key, the envelope and the refusals of API-Football; each sport has an address, a quota and words of its
own (https://api-sports.io/documentation/basketball/v1).
"""

from datetime import date

from fixtures_pipeline.providers.api_football import FREE_PLAN, KEY_HEADER, REFUSAL
from fixtures_pipeline.providers.mapping import choose
from fixtures_pipeline.providers.provider import Provider, Request

# One structure for all: American football has more under `game`, and `league` has the country. Scores are numbers in
# some sports, and in others objects with a total.
_STRUCTURE = """{
    "id": "JSON", "date": "VARCHAR", "timestamp": "JSON", "stage": "VARCHAR", "week": "VARCHAR",
    "status": {"short": "VARCHAR"},
    "game": {
        "id": "JSON", "stage": "VARCHAR", "week": "VARCHAR",
        "date": {"date": "VARCHAR", "timestamp": "JSON"},
        "status": {"short": "VARCHAR"}
    },
    "country": {"name": "VARCHAR"},
    "league": {"id": "JSON", "name": "VARCHAR", "season": "VARCHAR", "country": {"name": "VARCHAR"}},
    "teams": {"home": {"id": "JSON", "name": "VARCHAR"}, "away": {"id": "JSON", "name": "VARCHAR"}},
    "scores": {"home": "JSON", "away": "JSON"}
}"""

#: What every sport says before an event and after it.
_COMMON = {
    "scheduled": "ns tbd",
    "finished": "ft",
    "postponed": "post pst",
    "cancelled": "canc",
    "abandoned": "abd",
    "suspended": "susp",
    "awarded": "awd aw wo",
}


def _map(sport: str, host: str, live: str, finished: str = "", game: str = "") -> Provider:
    """Return the mapping of a sport.

    Args:
        sport: The sport.
        host: What it is called in the address.
        live: Its words for an event in play or interrupted, in lower case.
        finished: Its words for the end of an event, beside `ft`.
        game: Where in an event the game itself is, with a dot.
    """
    word = f"word(e.{game}status.short)"
    state = choose(
        word, _COMMON | {"live": live, "finished": f"{_COMMON['finished']} {finished}"}, otherwise="'unknown'"
    )
    timestamp, written = ("e.game.date.timestamp", "e.game.date.date") if game else ("e.timestamp", "e.date")
    terms = {"short": word, "state": state} | {
        f"{side}_total": f"""CASE
            WHEN {state} <> 'scheduled'
            THEN coalesce(goals(e.scores.{side}), goals(json_extract(e.scores.{side}, '$.total')))
        END"""
        for side in ("home", "away")
    }
    # The time of an event that has none yet (TBD) is midnight, which stands for nothing.
    has_time = "coalesce(short <> 'tbd', true)"
    columns = {
        "event_id": f"whole(e.{game}id)",
        "kickoff": f"CASE WHEN {has_time} THEN coalesce(moment({timestamp}), instant({written})) END",
        "status": "state",
        "status_detail": f"trimmed(e.{game}status.short)",
        "country": "trimmed(e.league.country.name)" if game else "trimmed(e.country.name)",
        "competition_id": "whole(e.league.id)",
        "competition": "trimmed(e.league.name)",
        "season": "trimmed(e.league.season)",
        "round": f"nullif(concat_ws(' ', trimmed(e.{game}stage), trimmed(e.{game}week)), '')",
        "home_team_id": "whole(e.teams.home.id)",
        "home_team": "trimmed(e.teams.home.name)",
        "away_team_id": "whole(e.teams.away.id)",
        "away_team": "trimmed(e.teams.away.name)",
        "home_score": "home_total",
        "away_score": "away_total",
        "home_penalties": "NULL::INTEGER",
        "away_penalties": "NULL::INTEGER",
        "winner": """CASE
            WHEN state <> 'finished' THEN NULL
            WHEN home_total > away_total THEN 'home'
            WHEN home_total < away_total THEN 'away'
            WHEN home_total = away_total THEN 'draw'
        END""",
    }
    return Provider(
        name="api-football",
        sport=sport,
        title=f"API-Sports ({sport.replace('-', ' ')})",
        requests=_list_requests,
        list_key="response",
        structure=_STRUCTURE,
        columns=columns,
        terms=terms,
        base_url=f"https://v1.{host}.api-sports.io",
        key_header=KEY_HEADER,
        written_kickoff=f"CASE WHEN {has_time} THEN coalesce(written({timestamp}::VARCHAR), {written}) END",
        named_day=f"day_of({written})",
        refusal=REFUSAL,
        plan=FREE_PLAN,
    )


def _list_requests(day: date, timezone: str) -> list[Request]:
    return [Request("/games", {"date": day.isoformat(), "timezone": timezone})]


#: What API-Sports has beside football, by sport.
API_SPORTS = (
    _map("basketball", "basketball", "q1 q2 q3 q4 ot bt ht intr", "aot"),
    _map("ice-hockey", "hockey", "p1 p2 p3 ot pt bt intr", "aot ap"),
    _map("baseball", "baseball", " ".join(f"in{number}" for number in range(1, 10)) + " intr"),
    _map("handball", "handball", "1h 2h ht et bt pt intr", "aet ap"),
    _map("volleyball", "volleyball", "s1 s2 s3 s4 s5 intr"),
    _map("rugby", "rugby", "1h 2h ht et bt pt intr", "aet"),
    _map("american-football", "american-football", "q1 q2 q3 q4 ot ht intr", "aot", game="game."),
)
