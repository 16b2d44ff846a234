"""Days that take several requests or come from a plan that cuts them: TheSportsDB's, which are days in UTC."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from dagster import DagsterInstance

from fixtures_pipeline.days import list_days
from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.loading import load_days, open_store
from fixtures_pipeline.outcome import DayFailed, DayLoaded, Outcome
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.answers import thesportsdb_body
from fixtures_pipeline_tests.days import MONDAY, TUESDAY
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.runs import evaluations, run
from fixtures_pipeline_tests.stores import table

SUNDAY = date(2025, 3, 2)


def ask(api: FaultServer, folder: Path, **changes: Any) -> Settings:
    return Settings.load(
        provider="thesportsdb",
        api_url=api.url,
        db=folder / "fixtures.duckdb",
        requests_per_second=1000,
        **changes,
    )


def load(settings: Settings, day: date = MONDAY) -> Outcome:
    [[stored]] = load_days(settings, [day])
    return stored.outcome


def events(*moments: str, first: int = 1) -> bytes:
    """Return an answer with events at these moments."""
    [event, *_] = json.loads(thesportsdb_body(MONDAY))["events"]
    listed = [event | {"idEvent": str(first + n), "strTimestamp": moment} for n, moment in enumerate(moments)]
    return json.dumps({"events": listed}).encode()


def asked(api: FaultServer) -> list[str]:
    return sorted(parse_qs(urlsplit(request.path).query)["d"][0] for request in api.requests)


def test_a_day_in_utc_is_one_request_with_the_public_key(api: FaultServer, tmp_path: Path) -> None:
    api.plan(MONDAY, thesportsdb_body(MONDAY))
    assert isinstance(load(ask(api, tmp_path)), DayLoaded)
    [request] = api.requests
    assert request.path == "/api/v1/json/123/eventsday.php?d=2025-03-03&s=Soccer"
    assert "X-API-Key" not in request.headers


def test_a_key_of_ones_own_goes_into_the_path_as_one_piece(api: FaultServer, tmp_path: Path) -> None:
    api.plan(MONDAY, thesportsdb_body(MONDAY))
    assert isinstance(load(ask(api, tmp_path, api_key="a/b?c#d%2e")), DayLoaded)
    [request] = api.requests
    assert request.path == "/api/v1/json/a%2Fb%3Fc%23d%252e/eventsday.php?d=2025-03-03&s=Soccer"


def test_a_key_in_the_path_is_in_no_file_after_a_run_in_which_it_was_echoed(
    api: FaultServer, tmp_path: Path, instance_in_files: DagsterInstance
) -> None:
    """In a refusal, in a redirect to elsewhere, in one to the same server, and in one without an end."""
    key = "k3y-that-must+never=leak"
    said = json.dumps({"Message": f"Invalid Premium API key: {key}"}).encode()
    days = list_days(MONDAY, MONDAY + timedelta(days=3))
    api.plan(days[0], (400, said))
    with FaultServer(host="127.0.0.2") as stranger:
        api.plan(days[1], lambda one: one.answer(302, Location=f"{stranger.url}{one.request.path}"))
        api.plan(days[2], lambda one: one.answer(302, Location=f"ftp://example.org/{key}"))
        api.plan(days[3], lambda one: one.answer(302, Location=one.request.path))
        result = run(ask(api, tmp_path, api_key=key), instance_in_files, days[0], days[-1])
        assert stranger.requests == []
    settings = ask(api, tmp_path)
    errors = {row["date"]: row for row in table(open_store(settings), "fixture_errors")}
    assert errors[days[0]]["error_type"] == "AUTH_ERROR"
    assert "with the key in the address, which is not followed" in errors[days[1]]["error_message"]
    assert len(errors) == len(days)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    written += [repr(event).encode() for event in result.all_events]
    for secret in (key, quote(key, safe="")):
        assert any(secret in request.path for request in api.requests) == (secret != key)
        assert not any(secret.encode() in one for one in written)


class TestADayOfAnotherZone:
    def test_is_made_of_both_utc_days_that_it_touches(self, api: FaultServer, tmp_path: Path) -> None:
        api.plan(SUNDAY, events("2025-03-02T20:59:59", "2025-03-02T21:00:00", first=1))
        api.plan(MONDAY, events("2025-03-03T12:00:00", "2025-03-03T21:00:00", first=3))
        settings = ask(api, tmp_path, timezone="Europe/Istanbul")
        outcome = load(settings)
        assert isinstance(outcome, DayLoaded)
        assert outcome.events == 4
        assert asked(api) == ["2025-03-02", "2025-03-03"]
        assert [row["event_id"] for row in table(open_store(settings), "fixtures")] == [2, 3]
        [row] = table(open_store(settings), "fixture_days")
        assert [event["idEvent"] for event in json.loads(row["data"])] == ["1", "2", "3", "4"]

    def test_counts_the_events_of_all_parts_together(self, api: FaultServer, tmp_path: Path) -> None:
        settings = ask(api, tmp_path, timezone="Europe/Istanbul")
        api.plan(SUNDAY, events("2025-03-02T22:00:00"))
        api.plan(MONDAY, b'{"events": null}')
        outcome = load(settings)
        assert isinstance(outcome, DayFailed)
        assert (outcome.error_type, outcome.events) == (ErrorType.DEFAULT_DATA_ERROR, 1)
        api.plan(MONDAY, events("2025-03-03T12:00:00", first=9))
        assert isinstance(load(settings), DayLoaded)

    @pytest.mark.parametrize("bad", [SUNDAY, MONDAY])
    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            ((403, b""), ErrorType.AUTH_ERROR),
            (b"<html>", ErrorType.JSON_DECODE_ERROR),
            (b'{"events": "Invalid League ID or no round passed"}', ErrorType.DATA_STRUCTURE_ERROR),
        ],
    )
    def test_is_as_good_as_all_of_its_parts_and_names_the_bad_one(
        self, bad: date, answer: Any, expected: ErrorType, api: FaultServer, tmp_path: Path
    ) -> None:
        for day in (SUNDAY, MONDAY):
            api.plan(day, answer if day == bad else thesportsdb_body(day))
        outcome = load(ask(api, tmp_path, timezone="Europe/Istanbul"))
        assert isinstance(outcome, DayFailed)
        assert (outcome.day, outcome.error_type) == (MONDAY, expected)
        assert f"{bad} (UTC)" in outcome.message

    def test_may_not_list_an_event_twice(self, api: FaultServer, tmp_path: Path) -> None:
        for day in (SUNDAY, MONDAY):
            api.plan(day, events("2025-03-02T22:00:00", "2025-03-03T12:00:00"))
        outcome = load(ask(api, tmp_path, timezone="Europe/Istanbul"))
        assert isinstance(outcome, DayFailed)
        assert outcome.error_type == ErrorType.INTEGRITY_ERROR


class TestADayWithoutEvents:
    def test_is_null_and_fails_as_no_data(self, api: FaultServer, tmp_path: Path) -> None:
        api.plan_any(b'{"events": null}')
        outcome = load(ask(api, tmp_path))
        assert isinstance(outcome, DayFailed)
        assert outcome.error_type == ErrorType.DEFAULT_DATA_ERROR

    def test_may_be_one_if_the_operator_says_so(self, api: FaultServer, tmp_path: Path) -> None:
        api.plan_any(b'{"events": null}')
        settings = ask(api, tmp_path, min_events=0)
        assert isinstance(load(settings), DayLoaded)
        [row] = table(open_store(settings), "fixture_days")
        assert (row["data"], row["count"]) == ("[]", 0)


@pytest.mark.parametrize(("key", "cut"), [(None, ["2025-03-03"]), ("c0ffee-secret", [])])
def test_a_day_that_the_public_key_cuts_is_named_by_a_check(
    key: str | None, cut: list[str], api: FaultServer, tmp_path: Path, instance: DagsterInstance
) -> None:
    api.plan(MONDAY, thesportsdb_body(MONDAY))
    api.plan(TUESDAY, events("2025-03-04T12:00:00", "2025-03-04T13:00:00"))
    result = run(ask(api, tmp_path, api_key=key), instance, MONDAY, TUESDAY)
    assert result.success
    [found] = evaluations(result, "days_not_cut").values()
    assert (found.passed, found.severity.name) == (not cut, "WARN")
    rows = found.metadata.get("rows")
    shown: Any = rows.value if rows is not None else None
    assert [record.data["day"] for record in shown.records] == cut if cut else shown is None
