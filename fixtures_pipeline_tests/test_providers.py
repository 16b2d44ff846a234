"""The same contract for every provider: its request, its envelope, its mapping, its refusals."""

import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dagster import DagsterInstance
from filelock import FileLock
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr

from fixtures_pipeline.events_api import EventsApi, Limits
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import NEVER, DayFailed, DayLoaded, ErrorType, Outcome
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import FixtureStore
from fixtures_pipeline_tests.conftest import REAL_DAYS, table
from fixtures_pipeline_tests.conftest import UTC as ZONE
from fixtures_pipeline_tests.fault_server import FaultServer, good_body, noon
from fixtures_pipeline_tests.runs import run
from fixtures_pipeline_tests.test_properties import json_values, mutated, paths

DAY = date(2025, 3, 3)


# Answers, made up and recorded


def api_football_body(day: date) -> bytes:
    def fixture(n: int) -> dict[str, Any]:
        return {
            "fixture": {"id": day.toordinal() * 100 + n, "timestamp": noon(day), "status": {"short": "FT"}},
            "league": {"id": 39, "name": "League", "country": "South-Korea", "season": 2024, "round": "Round 1"},
            "teams": {
                "home": {"id": 1, "name": "Home", "winner": True},
                "away": {"id": 2, "name": "Away", "winner": False},
            },
            "goals": {"home": 2, "away": 1},
            "score": {"penalty": {"home": None, "away": None}},
        }

    response = [fixture(n) for n in range(3)]
    return json.dumps({"errors": [], "paging": {"current": 1, "total": 1}, "response": response}).encode()


def football_data_body(day: date) -> bytes:
    def match(n: int) -> dict[str, Any]:
        return {
            "id": day.toordinal() * 100 + n,
            "utcDate": f"{day}T12:00:00Z",
            "status": "FINISHED",
            "matchday": 3,
            "stage": "REGULAR_SEASON",
            "group": None,
            "area": {"name": "Land"},
            "competition": {"id": 39, "name": "League"},
            "season": {"startDate": "2024-08-01"},
            "homeTeam": {"id": 1, "name": "Home"},
            "awayTeam": {"id": 2, "name": "Away"},
            "score": {"winner": "HOME_TEAM", "duration": "REGULAR", "fullTime": {"home": 2, "away": 1}},
        }

    matches = [match(n) for n in range(3)]
    return json.dumps({"filters": {"permission": "TIER_ONE"}, "matches": matches}).encode()


BODIES: dict[str, Callable[[date], bytes]] = {
    "sample": good_body,
    "sofascore": good_body,
    "api-football": api_football_body,
    "football-data": football_data_body,
}


def recorded(provider: str, pattern: str) -> list[Path]:
    found = sorted((REAL_DAYS / provider).glob(pattern))
    if not found:
        pytest.skip("the recorded answers are not beside this checkout (../shared/real_days)")
    return found


def api_football_days() -> dict[date, bytes]:
    [path] = recorded("api-football", "fixtures_date_2024-05-25.json.gz")
    return {date(2024, 5, 25): gzip.decompress(path.read_bytes())}


def football_data_days() -> dict[date, bytes]:
    days = {}
    for path in recorded("football-data", "matches_today_*.json.gz"):
        answer = json.loads(gzip.decompress(path.read_bytes()))
        body = answer.get("body", answer)
        body = json.loads(body) if isinstance(body, str) else body
        days[date.fromisoformat(path.name.split("_")[2][:10])] = json.dumps(body).encode()
    return days


# An independent reading


def read_api_football(answer: dict[str, Any]) -> dict[int, dict[str, Any]]:
    words = {
        **dict.fromkeys(("NS", "TBD"), "scheduled"),
        **dict.fromkeys(("1H", "HT", "2H", "ET", "BT", "P", "LIVE", "INT"), "live"),
        **dict.fromkeys(("FT", "AET", "PEN"), "finished"),
        "PST": "postponed",
        "CANC": "cancelled",
        "ABD": "abandoned",
        "SUSP": "suspended",
        **dict.fromkeys(("AWD", "WO"), "awarded"),
    }

    def winner(row: dict[str, Any], status: str) -> str | None:
        sides = [side for side in ("home", "away") if row["teams"][side]["winner"]]
        if status not in {"finished", "awarded"}:
            return None
        return sides[0] if sides else ("draw" if status == "finished" else None)

    read = {}
    for row in answer["response"]:
        status = words.get(row["fixture"]["status"]["short"], "unknown")
        read[row["fixture"]["id"]] = {
            "kickoff": datetime.fromisoformat(row["fixture"]["date"]),
            "status": status,
            "status_detail": row["fixture"]["status"]["short"],
            "country": row["league"]["country"].replace("-", " "),
            "competition_id": row["league"]["id"],
            "season": str(row["league"]["season"]),
            "home_team": row["teams"]["home"]["name"].strip(),
            "away_team": row["teams"]["away"]["name"].strip(),
            "home_score": row["goals"]["home"],
            "away_score": row["goals"]["away"],
            "home_penalties": row["score"]["penalty"]["home"],
            "away_penalties": row["score"]["penalty"]["away"],
            "winner": winner(row, status),
        }
    return read


def read_football_data(answer: dict[str, Any]) -> dict[int, dict[str, Any]]:
    words = {
        **dict.fromkeys(("SCHEDULED", "TIMED"), "scheduled"),
        **dict.fromkeys(("IN_PLAY", "PAUSED", "EXTRA_TIME", "PENALTY_SHOOTOUT", "LIVE"), "live"),
        "FINISHED": "finished",
        "SUSPENDED": "suspended",
        "POSTPONED": "postponed",
        "CANCELLED": "cancelled",
        "AWARDED": "awarded",
    }
    winners = {"HOME_TEAM": "home", "AWAY_TEAM": "away", "DRAW": "draw"}
    read = {}
    for row in answer["matches"]:
        score = row["score"]
        penalties = score.get("penalties") or {"home": None, "away": None}
        goals = dict(score["fullTime"])
        if score["duration"] == "PENALTY_SHOOTOUT" and penalties["home"] is not None:
            goals = {side: goals[side] - penalties[side] for side in goals}
        detail = row["status"] if score["duration"] == "REGULAR" else f"{row['status']}/{score['duration']}"
        read[row["id"]] = {
            "kickoff": datetime.fromisoformat(row["utcDate"]),
            "status": words.get(row["status"], "unknown"),
            "status_detail": detail,
            "country": row["area"]["name"],
            "competition_id": row["competition"]["id"],
            "season": row["season"]["startDate"][:4],
            "home_team": row["homeTeam"]["name"].strip(),
            "away_team": row["awayTeam"]["name"].strip(),
            "home_score": goals["home"],
            "away_score": goals["away"],
            "home_penalties": penalties["home"],
            "away_penalties": penalties["away"],
            "winner": winners.get(score["winner"]) if row["status"] in {"FINISHED", "AWARDED"} else None,
        }
    return read


READINGS = {
    "api-football": (api_football_days, read_api_football),
    "football-data": (football_data_days, read_football_data),
}


# The contract


def judge(provider: str, day: date, body: bytes | str) -> Outcome:
    return Judge(PROVIDERS[provider], ZONE).judge(day, body.encode() if isinstance(body, str) else body)


def test_every_provider_maps_the_same_columns() -> None:
    columns = {tuple(provider.columns) for provider in PROVIDERS.values()}
    assert len(columns) == 1


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_good_day_loads(name: str, tmp_path: Path) -> None:
    outcome = judge(name, DAY, BODIES[name](DAY))
    assert isinstance(outcome, DayLoaded)
    store = FixtureStore(tmp_path / "fixtures.duckdb", PROVIDERS[name], ZONE)
    [stored] = store.load([outcome])
    assert stored.fixtures == len(table(store, "fixtures")) >= 3
    assert {row["provider"] for row in table(store, "fixtures")} == {name}


@pytest.mark.parametrize("name", PROVIDERS)
@hypothesis_settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=25)
@given(path=paths, new=json_values)
def test_any_part_of_an_answer_may_be_something_else(name: str, path: list[int], new: Any) -> None:
    answer = mutated(json.loads(BODIES[name](DAY)), path, new)
    outcome = judge(name, DAY, json.dumps(answer))
    assert isinstance(outcome, DayLoaded | DayFailed)


@pytest.mark.parametrize("name", READINGS)
def test_recorded_days_hold_what_an_independent_reading_says_after_a_real_run(
    name: str, api: FaultServer, instance: DagsterInstance, tmp_path: Path
) -> None:
    days, read = READINGS[name]
    settings = Settings.load(
        provider=name,
        api_url=api.url,
        api_key=SecretStr("some-key"),
        db=tmp_path / "fixtures.duckdb",
        start_date="2020-01-01",
        requests_per_second=1000,
    )
    answers = days()
    for day, body in answers.items():
        api.plan_any(body)
        assert run(settings, instance, day).success
    store = open_store(settings)
    found = {row["event_id"]: row for row in table(store, "fixtures")}
    expected = {
        key: row | {"date": day}
        for day, body in answers.items()
        for key, row in read(json.loads(body)).items()
        if row["kickoff"].astimezone(UTC).date() == day
    }
    assert len(expected) > 20
    assert set(found) == set(expected)
    for key, row in expected.items():
        assert {name: found[key][name] for name in row} == row
    assert table(store, "fixture_errors") == []


def test_shoot_outs_and_extra_time_are_told_from_the_score(tmp_path: Path) -> None:
    for name, pattern, read in (
        ("api-football", "fixtures_ids_cl_penalties.json.gz", read_api_football),
        ("football-data", "competition_2001_matches_2022-09-12.body.json.gz", read_football_data),
    ):
        [path] = recorded(name, pattern)
        answer = json.loads(gzip.decompress(path.read_bytes()))
        expected = read(answer)
        store = FixtureStore(tmp_path / f"{name}.duckdb", PROVIDERS[name], ZONE)
        days = Counter(row["kickoff"].astimezone(UTC).date() for row in expected.values())
        for day in days:
            store.load([DayLoaded(day, json.dumps(answer).encode(), len(expected), in_progress=False)])
        found = {row["event_id"]: row for row in table(store, "fixtures")}
        assert any(row["home_penalties"] is not None for row in found.values())
        for key, row in expected.items():
            assert {column: found[key][column] for column in row} == row


# Refusals


def fetched(name: str, api: FaultServer, status: int, body: bytes, **headers: str) -> DayFailed:
    api.plan_any(lambda exchange: exchange.answer(status, body, **headers))
    limits = Limits(tries=1, pause=0.01)
    with EventsApi(PROVIDERS[name], api.url, zone=ZONE, requests_per_second=1000, limits=limits) as events:
        [[outcome]] = list(events.fetch([DAY]))
    assert isinstance(outcome, DayFailed)
    return outcome


@pytest.mark.parametrize(
    ("errors", "expected", "permanent"),
    [
        ({"token": "Error/Missing application key."}, ErrorType.AUTH_ERROR, False),
        ({"access": "Your account is suspended."}, ErrorType.AUTH_ERROR, False),
        ({"plan": "Free plans do not have access to this date."}, ErrorType.AUTH_ERROR, True),
        ({"requests": "You have reached the request limit for the day."}, ErrorType.RATE_LIMIT_ERROR, False),
        ({"rateLimit": "Too many requests."}, ErrorType.RATE_LIMIT_ERROR, False),
        ({"timezone": "The Timezone field is not known."}, ErrorType.API_ERROR, False),
        (["Something else."], ErrorType.API_ERROR, False),
    ],
)
def test_api_football_refuses_with_status_200(
    errors: Any, expected: ErrorType, permanent: bool, api: FaultServer
) -> None:
    body = json.loads(api_football_body(DAY)) | {"errors": errors}
    outcome = fetched("api-football", api, 200, json.dumps(body).encode())
    assert outcome.error_type == expected
    assert (outcome.retry_at == NEVER) is permanent
    words = errors[0] if isinstance(errors, list) else next(iter(errors.values()))
    assert words.rstrip(".") in outcome.message


@pytest.mark.parametrize("errors", [[None], {"bug": None}, [""], {"": ""}])
def test_api_football_may_refuse_without_a_word(errors: Any) -> None:
    outcome = judge("api-football", DAY, json.dumps(json.loads(api_football_body(DAY)) | {"errors": errors}))
    assert isinstance(outcome, DayFailed)
    assert outcome.error_type == ErrorType.API_ERROR
    assert f"did not give {DAY}: it does not say why." in outcome.message


@pytest.mark.parametrize("errors", [[], {}, None])
def test_api_football_without_errors_loads(errors: Any) -> None:
    body = json.loads(api_football_body(DAY)) | {"errors": errors}
    assert isinstance(judge("api-football", DAY, json.dumps(body)), DayLoaded)


def test_api_football_in_pages_is_no_half_loaded_day() -> None:
    body = json.loads(api_football_body(DAY)) | {"paging": {"current": 1, "total": 2}}
    outcome = judge("api-football", DAY, json.dumps(body))
    assert isinstance(outcome, DayFailed)
    assert outcome.error_type == ErrorType.API_ERROR
    assert "2 pages" in outcome.message


def test_api_football_recorded_errors_have_their_type(api: FaultServer) -> None:
    found = {
        path.name: fetched("api-football", api, 200, path.read_bytes()).error_type
        for path in recorded("api-football", "error_200_*.json")
    }
    assert found == {
        "error_200_access_suspended.json": ErrorType.AUTH_ERROR,
        "error_200_field_combination_teams.json": ErrorType.API_ERROR,
        "error_200_field_combination_venues.json": ErrorType.API_ERROR,
        "error_200_plan_date.json": ErrorType.AUTH_ERROR,
        "error_200_plan_season.json": ErrorType.AUTH_ERROR,
        "error_200_plan_season_compact.json": ErrorType.AUTH_ERROR,
        "error_200_required_empty_params.json": ErrorType.API_ERROR,
    }


@pytest.mark.parametrize(
    ("status", "body", "expected", "permanent"),
    [
        (200, {"filters": {"permission": None}, "matches": []}, ErrorType.AUTH_ERROR, False),
        (400, {"message": "Your API token is invalid.", "errorCode": 400}, ErrorType.AUTH_ERROR, False),
        (400, {"message": "Specified period must not exceed 10 days."}, ErrorType.API_ERROR, False),
        (403, {"message": "The resource you are looking for is restricted and …"}, ErrorType.AUTH_ERROR, True),
        (
            404,
            {"message": "The resource you are looking for does not exist.", "error": 404},
            ErrorType.API_ERROR,
            False,
        ),
        (429, {"message": "You reached your request limit. Wait 48 seconds."}, ErrorType.RATE_LIMIT_ERROR, False),
    ],
)
def test_football_data_refuses_in_its_own_words(
    status: int, body: Any, expected: ErrorType, permanent: bool, api: FaultServer
) -> None:
    outcome = fetched("football-data", api, status, json.dumps(body).encode())
    assert outcome.error_type == expected
    assert (outcome.retry_at == NEVER) is permanent


def test_days_outside_the_plan_do_not_stop_the_others_from_being_asked(api: FaultServer) -> None:
    refused = json.loads(api_football_body(DAY)) | {"errors": {"plan": "Free plans do not have access to this date."}}
    api.plan_any(json.dumps(refused).encode())
    days = [date.fromordinal(DAY.toordinal() + n) for n in range(8)]
    with EventsApi(PROVIDERS["api-football"], api.url, zone=ZONE, requests_per_second=1000) as events:
        assert len([outcome for batch in events.fetch(days) for outcome in batch]) == 8
    assert len(api.requests) == 8


# Requests, rates and quotas


def test_requests_are_the_documented_ones() -> None:
    istanbul = "Europe/Istanbul"
    asked = {name: provider.request(DAY, "UTC") for name, provider in PROVIDERS.items()}
    assert asked["sofascore"].path == "/api/v1/sport/football/scheduled-events/2025-03-03"
    assert (asked["api-football"].path, asked["api-football"].query) == (
        "/fixtures",
        {"date": "2025-03-03", "timezone": "UTC"},
    )
    assert (asked["football-data"].path, asked["football-data"].query) == (
        "/v4/matches",
        {"dateFrom": "2025-03-03", "dateTo": "2025-03-04"},
    )
    assert PROVIDERS["api-football"].request(DAY, istanbul).query["timezone"] == istanbul
    assert PROVIDERS["football-data"].request(DAY, istanbul).query == {
        "dateFrom": "2025-03-02",
        "dateTo": "2025-03-04",
    }


def test_each_key_goes_into_its_providers_header(api: FaultServer) -> None:
    for name, header in (("api-football", "x-apisports-key"), ("football-data", "X-Auth-Token")):
        api.plan_any(BODIES[name](DAY))
        with EventsApi(PROVIDERS[name], api.url, zone=ZONE, key="some-key", requests_per_second=1000) as events:
            list(events.fetch([DAY]))
        assert api.requests[-1].headers[header] == "some-key"


def test_football_data_waits_when_the_minutes_quota_is_spent(api: FaultServer) -> None:
    headers = {"X_Requests_Available_Minute": "0", "X_RequestCounter_Reset": "1"}
    api.plan_any(lambda exchange: exchange.answer(200, football_data_body(exchange.day), **headers))
    days = [DAY, date(2025, 3, 4)]
    with EventsApi(PROVIDERS["football-data"], api.url, zone=ZONE, requests_per_second=1000, concurrency=1) as events:
        list(events.fetch(days))
    first, second = (request.at for request in api.requests)
    assert second - first >= 0.9


@pytest.mark.parametrize("value", ["", "soon", "-5", "٣", "1e9"])
def test_a_pause_that_is_no_number_is_none(value: str) -> None:
    headers = {"x-requests-available-minute": "0", "x-requestcounter-reset": value}
    assert PROVIDERS["football-data"].pause(headers) == 0


def test_the_default_rates_respect_the_free_plans() -> None:
    for name in ("api-football", "football-data"):
        assert PROVIDERS[name].requests_per_second <= 10 / 60
    assert PROVIDERS["api-football"].requests_per_day == 100


def test_a_quota_a_day_is_counted_across_runs(api: FaultServer, tmp_path: Path) -> None:
    days = [date.fromordinal(DAY.toordinal() + n) for n in range(4)]

    def outcomes() -> list[Outcome]:
        with EventsApi(
            PROVIDERS["sofascore"],
            api.url,
            zone=ZONE,
            requests_per_second=1000,
            requests_per_day=6,
            requests_file=tmp_path / "requests.sqlite",
        ) as events:
            return [outcome for batch in events.fetch(days) for outcome in batch]

    assert all(isinstance(outcome, DayLoaded) for outcome in outcomes())
    second = outcomes()
    assert sum(isinstance(outcome, DayLoaded) for outcome in second) == 2
    refused = [outcome for outcome in second if isinstance(outcome, DayFailed)]
    assert {outcome.error_type for outcome in refused} == {ErrorType.RATE_LIMIT_ERROR}
    assert "FIXTURES_REQUESTS_PER_DAY" in refused[0].message
    assert len(api.requests) == 6


def test_a_count_that_another_process_holds_for_a_while_is_no_spent_quota(
    api: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "requests.sqlite"
    with EventsApi(
        PROVIDERS["sofascore"], api.url, zone=ZONE, requests_per_second=1000, requests_per_day=6, requests_file=path
    ) as events:
        # The rate is counted in the same file: here only the quota waits for it.
        monkeypatch.setattr(events._limiter, "try_acquire", lambda *args, **options: True)
        held = FileLock(f"{path}.lock", thread_local=False)
        held.acquire()
        threading.Timer(1.5, held.release).start()
        outcomes = [outcome for batch in events.fetch([DAY]) for outcome in batch]
    assert [type(outcome) for outcome in outcomes] == [DayLoaded]


def test_the_zone_of_the_operator_decides_what_belongs_to_a_day() -> None:
    berlin = Judge(PROVIDERS["football-data"], ZoneInfo("Europe/Berlin"))
    late = football_data_body(DAY).replace(b"T12:00:00Z", b"T23:30:00Z")
    assert isinstance(berlin.judge(DAY, late), DayFailed)
    assert isinstance(berlin.judge(date(2025, 3, 4), late), DayLoaded)


def test_both_scores_of_sofascore_are_read_from_the_same_count(tmp_path: Path) -> None:
    """After a shoot-out `display` leaves its goals out, and is sometimes negative for one side."""
    home, away = {"current": 2, "display": 0, "penalties": 2}, {"current": 2, "display": -1, "penalties": 3}
    store = FixtureStore(tmp_path / "fixtures.duckdb", PROVIDERS["sofascore"], ZONE)
    store.load([judge("sofascore", DAY, good_body(DAY, homeScore=home, awayScore=away))])
    assert {(row["home_score"], row["away_score"]) for row in table(store, "fixtures")} == {(2, 2)}
