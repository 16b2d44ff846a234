"""Every fault of a server becomes its one typed outcome, and no day ever gets another day's events."""

import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.fetching import Fetcher
from fixtures_pipeline.outcome import DayFailed, DayLoaded, Outcome
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline_tests.fault_server import Exchange, FaultServer, answer_of, head_of
from fixtures_pipeline_tests.faults import FAULTS, Fault
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.stores import SOFASCORE, UTC, table
from fixtures_pipeline_tests.tls import context_of, trust_authority

DAY = date(2025, 3, 3)
KEY = "s3cret/key+with=signs"
HASTY = Limits(connect=1, read=1, deadline=1.5, tries=2, pause=0.01, retry_after=2, size=8 * 1024 * 1024)
GOOD = Fault(lambda exchange: exchange.answer(200, exchange.good()), None, 5)
#: What Python's json cannot read, and what the rules as told in Python do not know.
UNREADABLE = "10,000 lists in an event"
UNTOLD = {UNREADABLE, "kickoffs in milliseconds", "kickoffs with a fraction"}
QUICK = sorted(name for name, fault in FAULTS.items() if not fault.slow)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssl.SSLContext]:
    """Return the TLS of a server whose certificate is trusted."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        authority = trust_authority(monkeypatch, tmp_path_factory.mktemp("authority"))
        yield context_of(authority.issue_cert("127.0.0.1"))


def fetch(server: FaultServer, days: Sequence[date], limits: Limits = HASTY, **options: Any) -> list[Outcome]:
    """Fetch days, one after the other unless told otherwise, and return their outcomes in order."""
    options = {"zone": UTC, "key": KEY, "requests_per_second": 1000, "concurrency": 1, **options}
    with Fetcher(SOFASCORE, server.url, limits=limits, **options) as fetcher:
        found = [outcome for batch in fetcher.fetch(days) for outcome in batch]
    return sorted(found, key=lambda outcome: outcome.day)


def assert_right(outcome: Outcome, fault: Fault) -> None:
    """Assert that a day came to what its fault must come to, with its own events and without the key."""
    if fault.expected is None:
        assert isinstance(outcome, DayLoaded), outcome
        assert [event["id"] for event in listed(outcome)] == list(fault.ids(outcome.day))
        return
    assert isinstance(outcome, DayFailed), outcome
    assert outcome.error_type == fault.expected, outcome.message
    assert str(outcome.day) in outcome.message
    assert len(outcome.message) < 1000
    assert outcome.message.isprintable()
    for part in (KEY[at : at + 8] for at in range(len(KEY) - 7)):
        assert part not in repr(outcome)
        assert part not in "".join(outcome.message.split())


def listed(outcome: DayLoaded) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(outcome.body)["events"]
    return events


def days(count: int) -> list[date]:
    return [DAY + timedelta(days=n) for n in range(count)]


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, api: FaultServer, store: FixtureStore) -> None:
    fault = FAULTS[name]
    api.plan(DAY, fault.respond)
    [outcome] = fetch(api, [DAY])
    if name != UNREADABLE:
        assert_right(outcome, fault)
    store.put([outcome])
    if name not in UNTOLD:
        assert_rules(store)
    if fault.loaded is not None:
        assert len(table(store, "fixtures", "event_id, date")) == fault.loaded
    if fault.expected is not None:
        [row] = table(store, "fixture_errors")
        assert (row["error_type"], row["attempts"]) == (fault.expected, 1)


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("over_tls", [False, True])
def test_no_fault_spoils_the_days_after_it(over_tls: bool, concurrency: int, tls: ssl.SSLContext) -> None:
    # One after the other would take too long for those that take their time.
    names = sorted(FAULTS) if concurrency > 1 else QUICK
    faults = [one for name in names for one in (FAULTS[name], GOOD)]
    with FaultServer(tls if over_tls else None) as api:
        for day, fault in zip(days(len(faults)), faults, strict=True):
            api.plan(day, fault.respond)
        # Patient, as good days must load however busy the machine is.
        patient = replace(HASTY, read=3, deadline=4.5, tries=4, refusals=1000)
        outcomes = fetch(api, days(len(faults)), patient, concurrency=concurrency)
    assert [outcome.day for outcome in outcomes] == days(len(faults))
    for outcome, fault in zip(outcomes, faults, strict=True):
        if fault is not FAULTS[UNREADABLE]:
            assert_right(outcome, fault)


class TestBrokenTls:
    """A TLS connection that breaks is tried again; one that cannot be trusted is not."""

    def assert_healed(self, api: FaultServer, connections: int = 2) -> None:
        [outcome] = fetch(api, [DAY])
        assert_right(outcome, GOOD)
        assert api.connections == connections

    def assert_reset(self, api: FaultServer, limits: Limits = HASTY) -> DayFailed:
        [outcome] = fetch(api, [DAY], limits)
        assert isinstance(outcome, DayFailed)
        assert outcome.error_type == ErrorType.CONNECTION_RESET_ERROR, outcome.message
        assert api.connections == limits.tries
        return outcome

    @pytest.mark.parametrize("reset", [False, True])
    def test_cut_off_in_the_handshake_once(self, reset: bool, tls: ssl.SSLContext) -> None:
        with FaultServer(tls) as api:
            api.greet = lambda sock, before: None if before else cut(sock, reset=reset)
            self.assert_healed(api)

    @pytest.mark.parametrize("reset", [False, True])
    def test_cut_off_in_each_handshake(self, reset: bool, tls: ssl.SSLContext) -> None:
        with FaultServer(tls) as api:
            api.greet = lambda sock, _: cut(sock, reset=reset)
            outcome = self.assert_reset(api, Limits(pause=0.01))
        assert "after 4 tries: the" in outcome.message

    @pytest.mark.parametrize("reset", [False, True])
    def test_cut_off_before_the_answer(self, reset: bool, tls: ssl.SSLContext) -> None:
        with FaultServer(tls) as api:
            api.plan(DAY, once(lambda exchange: exchange.reset() if reset else exchange.close()))
            self.assert_healed(api)

    @pytest.mark.parametrize("reset", [False, True])
    def test_cut_off_in_the_body(self, reset: bool, tls: ssl.SSLContext) -> None:
        def respond(exchange: Exchange) -> None:
            exchange.send(answer_of(exchange.good())[:-100])
            exchange.reset() if reset else exchange.close()

        with FaultServer(tls) as api:
            api.plan(DAY, once(respond))
            self.assert_healed(api)

    @pytest.mark.parametrize(
        "garbage", [b"\x17\x03\x03\x00\x20" + b"?" * 32, b"no TLS at all, but a text of some length"]
    )
    @pytest.mark.parametrize("begun", [False, True])
    def test_a_bad_record(self, begun: bool, garbage: bytes, tls: ssl.SSLContext) -> None:
        def respond(exchange: Exchange) -> None:
            if begun:
                exchange.send(answer_of(exchange.good())[:500])
            exchange.send_past_tls(garbage)
            exchange.idle()

        with FaultServer(tls) as api:
            api.plan(DAY, once(respond))
            self.assert_healed(api)

    def test_a_server_that_speaks_no_tls_is_asked_once(self) -> None:
        with FaultServer() as api:
            api.greet = lambda sock, _: sock.sendall(head_of(400))
            api.url = api.url.replace("http:", "https:")
            [outcome] = fetch(api, [DAY])
            assert isinstance(outcome, DayFailed)
            assert outcome.error_type == ErrorType.API_ERROR
            assert "no trustworthy TLS" in outcome.message
            assert api.connections == 1

    def test_a_certificate_that_is_not_trusted_is_asked_for_once(self) -> None:
        with FaultServer(context_of(trustme.CA().issue_cert("127.0.0.1"))) as api:
            [outcome] = fetch(api, [DAY])
            assert isinstance(outcome, DayFailed)
            assert outcome.error_type == ErrorType.API_ERROR
            assert "certificate verify failed" in outcome.message
            assert api.connections == 1


def once(respond: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
    """Misbehave at the first request for a day only."""
    return lambda exchange: exchange.answer(200, exchange.good()) if exchange.request.before else respond(exchange)


def cut(sock: socket.socket, *, reset: bool) -> None:
    """Read the client's greeting and end the connection, with a reset or without a word."""
    sock.recv(4096)
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


TEN = days(10)
MEANWHILE = Limits(connect=5, read=5, deadline=5, tries=2, pause=0.001, retry_after=2, size=1024 * 1024, refusals=1000)


class TestFaultsInAnyOrder:
    """Whatever comes in whatever order: each day is right, or one row of the right type."""

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        names=st.lists(st.sampled_from([*QUICK, *[""] * 40]), min_size=10, max_size=10),
        concurrency=st.sampled_from([1, 3, 8]),
        over_tls=st.booleans(),
    )
    def test_each_day_is_right(self, names: list[str], concurrency: int, over_tls: bool, tls: ssl.SSLContext) -> None:
        faults = [FAULTS.get(name, GOOD) for name in names]
        with FaultServer(tls if over_tls else None) as api:
            for day, fault in zip(TEN, faults, strict=True):
                api.plan(day, fault.respond)
            outcomes = fetch(api, TEN, MEANWHILE, concurrency=concurrency)
        assert [outcome.day for outcome in outcomes] == TEN
        for name, outcome, fault in zip(names, outcomes, faults, strict=True):
            if name != UNREADABLE:
                assert_right(outcome, fault)
