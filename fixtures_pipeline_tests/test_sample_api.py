"""The sample API: it serves its days on loopback, a few of which fail at first."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from time_machine import travel

from fixtures_pipeline.days import list_days
from fixtures_pipeline.loading import load_days, open_store
from fixtures_pipeline.sample_api import OUTAGE, SampleApi
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline_tests.fault_server import closed_port
from fixtures_pipeline_tests.stores import table

DAY = date(2025, 3, 8)
PATH = "/api/v1/sport/football/scheduled-events"


def ask(url: str, day: date) -> str:
    """Return what kind of answer a day gets."""
    answer = requests.get(f"{url}{PATH}/{day}", timeout=10)
    if answer.status_code != 200:
        return str(answer.status_code)
    if answer.text.startswith("<"):
        return "HTML"
    if "events" not in answer.json():
        return "no list"
    begins = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    own = sum(0 <= event["startTimestamp"] - begins < 86400 for event in answer.json()["events"])
    return "single" if own == 1 else "good"


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def find_failing(first: date, **known: Any) -> dict[date, str]:
    """Return which of 22 days fail, and how."""
    with SampleApi(**known) as api:
        kinds = {day: ask(api.url, day) for day in (first + timedelta(days=n) for n in range(22))}
    return {day: kind for day, kind in kinds.items() if kind != "good"}


@pytest.fixture(scope="module")
def failing() -> dict[date, str]:
    return find_failing(DAY)


@pytest.mark.parametrize("first", [date(2024, 1, 1), datetime.now(UTC).date() - timedelta(days=14)])
def test_any_22_days_have_each_fault_once(first: date) -> None:
    assert sorted(find_failing(first).values()) == ["404", "503", "HTML", "no list", "single"]


def test_today_never_fails() -> None:
    clock = [datetime.now(UTC)]
    with SampleApi(now=lambda: clock[0]) as api:
        for n in range(22):
            clock[0] = noon(DAY + timedelta(days=n))
            assert ask(api.url, clock[0].date()) == "good"


def test_what_would_be_the_fault_of_today_is_that_of_tomorrow(failing: dict[date, str]) -> None:
    clock = [datetime.now(UTC)]
    with SampleApi(now=lambda: clock[0]) as api:
        for day, kind in failing.items():
            clock[0] = noon(day)
            assert [ask(api.url, day + timedelta(days=n)) for n in (-1, 0, 1, 2)] == ["good", "good", kind, "good"]


def test_the_faults_of_days_that_were_asked_for_before_are_over_but_for_the_404(failing: dict[date, str]) -> None:
    left = find_failing(DAY, asked_before=failing)
    assert left == {day: kind for day, kind in failing.items() if kind == "404"}
    assert len(left) == 1


def test_a_day_that_has_loaded_does_not_fail(failing: dict[date, str]) -> None:
    assert find_failing(DAY, asked_before=failing, loaded_before=failing) == {}


def test_a_server_that_serves_on_recovers_by_itself(failing: dict[date, str]) -> None:
    refused = {"503": OUTAGE, "404": OUTAGE + 2}
    with SampleApi() as api:
        for day, kind in failing.items():
            answers = [ask(api.url, day) for _ in range(OUTAGE + 2)]
            assert answers == [*[kind] * refused.get(kind, 1), *["good"] * (OUTAGE + 2)][: OUTAGE + 2]
    assert Limits().tries < OUTAGE


def test_a_day_that_it_has_served_well_stays_well(failing: dict[date, str]) -> None:
    clock = [datetime.now(UTC)]
    with SampleApi(now=lambda: clock[0]) as api:
        for day in failing:
            clock[0] = noon(day)
            assert ask(api.url, day) == "good"
            clock[0] += timedelta(days=1)
            assert ask(api.url, day) == "good"


@pytest.fixture
def sample(tmp_path: Path) -> Settings:
    return Settings.load(provider="sample", db=tmp_path / "sample.duckdb")


def load(settings: Settings, days: Sequence[date]) -> dict[date, str]:
    """Load days, and return the messages of those that fail now."""
    assert sum(map(len, load_days(settings, days))) == len(days)
    return {row["date"]: row["error_message"] for row in table(open_store(settings), "fixture_errors")}


def test_of_the_days_around_today_five_fail_at_first_and_one_of_them_for_good(sample: Settings) -> None:
    today = datetime.now(UTC).date()
    days = list_days(today - timedelta(days=14), today + timedelta(days=7))
    failed = load(sample, days)
    assert len(failed) == 5
    assert today not in failed
    [(lost, message)] = load(sample, list(failed)).items()
    assert "It says: “The sample leaves this day out on purpose”. " in message
    assert list(load(sample, days)) == [lost]
    assert {row["date"] for row in table(open_store(sample), "fixture_days")} == set(days) - {lost}


def test_a_day_that_was_loaded_when_it_was_today_stays_loaded(sample: Settings, failing: dict[date, str]) -> None:
    [lost] = [day for day, kind in failing.items() if kind == "404"]
    with travel(noon(lost)):
        assert load(sample, [lost]) == {}
    assert load(sample, [lost]) == {}


@pytest.mark.parametrize("path", ["/", "/api/v1", f"{PATH}/yesterday", f"{PATH}/2025-13-01", "/../etc/passwd"])
def test_any_other_path_is_not_found(path: str) -> None:
    with SampleApi() as api:
        answer = requests.get(api.url + path, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, 404)


@pytest.mark.parametrize("port", ["taken", "99999"])
def test_a_port_that_cannot_be_used_is_one_sentence(port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1]) if port == "taken" else port
        command = [sys.executable, "-m", "fixtures_pipeline.sample_api", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"Port {port} on 127.0.0.1 cannot be used; choose another with --port.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_alone_until_it_is_ended(number: signal.Signals) -> None:
    port = closed_port()
    command = [sys.executable, "-m", "fixtures_pipeline.sample_api", "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                with socket.socket() as sock:
                    if sock.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            assert ask(f"http://127.0.0.1:{port}", DAY) in {"good", "503", "404", "HTML", "no list", "single"}
            process.send_signal(number)
            _, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "Traceback" not in err
    assert f"http://127.0.0.1:{port}" in err
