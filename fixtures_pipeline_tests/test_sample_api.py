"""The sample API: days of the real shape, the same everywhere, a few of which fail."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests

from fixtures_pipeline.sample_api import RECOVERS_AFTER, SampleApi, day_body
from fixtures_pipeline_tests.fault_server import closed_port

NOW = datetime(2026, 6, 1, 15, tzinfo=UTC)
DAY = date(2025, 3, 8)
YEAR = [date(2025, 1, 1) + timedelta(days=n) for n in range(0, 365, 7)]
PATH = "/api/v1/sport/football/scheduled-events"


def events(day: date, now: datetime = NOW) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(day_body(day, now))["events"]
    return listed


def hours(event: dict[str, Any], day: date) -> float:
    begins = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    return float(event["startTimestamp"] - begins) / 3600


def test_a_day_is_the_same_in_every_process() -> None:
    code = f"""
from datetime import *; from fixtures_pipeline.sample_api import day_body; import sys
sys.stdout.buffer.write(day_body(date({DAY.year}, {DAY.month}, {DAY.day}), datetime(2026, 6, 1, 15, tzinfo=UTC)))"""
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert other == day_body(DAY, NOW)


def test_a_day_lists_its_neighbours_within_the_real_window() -> None:
    for day in YEAR[::4]:
        offsets = [hours(event, day) for event in events(day)]
        assert all(-14 <= offset < 36 for offset in offsets)
        own = sum(0 <= offset < 24 for offset in offsets)
        assert 0.1 < own / len(offsets) < 0.9
        assert offsets != sorted(offsets)


def test_a_day_has_thirty_to_eight_hundred_events() -> None:
    counts = [len(events(day)) for day in [*YEAR, date(2025, 12, 25), date(2025, 10, 18)]]
    assert 30 <= min(counts) < 100
    assert 400 < max(counts) <= 800


def test_an_event_is_the_same_in_every_answer_that_lists_it() -> None:
    both = {event["id"]: event for event in events(DAY)}
    shared = [event for event in events(DAY + timedelta(days=1)) if event["id"] in both]
    assert len(shared) > 20
    assert all(event == both[event["id"]] for event in shared)


def test_ids_stand_once_in_an_answer() -> None:
    for day in YEAR[::4]:
        assert max(Counter(event["id"] for event in events(day)).values()) == 1


def test_the_traps_of_real_answers_are_there() -> None:
    listed = [event for day in YEAR for event in events(day)]
    kinds = {(event["status"]["type"], event["status"]["code"]) for event in listed}
    assert {
        ("finished", 100),
        ("finished", 110),
        ("finished", 120),
        ("finished", 91),
        ("postponed", 60),
        ("canceled", 70),
        ("canceled", 90),
        ("suspended", 81),
    } <= kinds
    assert any("roundInfo" not in event for event in listed)
    assert any("uniqueTournament" not in event["tournament"] for event in listed)
    assert any("shortName" not in event["homeTeam"] for event in listed)
    assert any(event["homeTeam"]["country"] == {} for event in listed)
    assert any(event["season"]["year"].endswith(" ") for event in listed)
    assert any(not event["homeTeam"]["name"].isascii() for event in listed)
    assert any("  " in event["homeTeam"]["name"] for event in listed)
    shoot_outs = [event for event in listed if event["status"]["code"] == 120]
    assert all(event["homeScore"]["penalties"] != event["awayScore"]["penalties"] for event in shoot_outs)
    assert any(event["homeScore"]["display"] < 0 for event in shoot_outs)


def test_events_follow_the_clock() -> None:
    today = NOW.date()
    words = {event["status"]["type"] for event in events(today) if event["startTimestamp"] > NOW.timestamp()}
    assert words <= {"notstarted", "postponed"}
    running = [event for event in events(today) if 0 <= NOW.timestamp() - event["startTimestamp"] < 3600]
    assert running
    assert all(event["status"]["type"] == "inprogress" for event in running)
    later = NOW + timedelta(days=1)
    final = {event["id"]: event for event in events(today, later + timedelta(days=5))}
    ended = [event for event in events(today, later) if event["startTimestamp"] < NOW.timestamp()]
    assert all(final[event["id"]] == event for event in ended)


def test_some_events_move_to_another_day_and_keep_their_id() -> None:
    planned = {event["id"]: event for event in events(DAY, datetime(2025, 2, 1, tzinfo=UTC))}
    moved = [event for event in events(DAY + timedelta(days=3)) if event["id"] in planned]
    assert moved
    for event in moved:
        assert event["startTimestamp"] == planned[event["id"]]["startTimestamp"] + 3 * 86400
        assert event["id"] not in {other["id"] for other in events(DAY)}


def test_an_event_is_about_as_large_as_a_real_one() -> None:
    assert 2000 < len(day_body(DAY, NOW)) / len(events(DAY)) < 3500


def asked(url: str, day: date) -> str:
    """Return what kind of answer a day gets."""
    answer = requests.get(f"{url}{PATH}/{day}", timeout=10)
    if answer.status_code != 200:
        return str(answer.status_code)
    if answer.text.startswith("<"):
        return "HTML"
    if "events" not in answer.json():
        return "no list"
    own = sum(0 <= hours(event, day) < 24 for event in answer.json()["events"])
    return "single" if own == 1 else "good"


@pytest.mark.parametrize("first", [date(2024, 1, 1), date(2025, 3, 1), date(2026, 11, 10)])
def test_any_22_days_hold_each_fault_once(first: date) -> None:
    with SampleApi() as api:
        found = Counter(asked(api.url, first + timedelta(days=n)) for n in range(22))
    assert found == {"good": 17, "503": 1, "404": 1, "HTML": 1, "no list": 1, "single": 1}


def outage() -> date:
    with SampleApi() as api:
        return next(day for n in range(22) if asked(api.url, day := DAY + timedelta(days=n)) == "503")


def test_a_day_that_was_out_of_order_loads_when_it_has_failed_before() -> None:
    day = outage()
    with SampleApi(failed_before={day}) as api:
        assert asked(api.url, day) == "good"


def test_a_server_that_serves_on_recovers_by_itself() -> None:
    day = outage()
    with SampleApi() as api:
        answers = [asked(api.url, day) for _ in range(RECOVERS_AFTER + 1)]
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
    assert done.stderr == f"Port {port} of 127.0.0.1 cannot be used; name another with --port.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_alone_until_it_is_ended(number: signal.Signals) -> None:
    port = closed_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "fixtures_pipeline.sample_api", "--port", str(port)], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    assert asked(f"http://127.0.0.1:{port}", DAY) in {"good", "503", "404", "HTML", "no list", "single"}
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert f"http://127.0.0.1:{port}" in err
