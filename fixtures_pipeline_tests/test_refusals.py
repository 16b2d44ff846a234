"""Refusals: how far each reaches, when it is worth asking again, and that nobody is asked in vain."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from fixtures_pipeline.dagster.automation import choose_due
from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.fetching import Fetcher
from fixtures_pipeline.outcome import NEVER, DayFailed, DayLoaded, Outcome
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.providers.provider import Provider
from fixtures_pipeline.store.questions import list_open_errors
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline_tests.answers import api_football_body, football_data_body
from fixtures_pipeline_tests.conftest import MakeStore
from fixtures_pipeline_tests.fault_server import Exchange, FaultServer, Plan
from fixtures_pipeline_tests.stores import UTC as ZONE
from fixtures_pipeline_tests.stores import table

API_FOOTBALL, FOOTBALL_DATA, SOFASCORE = (PROVIDERS[name] for name in ("api-football", "football-data", "sofascore"))
DAY = date(2025, 3, 3)
#: Time enough for a request, no time for what is waited for.
LIMITS = Limits(connect=5, read=5, pause=0.01, retry_after=2, minute=0.2)


def days(count: int, first: date = DAY) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


def fetch(provider: Provider, server: FaultServer, days: list[date], **options: Any) -> list[Outcome]:
    options = {"zone": ZONE, "requests_per_second": 1000, "concurrency": 1, "limits": LIMITS, **options}
    with Fetcher(provider, server.url, **options) as fetcher:
        found = [outcome for batch in fetcher.fetch(days) for outcome in batch]
    return sorted(found, key=lambda outcome: outcome.day)


def fetch_one(provider: Provider, server: FaultServer, plan: Plan, **options: Any) -> DayFailed:
    server.plan_any(plan)
    [outcome] = fetch(provider, server, [DAY], **options)
    assert isinstance(outcome, DayFailed), outcome
    return outcome


def errors(**words: str) -> bytes:
    """Return API-Football's answer to whom it refuses."""
    return json.dumps({"errors": words, "results": 0, "paging": {"current": 1, "total": 1}, "response": []}).encode()


def first_then(first: Plan, then: Callable[[date], bytes]) -> Callable[[Exchange], None]:
    """Refuse the first request for each day, and answer the others."""

    def respond(exchange: Exchange) -> None:
        plan = first if exchange.request.before == 0 else then(exchange.day)
        if callable(plan):
            plan(exchange)
        elif isinstance(plan, tuple):
            exchange.answer(*plan)
        else:
            exchange.answer(200, plan)

    return respond


class TestOfAMinute:
    """A brake is waited for, together with everybody else."""

    @pytest.mark.parametrize("word", ["rateLimit", "RateLimit", "rate_limit"])
    def test_in_words_with_status_200(self, word: str, api: FaultServer) -> None:
        api.plan(DAY, first_then(errors(**{word: "Too many requests."}), api_football_body))
        [outcome] = fetch(API_FOOTBALL, api, [DAY])
        assert isinstance(outcome, DayLoaded), outcome
        first, second = (request.at for request in api.requests)
        assert second - first >= LIMITS.minute

    def test_in_a_status(self, api: FaultServer) -> None:
        refusal = (429, b'{"message": "You reached your request limit. Wait 37 seconds.", "errorCode": 429}')
        api.plan(DAY, first_then(refusal, football_data_body))
        [outcome] = fetch(FOOTBALL_DATA, api, [DAY])
        assert isinstance(outcome, DayLoaded), outcome
        assert len(api.requests) == 2

    def test_holds_the_other_days(self, api: FaultServer) -> None:
        api.plan_any(api_football_answer)
        api.plan(DAY, first_then(errors(rateLimit="Too many."), api_football_body))
        outcomes = fetch(API_FOOTBALL, api, days(6), requests_per_second=20, limits=replace(LIMITS, minute=1))
        assert {type(outcome) for outcome in outcomes} == {DayLoaded}
        begun = [request.at for request in api.requests]
        assert begun[1] - begun[0] >= 1

    def test_is_told_when_it_does_not_end(self, api: FaultServer) -> None:
        outcome = fetch_one(API_FOOTBALL, api, errors(rateLimit="Too many requests."))
        assert outcome.error_type == ErrorType.RATE_LIMIT_ERROR
        assert len(api.requests) == LIMITS.tries
        assert outcome.retry_at is not None
        assert abs(outcome.retry_at - datetime.now(UTC)) < timedelta(minutes=1)


class TestOfADayOrMonth:
    """A spent quota is not waited for, and not asked about again before it is filled."""

    def test_in_words(self, api: FaultServer) -> None:
        outcome = fetch_one(API_FOOTBALL, api, errors(requests="You have reached the request limit for the day."))
        assert outcome.error_type == ErrorType.RATE_LIMIT_ERROR
        assert len(api.requests) == 1
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        assert outcome.retry_at == datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=UTC)

    @pytest.mark.parametrize("retry_after", [{}, {"Retry_After": "1"}])
    def test_in_the_headers_of_a_gateway(self, retry_after: dict[str, str], api: FaultServer) -> None:
        def respond(exchange: Exchange) -> None:
            quota = {"X_RateLimit_Requests_Remaining": "0", "X_RateLimit_Requests_Reset": "1209600"}
            exchange.answer(429, b'{"message": "The MONTHLY quota is exceeded."}', **quota, **retry_after)

        outcome = fetch_one(SOFASCORE, api, respond)
        assert outcome.error_type == ErrorType.RATE_LIMIT_ERROR
        assert len(api.requests) == 1
        assert outcome.retry_at is not None
        assert abs(outcome.retry_at - datetime.now(UTC) - timedelta(days=14)) < timedelta(minutes=1)
        assert f"Come back after {outcome.retry_at:%Y-%m-%d %H:%M} UTC" in outcome.message

    def test_in_the_headers_of_a_gateway_that_fills_it_soon(self, api: FaultServer) -> None:
        def refuse(exchange: Exchange) -> None:
            exchange.answer(429, X_RateLimit_Requests_Remaining="0", X_RateLimit_Requests_Reset="1")

        api.plan(
            DAY, lambda exchange: refuse(exchange) if not api.requests[1:] else exchange.answer(200, exchange.good())
        )
        [outcome] = fetch(SOFASCORE, api, [DAY])
        assert isinstance(outcome, DayLoaded), outcome
        first, second = (request.at for request in api.requests)
        assert second - first >= 1

    def test_headers_of_a_gateway_mean_nothing_where_no_quota_is_spent(self, api: FaultServer) -> None:
        def fail(exchange: Exchange) -> None:
            exchange.answer(404, X_RateLimit_Requests_Remaining="0", X_RateLimit_Requests_Reset="1209600")

        assert fetch_one(SOFASCORE, api, fail).retry_at is None

    @pytest.mark.parametrize("reset", ["", "soon", "-5", "1.5", "9" * 5000, "٣"])
    def test_a_reset_that_cannot_be_read_is_none(self, reset: str, api: FaultServer) -> None:
        def refuse(exchange: Exchange) -> None:
            lines = ["HTTP/1.1 429 No", "Content-Length: 0", "X-RateLimit-Requests-Remaining: 0"]
            exchange.send("\r\n".join([*lines, f"X-RateLimit-Requests-Reset: {reset}", "", ""]).encode())

        assert fetch_one(SOFASCORE, api, refuse).retry_at is None

    def test_no_wait_is_longer_than_a_year(self, api: FaultServer) -> None:
        def refuse(exchange: Exchange) -> None:
            exchange.answer(429, X_RateLimit_Requests_Remaining="0", X_RateLimit_Requests_Reset="999999999")

        retry_at = fetch_one(SOFASCORE, api, refuse).retry_at
        assert retry_at is not None
        assert retry_at - datetime.now(UTC) < timedelta(days=367)


class TestOfAPlan:
    """A day outside the plan says nothing about the others, and may come within its reach."""

    REFUSAL = errors(plan="Free plans do not have access to this date.")
    TODAY = datetime.now(UTC).date()

    @pytest.mark.parametrize("behind", [2, 400])
    def test_a_past_day_never_is(self, behind: int, api: FaultServer) -> None:
        api.plan_any(self.REFUSAL)
        [outcome] = fetch(API_FOOTBALL, api, [self.TODAY - timedelta(days=behind)])
        assert isinstance(outcome, DayFailed)
        assert (outcome.error_type, outcome.retry_at) == (ErrorType.AUTH_ERROR, NEVER)
        assert len(api.requests) == 1
        assert "with another plan" in outcome.message

    def test_a_day_to_come_is_asked_for_when_the_plan_has_come_to_it(self, api: FaultServer) -> None:
        api.plan_any(self.REFUSAL)
        day = self.TODAY + timedelta(days=5)
        [outcome] = fetch(API_FOOTBALL, api, [day])
        assert isinstance(outcome, DayFailed)
        assert outcome.retry_at == datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
        assert f"Come back after {outcome.retry_at:%Y-%m-%d} 00:00 UTC" in outcome.message

    def test_a_day_that_the_plan_should_reach_is_tried_again_as_ever(self, api: FaultServer) -> None:
        api.plan_any(self.REFUSAL)
        for day in (self.TODAY, self.TODAY + timedelta(days=1)):
            [outcome] = fetch(API_FOOTBALL, api, [day])
            assert isinstance(outcome, DayFailed)
            assert outcome.retry_at is None

    @pytest.mark.parametrize("first", [TODAY - timedelta(days=30), TODAY + timedelta(days=5)])
    def test_the_other_days_are_asked_for(self, first: date, api: FaultServer) -> None:
        api.plan_any(self.REFUSAL)
        last = days(6, first)[-1]
        api.plan(last, api_football_body(last))
        *outside, outcome = fetch(API_FOOTBALL, api, days(6, first))
        assert isinstance(outcome, DayLoaded), outcome
        assert all(isinstance(one, DayFailed) and one.asked for one in outside)

    def test_it_does_not_interrupt_refusals_in_a_row(self, api: FaultServer) -> None:
        for n, day in enumerate(days(12)):
            api.plan(day, self.REFUSAL if n % 2 else errors(token="Wrong."))
        fetch(API_FOOTBALL, api, days(12))
        assert len(api.requests) == 5


#: What providers say to whom they refuse, whatever the day.
REFUSALS: dict[str, tuple[Provider, Plan, ErrorType]] = {
    **{
        f"API-Football: {word}": (API_FOOTBALL, errors(**{word: "No."}), ErrorType.AUTH_ERROR)
        for word in ("token", "Ip", "Domain", "ip", "access", "Token", "subscription")
    },
    "API-Football: requests": (API_FOOTBALL, errors(requests="Enough."), ErrorType.RATE_LIMIT_ERROR),
    "API-Football: a word never seen": (API_FOOTBALL, errors(country="Not from there."), ErrorType.API_ERROR),
    "football-data: no key": (
        FOOTBALL_DATA,
        (
            403,
            b'{"message": "The resource you are looking for is restricted. Please pass a valid API token and check '
            b'your subscription for permission.", "errorCode": 403}',
        ),
        ErrorType.AUTH_ERROR,
    ),
    "football-data: wrong key": (
        FOOTBALL_DATA,
        (400, b'{"message": "Your API token is invalid.", "errorCode": 400}'),
        ErrorType.AUTH_ERROR,
    ),
    "football-data: no key and no day": (
        FOOTBALL_DATA,
        b'{"filters": {"dateFrom": "2025-03-03", "dateTo": "2025-03-04", "permission": null}, "matches": []}',
        ErrorType.AUTH_ERROR,
    ),
    "401": (SOFASCORE, (401, b""), ErrorType.AUTH_ERROR),
    "403": (SOFASCORE, (403, b"<html>challenge</html>"), ErrorType.AUTH_ERROR),
    "429 for long": (SOFASCORE, lambda exchange: exchange.answer(429, Retry_After="9000"), ErrorType.RATE_LIMIT_ERROR),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_after_three_refusals_it_stops_asking(name: str, api: FaultServer) -> None:
    provider, plan, error_type = REFUSALS[name]
    api.plan_any(plan)
    outcomes = fetch(provider, api, days(8))
    assert len(api.requests) == 3
    for n, outcome in enumerate(outcomes):
        assert isinstance(outcome, DayFailed)
        assert outcome.error_type == error_type, outcome.message
        assert outcome.asked == (n < 3)
        assert outcome.retry_at != NEVER
        assert ("was not requested" in outcome.message) == (n >= 3)
        if error_type == ErrorType.AUTH_ERROR:
            assert "FIXTURES_API_KEY" in outcome.message


def test_failures_that_are_no_refusals_do_not_interrupt_refusals_in_a_row(api: FaultServer) -> None:
    for n, day in enumerate(days(12)):
        api.plan(day, (500, b"") if n % 2 else (403, b"no"))
    fetch(SOFASCORE, api, days(12), limits=replace(LIMITS, tries=1))
    assert len(api.requests) == 5


class TestAnswersForAnotherDay:
    """Where a provider says what it answers, it must be what was asked for, all of it and once."""

    @pytest.mark.parametrize(
        ("change", "seen"),
        [
            ({"parameters": {"date": "2025-03-04"}}, "it answers for 2025-03-04 instead"),
            ({"results": 7}, "it counts 7 results but lists 3"),
            ({"paging": {"current": 1, "total": 2}}, "the day comes in 2 pages"),
        ],
    )
    def test_of_api_football(self, change: dict[str, Any], seen: str, api: FaultServer) -> None:
        answer = {**json.loads(api_football_body(DAY)), **change}
        outcome = fetch_one(API_FOOTBALL, api, json.dumps(answer).encode())
        assert outcome.error_type == ErrorType.DATA_STRUCTURE_ERROR
        assert seen in outcome.message
        assert len(api.requests) == 1

    @pytest.mark.parametrize(
        ("change", "seen"),
        [
            (
                {"filters": {"permission": "TIER_ONE", "dateFrom": "2025-03-04", "dateTo": "2025-03-05"}},
                "it answers for 2025-03-04 to 2025-03-05 instead",
            ),
            ({"resultSet": {"count": 7}}, "it counts 7 matches but lists 3"),
        ],
    )
    def test_of_football_data(self, change: dict[str, Any], seen: str, api: FaultServer) -> None:
        answer = {**json.loads(football_data_body(DAY)), **change}
        outcome = fetch_one(FOOTBALL_DATA, api, json.dumps(answer).encode())
        assert outcome.error_type == ErrorType.DATA_STRUCTURE_ERROR
        assert seen in outcome.message

    def test_they_are_no_refusals(self, api: FaultServer) -> None:
        api.plan_any(json.dumps({**json.loads(api_football_body(DAY)), "results": 7}).encode())
        fetch(API_FOOTBALL, api, days(5))
        assert len(api.requests) == 5


def api_football_answer(exchange: Exchange) -> None:
    exchange.answer(200, api_football_body(exchange.day))


class TestDaysThatWereNotAskedFor:
    """They have not failed once more, and are asked for when there is room."""

    def test_a_spent_quota_gives_up_no_day(self, api: FaultServer, make_store: MakeStore, tmp_path: Path) -> None:
        api.plan_any(api_football_answer)
        store = make_store("fixtures.duckdb", API_FOOTBALL)
        twenty = days(20, date(2025, 3, 1))
        begin = datetime(2025, 4, 1, 12, tzinfo=UTC)

        def load(days: list[date]) -> None:
            options = {"requests_per_day": 4, "counted_in": tmp_path / "requests.sqlite"}
            store.put(fetch(API_FOOTBALL, api, days, **options))

        asked: dict[str, str] = {}
        with time_machine.travel(begin, tick=True) as clock:
            load(twenty)
            for hours in (1, 3, 7, 15, 31, 55, 79, 103, 127):
                clock.move_to(begin + timedelta(hours=hours, minutes=hours))
                rows = list_open_errors(store, date(2025, 1, 1))
                assert all(row["attempts"] == 0 for row in rows)
                due, asked = choose_due(rows, asked, datetime.now(UTC))
                assert bool(due) == (hours >= 31)
                if due:
                    load(due)
                if not list_open_errors(store, date(2025, 1, 1)):
                    break
        assert [row["date"] for row in table(store, "fixture_days", "date")] == twenty
        assert len(api.requests) == 20

    def test_a_row_says_when_there_is_room(self, api: FaultServer, make_store: MakeStore) -> None:
        api.plan_any(api_football_answer)
        store = make_store("fixtures.duckdb", API_FOOTBALL)
        first, second = fetch(API_FOOTBALL, api, days(2), requests_per_day=1)
        assert isinstance(first, DayLoaded)
        assert isinstance(second, DayFailed)
        assert (second.asked, second.error_type) == (False, ErrorType.RATE_LIMIT_ERROR)
        assert second.retry_at is not None
        assert abs(second.retry_at - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=1)
        store.put([second])
        store.put([replace(second, asked=True)])
        store.put([second])
        [row] = table(store, "fixture_errors", "attempts, retry_at")
        assert row["attempts"] == 1
        assert abs(row["retry_at"] - second.retry_at) < timedelta(milliseconds=1)
