"""The report of what is loaded: what it counts, what it shows, and that it costs a load nothing when it fails."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetKey,
    AssetSelection,
    DagsterEventType,
    DagsterInstance,
    ExecuteInProcessResult,
    define_asset_job,
)

from fixtures_pipeline.coverage import read_coverage, report_path, write_report
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import DayFailed, ErrorType
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.conftest import table
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.test_pipeline import run
from fixtures_pipeline_tests.test_store import Judged

FIRST = date(2025, 3, 1)
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp(str(tmp_path), overrides={"telemetry": {"enabled": False}}) as local:
        yield local


def load(settings: Settings, judged: Judged, *days: date) -> None:
    open_store(settings).load([judged(day, good_body(day)) for day in days])


def fail(settings: Settings, day: date, message: str = "It broke.") -> None:
    open_store(settings).load([DayFailed(day, ErrorType.API_ERROR, message)])


def reports(result: ExecuteInProcessResult) -> list[dict[str, Any]]:
    """Return the metadata of each report that a run made."""
    return [
        {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}
        for event in result.all_events
        if event.event_type == DagsterEventType.ASSET_MATERIALIZATION and event.asset_key == AssetKey("coverage_report")
    ]


def test_without_a_database_the_report_says_that_nothing_is_loaded(settings: Settings) -> None:
    report = write_report(settings)
    assert set(report.coverage.numbers.values()) == {0}
    assert "Nothing has been loaded yet" in report.path.read_text(encoding="utf-8")
    assert report.picture.startswith(PNG)


def test_every_day_has_one_state_and_days_ahead_are_not_missing(settings: Settings, judged: Judged) -> None:
    load(settings, judged, FIRST, FIRST + timedelta(days=1), FIRST + timedelta(days=4))
    fail(settings, FIRST + timedelta(days=3))
    fail(settings, FIRST + timedelta(days=4))
    ahead = datetime.now(UTC).date() + timedelta(days=5)
    load(settings, judged, ahead)
    coverage = read_coverage(settings)
    states = {day.day: day.state for day in coverage.days}
    assert [states[FIRST + timedelta(days=n)] for n in range(5)] == ["loaded", "loaded", "missing", "failed", "failed"]
    assert ahead - timedelta(days=1) not in states
    # The last day had loaded before it failed.
    assert coverage.numbers["loaded"] == 4
    assert coverage.numbers["failed"] == 2
    assert coverage.errors == {"API_ERROR": 2}
    assert coverage.numbers["events"] == len(table(open_store(settings), "fixtures"))


@pytest.mark.parametrize("number", [1, 10 * 365])
def test_one_day_and_ten_years_are_drawn_whole(settings: Settings, judged: Judged, number: int) -> None:
    days = [FIRST - timedelta(days=n) for n in range(number)]
    outcomes = [
        judged(FIRST, good_body(FIRST)),
        *(DayFailed(day, ErrorType.API_ERROR, "It broke.") for day in days[1:]),
    ]
    open_store(settings).load(outcomes)
    report = write_report(settings)
    page = report.path.read_text(encoding="utf-8")
    assert FIRST.isoformat() in page
    assert str(days[-1].year) in page
    assert len(page) < 4_000_000
    assert report.picture.startswith(PNG)
    assert len(report.picture) < 150_000


def test_the_page_asks_no_network_for_anything(settings: Settings, judged: Judged) -> None:
    load(settings, judged, FIRST)
    page = write_report(settings).path.read_text(encoding="utf-8")
    names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"'\s<>]+", page)) <= names
    assert not re.search(r"<(link|iframe|img|object|embed)\b|@import|url\((?!['\"]?#)", page)
    assert "default-src 'none'" in page


def test_a_message_cannot_become_part_of_the_page(settings: Settings, judged: Judged) -> None:
    load(settings, judged, FIRST)
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\" ' \u2028 & ]]>"
    fail(settings, FIRST + timedelta(days=1), hostile)
    page = write_report(settings).path.read_text(encoding="utf-8")
    assert page.count("<script>") == 1
    assert "<img" not in page
    assert "&lt;/script&gt;" in page


def test_sample_data_say_that_they_are_made_up(tmp_path: Path) -> None:
    page = write_report(Settings.load(db=tmp_path / "sample.duckdb")).path.read_text(encoding="utf-8")
    assert "made-up data" in page


def test_a_load_makes_the_report_anew_and_checks_alone_do_not(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    api.plan(FIRST, b"{}")
    [made] = reports(run(settings, instance, FIRST, FIRST + timedelta(days=1)))
    assert (made["days_loaded"], made["days_failed"], made["DATA_STRUCTURE_ERROR"]) == (1, 1, 1)
    assert made["coverage"].startswith("![Coverage](data:image/png;base64,")
    assert Path(made["report"]) == report_path(settings)
    assert report_path(settings).exists()


def test_the_report_is_made_on_demand(settings: Settings, judged: Judged, instance: DagsterInstance) -> None:
    load(settings, judged, FIRST)
    job = define_asset_job("alone", selection=AssetSelection.assets("coverage_report"))
    graph = build_definitions(settings).resolve_asset_graph()
    [made] = reports(job.resolve(asset_graph=graph).execute_in_process(instance=instance))
    assert made["days_loaded"] == 1


def test_a_report_that_cannot_be_written_costs_the_load_nothing(
    settings: Settings, instance: DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    report_path(settings).mkdir()
    result = run(settings, instance, FIRST)
    assert result.success
    assert reports(result) == []
    assert len(table(open_store(settings), "fixture_days")) == 1
    assert "cannot be made" in capfd.readouterr().err


def test_starting_up_does_not_load_what_only_the_report_needs() -> None:
    heavy = {"altair", "vl_convert", "apprise", "pandas"}
    code = f"import sys, fixtures_pipeline.definitions; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
