"""The recorded days, served over HTTP and loaded: the tables hold what an independent reading of them says."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pytest
from dagster import DagsterInstance

from fixtures_pipeline.loading import load_days, open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.conftest import REAL_DAYS
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.oracle import assert_rules, fixture_of, own_events
from fixtures_pipeline_tests.runs import FIRST, run
from fixtures_pipeline_tests.stores import events, table


@pytest.fixture
def replay(api: FaultServer, real_days: dict[date, bytes]) -> dict[date, bytes]:
    """Have the server give the recorded answers, and return them."""
    for day, body in real_days.items():
        api.plan(day, body)
    return real_days


def load(settings: Settings, days: Iterable[date]) -> None:
    for day in days:
        assert len(list(load_days(settings, [day]))) == 1


def assert_fixtures(settings: Settings, recorded: dict[date, bytes]) -> None:
    """Assert that `fixtures` holds what the recorded answers say, read without the project's mapping."""
    expected: dict[int, dict[str, Any]] = {
        event["id"]: fixture_of(event) | {"date": day, "provider": "sofascore"}
        for day, body in sorted(recorded.items())
        for event in own_events(events(body), day)
    }
    found = {
        row["event_id"]: row for row in table(open_store(settings), "fixtures", "* EXCLUDE (updated_at, created_at)")
    }
    assert found == expected


def test_recorded_days_hold_what_an_independent_reading_says(settings: Settings, replay: dict[date, bytes]) -> None:
    load(settings, replay)
    assert_fixtures(settings, replay)
    stored = {row["date"]: row for row in table(open_store(settings), "fixture_days")}
    for day, body in replay.items():
        assert events(f'{{"events": {stored[day]["data"]}}}') == events(body)
    assert_rules(open_store(settings))


def test_recorded_days_hold_the_same_after_loading_twice_in_another_order_and_as_a_range(
    settings: Settings, instance: DagsterInstance, replay: dict[date, bytes]
) -> None:
    load(settings, sorted(replay, reverse=True))
    assert run(settings, instance, date(2025, 5, 5), date(2025, 5, 6)).success
    load(settings, replay)
    assert_fixtures(settings, replay)


def test_recorded_refusals_have_their_error_type(settings: Settings, api: FaultServer) -> None:
    recorded = sorted((REAL_DAYS / "sofascore").glob("error_*.json"))
    if not recorded:
        pytest.skip("the recorded answers are not beside this checkout (../shared/real_days)")
    days = [FIRST + timedelta(days=n) for n in range(len(recorded))]
    for day, path in zip(days, recorded, strict=True):
        api.plan(day, (int(path.name.split("_")[1]), path.read_bytes()))
    load(settings, days)
    types = Counter(row["error_type"] for row in table(open_store(settings), "fixture_errors"))
    assert types == {"AUTH_ERROR": 2, "API_ERROR": 1}
