"""The coverage report: its numbers, its page, its picture and its file, and when Dagster makes it."""

import base64
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    ExecuteInProcessResult,
    evaluate_automation_conditions,
)
from hypothesis import given
from hypothesis import strategies as st
from time_machine import TimeMachineFixture

from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.errors import ErrorType, ReportError
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import DayFailed, DayLoaded, Outcome
from fixtures_pipeline.report import charts
from fixtures_pipeline.report.charts import DAYS_IN_PICTURE, MANY_DAYS, draw_picture, scale_events
from fixtures_pipeline.report.coverage import Coverage, Day, read_coverage
from fixtures_pipeline.report.page import FAILED_LISTED, IN_PROGRESS_LISTED, draw_page
from fixtures_pipeline.report.write import write_report
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import FaultServer, body_of, own
from fixtures_pipeline_tests.runs import check_alone, run, stale_states

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
TODAY = datetime.now(UTC).date()
FIRST = date(2025, 3, 1)
PNG = b"\x89PNG\r\n\x1a\n"
SCHEDULED = {"code": 0, "type": "notstarted"}
#: Ends an element, an attribute, a style, a template's expression and a line, wherever it is let.
HOSTILE = (
    "</style></table><script>alert(1)</script><img src=http://x.invalid onerror=alert(2)>'\"> & {{ 7 * 7 }} {% x %}"
)


def loaded(day: date, events: int = 3, *, in_progress: bool = False) -> DayLoaded:
    """Return a day with so many events of its own; if it is in progress, the first of them is still to come."""
    listed = own(day, events)
    if in_progress:
        listed[0]["status"] = SCHEDULED
    return DayLoaded(day, body_of(listed), events, in_progress)


def failed(day: date, error: ErrorType = ErrorType.API_ERROR) -> DayFailed:
    return DayFailed(day, error, "It broke.", http_status=500)


def put(settings: Settings, *outcomes: Outcome) -> None:
    """Store outcomes without fetching anything."""
    open_store(settings).put(outcomes)


def days_from(first: date, number: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(number)]


def broken(day: date, message: str = "It broke.", error_type: str = "API_ERROR") -> Day:
    return Day(day, error_type=error_type, error_message=message, attempts=1)


def covering(*days: Day, database: str = "fixtures.duckdb", provider: str = "sofascore") -> Coverage:
    return Coverage(database, provider, None, datetime(2026, 1, 2, 3, 4, tzinfo=UTC), days)


class Page(HTMLParser):
    """A report as a browser reads it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def squares(self, look: str = "") -> list[str]:
        """Return what the days of the calendar that have a look, or all of them, say when they are pointed at."""
        return [
            attributes["title"] or ""
            for tag, attributes in self.tags
            if tag == "td" and "title" in attributes and look in (attributes["class"] or "")
        ]


def draw(*days: Day, **about: str) -> Page:
    return Page(draw_page(covering(*days, **about)))


def report_now(settings: Settings, instance: DagsterInstance) -> ExecuteInProcessResult:
    """Materialize the report, as its page's button does."""
    job = build_definitions(settings).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, asset_selection=[AssetKey("coverage_report")], raise_on_error=False
    )


def load(settings: Settings, instance: DagsterInstance, day: date) -> None:
    """Load a day into the tables, without the report."""
    tables = [AssetKey(name) for name in ("fixture_days", "fixtures", "fixture_errors")]
    assert run(settings, instance, day, asset_selection=tables).success


def reports(instance: DagsterInstance) -> list[AssetMaterialization]:
    """Return the materializations of the report, the latest first."""
    records = instance.fetch_materializations(AssetKey("coverage_report"), limit=10).records
    return [record.asset_materialization for record in records if record.asset_materialization]


class TestNumbers:
    def test_are_zero_without_a_database(self, settings: Settings) -> None:
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
            failed(days[4], ErrorType.TIMEOUT_ERROR),
            loaded(days[7], 2),
        )
        coverage = read_coverage(settings)
        assert coverage.numbers == {"loaded": 3, "failed": 3, "missing": 2, "in_progress": 1, "events": 11}
        assert list(coverage.errors.items()) == [("API_ERROR", 2), ("TIMEOUT_ERROR", 1)]
        assert coverage.days[1].open == 1

    def test_count_a_day_that_failed_after_it_had_loaded_as_both(self, settings: Settings) -> None:
        put(settings, loaded(FIRST, 5))
        put(settings, failed(FIRST))
        assert read_coverage(settings).numbers == {
            "loaded": 1,
            "failed": 1,
            "missing": 0,
            "in_progress": 0,
            "events": 5,
        }

    def test_do_not_count_future_days_as_missing(self, settings: Settings) -> None:
        put(settings, loaded(TODAY - timedelta(days=3)), loaded(TODAY + timedelta(days=5), in_progress=True))
        missing = [day.day for day in read_coverage(settings).days if day.state == "missing"]
        assert missing == [TODAY - timedelta(days=2), TODAY - timedelta(days=1), TODAY]

    def test_do_not_count_days_after_the_last_known_one_as_missing(self, settings: Settings) -> None:
        put(settings, loaded(TODAY - timedelta(days=30)), loaded(TODAY - timedelta(days=29)))
        assert read_coverage(settings).numbers["missing"] == 0


class TestPage:
    def test_says_that_nothing_has_been_loaded(self) -> None:
        page = draw()
        assert "Nothing has been loaded yet." in page.text
        assert page.squares() == []

    def test_shows_one_day_as_one_square(self) -> None:
        page = draw(Day(FIRST, 1234))
        assert page.squares() == ["Sat 2025-03-01: loaded\n1,234 events"]
        assert "Coverage of fixtures.duckdb" in page.text

    def test_gives_each_state_a_look_of_its_own_and_says_what_is_known(self) -> None:
        days = days_from(FIRST, 4)
        page = draw(Day(days[0], 9), broken(days[1], "The key is wrong."), Day(days[2]), Day(days[3], 2, 1, True))
        assert page.squares("failed") == ["Sun 2025-03-02: failed\nAPI_ERROR: The key is wrong.\nattempts: 1"]
        assert page.squares("missing") == ["Mon 2025-03-03: missing"]
        assert page.squares("open") == ["Tue 2025-03-04: in progress\n2 events\n1 of them can still change"]
        assert page.squares("blue4") == ["Sat 2025-03-01: loaded\n9 events"]
        # A shape each, so that nobody has to tell hues apart.
        for look, shape in {"failed": "linear-gradient", "open": "radial-gradient", "missing": "border"}.items():
            assert re.search(rf"\.{look} {{[^}}]*{shape}", page.source)

    def test_shows_what_an_earlier_load_of_a_failed_day_brought(self) -> None:
        [about] = draw(Day(FIRST, 5, error_type="API_ERROR", error_message="It broke.", attempts=2)).squares("failed")
        assert about == "Sat 2025-03-01: failed\n5 events\nAPI_ERROR: It broke.\nattempts: 2"

    @pytest.mark.parametrize("first", [date(2024, 1, 1), date(2023, 1, 1), date(2028, 2, 1), date(2020, 12, 31)])
    def test_puts_every_day_into_the_row_of_its_weekday_and_the_latest_year_on_top(self, first: date) -> None:
        days = days_from(first, 400)
        page = draw(*(Day(day, 1) for day in days))
        years = re.findall(r"<table class=\"calendar\">.*?</table>", page.source, re.DOTALL)
        assert [int(found) for found in re.findall(r"<caption>(\d+)", page.source)] == sorted(
            {day.year for day in days}, reverse=True
        )
        for year in years:
            months = sum(int(span) for span in re.findall(r'colspan="(\d+)"', year))
            rows = re.findall(r"<tr><th>(\w+)</th>(.*?)</tr>", year)
            assert [name for name, _ in rows] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
            for name, row in rows:
                assert row.count("<td") == months
                assert set(re.findall(r'title="(\w+)', row)) <= {name}
        assert len(page.squares()) == 400

    def test_shows_failed_days_by_type_and_lists_the_latest(self) -> None:
        days = [broken(day, f"Message {n}.") for n, day in enumerate(days_from(FIRST, FAILED_LISTED + 5))]
        page = draw(*days, Day(days[-1].day + timedelta(days=1), 1))
        assert re.search(rf"API_ERROR\s*{FAILED_LISTED + 5}", page.text)
        assert f"Failed days, the latest {FAILED_LISTED} of {FAILED_LISTED + 5}" in page.text
        listed = page.source.partition('<table class="days">')[2]
        assert f"Message {FAILED_LISTED + 4}." in listed
        assert "Message 5." in listed
        assert "Message 4." not in listed

    def test_shows_days_in_progress_the_oldest_first(self) -> None:
        assert "1 of 7" in draw(Day(FIRST, 7, 1, True)).text
        page = draw(*(Day(day, 7, 2, True) for day in days_from(FIRST, IN_PROGRESS_LISTED + 1)))
        assert f"The first {IN_PROGRESS_LISTED} of {IN_PROGRESS_LISTED + 1}: events that can still change." in page.text
        assert page.text.count("2 of 7") == IN_PROGRESS_LISTED

    def test_says_when_it_was_made_for_which_provider_and_that_sample_data_are_invented(self) -> None:
        text = draw(Day(FIRST, 1)).text
        assert "Provider sofascore · 2025-03-01 to 2025-03-01 · made 2026-01-02 03:04 UTC" in text
        assert "invented data, not real fixtures" not in text
        assert "invented data, not real fixtures" in draw(Day(FIRST, 1), provider="sample").text

    def test_names_its_source_if_that_asks_for_it(self) -> None:
        line = "Data: <the> source"
        shown = draw_page(replace(covering(Day(FIRST, events=3)), attribution=line))
        assert "<footer><p>Data: &lt;the&gt; source</p></footer>" in shown
        assert "<footer>" not in draw_page(covering(Day(FIRST, events=3)))

    @pytest.mark.parametrize("number", [MANY_DAYS, MANY_DAYS + 1])
    def test_draws_a_mean_through_many_days(self, number: int) -> None:
        page = draw(*(Day(day, 1) for day in days_from(FIRST, number)))
        assert ("The dark line is the mean of four weeks." in page.text) == (number > MANY_DAYS)

    def test_refers_to_nothing_outside_of_itself_and_forbids_itself_to(self) -> None:
        page = draw(Day(FIRST, 1), broken(FIRST + timedelta(days=1), HOSTILE))
        named = {name for _, attributes in page.tags for name in attributes}
        assert not named & {"src", "href", "xlink:href", "srcset", "data", "action"}
        assert not {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "embed", "base", "image"}
        styles = page.source.split("<style>")[1].split("</style>")[0]
        assert not re.search(r"@import|url\(", styles)
        assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in page.source

    def test_no_text_from_outside_can_break_out(self) -> None:
        harmless = draw(broken(FIRST), Day(FIRST + timedelta(days=1), 1))
        page = draw(broken(FIRST, HOSTILE, HOSTILE), Day(FIRST + timedelta(days=1), 1), database=HOSTILE)
        assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags]
        assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
        assert page.text.count(HOSTILE) > 3
        assert page.squares("failed") == [f"Sat 2025-03-01: failed\n{HOSTILE}: {HOSTILE}\nattempts: 1"]

    @given(st.text() | st.text("\x00\x1b[31m\x7f\ufffe\u202e\u2028<>&'\"{}%\ud800 \r\n"))
    def test_any_message_can_be_shown_and_holds_nothing_that_is_invisible(self, message: str) -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            # It holds no messages, and drawing it takes most of the time.
            monkeypatch.setattr(charts, "draw_line", lambda _: "")
            page = draw(broken(FIRST, message))
        assert [tag for tag, _ in page.tags].count("script") == 0
        assert page.source.replace("\n", "").isprintable()
        assert page.source.encode()

    def test_has_ten_years_in_less_than_a_megabyte(self) -> None:
        days = days_from(date(2015, 1, 1), 3653)
        page = draw(*(broken(day) if n % 29 == 0 else Day(day, n % 400) for n, day in enumerate(days)))
        assert len(page.squares()) == 3653
        assert len(page.squares("failed")) == 126
        assert len(page.source) < 1_000_000

    @pytest.mark.ui
    @pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium, or set CHROMIUM")
    def test_in_a_browser_asks_for_nothing_and_runs_nothing(self, tmp_path: Path) -> None:
        from playwright.sync_api import sync_playwright

        path = tmp_path / "report.html"
        path.write_text(draw(broken(FIRST, HOSTILE), Day(FIRST + timedelta(days=1), 1)).source, encoding="utf-8")
        seen: list[str] = []
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            opened = browser.new_page()
            opened.on("request", lambda request: seen.append(request.url))
            opened.on("dialog", lambda dialog: seen.append(f"dialog {dialog.message}"))
            opened.on("console", lambda message: seen.append(message.text))
            opened.on("pageerror", lambda error: seen.append(str(error)))
            opened.goto(path.as_uri())
            square = opened.locator("td.failed")
            assert HOSTILE in (square.get_attribute("title") or "")
            assert square.bounding_box() is not None
            browser.close()
        assert seen == [path.as_uri()]


class TestBlues:
    @given(st.lists(st.integers(0, 3000)))
    def test_are_in_order_and_the_last_stands_for_the_most_events(self, events: list[int]) -> None:
        limits = scale_events([Day(FIRST, number) for number in events])
        assert limits == sorted(limits)
        assert limits[-1] == max(events, default=0)

    @pytest.mark.parametrize(
        ("events", "legend"),
        [
            (0, ["0 events"]),
            (3, ["0", "1", "2", "3 events"]),
            (400, ["0-16", "17-64", "65-144", "145-256", "257-400 events"]),
        ],
    )
    def test_are_explained_by_the_events_that_they_stand_for(self, events: int, legend: list[str]) -> None:
        explained = draw(Day(FIRST, events)).source.partition('<p class="legend">')[2].partition("</p>")[0]
        found = re.findall(r'square blue\d"></i>(.*?)</span>', explained)
        assert [text.replace("\N{EN DASH}", "-") for text in found] == legend


class TestPicture:
    @pytest.fixture
    def specified(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        """Return the charts that are drawn, which hold the picture's words and days."""
        drawn: list[dict[str, Any]] = []
        original = vl_convert.vegalite_to_png

        def remember(chart: dict[str, Any], **options: Any) -> bytes:
            drawn.append(chart)
            return original(chart, **options)

        monkeypatch.setattr(vl_convert, "vegalite_to_png", remember)
        return drawn

    @pytest.mark.parametrize("number", [0, 1, 22])
    def test_is_a_png_of_a_few_days(self, number: int) -> None:
        assert draw_picture([Day(day, 5) for day in days_from(FIRST, number)]).startswith(PNG)

    def test_says_in_words_that_it_shows_only_the_latest_days_and_stays_small(
        self, specified: list[dict[str, Any]]
    ) -> None:
        days = days_from(date(2015, 1, 1), 3653)
        picture = draw_picture([broken(day) if n % 29 == 0 else Day(day, n % 400) for n, day in enumerate(days)])
        [chart] = specified
        assert chart["title"][0] == "The latest 400 of 3,653 days; the HTML file has all of them."
        assert len(chart["datasets"]["days"]) == DAYS_IN_PICTURE == 400
        assert len(picture) < 60_000

    def test_says_of_all_days_only_how_many_they_are(self, specified: list[dict[str, Any]]) -> None:
        draw_picture([Day(day, 5) for day in days_from(FIRST, DAYS_IN_PICTURE)])
        draw_picture([])
        assert [chart["title"][0] for chart in specified] == ["400 days", "Nothing has been loaded yet."]


class TestFile:
    def test_has_the_page_of_what_the_database_holds(self, settings: Settings) -> None:
        put(settings, loaded(FIRST, 5, in_progress=True), failed(FIRST + timedelta(days=1)))
        report = write_report(settings)
        assert report.path == settings.report_file
        assert report.picture.startswith(PNG)
        assert report.coverage.numbers["events"] == 5
        page = Page(report.path.read_text(encoding="utf-8"))
        assert page.squares() == [
            "Sat 2025-03-01: in progress\n5 events\n1 of them can still change",
            "Sun 2025-03-02: failed\nAPI_ERROR: It broke.\nattempts: 1",
        ]

    def test_is_written_without_a_database_too(self, settings: Settings) -> None:
        assert "Nothing has been loaded yet." in write_report(settings).path.read_text(encoding="utf-8")
        assert not settings.database.exists()

    @pytest.mark.parametrize(
        ("broken_part", "error", "sentence"),
        [
            ("pathlib.Path.write_text", OSError(28, "No space left on device"), "written: No space left on device"),
            ("fixtures_pipeline.report.write.draw_page", ValueError("no font"), "drawn: no font"),
        ],
    )
    def test_stays_as_it_was_if_it_cannot_be_made(
        self,
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
        broken_part: str,
        error: Exception,
        sentence: str,
    ) -> None:
        put(settings, loaded(FIRST))
        path = write_report(settings).path
        before = path.read_text(encoding="utf-8")

        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(broken_part, fail)
        with pytest.raises(ReportError, match=f"cannot be {sentence}"):
            write_report(settings)
        assert path.read_text(encoding="utf-8") == before
        assert not list(path.parent.glob(".*"))


class TestInDagster:
    def test_a_report_has_a_picture_and_numbers(
        self, settings: Settings, api: FaultServer, instance: DagsterInstance
    ) -> None:
        api.plan(FIRST, b"{}")
        assert not run(settings, instance, FIRST, FIRST + timedelta(days=1)).success
        assert report_now(settings, instance).success
        [report] = reports(instance)
        told = {name: value.value for name, value in report.metadata.items()}
        picture = re.fullmatch(r"!\[Coverage\]\(data:image/png;base64,(.+)\)", str(told.pop("coverage")))
        assert picture is not None
        assert base64.b64decode(picture[1]).startswith(PNG)
        assert told.pop("report") == str(settings.report_file)
        assert told == {
            "days_loaded": 1,
            "days_failed": 1,
            "days_missing": 0,
            "days_in_progress": 0,
            "events": 5,
            "DATA_STRUCTURE_ERROR": 1,
        }
        assert "Sun 2025-03-02: loaded" in settings.report_file.read_text(encoding="utf-8")

    @pytest.mark.parametrize("tables", [True, False], ids=["loads and checks", "checks alone"])
    def test_is_made_by_nothing_else(self, tables: bool, settings: Settings, instance: DagsterInstance) -> None:
        if tables:
            load(settings, instance, FIRST)
        assert check_alone(settings, instance, "no_gaps").success
        assert reports(instance) == []
        assert not settings.report_file.exists()

    def test_is_asked_for_after_loads_and_at_most_once_an_hour(
        self, settings: Settings, instance: DagsterInstance, time_machine: TimeMachineFixture
    ) -> None:
        definitions = build_definitions(settings)
        cursor = None

        def asked(at: datetime) -> int:
            nonlocal cursor
            time_machine.move_to(at, tick=False)
            evaluated = evaluate_automation_conditions(definitions, instance, cursor=cursor)
            cursor = evaluated.cursor
            return evaluated.get_num_requested(AssetKey("coverage_report"))

        noon = datetime(2025, 3, 20, 12, tzinfo=UTC)
        assert asked(noon + timedelta(minutes=1)) == 0
        load(settings, instance, FIRST)
        assert asked(noon + timedelta(minutes=10)) == 0
        load(settings, instance, FIRST + timedelta(days=1))
        assert asked(noon + timedelta(minutes=61)) == 1
        assert asked(noon + timedelta(minutes=62)) == 0
        assert asked(noon + timedelta(minutes=121)) == 0, "nothing was loaded in between"

    def test_a_report_on_demand_that_cannot_be_written_fails_with_the_sentence(
        self, settings: Settings, instance: DagsterInstance
    ) -> None:
        settings.report_file.mkdir(parents=True)
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
        assert stale_states(settings, instance, FIRST) == {"FRESH", "MISSING"}, "no report yet"
        assert report_now(settings, instance).success
        assert stale_states(settings, instance, FIRST) == {"FRESH"}
        run(settings, instance, FIRST)
        run(settings, instance, FIRST + timedelta(days=1))
        assert stale_states(settings, instance, FIRST) == {"FRESH"}
        assert len(reports(instance)) == 1


def test_loading_the_code_location_imports_nothing_that_only_some_runs_need() -> None:
    slow = {
        "altair",
        "pandas",
        "vl_convert",
        "fixtures_pipeline.report.page",
        "fixtures_pipeline.report.charts",
        "alembic",
        "sqlalchemy",
    }
    code = f"import sys, fixtures_pipeline.definitions\nprint(sorted({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
