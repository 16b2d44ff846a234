"""The report of what is loaded: its numbers, its picture, its page, and when Dagster has it made."""

import base64
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from dagster import AssetKey, AssetMaterialization, DagsterInstance, ExecuteInProcessResult

from fixtures_pipeline.coverage import ReportError, read_coverage, report_path, write_report
from fixtures_pipeline.coverage_page import DAYS_IN_PICTURE, page
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import DayFailed, DayLoaded, ErrorType, Outcome
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.runs import check_alone, run, stale_states

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
TODAY = datetime.now(UTC).date()
FIRST = date(2025, 3, 1)
PNG = b"\x89PNG\r\n\x1a\n"
#: Ends a script, an attribute and a line of JavaScript, wherever it is let.
HOSTILE = "</script><script>alert(1)</script><img src=http://x.invalid onerror=alert(2)>'\"> & ${alert} \u2028\u2029"


def loaded(day: date, events: int = 3, *, in_progress: bool = False) -> DayLoaded:
    """Return a day with so many events of its own, the first of them still to come if it is in progress."""
    noon = int(datetime.combine(day, time(12), UTC).timestamp())
    listed = [
        {
            "id": day.toordinal() * 1000 + n,
            "startTimestamp": noon + n,
            "status": {"code": 0, "type": "notstarted"}
            if in_progress and n == 0
            else {"code": 100, "type": "finished"},
        }
        for n in range(events)
    ]
    return DayLoaded(day, json.dumps({"events": listed}).encode(), events, in_progress)


def failed(day: date, message: str = "It broke.", error: ErrorType = ErrorType.API_ERROR) -> DayFailed:
    return DayFailed(day, error, message, http_status=500)


def put(settings: Settings, *outcomes: Outcome) -> None:
    """Store outcomes, without asking anybody."""
    open_store(settings).load(outcomes)


def days_from(first: date, number: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(number)]


class Page(HTMLParser):
    """A report as a browser reads it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def squares(self, fill: str | None = None) -> list[str]:
        """Return what the squares of a colour, or all, say when they are pointed at."""
        return [
            attributes["aria-label"] or ""
            for tag, attributes in self.tags
            if tag == "path"
            and re.match(r"\w{3} \d{4}-", attributes.get("aria-label") or "")
            and (attributes.get("d") or "").endswith("v11h-11Z")
            and fill in {None, attributes.get("fill")}
        ]


def report_now(settings: Settings, instance: DagsterInstance) -> ExecuteInProcessResult:
    """Materialize the report, as its page's button does."""
    job = build_definitions(settings).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, asset_selection=[AssetKey("coverage_report")], raise_on_error=False
    )


def reports(instance: DagsterInstance) -> list[AssetMaterialization]:
    """Return the materializations of the report, the latest first."""
    records = instance.fetch_materializations(AssetKey("coverage_report"), limit=10).records
    return [record.asset_materialization for record in records if record.asset_materialization]


class TestNumbers:
    def test_without_a_database_are_zero(self, settings: Settings) -> None:
        coverage = read_coverage(settings)
        assert set(coverage.numbers.values()) == {0}
        assert coverage.errors == {}
        assert not settings.database.exists()

    def test_count_days_by_state_events_and_failed_days_by_type(self, settings: Settings) -> None:
        days = days_from(FIRST, 8)
        put(
            settings,
            loaded(days[0], 5),
            loaded(days[1], 4, in_progress=True),
            failed(days[2]),
            failed(days[3]),
            failed(days[4], error=ErrorType.TIMEOUT_ERROR),
            loaded(days[7], 2),
        )
        coverage = read_coverage(settings)
        assert coverage.numbers == {"loaded": 3, "failed": 3, "missing": 2, "in_progress": 1, "events": 11}
        assert list(coverage.errors.items()) == [("API_ERROR", 2), ("TIMEOUT_ERROR", 1)]
        assert coverage.days[1].open == 1

    def test_a_day_that_failed_after_it_had_loaded_counts_as_both(self, settings: Settings) -> None:
        put(settings, loaded(FIRST, 5))
        put(settings, failed(FIRST))
        assert read_coverage(settings).numbers == {
            "loaded": 1,
            "failed": 1,
            "missing": 0,
            "in_progress": 0,
            "events": 5,
        }

    def test_days_ahead_that_are_not_loaded_are_not_missing_and_days_behind_are(self, settings: Settings) -> None:
        put(settings, loaded(TODAY - timedelta(days=3)), loaded(TODAY + timedelta(days=5), in_progress=True))
        missing = [day.day for day in read_coverage(settings).days if day.state == "missing"]
        assert missing == [TODAY - timedelta(days=2), TODAY - timedelta(days=1), TODAY]

    def test_days_that_were_never_reached_for_are_not_missing(self, settings: Settings) -> None:
        put(settings, loaded(TODAY - timedelta(days=30)), loaded(TODAY - timedelta(days=29)))
        assert read_coverage(settings).numbers["missing"] == 0


class TestPage:
    def test_says_that_nothing_is_loaded_where_there_is_no_database(self, settings: Settings) -> None:
        report = write_report(settings)
        assert report.path == report_path(settings)
        assert "Nothing has been loaded yet." in Page(report.path).text
        assert report.picture.startswith(PNG)

    def test_with_one_day_shows_one_square_and_one_point(self, settings: Settings) -> None:
        put(settings, loaded(FIRST, 5))
        report = write_report(settings)
        shown = Page(report.path)
        assert shown.squares() == ["Sat 2025-03-01: loaded\n5 events"]
        assert "fixtures.duckdb" in shown.text
        assert report.picture.startswith(PNG)

    def test_names_failed_days_in_red_with_a_cross_and_missing_ones_in_grey(self, settings: Settings) -> None:
        days = days_from(FIRST, 4)
        put(settings, loaded(days[0]), failed(days[1], "The key is wrong."), loaded(days[3]))
        shown = Page(write_report(settings).path)
        about = "Sun 2025-03-02: failed\nAPI_ERROR: The key is wrong.\nattempts: 1"
        assert shown.squares("#e0362c") == [about]
        assert shown.squares("#e9e9e9") == ["Mon 2025-03-03: missing"]
        marks = [attributes for _, attributes in shown.tags if attributes.get("aria-label") == about]
        assert [mark.get("stroke") for mark in marks] == [
            "#7f0000",
            "white",
            "#e0362c",
        ]  # square, its cross, the line's
        assert "The key is wrong." in shown.text

    def test_shows_days_in_progress_with_what_can_still_change(self, settings: Settings) -> None:
        put(settings, loaded(FIRST, 7, in_progress=True))
        shown = Page(write_report(settings).path)
        assert "1 of 7" in shown.text
        assert shown.squares() == ["Sat 2025-03-01: in progress\n7 events\n1 of them can still change"]

    def test_says_when_it_was_made_for_whom_and_of_sample_data_that_they_are_made_up(self, settings: Settings) -> None:
        put(settings, loaded(FIRST))
        shown = Page(write_report(settings).path)
        assert re.search(rf"Provider sofascore · .* · made {TODAY:%Y}-\d\d-\d\d \d\d:\d\d UTC", shown.text)
        assert "made-up" not in shown.text
        sample = Settings.load(db=settings.database.with_name("sample.duckdb"))
        assert "made-up data, no real fixtures" in Page(write_report(sample).path).text

    def test_refers_to_nothing_outside_of_itself_and_forbids_itself_to(self, settings: Settings) -> None:
        put(settings, loaded(FIRST), failed(FIRST + timedelta(days=1), HOSTILE))
        shown = Page(write_report(settings).path)
        named = {name for _, attributes in shown.tags for name in attributes}
        assert not named & {"src", "href", "xlink:href", "srcset", "data", "action"}
        assert not {tag for tag, _ in shown.tags} & {"link", "img", "iframe", "object", "embed", "base", "image"}
        styles = shown.source.split("<style>")[1].split("</style>")[0]
        assert not re.search(r"@import|url\(", styles)
        assert "default-src 'none'" in shown.source

    def test_an_error_message_cannot_break_out(self, settings: Settings) -> None:
        put(settings, failed(FIRST, HOSTILE), loaded(FIRST + timedelta(days=1)))
        shown = Page(write_report(settings).path)
        assert [tag for tag, _ in shown.tags].count("script") == 1
        assert not any(name.startswith("on") for _, attributes in shown.tags for name in attributes)
        assert HOSTILE in shown.text
        assert HOSTILE in shown.squares("#e0362c")[0]

    @pytest.mark.parametrize("text", ["", "\x00", "\x1b[31m\x7f\ufffe", "😀 \u202e"])
    def test_any_message_can_be_shown(self, settings: Settings, text: str) -> None:
        put(settings, failed(FIRST, text))
        assert write_report(settings).picture.startswith(PNG)

    def test_ten_years_have_a_square_a_day_and_stay_small(self, settings: Settings) -> None:
        days = days_from(date(2015, 1, 1), 3653)
        outcomes = [failed(day) if n % 29 == 0 else loaded(day, 2 + n % 7) for n, day in enumerate(days)]
        for start in range(0, len(outcomes), 500):
            put(settings, *outcomes[start : start + 500])
        report = write_report(settings)
        shown = Page(report.path)
        assert len(shown.squares()) == 3653
        assert len(shown.squares("#e0362c")) == report.coverage.numbers["failed"] == 126
        assert {str(year) for year in range(2015, 2025)} <= set(re.findall(r"\d{4}", shown.text))
        assert len(shown.source) < 2_000_000
        assert len(report.picture) < 150_000
        # A picture of fewer days says so.
        assert len(report.coverage.days) > DAYS_IN_PICTURE

    def test_is_written_in_one_go(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        put(settings, loaded(FIRST))
        path = write_report(settings).path
        before = path.read_text(encoding="utf-8")

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(ReportError, match="No space left on device"):
            write_report(settings)
        assert path.read_text(encoding="utf-8") == before
        assert not list(path.parent.glob(".*"))

    @pytest.mark.ui
    @pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium, or set CHROMIUM")
    def test_in_a_browser_asks_for_nothing_runs_nothing_of_a_message_and_tells_of_a_square(
        self, settings: Settings
    ) -> None:
        from playwright.sync_api import sync_playwright

        put(settings, failed(FIRST, HOSTILE), loaded(FIRST + timedelta(days=1)))
        path = write_report(settings).path
        seen: list[str] = []
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            opened = browser.new_page()
            opened.on("request", lambda request: seen.append(request.url))
            opened.on("dialog", lambda dialog: seen.append(f"dialog {dialog.message}"))
            opened.on("console", lambda message: seen.append(message.text))
            opened.on("pageerror", lambda error: seen.append(str(error)))
            opened.goto(path.as_uri())
            opened.locator('path[fill="#e0362c"]').first.hover(force=True)
            assert HOSTILE[:40] in opened.locator("#tip").inner_text()
            assert opened.locator("#tip").is_visible()
            browser.close()
        assert seen == [path.as_uri()]


class TestInDagster:
    def test_every_load_leaves_a_new_report_with_a_picture_and_numbers(
        self, settings: Settings, api: FaultServer, instance: DagsterInstance
    ) -> None:
        api.plan(FIRST, b"{}")
        assert run(settings, instance, FIRST, FIRST + timedelta(days=1)).success
        [report] = reports(instance)
        told = {name: value.value for name, value in report.metadata.items()}
        picture = re.fullmatch(r"!\[Coverage\]\(data:image/png;base64,(.+)\)", str(told.pop("coverage")))
        assert picture is not None
        assert base64.b64decode(picture[1]).startswith(PNG)
        assert told.pop("report") == str(report_path(settings))
        assert told == {
            "days_loaded": 1,
            "days_failed": 1,
            "days_missing": 0,
            "days_in_progress": 0,
            "events": 5,
            "DATA_STRUCTURE_ERROR": 1,
        }
        assert "Sun 2025-03-02: loaded" in page(read_coverage(settings))

    def test_checks_alone_make_no_report(self, settings: Settings, instance: DagsterInstance) -> None:
        assert check_alone(settings, instance, "no_gaps").success
        assert reports(instance) == []

    def test_a_report_that_cannot_be_written_leaves_the_load_a_success_and_says_so(
        self, settings: Settings, instance: DagsterInstance
    ) -> None:
        report_path(settings).mkdir(parents=True)
        result = run(settings, instance, FIRST)
        assert result.success
        assert reports(instance) == []
        logged = [entry.user_message for entry in instance.all_logs(result.run_id) if entry.level == logging.WARNING]
        assert logged == [
            f"The report {report_path(settings)} cannot be written: Is a directory. Check its folder, the free space "
            "and the permissions; an earlier report is as it was. The load is not affected; materialize "
            "coverage_report to try again."
        ]

    def test_a_report_on_demand_that_cannot_be_written_fails_with_the_sentence(
        self, settings: Settings, instance: DagsterInstance
    ) -> None:
        report_path(settings).mkdir(parents=True)
        result = report_now(settings, instance)
        assert not result.success
        [failure] = [event for event in result.all_events if event.is_step_failure]
        assert "cannot be written" in str(failure.step_failure_data.user_failure_data)

    def test_a_report_can_be_had_before_anything_is_loaded(self, settings: Settings, instance: DagsterInstance) -> None:
        assert report_now(settings, instance).success
        assert reports(instance)[0].metadata["days_loaded"].value == 0

    def test_neither_loads_nor_reports_on_demand_leave_anything_marked_unsynced(
        self, settings: Settings, instance: DagsterInstance
    ) -> None:
        run(settings, instance, FIRST)
        assert stale_states(settings, instance, FIRST) == {"FRESH"}
        assert report_now(settings, instance).success
        assert stale_states(settings, instance, FIRST) == {"FRESH"}
        run(settings, instance, FIRST)
        run(settings, instance, FIRST + timedelta(days=1))
        assert stale_states(settings, instance, FIRST) == {"FRESH"}
        assert len(reports(instance)) == 4


def test_loading_the_code_location_imports_none_of_what_draws() -> None:
    code = (
        "import sys, fixtures_pipeline.definitions\n"
        "print(sorted({'altair', 'pandas', 'vl_convert', 'fixtures_pipeline.coverage_page'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
