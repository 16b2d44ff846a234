"""The sample API: it serves its days on loopback, a few of which fail."""

import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
import requests

from fixtures_pipeline.sample_api import RECOVERS_AFTER, SampleApi
from fixtures_pipeline_tests.fault_server import closed_port

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


@pytest.mark.parametrize("first", [date(2024, 1, 1), date(2025, 3, 1), date(2026, 11, 10)])
def test_any_22_days_hold_each_fault_once(first: date) -> None:
    with SampleApi() as api:
        found = Counter(ask(api.url, first + timedelta(days=n)) for n in range(22))
    assert found == {"good": 17, "503": 1, "404": 1, "HTML": 1, "no list": 1, "single": 1}


def outage() -> date:
    with SampleApi() as api:
        return next(day for n in range(22) if ask(api.url, day := DAY + timedelta(days=n)) == "503")


def test_a_day_that_was_out_of_order_loads_when_it_has_failed_before() -> None:
    day = outage()
    with SampleApi(failed_before={day}) as api:
        assert ask(api.url, day) == "good"


def test_a_server_that_serves_on_recovers_by_itself() -> None:
    day = outage()
    with SampleApi() as api:
        answers = [ask(api.url, day) for _ in range(RECOVERS_AFTER + 1)]
    assert answers == ["503"] * RECOVERS_AFTER + ["good"]


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
