"""The same contract for every provider: what it is asked, how often, with which key, and how it refuses."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.fetching import Fetcher
from fixtures_pipeline.outcome import NEVER, DayFailed, DayLoaded, Outcome
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline_tests.answers import BODIES, api_football_body, football_data_body
from fixtures_pipeline_tests.days import MONDAY, TUESDAY
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.stores import UTC


def fetch(name: str, api: FaultServer, *days: date, **options: Any) -> list[Outcome]:
    """Fetch days from `api` as from a provider."""
    limits = Limits(tries=1, pause=0.01)
    with Fetcher(PROVIDERS[name], api.url, zone=UTC, requests_per_second=1000, limits=limits, **options) as fetcher:
        return [outcome for batch in fetcher.fetch(days or [MONDAY]) for outcome in batch]


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_good_day_loads(name: str, api: FaultServer) -> None:
    api.plan_any(BODIES[name](MONDAY))
    [outcome] = fetch(name, api)
    assert isinstance(outcome, DayLoaded)


# Refusals


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"filters": {"permission": None}, "matches": []}, ErrorType.AUTH_ERROR),
        (400, {"message": "Your API token is invalid.", "errorCode": 400}, ErrorType.AUTH_ERROR),
        (400, {"message": "Specified period must not exceed 10 days."}, ErrorType.API_ERROR),
        (403, {"message": "The resource you are looking for is restricted and …"}, ErrorType.AUTH_ERROR),
        (
            404,
            {"message": "The resource you are looking for does not exist.", "error": 404},
            ErrorType.API_ERROR,
        ),
        (429, {"message": "You reached your request limit. Wait 48 seconds."}, ErrorType.RATE_LIMIT_ERROR),
    ],
)
def test_football_data_refuses_in_its_own_words(status: int, body: Any, expected: ErrorType, api: FaultServer) -> None:
    api.plan_any((status, json.dumps(body).encode()))
    [outcome] = fetch("football-data", api)
    assert isinstance(outcome, DayFailed)
    assert outcome.error_type == expected
    # Nothing is refused for the sake of a day; only the minute's quota says when to come back.
    assert (outcome.retry_at is None) is (status != 429)
    assert outcome.retry_at != NEVER


def test_days_outside_the_plan_do_not_stop_the_others_from_being_asked(api: FaultServer) -> None:
    refused = json.loads(api_football_body(MONDAY)) | {
        "errors": {"plan": "Free plans do not have access to this date."}
    }
    api.plan_any(json.dumps(refused).encode())
    outcomes = fetch("api-football", api, *(MONDAY + timedelta(days=n) for n in range(8)))
    assert len(outcomes) == len(api.requests) == 8
    assert {outcome.retry_at for outcome in outcomes if isinstance(outcome, DayFailed)} == {NEVER}


# Requests, rates and quotas


def test_requests_are_the_documented_ones() -> None:
    istanbul = "Europe/Istanbul"
    asked = {name: provider.request(MONDAY, "UTC") for name, provider in PROVIDERS.items()}
    assert asked["sofascore"].path == "/api/v1/sport/football/scheduled-events/2025-03-03"
    assert (asked["api-football"].path, asked["api-football"].query) == (
        "/fixtures",
        {"date": "2025-03-03", "timezone": "UTC"},
    )
    assert (asked["football-data"].path, asked["football-data"].query) == (
        "/v4/matches",
        {"dateFrom": "2025-03-03", "dateTo": "2025-03-04"},
    )
    assert PROVIDERS["api-football"].request(MONDAY, istanbul).query["timezone"] == istanbul
    assert PROVIDERS["football-data"].request(MONDAY, istanbul).query == {
        "dateFrom": "2025-03-02",
        "dateTo": "2025-03-04",
    }


@pytest.mark.parametrize(("name", "header"), [("api-football", "x-apisports-key"), ("football-data", "X-Auth-Token")])
def test_each_key_goes_into_its_providers_header(name: str, header: str, api: FaultServer) -> None:
    api.plan_any(BODIES[name](MONDAY))
    fetch(name, api, key="some-key")
    assert api.requests[-1].headers[header] == "some-key"


def test_football_data_waits_when_the_minutes_quota_is_spent(api: FaultServer) -> None:
    headers = {"X_Requests_Available_Minute": "0", "X_RequestCounter_Reset": "1"}
    api.plan_any(lambda exchange: exchange.answer(200, football_data_body(exchange.day), **headers))
    fetch("football-data", api, MONDAY, TUESDAY, concurrency=1)
    first, second = (request.at for request in api.requests)
    assert second - first >= 0.9


@pytest.mark.parametrize("value", ["", "soon", "-5", "٣", "1e9"])
def test_a_pause_that_is_not_a_number_is_none(value: str) -> None:
    headers = {"x-requests-available-minute": "0", "x-requestcounter-reset": value}
    assert PROVIDERS["football-data"].pause(headers) == 0


def test_the_default_rates_respect_the_free_plans() -> None:
    for name in ("api-football", "football-data"):
        assert PROVIDERS[name].requests_per_second <= 10 / 60
    assert PROVIDERS["api-football"].requests_per_day == 100


def test_a_quota_per_day_is_counted_across_runs(api: FaultServer, tmp_path: Path) -> None:
    days = [MONDAY + timedelta(days=n) for n in range(4)]
    quota = {"requests_per_day": 6, "requests_file": tmp_path / "requests.sqlite"}
    assert all(isinstance(outcome, DayLoaded) for outcome in fetch("sofascore", api, *days, **quota))
    second = fetch("sofascore", api, *days, **quota)
    refused = [outcome for outcome in second if isinstance(outcome, DayFailed)]
    assert len(refused) == 2
    assert {outcome.error_type for outcome in refused} == {ErrorType.RATE_LIMIT_ERROR}
    assert "FIXTURES_REQUESTS_PER_DAY" in refused[0].message
    assert len(api.requests) == 6
