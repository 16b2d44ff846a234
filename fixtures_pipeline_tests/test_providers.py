"""The same contract for every provider and sport: what it is asked, how often, with which key, and how it refuses."""

import json
import logging
import re
from datetime import UTC as ZONE
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from fixtures_pipeline.errors import ErrorType, SettingsError
from fixtures_pipeline.fetching import Fetcher
from fixtures_pipeline.outcome import NEVER, DayFailed, DayLoaded, Outcome
from fixtures_pipeline.providers import PROVIDERS, SOURCES
from fixtures_pipeline.providers.provider import Provider, Request
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline_tests.answers import BODIES, IDENTITIES, api_football_body, football_data_body, respond
from fixtures_pipeline_tests.days import MONDAY, TUESDAY
from fixtures_pipeline_tests.fault_server import Exchange, FaultServer
from fixtures_pipeline_tests.readings import listed_in
from fixtures_pipeline_tests.stores import UTC, table

KEY = "k3y-that/must=never+leak"


def fetch(name: str, api: FaultServer, *days: date, **options: Any) -> list[Outcome]:
    """Fetch days from `api` as from a source."""
    limits = Limits(tries=1, pause=0.01)
    options = {"zone": UTC, "requests_per_second": 1000, "limits": limits, **options}
    with Fetcher(IDENTITIES[name], api.url, **options) as fetcher:
        return [outcome for batch in fetcher.fetch(days or [MONDAY]) for outcome in batch]


@pytest.fixture(params=IDENTITIES)
def source(request: pytest.FixtureRequest) -> Provider:
    """Return each source in turn."""
    return IDENTITIES[request.param]


class TestEverySource:
    def test_loads_a_good_day(self, source: Provider, api: FaultServer) -> None:
        api.plan_any(respond(source, MONDAY))
        before = datetime.now(ZONE)
        [outcome] = fetch(source.identity, api)
        assert isinstance(outcome, DayLoaded), outcome
        assert outcome.events >= 2
        assert outcome.fetched_at is not None
        assert before <= outcome.fetched_at <= datetime.now(ZONE)

    def test_keeps_the_list_of_events_as_it_came(self, source: Provider, api: FaultServer, make_store: Any) -> None:
        api.plan_any(respond(source, MONDAY))
        store = make_store("fixtures.duckdb", source)
        # A key may be a word of what comes: that is never rewritten for its sake.
        store.put(fetch(source.identity, api, key="Home"))
        [row] = table(store, "fixture_days")
        assert json.loads(row["data"]) == listed_in(source, BODIES[source.identity](MONDAY))
        assert {one["provider"] for one in table(store, "fixtures")} == {source.name}

    def test_is_asked_below_its_base_url(self, source: Provider) -> None:
        assert source.base_url is None or re.fullmatch(r"https://[a-z0-9.-]+", source.base_url)
        for zone in ("UTC", "Europe/Istanbul", "America/Sao_Paulo"):
            requests = requests_of(source, zone)
            assert requests
            assert all(request.path.startswith("/") for request in requests)
            # A day that is made of several answers says in each message which of them is meant.
            assert all(request.part for request in requests) or len(requests) == 1
            assert ("{key}" in requests[0].path) == source.key_in_path

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            ((200, b"<!doctype html><title>Log in</title>"), ErrorType.JSON_DECODE_ERROR),
            ((200, b""), ErrorType.JSON_DECODE_ERROR),
            ((200, b'{"surprise": 1}'), ErrorType.DATA_STRUCTURE_ERROR),
            ((200, b"7"), ErrorType.DATA_STRUCTURE_ERROR),
            ((200, b'"no"'), ErrorType.DATA_STRUCTURE_ERROR),
            ((200, b"null"), ErrorType.DATA_STRUCTURE_ERROR),
            ((401, b""), ErrorType.AUTH_ERROR),
            ((403, b"<html>"), ErrorType.AUTH_ERROR),
            ((404, b""), ErrorType.API_ERROR),
            ((429, b""), ErrorType.RATE_LIMIT_ERROR),
            ((500, b'{"message": null}'), ErrorType.API_ERROR),
        ],
    )
    def test_fails_in_a_typed_way(
        self, source: Provider, answer: tuple[int, bytes], expected: ErrorType, api: FaultServer
    ) -> None:
        api.plan_any(answer)
        [outcome] = fetch(source.identity, api)
        assert isinstance(outcome, DayFailed)
        assert outcome.error_type == expected, outcome.message
        assert outcome.asked
        named = requests_of(source)[0].part or str(MONDAY)
        assert named in outcome.message

    def test_gives_its_key_to_nobody_else_and_shows_it_nowhere(
        self, source: Provider, api: FaultServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With the key in every part of the answer that a message shows, and in a redirect."""
        caplog.set_level(logging.DEBUG)

        def echo(exchange: Exchange) -> None:
            said = json.dumps({"message": f"no such key: {KEY}"}).encode()
            exchange.answer(*((403, said) if exchange.day == MONDAY or not exchange.request.before else (500, said)))

        api.plan_any(echo)
        with FaultServer(host="127.0.0.2") as stranger:
            outcomes = fetch(source.identity, api, MONDAY, TUESDAY, key=KEY)
            sent = "{key}" in requests_of(source)[0].path
            assert all((quote(KEY, safe="") in one.path) == sent for one in api.requests)
            assert all((KEY in one.headers.values()) == (not sent) for one in api.requests)
            api.plan_any(lambda exchange: exchange.answer(302, Location=f"{stranger.url}{exchange.request.path}"))
            outcomes += fetch(source.identity, api, MONDAY, TUESDAY, key=KEY)
        for request in stranger.requests:
            assert KEY not in unquote(request.path)
            assert KEY not in request.headers.values()
        for outcome in outcomes:
            assert isinstance(outcome, DayFailed) or not sent
            assert KEY not in unquote(repr(outcome))
        assert KEY not in unquote(caplog.text)

    def test_is_told_apart_from_every_other_one(self, source: Provider) -> None:
        assert IDENTITIES[source.identity] is SOURCES[source.name, source.sport]
        assert len(IDENTITIES) == len(SOURCES)
        assert (source.identity == source.name) == (source.sport == "football")
        assert source.name in PROVIDERS

    def test_says_that_the_key_is_missing_only_if_it_wants_one(self, source: Provider) -> None:
        given = {"provider": source.name, "sport": source.sport, "api_url": "http://127.0.0.1:9"}
        if source.key_header:
            with pytest.raises(SettingsError, match="FIXTURES_API_KEY must be set"):
                Settings.load(**given)
        else:
            assert Settings.load(**given).source.identity == source.identity


def requests_of(source: Provider, zone: str = "UTC") -> list[Request]:
    """Return the requests for Monday."""
    seasons = source.seasons
    if seasons is None:
        return list(source.requests(MONDAY, zone))
    return [seasons.request(league, year) for league in seasons.leagues for year in seasons.years(MONDAY)]


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
    asked = {name: requests_of(provider)[0] for name, provider in PROVIDERS.items()}
    assert asked["sofascore"].path == "/api/v1/sport/football/scheduled-events/2025-03-03"
    assert (asked["api-football"].path, asked["api-football"].query) == (
        "/fixtures",
        {"date": "2025-03-03", "timezone": "UTC"},
    )
    assert (asked["football-data"].path, asked["football-data"].query) == (
        "/v4/matches",
        {"dateFrom": "2025-03-03", "dateTo": "2025-03-04"},
    )
    assert PROVIDERS["api-football"].requests(MONDAY, istanbul)[0].query["timezone"] == istanbul
    assert PROVIDERS["football-data"].requests(MONDAY, istanbul)[0].query == {
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
        assert PROVIDERS[name].plan.requests_per_second <= 10 / 60
    assert PROVIDERS["api-football"].plan.requests_per_day == 100


def test_a_quota_per_day_is_counted_across_runs(api: FaultServer, tmp_path: Path) -> None:
    days = [MONDAY + timedelta(days=n) for n in range(4)]
    quota = {"requests_per_day": 6, "counted_in": tmp_path / "requests.sqlite"}
    assert all(isinstance(outcome, DayLoaded) for outcome in fetch("sofascore", api, *days, **quota))
    second = fetch("sofascore", api, *days, **quota)
    refused = [outcome for outcome in second if isinstance(outcome, DayFailed)]
    assert len(refused) == 2
    assert {outcome.error_type for outcome in refused} == {ErrorType.RATE_LIMIT_ERROR}
    assert "FIXTURES_REQUESTS_PER_DAY" in refused[0].message
    assert len(api.requests) == 6
