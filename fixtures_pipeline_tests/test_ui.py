"""The UI as a person uses it, in headless Chromium over a running `dagster dev` on the sample API.

Needs Debian's `chromium`, or another one named in CHROMIUM. With SCREENSHOTS set, the pictures of the docs are taken.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.processes import ROOT, Dagster, until
from fixtures_pipeline_tests.stores import table

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
PICTURES = ROOT / "docs" / "images"

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium, or set CHROMIUM"),
]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("ui")
    return Settings.load(db=folder / "sample.duckdb", start_date="2026-01-01")


@pytest.fixture(scope="module")
def dagster(sample: Settings) -> Iterator[Dagster]:
    with Dagster(sample.database.parent / "home", sample) as running:
        yield running


@pytest.fixture(scope="module")
def first_backfill(dagster: Dagster) -> str:
    """Load three weeks, five days of which fail, and return the backfill's id."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    backfill = dagster.backfill([yesterday - timedelta(days=n) for n in range(22)])
    dagster.ended(backfill)
    return backfill


@pytest.fixture
def page(dagster: Dagster, first_backfill: str) -> Iterator[Page]:
    """Return a page of a fresh browser over the loaded weeks."""
    with browsing(dagster) as opened:
        yield opened


@contextmanager
def browsing(dagster: Dagster) -> Iterator[Page]:
    """Open a fresh browser; an error in its console fails the test."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # Dagster's own pages ask for source maps and pictures that are not there.
        if message.type == "error" and "Failed to load resource" not in message.text:
            errors.append(message.text)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
        )
        opened = browser.new_page(viewport={"width": 1500, "height": 860}, base_url=f"http://127.0.0.1:{dagster.port}")
        opened.set_default_timeout(30_000)
        opened.on("console", note)
        yield opened
        browser.close()
    assert errors == []


def picture(page: Page, name: str) -> None:
    """Take a picture for the docs, when asked to."""
    if os.environ.get("SCREENSHOTS"):
        PICTURES.mkdir(exist_ok=True)
        page.wait_for_timeout(1500)
        page.screenshot(path=PICTURES / f"{name}.png")


def backfills(dagster: Dagster) -> set[str]:
    """Return the ids of all backfills."""
    found = dagster.ask("{ partitionBackfillsOrError { ... on PartitionBackfills { results { id } } } }")
    return {one["id"] for one in found["partitionBackfillsOrError"]["results"]}


def test_the_assets_are_loaded_and_not_marked_unsynced(page: Page) -> None:
    page.goto("/asset-groups/fixtures_pipeline.definitions/fixtures")
    for name in ("fixture_days", "fixtures", "fixture_errors", "events_api", "coverage_report"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    expect(page.get_by_text(re.compile("Unsynced|Outdated|[Ww]arning"))).to_have_count(0)
    picture(page, "lineage")


def test_the_report_shows_every_day_in_a_picture(page: Page) -> None:
    page.goto("/assets/coverage_report")
    expect(page.get_by_text("days_failed")).to_be_visible()
    expect(page.get_by_text(re.compile("Unsynced|Outdated"))).to_have_count(0)
    page.get_by_text("[Show Markdown]").click()
    image = page.get_by_role("img", name="Coverage")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.naturalWidth") > 500
    picture(page, "coverage")


def test_a_click_on_a_failed_day_shows_its_error_type_and_message(page: Page, sample: Settings) -> None:
    failed = [row["date"].isoformat() for row in table(open_store(sample), "fixture_errors", "date")]
    page.goto("/assets/fixture_days?view=checks&checkDetail=day_loaded")
    # The check has a Partitions tab of its own, beside its history; the asset's stands above it.
    expect(page.get_by_text("Execution history")).to_be_visible()
    page.get_by_text("Partitions", exact=True).last.click()
    expect(page.get_by_text("Failed (5)")).to_be_visible()
    expect(page.get_by_text("Passed (17)")).to_be_visible()
    page.get_by_text(failed[-1], exact=True).first.click()
    expect(page.get_by_text("error_type")).to_be_visible()
    expect(page.get_by_text("See docs/errors.md").first).to_be_visible()
    picture(page, "checks")


def test_open_errors_are_a_table_with_what_to_do(page: Page) -> None:
    page.goto("/assets/fixture_errors?view=checks&checkDetail=no_open_errors")
    [rule] = [rule for rule in RULES if rule.name == "no_open_errors"]
    expect(page.get_by_text(f"5 rows break this rule: {rule.sentence} {rule.remedy}").first).to_be_visible()
    expect(page.get_by_text("See docs/checks.md").first).to_be_visible()
    picture(page, "open_errors")


def test_a_check_is_executed_alone(page: Page, dagster: Dagster) -> None:
    runs = "{ runsOrError { ... on Runs { results { runId } } } }"
    before = len(dagster.ask(runs)["runsOrError"]["results"])
    page.goto("/assets/fixtures?view=checks&checkDetail=unique_events")
    page.get_by_text("Execute", exact=True).last.click()
    until(lambda: len(dagster.ask(runs)["runsOrError"]["results"]) > before, 30)


def test_a_backfill_is_launched_through_the_materialize_dialog(page: Page, dagster: Dagster, sample: Settings) -> None:
    before = backfills(dagster)
    page.goto("/asset-groups")
    page.get_by_role("button", name="Materialize all (4)").click()
    page.get_by_text("Show all partitions").click()
    box = page.get_by_role("textbox").last
    first = datetime.now(UTC).date() + timedelta(days=1)
    box.fill(f"[{first}...{first + timedelta(days=5)}]")
    box.press("Enter")
    expect(page.get_by_text("6 partitions", exact=True).first).to_be_visible()
    picture(page, "materialize")
    page.get_by_text("Launch backfill").click()
    launched = until(lambda: backfills(dagster) - before, 30)
    dagster.ended(launched.pop())
    days = {row["date"] for row in table(open_store(sample), "load_log", "date")}
    assert first + timedelta(days=5) in days


def test_reexecution_from_failure_heals_the_day_whose_outage_is_over(
    page: Page, dagster: Dagster, sample: Settings, first_backfill: str
) -> None:
    failed = {row["date"] for row in table(open_store(sample), "fixture_errors", "date")}
    before = backfills(dagster)
    page.goto(f"/runs/b/{first_backfill}")
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    page.locator("button", has=page.get_by_label("expand_more")).first.click()
    page.get_by_text("Re-execute from failure").click()
    launched = until(lambda: backfills(dagster) - before, 30)
    dagster.ended(launched.pop())
    still_failed = {row["date"] for row in table(open_store(sample), "fixture_errors", "date")}
    [healed] = failed - still_failed
    page.goto("/assets/fixture_days?view=checks&checkDetail=day_loaded")
    expect(page.get_by_text("Execution history")).to_be_visible()
    page.get_by_text("Partitions", exact=True).last.click()
    expect(page.get_by_text(f"Failed ({len(still_failed)})")).to_be_visible()
    page.get_by_text(healed.isoformat(), exact=True).first.click()
    expect(page.get_by_text("fixtures,").first).to_be_visible()


def test_the_sensor_is_switched_on_and_ticks(page: Page) -> None:
    page.goto("/automation")
    for name in ("load_window", "refresh_days_in_progress", "retry_failed_days"):
        expect(page.get_by_text(name).first).to_be_visible()
    picture(page, "automation")
    switch_on(page, "sensors", "retry_failed_days")
    expect(page.get_by_text("0 runs requested").first).to_be_visible(timeout=120_000)


def test_the_schedule_is_switched_on_and_its_tick_loads_the_days_around_today(
    page: Page, dagster: Dagster, sample: Settings
) -> None:
    switch_on(page, "schedules", "load_window")
    dagster.miss_a_tick("load_window")
    expect(page.get_by_text("1 run requested").first).to_be_visible(timeout=120_000)
    page.goto(str(page.locator("table a[href*='/runs/']").first.get_attribute("href")))
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=120_000)
    loaded = {row["date"] for row in table(open_store(sample), "load_log", "date")}
    assert max(loaded) >= datetime.now(UTC).date() + timedelta(days=6)


def switch_on(page: Page, kind: str, name: str) -> None:
    """Turn the switch on a schedule's or a sensor's page."""
    page.goto(f"/locations/fixtures_pipeline.definitions/{kind}/{name}")
    switch = page.locator("input[type=checkbox]").first
    expect(switch).to_be_attached()
    # The input itself is hidden behind its drawing.
    switch.evaluate("input => input.click()")
    expect(switch).to_be_checked()


def test_recorded_days_pass_in_the_check_dashboard(
    settings: Settings, api: FaultServer, real_days: dict[date, bytes], tmp_path: Path
) -> None:
    days = [date(2025, 5, 5), date(2025, 5, 6)]
    for day in days:
        api.plan(day, real_days[day])
    with Dagster(tmp_path / "home", settings) as running:
        assert running.ended(running.backfill(days))["status"] == "COMPLETED_SUCCESS"
        with browsing(running) as page:
            page.goto("/assets/fixture_days?view=checks&checkDetail=day_loaded")
            expect(page.get_by_text("Execution history")).to_be_visible()
            page.get_by_text("Partitions", exact=True).last.click()
            expect(page.get_by_text("Passed (2)")).to_be_visible()
