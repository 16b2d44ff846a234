"""Fetching: the server is treated with care, and what goes wrong with one day is nobody else's trouble."""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.fetching import BATCH_DAYS, Fetcher
from fixtures_pipeline.judge import Judge, Verdict
from fixtures_pipeline.outcome import DayFailed, DayLoaded, Outcome
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline_tests.fault_server import Exchange, FaultServer, closed_port, good_body
from fixtures_pipeline_tests.faults import status
from fixtures_pipeline_tests.stores import SOFASCORE
from fixtures_pipeline_tests.stores import UTC as ZONE
from fixtures_pipeline_tests.tls import context_of, trust_authority

DAY = date(2025, 3, 3)
KEY = "s3cret/key+with=signs"
HASTY = Limits(connect=1, read=1, deadline=1.5, tries=2, pause=0.01, retry_after=2, size=8 * 1024 * 1024)

Fetch = Callable[..., list[Outcome]]


@pytest.fixture
def fetch(api: FaultServer) -> Fetch:
    """Return a function that fetches days and returns their outcomes in order."""

    def fetch(*days: date, url: str | None = None, limits: Limits = HASTY, **options: Any) -> list[Outcome]:
        options = {"zone": ZONE, "key": KEY, "requests_per_second": 1000, **options}
        with Fetcher(SOFASCORE, url or api.url, limits=limits, **options) as fetcher:
            found = [outcome for batch in fetcher.fetch(days or [DAY]) for outcome in batch]
        return sorted(found, key=lambda outcome: outcome.day)

    return fetch


def days(count: int) -> list[date]:
    return [DAY + timedelta(days=n) for n in range(count)]


def test_refused_is_a_reset(fetch: Fetch) -> None:
    [outcome] = fetch(url=(url := f"http://127.0.0.1:{closed_port()}"))
    assert isinstance(outcome, DayFailed)
    assert outcome.error_type == ErrorType.CONNECTION_RESET_ERROR
    assert f"Could not fetch {DAY} from {url} after 2 tries: the connection was refused." in outcome.message


def test_a_name_that_cannot_be_resolved_is_an_api_error(fetch: Fetch) -> None:
    [outcome] = fetch(url="http://no-such-host.invalid")
    assert isinstance(outcome, DayFailed)
    assert outcome.error_type == ErrorType.API_ERROR
    assert "resolved" in outcome.message


def interim(exchange: Exchange) -> None:
    """Answer with what is on its way, and a moment later with the day."""
    for code in (102, 103):
        exchange.head(code, Link="</style.css>")
        time.sleep(0.05)
    exchange.answer(200, exchange.good())


def surplus(exchange: Exchange) -> None:
    exchange.answer(200, exchange.good())
    exchange.send(b"xyz")


def late_surplus(exchange: Exchange) -> None:
    exchange.answer(200, exchange.good())
    time.sleep(0.05)
    exchange.send(b"xyz")


def second_answer(exchange: Exchange) -> None:
    """Answer well, and right behind it with another day that is as good."""
    body, other = exchange.good(), good_body(exchange.day - timedelta(days=300))
    heads = [f"HTTP/1.1 200 OK\r\nContent-Length: {len(one)}\r\n\r\n".encode() for one in (body, other)]
    exchange.send(heads[0] + body + heads[1] + other)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("misbehave", [interim, surplus, late_surplus, second_answer])
def test_an_answer_belongs_to_the_question_it_was_asked_with(
    misbehave: Callable[[Exchange], None],
    secure: bool,
    fetch: Fetch,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Whatever a server sends too early, too late or too much of: no day gets another day's events."""
    context = context_of(trust_authority(monkeypatch, tmp_path).issue_cert("127.0.0.1")) if secure else None
    with FaultServer(context) as server:
        for day in days(6)[::2]:
            server.plan(day, misbehave)
        outcomes = fetch(*days(6), url=server.url, concurrency=1)
    for outcome in outcomes:
        assert isinstance(outcome, DayLoaded), outcome
        assert json.loads(outcome.body) == json.loads(good_body(outcome.day))


def test_whatever_goes_wrong_with_a_day_is_its_own_failure(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge.judge

    def stumble(self: Judge, day: date, body: bytes, asked: Mapping[str, str], **others: Any) -> Verdict:
        if day == DAY:
            raise ZeroDivisionError
        return judge(self, day, body, asked, **others)

    monkeypatch.setattr(Judge, "judge", stumble)
    failed, *others = fetch(*days(3))
    assert isinstance(failed, DayFailed)
    assert failed.error_type == "API_ERROR"
    assert "ZeroDivisionError" in failed.message
    assert all(isinstance(outcome, DayLoaded) for outcome in others)


class TestCare:
    """The server is asked no more, no faster and no longer than it likes."""

    def test_each_day_is_asked_for_once_over_a_connection_of_its_own(self, api: FaultServer, fetch: Fetch) -> None:
        outcomes = fetch(*days(40), concurrency=4)
        assert Counter(type(outcome) for outcome in outcomes) == {DayLoaded: 40}
        assert Counter(request.day for request in api.requests) == dict.fromkeys(days(40), 1)
        assert api.connections == 40

    def test_many_days_are_under_way_at_once_but_no_more_than_allowed(self, api: FaultServer, fetch: Fetch) -> None:
        peak: list[int] = []
        present: set[date] = set()
        lock = threading.Lock()

        def slow(exchange: Exchange) -> None:
            with lock:
                present.add(exchange.day)
                peak.append(len(present))
            time.sleep(0.1)
            with lock:
                present.discard(exchange.day)
            exchange.answer(200, exchange.good())

        api.plan_any(slow)
        fetch(*days(12), concurrency=5)
        assert max(peak) == 5

    def test_requests_keep_to_the_rate(self, api: FaultServer, fetch: Fetch) -> None:
        fetch(*days(12), requests_per_second=10)
        times = sorted(request.at for request in api.requests)
        assert all(later - earlier > 0.9 for earlier, later in zip(times, times[10:], strict=False))

    def test_the_user_agent_is_honest(self, api: FaultServer, fetch: Fetch) -> None:
        fetch()
        assert api.requests[0].headers["User-Agent"].startswith("fixtures-pipeline/")

    def test_transient_failures_are_tried_again_with_growing_pauses(self, api: FaultServer, fetch: Fetch) -> None:
        api.plan(DAY, status(500))
        fetch(limits=Limits(tries=4, pause=0.1))
        times = [request.at for request in api.requests]
        pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
        # At least so long: a busy machine only adds to it.
        assert len(pauses) == 3
        assert all(pause >= 0.1 * 2**n for n, pause in enumerate(pauses))

    @pytest.mark.parametrize("code", [400, 401, 403, 404, 418])
    def test_what_asking_again_cannot_help_is_asked_once(self, code: int, api: FaultServer, fetch: Fetch) -> None:
        api.plan(DAY, status(code))
        fetch()
        assert len(api.requests) == 1

    def test_retry_after_is_obeyed(self, api: FaultServer, fetch: Fetch) -> None:
        api.plan(DAY, status(429, b"", Retry_After="1"))
        fetch()
        first, second = (request.at for request in api.requests)
        assert second - first >= 1

    def test_retry_after_holds_the_other_days_too(self, api: FaultServer, fetch: Fetch) -> None:
        def asks_for_a_pause_once(exchange: Exchange) -> None:
            if exchange.request.before:
                exchange.answer(200, exchange.good())
            else:
                exchange.answer(429, b"", Retry_After="2")

        api.plan(DAY, asks_for_a_pause_once)
        outcomes = fetch(*days(12), requests_per_second=10, concurrency=4)
        assert {type(outcome) for outcome in outcomes} == {DayLoaded}
        begun = sorted(request.at for request in api.requests)
        # Those that were under way when the answer came could not be held.
        assert not [at for at in begun if begun[0] + 0.5 < at < begun[0] + 2]

    def test_a_retry_after_beyond_the_cap_is_not_waited_for_but_told(self, api: FaultServer, fetch: Fetch) -> None:
        api.plan(DAY, status(429, b"", Retry_After=str(3 * 86400)))
        [outcome] = fetch()
        assert len(api.requests) == 1
        assert isinstance(outcome, DayFailed)
        assert outcome.retry_at is not None
        assert abs(outcome.retry_at - datetime.now(UTC) - timedelta(days=3)) < timedelta(minutes=1)
        assert f"Come back after {outcome.retry_at:%Y-%m-%d %H:%M} UTC" in outcome.message

    def test_after_three_refusals_in_a_row_it_stops_asking(self, api: FaultServer, fetch: Fetch) -> None:
        for day in days(20):
            api.plan(day, status(403, b"no"))
        outcomes = fetch(*days(20), concurrency=1)
        assert len(api.requests) == 3
        assert {outcome.error_type for outcome in outcomes if isinstance(outcome, DayFailed)} == {ErrorType.AUTH_ERROR}
        unasked = [outcome for outcome in outcomes if "was not requested" in getattr(outcome, "message", "")]
        assert len(unasked) == 17

    def test_refusals_that_are_not_in_a_row_do_not_stop_it(self, api: FaultServer, fetch: Fetch) -> None:
        for day in days(9)[::2]:
            api.plan(day, status(403, b"no"))
        fetch(*days(9), concurrency=1)
        assert len(api.requests) == 9

    def test_memory_does_not_grow_with_the_range(self, api: FaultServer) -> None:
        with Fetcher(SOFASCORE, api.url, zone=ZONE, requests_per_second=1000, concurrency=8) as fetcher:
            batches = fetcher.fetch(days(400))
            first = next(batches)
            time.sleep(1)
            asked = len(api.requests)
            batches.close()
        assert len(first) <= BATCH_DAYS
        assert asked <= 3 * BATCH_DAYS + 8


def test_a_pause_that_the_provider_asks_for_holds_for_those_that_wait_for_their_turn(api: FaultServer) -> None:
    def asks_for_a_pause(exchange: Exchange) -> None:
        exchange.answer(200, exchange.good(), X_Pause="2.5")

    api.plan_any(asks_for_a_pause)
    pausing = replace(SOFASCORE, pause=lambda headers: float(headers["x-pause"]))
    with Fetcher(pausing, api.url, zone=ZONE, requests_per_second=1, concurrency=3) as fetcher:
        assert len([outcome for batch in fetcher.fetch(days(3)) for outcome in batch]) == 3
    first, second, _ = (request.at for request in api.requests)
    assert second - first >= 2.5


def test_leaving_early_ends_the_requests_under_way(api: FaultServer) -> None:
    for day in days(8)[1:]:
        api.plan(day, lambda exchange: exchange.idle())
    # Nothing but leaving could end them within an hour.
    limits = Limits(read=3600, deadline=3600)
    with Fetcher(SOFASCORE, api.url, zone=ZONE, requests_per_second=1000, limits=limits) as fetcher:
        batches = fetcher.fetch(days(8))
        [first] = next(batches)
        batches.close()
    assert first.day == days(8)[0]


def test_leaving_early_waits_for_nobodys_turn(api: FaultServer) -> None:
    with Fetcher(SOFASCORE, api.url, zone=ZONE, requests_per_second=1 / 3600) as fetcher:
        batches = fetcher.fetch(days(8))
        next(batches)
        batches.close()
    assert len(api.requests) == 1
