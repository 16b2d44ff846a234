"""What people who do this job ran into, each case served on loopback and loaded in a real run.

The cases lie in `../shared/field_cases`, whose README says what each expects. They are not part of the project.
"""

import functools
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme
from dagster import DagsterInstance, ExecuteInProcessResult, RunRequest, build_schedule_context, build_sensor_context
from time_machine import TimeMachineFixture

from fixtures_pipeline import loading
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.errors import SettingsError
from fixtures_pipeline.fetching import Fetcher
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.transport.limits import LIMITS
from fixtures_pipeline_tests.answers import BODIES
from fixtures_pipeline_tests.days import MONDAY, TUESDAY
from fixtures_pipeline_tests.fault_server import Exchange, FaultServer, body_of, event
from fixtures_pipeline_tests.runs import run
from fixtures_pipeline_tests.stores import table
from fixtures_pipeline_tests.tls import context_of, trust_authority

CASES = Path(__file__).parents[2] / "shared" / "field_cases"
KEY = "key-of-the-test"
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

pytestmark = pytest.mark.skipif(not CASES.exists(), reason=f"the field cases are not beside this checkout ({CASES})")


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a second where the pipeline would wait for a minute."""
    limits = replace(LIMITS, minute=1, pause=0.01)
    monkeypatch.setattr(loading, "Fetcher", functools.partial(Fetcher, limits=limits))


class Field:
    """A server that answers as a case says, and the runs that ask it."""

    def __init__(self, api: FaultServer, instance: DagsterInstance, folder: Path) -> None:
        self.api = api
        self.instance = instance
        self._folder = folder
        self.settings = self.settle("sofascore")

    def settle(self, provider: str, **changes: Any) -> Settings:
        """Ask as this provider's users do, into the one database of the test."""
        values: dict[str, Any] = {
            "api_url": self.api.url,
            "api_key": KEY,
            "start_date": "2022-01-01",
            "requests_per_second": 1000,
            "concurrency": 1,
            "lock_timeout": 5,
        }
        self.settings = Settings.load(provider=provider, db=self._folder / "field.duckdb", **values | changes)
        return self.settings

    def serve(self, name: str) -> None:
        """Answer every request as a file says."""
        content = (CASES / name).read_bytes()
        if name.endswith(".seq.json"):
            self.api.plan_any(functools.partial(_answer_in_turn, json.loads(content)["responses"]))
        elif name.endswith(".http"):
            self.api.plan_any(functools.partial(_answer_raw, content))
        else:
            self.api.plan_any(content)

    def run(self, first: date = MONDAY, last: date | None = None) -> ExecuteInProcessResult:
        return run(self.settings, self.instance, first, last)

    def rows(self, name: str = "fixtures") -> list[dict[str, Any]]:
        return table(open_store(self.settings), name)

    def by_id(self, *columns: str) -> dict[int, tuple[Any, ...]]:
        """Return these columns of each event."""
        return {row["event_id"]: tuple(row[column] for column in columns) for row in self.rows()}

    def errors(self) -> dict[date, dict[str, Any]]:
        return {row["date"]: row for row in self.rows("fixture_errors")}


def _answer_in_turn(responses: list[dict[str, Any]], exchange: Exchange) -> None:
    response = responses[min(exchange.request.before, len(responses) - 1)]
    headers = {name.replace("-", "_"): value for name, value in response["headers"].items()}
    exchange.answer(response["status"], json.dumps(response["body"]).encode(), **headers)


def _answer_raw(content: bytes, exchange: Exchange) -> None:
    interim, _, rest = content.partition(b"\r\n\r\n")
    if b" 103 " in interim:
        # Servers send it at once and think about the rest.
        exchange.send(interim + b"\r\n\r\n")
        time.sleep(0.2)
        content = rest
    exchange.send(content)
    if b"connection: close" in content.lower():
        exchange.close()


@pytest.fixture
def field(api: FaultServer, instance: DagsterInstance, tmp_path: Path) -> Field:
    return Field(api, instance, tmp_path)


SCORE = ("home_score", "away_score", "home_penalties", "away_penalties", "winner")


class TestApiFootball:
    @pytest.fixture(autouse=True)
    def _settle(self, field: Field) -> None:
        field.settle("api-football")

    def test_a_spent_minute_in_words_is_waited_for(self, field: Field) -> None:
        field.serve("af_rate_limit_with_200.seq.json")
        assert field.run().success
        assert len(field.rows()) == 2
        first, second = field.api.requests
        assert second.at - first.at >= 1

    def test_statuses_are_understood_in_any_spelling(self, field: Field) -> None:
        field.serve("af_status_spelling.json")
        assert field.run().success
        assert field.by_id("status", "status_detail") == {
            1001: ("cancelled", "Canc"),
            1002: ("abandoned", "Abandoned"),
            910001: ("finished", "FT"),
            910002: ("finished", "FT"),
        }
        assert [row["in_progress"] for row in field.rows("fixture_days")] == [False]

    def test_a_match_without_a_winner_is_no_draw_of_itself(self, field: Field) -> None:
        field.serve("af_finished_without_winner.json")
        assert field.run().success
        assert field.by_id(*SCORE) == {
            1011: (2, 1, None, None, None),
            1012: (None, None, None, None, None),
            910001: (2, 0, None, None, "home"),
            910002: (1, 1, None, None, "draw"),
        }

    def test_an_address_that_may_not_ask_stops_the_run(self, field: Field) -> None:
        field.serve("af_ip_not_allowed.json")
        assert not field.run(MONDAY, MONDAY + timedelta(days=7)).success
        errors = field.errors()
        assert {row["error_type"] for row in errors.values()} == {"AUTH_ERROR"}
        assert all(row["retry_at"] is None or row["retry_at"].year < 9999 for row in errors.values())
        assert len(field.api.requests) == 3
        assert [row["attempts"] for row in errors.values()] == [1, 1, 1, 0, 0, 0, 0, 0]

    def test_rare_statuses(self, field: Field) -> None:
        field.serve("good_af_rare_statuses.json")
        assert field.run().success
        assert field.by_id("status", *SCORE) == {
            1: ("suspended", 1, 0, None, None, None),
            2: ("live", 0, 0, None, None, None),
            3: ("abandoned", 1, 0, None, None, None),
            4: ("awarded", 3, 0, None, None, "home"),
            5: ("awarded", None, None, None, None, "away"),
            6: ("live", 1, 1, 2, 1, None),
        }


class TestFootballData:
    def test_a_missing_key_is_no_limit_of_a_plan(self, field: Field) -> None:
        with pytest.raises(SettingsError, match="FIXTURES_API_KEY must be set"):
            field.settle("football-data", api_key=None)
        # Nor does a key help that the provider does not get to see.
        field.settings = field.settle("football-data").model_copy(update={"api_key": None})
        field.serve("fd_key_missing.http")
        first = date(2025, 3, 1)
        assert not field.run(first, first + timedelta(days=7)).success
        errors = field.errors()
        assert len(errors) == 8
        for row in errors.values():
            assert row["error_type"] == "AUTH_ERROR"
            assert row["retry_at"] is None or row["retry_at"].year < 9999
            assert "FIXTURES_API_KEY" in row["error_message"]
        assert len(field.api.requests) == 3

    def test_a_shoot_out_without_its_score(self, field: Field) -> None:
        field.settle("football-data")
        field.serve("fd_shootout_without_penalties.json")
        assert field.run().success
        assert field.by_id(*SCORE) == {2001: (0, 0, 3, 5, "away"), 2002: (2, 1, None, None, "home")}

    @pytest.mark.parametrize("least", [None, "1"])
    def test_a_final_alone_is_a_day_where_the_operator_says_so(self, field: Field, least: str | None) -> None:
        field.settle("football-data", **{} if least is None else {"min_events": least})
        field.serve("fd_final_alone.json")
        day = date(2022, 12, 18)
        assert field.run(day).success == (least is not None)
        if least is None:
            assert field.errors()[day]["error_type"] == "DEFAULT_DATA_ERROR"
        else:
            assert field.by_id(*SCORE) == {2041: (3, 3, 4, 2, "home")}

    def test_rare_statuses(self, field: Field) -> None:
        field.settle("football-data")
        field.serve("good_fd_rare_statuses.json")
        assert field.run().success
        assert field.by_id("status", "home_score", "away_score", "home_penalties", "away_penalties") == {
            1: ("awarded", 3, 0, None, None),
            2: ("suspended", 0, 1, None, None),
            3: ("live", 1, 1, 3, 2),
        }
        assert field.by_id("winner")[1] == ("home",)


class TestATimeThatIsNotFixed:
    FRIDAY, SATURDAY = date(2025, 5, 9), date(2025, 5, 10)
    MIDNIGHT = datetime(2025, 5, 10, tzinfo=UTC)

    def load(self, field: Field, zone: str) -> dict[int, tuple[Any, ...]]:
        # A day with a single match is one here: it is about whose the matches are.
        field.settle("football-data", timezone=zone, min_events=1)
        answer = json.loads((CASES / "fd_time_not_fixed.json").read_bytes())

        def echo(exchange: Exchange) -> None:
            """Name the days that were asked for, as the provider does."""
            query = parse_qs(urlsplit(exchange.request.path).query)
            named = {name: query[name][0] for name in ("dateFrom", "dateTo")}
            exchange.answer(200, json.dumps(answer | {"filters": answer["filters"] | named}).encode())

        field.api.plan_any(echo)
        field.run(self.FRIDAY, self.SATURDAY)
        return field.by_id("date", "kickoff")

    def test_belongs_to_the_date_that_the_provider_wrote(self, field: Field) -> None:
        found = self.load(field, "America/New_York")
        assert found[2011] == (self.SATURDAY, None)
        assert found[2012] == (self.FRIDAY, self.MIDNIGHT)
        assert found[2013][0] == found[2014][0] == self.SATURDAY
        assert len(found) == 4

    def test_belongs_to_it_in_utc_too(self, field: Field) -> None:
        found = self.load(field, "UTC")
        assert {day for day, _ in found.values()} == {self.SATURDAY}
        assert len(found) == 4
        assert found[2011][1] is None
        assert found[2012][1] == self.MIDNIGHT

    def test_is_stored_from_an_answer_that_covers_more_than_the_day(self, field: Field) -> None:
        field.settle("football-data")
        field.serve("fd_time_not_fixed.json")
        assert field.run(self.SATURDAY).success
        assert len(field.rows()) == 4


class TestSofascore:
    def test_a_shoot_out_counts_no_goals(self, field: Field) -> None:
        field.serve("ss_aet_with_shootout.json")
        assert field.run().success
        assert field.by_id(*SCORE) == {
            3001: (1, 1, 5, 6, "away"),
            3002: (1, 1, 3, 4, "away"),
            3003: (3, 3, 7, 6, "home"),
        }

    def test_kickoffs_in_milliseconds_are_read(self, field: Field) -> None:
        field.serve("ss_kickoff_in_milliseconds.json")
        assert field.run(MONDAY).success
        assert field.run(TUESDAY).success
        assert field.by_id("date") == {3021: (MONDAY,), 3022: (MONDAY,), 3023: (TUESDAY,), 3024: (TUESDAY,)}
        assert {kickoff.date() == day for day, kickoff in field.by_id("date", "kickoff").values()} == {True}

    def test_early_hints_are_no_answer(self, field: Field) -> None:
        field.serve("ss_early_hints.http")
        assert field.run().success
        assert len(field.rows()) == 2

    def test_what_is_not_a_number_is_stored_as_null(self, field: Field) -> None:
        field.serve("ss_nan_in_lower_case.json")
        assert field.run().success
        assert len(field.rows()) == 2
        [row] = field.rows("fixture_days")
        events = json.loads(row["data"], parse_constant=pytest.fail)
        assert len(events) == 2
        # The text of that name stays, the bare word has become null.
        assert row["data"].count("nan") == (CASES / "ss_nan_in_lower_case.json").read_text().count("nan") - 1

    def test_a_spent_month_is_asked_about_once(self, field: Field) -> None:
        field.serve("ss_monthly_quota.http")
        assert not field.run().success
        error = field.errors()[MONDAY]
        assert error["error_type"] == "RATE_LIMIT_ERROR"
        assert timedelta(days=13) < error["retry_at"] - datetime.now(UTC) < timedelta(days=15)
        assert len(field.api.requests) == 1


def cut(connections: int) -> Callable[[socket.socket, int], None]:
    """Read the first words of so many connections and close them."""

    def greet(plain: socket.socket, before: int) -> None:
        if before < connections:
            plain.recv(4096)
            plain.close()
            raise ConnectionAbortedError

    return greet


class TestTls:
    """tls_cut_in_handshake.txt."""

    @pytest.fixture
    def authority(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
        return trust_authority(monkeypatch, tmp_path)

    @pytest.fixture
    def cutting(self, authority: trustme.CA) -> Iterator[FaultServer]:
        with FaultServer(context_of(authority.issue_cert("127.0.0.1"))) as server:
            server.greet = cut(1)
            server.plan(
                MONDAY, body_of([event(n, int(datetime(2025, 3, 3, 15, tzinfo=UTC).timestamp())) for n in (1, 2, 3)])
            )
            yield server

    def test_that_is_cut_in_the_handshake_is_tried_again(
        self, cutting: FaultServer, instance: DagsterInstance, tmp_path: Path
    ) -> None:
        field = Field(cutting, instance, tmp_path)
        assert field.run().success
        assert len(field.rows()) == 3
        assert cutting.connections == 2

    def test_that_is_cut_every_time_is_a_reset(
        self, cutting: FaultServer, instance: DagsterInstance, tmp_path: Path
    ) -> None:
        cutting.greet = cut(100)
        field = Field(cutting, instance, tmp_path)
        assert not field.run().success
        assert field.errors()[MONDAY]["error_type"] == "CONNECTION_RESET_ERROR"
        assert cutting.connections == 4

    def test_whose_certificate_nobody_vouches_for_is_asked_once(
        self, authority: trustme.CA, instance: DagsterInstance, tmp_path: Path
    ) -> None:
        with FaultServer(context_of(trustme.CA().issue_cert("127.0.0.1"))) as server:
            field = Field(server, instance, tmp_path)
            assert not field.run().success
            assert field.errors()[MONDAY]["error_type"] == "API_ERROR"
            assert server.connections == 1


def test_a_live_day_is_refreshed_after_a_refresh_that_failed(field: Field, time_machine: TimeMachineFixture) -> None:
    """live_day_one_failed_refresh.txt."""
    now = datetime(2025, 3, 20, 18, 0, 30, tzinfo=UTC)
    time_machine.move_to(now)
    live = {"code": 7, "type": "inprogress", "description": "2nd half"}
    kickoff = int((now - timedelta(minutes=40)).timestamp())
    field.api.plan(now.date(), body_of([event(n, kickoff, status=live) for n in (1, 2, 3)]))
    schedule = build_definitions(field.settings).resolve_schedule_def("refresh_days_in_progress")

    def tick(at: datetime) -> Any:
        return schedule.evaluate_tick(build_schedule_context(scheduled_execution_time=at))

    assert field.run(now.date()).success
    assert len(tick(now).run_requests or []) == 1
    field.api.plan(now.date(), (500, b"oops"))
    assert not field.run(now.date()).success
    assert len(field.api.requests) == 1 + 4
    assert len(field.errors()) == 1
    time_machine.shift(timedelta(minutes=15))
    asked = tick(now + timedelta(minutes=15))
    assert asked.skip_message is None
    assert [(one.tags[START], one.tags[END]) for one in asked.run_requests] == [("2025-03-20", "2025-03-20")]


def test_no_day_is_given_up_that_was_not_asked_for(field: Field, time_machine: TimeMachineFixture) -> None:
    """quota_days_given_up.txt."""
    began = datetime(2025, 4, 1, 12, tzinfo=UTC)
    time_machine.move_to(began)
    field.settle("api-football", requests_per_day=4)
    field.api.plan_any(lambda exchange: exchange.answer(200, BODIES["api-football"](exchange.day)))
    days = [date(2025, 3, 1) + timedelta(days=n) for n in range(20)]
    sensor = build_definitions(field.settings).resolve_sensor_def("retry_failed_days")
    cursor: str | None = None
    assert not field.run(days[0], days[-1]).success
    for hours in (1, 3, 7, 15, 31, 55, 79, 103, 127):
        # Some minutes later each time, as runs take a moment and the quota counts from their requests on.
        time_machine.move_to(began + timedelta(hours=hours, minutes=hours))
        result = sensor.evaluate_tick(build_sensor_context(instance=field.instance, cursor=cursor))
        cursor = result.cursor
        for asked in result.run_requests or []:
            assert isinstance(asked, RunRequest)
            field.run(date.fromisoformat(asked.tags[START]), date.fromisoformat(asked.tags[END]))
        sent = {request.day for request in field.api.requests}
        assert {row["attempts"] for day, row in field.errors().items() if day not in sent} <= {0}
    assert [row["date"] for row in field.rows("fixture_days")] == days
    assert field.errors() == {}
    assert len(field.api.requests) == 20
