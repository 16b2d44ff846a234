"""The UI as a person uses it, over a running `dagster dev` on the sample API: pages, loading days, automation.

Checks and their buttons are in `test_ui_checks`, what red means in `test_ui_red`, the README's recipe in
`test_ui_recipe`. With SCREENSHOTS set, the pictures of the docs are taken.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.questions import FIXTURES_SHOWN
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline_tests.browser import (
    IN_A_BROWSER,
    browsing,
    choose_days,
    open_days,
    picture,
    press_for_backfill,
    press_for_run,
    reexecute_from_failure,
)
from fixtures_pipeline_tests.conftest import Weeks
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.processes import Dagster
from fixtures_pipeline_tests.stores import table

pytestmark = IN_A_BROWSER


@pytest.fixture
def page(weeks: Weeks) -> Iterator[Page]:
    """Return a page of a fresh browser over the loaded weeks."""
    with browsing(weeks.ui) as opened:
        yield opened


def test_the_assets_are_loaded_and_not_marked_unsynced(page: Page) -> None:
    page.goto("/asset-groups/fixtures_pipeline.definitions/fixtures")
    for name in ("fixture_days", "fixtures", "fixture_errors", "events_api", "coverage_report"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    expect(page.get_by_text(re.compile("Unsynced|Outdated|[Ww]arning"))).to_have_count(0)
    picture(page, "lineage")


def test_the_report_shows_every_day_in_a_picture(page: Page, weeks: Weeks) -> None:
    page.goto("/assets/coverage_report")
    run = press_for_run(weeks.ui, page.get_by_role("button", name=re.compile("Materialize")).first)
    assert weeks.ui.ended_run(run) == "SUCCESS"
    # The page may show the new result without what it says.
    page.reload()
    expect(page.get_by_text("days_failed")).to_be_visible()
    expect(page.get_by_text(re.compile("Unsynced|Outdated"))).to_have_count(0)
    page.get_by_text("[Show Markdown]").click()
    image = page.get_by_role("img", name="Coverage")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.naturalWidth") > 500
    picture(page, "coverage")


def test_a_click_on_a_failed_day_shows_its_error_type_and_message(page: Page, weeks: Weeks) -> None:
    open_days(page)
    expect(page.get_by_text("Failed (5)")).to_be_visible()
    expect(page.get_by_text("Passed (17)")).to_be_visible()
    page.get_by_text(weeks.failed[-1].isoformat(), exact=True).first.click()
    expect(page.get_by_text("error_type")).to_be_visible()
    expect(page.get_by_text("See docs/errors.md").first).to_be_visible()
    picture(page, "checks")


def test_open_errors_are_a_table_with_what_to_do(page: Page) -> None:
    page.goto("/assets/fixture_errors?view=checks&checkDetail=no_open_errors")
    [rule] = [rule for rule in RULES if rule.name == "no_open_errors"]
    expect(page.get_by_text(f"5 rows break this rule: {rule.sentence} {rule.remedy}").first).to_be_visible()
    expect(page.get_by_text("See docs/checks.md").first).to_be_visible()
    picture(page, "open_errors")


def test_the_fixtures_of_a_day_are_a_table_in_its_partition(page: Page, weeks: Weeks) -> None:
    day = next(day for day in reversed(weeks.days) if day not in weeks.failed)
    page.goto(f"/assets/fixtures?view=partitions&partition={day}")
    expect(page.get_by_text("first_fixtures")).to_be_visible()
    shown = page.locator("table", has=page.get_by_text("competition", exact=True)).last
    rows = [row for row in table(open_store(weeks.settings), "fixtures") if row["date"] == day]
    expect(shown.locator("tbody tr")).to_have_count(min(len(rows), FIXTURES_SHOWN))
    time, competition, home, _, away, _ = shown.locator("tbody tr").first.locator("td").all_inner_texts()
    first = min(rows, key=lambda row: (row["kickoff"], row["event_id"]))
    assert (time, competition) == (f"{first['kickoff']:%H:%M}", first["competition"])
    assert (home, away) == (first["home_team"], first["away_team"])
    shown.scroll_into_view_if_needed()
    picture(page, "fixtures")


def test_a_backfill_is_launched_through_the_materialize_dialog(page: Page, weeks: Weeks) -> None:
    page.goto("/asset-groups")
    page.get_by_role("button", name="Materialize all (4)").click()
    first = datetime.now(UTC).date()
    choose_days(page, f"[{first}...{first + timedelta(days=5)}]")
    expect(page.get_by_text("6 partitions", exact=True).first).to_be_visible()
    picture(page, "materialize")
    weeks.ui.ended(press_for_backfill(weeks.ui, page.get_by_text("Launch backfill")))
    days = {row["date"] for row in table(open_store(weeks.settings), "load_log", "date")}
    assert {first + timedelta(days=n) for n in range(6)} <= days


def test_reexecution_from_failure_heals_the_days_whose_faults_are_over(page: Page, weeks: Weeks) -> None:
    weeks.ui.ended(reexecute_from_failure(page, weeks.ui, weeks.backfill))
    open_errors = {row["date"]: row for row in table(open_store(weeks.settings), "fixture_errors")}
    [left] = open_errors.keys() & set(weeks.failed)
    assert open_errors[left]["http_status"] == 404, "the sample leaves that day out"
    open_days(page)
    expect(page.get_by_text(f"Failed ({len(open_errors)})")).to_be_visible()
    healed = next(day for day in weeks.failed if day != left)
    page.get_by_text(healed.isoformat(), exact=True).first.click()
    expect(page.get_by_text("fixtures,").first).to_be_visible()


def test_the_sensor_is_switched_on_and_ticks(page: Page) -> None:
    page.goto("/automation")
    for name in ("load_window", "refresh_days_in_progress", "retry_failed_days"):
        expect(page.get_by_text(name).first).to_be_visible()
    picture(page, "automation")
    switch_on(page, "sensors", "retry_failed_days")
    expect(page.get_by_text("0 runs requested").first).to_be_visible(timeout=120_000)


def test_the_schedule_is_switched_on_and_its_tick_loads_the_days_around_today(page: Page, weeks: Weeks) -> None:
    switch_on(page, "schedules", "load_window")
    weeks.ui.miss_a_tick("load_window")
    expect(page.get_by_text("1 run requested").first).to_be_visible(timeout=120_000)
    page.goto(str(page.locator("table a[href*='/runs/']").first.get_attribute("href")))
    # Whether one of the sample's days still fails depends on the date.
    expect(page.get_by_text(re.compile("^(Success|Failure)$")).first).to_be_visible(timeout=120_000)
    loaded = {row["date"] for row in table(open_store(weeks.settings), "load_log", "date")}
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
            open_days(page)
            expect(page.get_by_text("Passed (2)")).to_be_visible()
