"""Red is the same in every view of a backfill in which days failed. Each view has a picture in docs/checks.md."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from fixtures_pipeline_tests.browser import IN_A_BROWSER, browsing, open_days, picture, read_lineage
from fixtures_pipeline_tests.conftest import Weeks
from fixtures_pipeline_tests.processes import until

pytestmark = IN_A_BROWSER

DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")


@pytest.fixture
def page(weeks: Weeks) -> Iterator[Page]:
    """Return a page of a fresh browser over the loaded weeks."""
    with browsing(weeks.ui) as opened:
        yield opened


def expect_row(page: Page, *cells: str) -> None:
    """Expect a row that begins with these cells."""
    row = re.compile(r"\s+".join(re.escape(cell) for cell in cells))
    expect(page.locator("body")).to_contain_text(row, use_inner_text=True)


def keep(page: Page, kept: str, *others: str) -> set[str]:
    """Untick what else a list of partitions shows, and return the days that are left."""
    expect(page.get_by_text(re.compile(rf"^{kept} \(\d+\)"))).to_be_visible()
    for other in others:
        page.get_by_text(re.compile(rf"^{other} \(\d+\)")).click()
    number = int(re.findall(r"\d+", page.get_by_text(re.compile(rf"^{kept} \(\d+\)")).inner_text())[0])
    # The first and the last day of all stand below the bar.
    listed: set[str] = until(
        lambda: len(found := set(page.get_by_text(DAY).all_inner_texts()[2:])) == number and found, 60
    )
    return listed


def failed(weeks: Weeks) -> set[str]:
    """Return the days that failed."""
    return {day.isoformat() for day in weeks.failed}


def test_the_runs_have_failed(page: Page, weeks: Weeks) -> None:
    page.goto("/runs")
    expect(page.get_by_text(weeks.backfill).first).to_be_visible()
    expect(page.get_by_text("Failure", exact=True)).to_have_count(1)
    picture(page, "red_runs")
    page.get_by_text("Show runs within backfills").click()
    expect(page.get_by_text(f"Backfill: {weeks.backfill}")).to_be_visible()
    expect(page.get_by_text("Failure", exact=True)).to_have_count(1)
    expect(page.get_by_text("Success", exact=True)).to_have_count(0)


def test_the_run_says_in_a_sentence_how_many_days_failed(page: Page, weeks: Weeks) -> None:
    [run] = weeks.ui.ended(weeks.backfill)["runs"]
    page.goto(f"/runs/{run['id']}")
    expect(page.get_by_text("Failure", exact=True).first).to_be_visible()
    expect(page.get_by_text("5 of 22 days failed: ").last).to_be_visible()
    expect(page.get_by_text("load_failed_days_now").last).to_be_visible()
    picture(page, "red_run")


def test_the_backfill_counts_the_failed_days(page: Page, weeks: Weeks) -> None:
    page.goto(f"/runs/b/{weeks.backfill}")
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    # Days asked for, in progress, succeeded, failed.
    expect_row(page, "fixture_days", "100% completed", "22", "0", "17", "5")
    expect_row(page, "fixtures", "100% completed", "22", "0", "17", "5")
    expect_row(page, "fixture_errors", "100% completed", "22", "0", "22", "0")
    picture(page, "red_backfill")


@pytest.mark.parametrize("asset", ["fixture_days", "fixtures"])
def test_exactly_the_failed_days_are_red_in_the_partitions(page: Page, weeks: Weeks, asset: str) -> None:
    page.goto(f"/assets/{asset}?view=partitions")
    expect(page.get_by_text("Failed (5)")).to_be_visible()
    expect(page.get_by_text("Materialized (17)")).to_be_visible()
    if asset == "fixture_days":
        picture(page, "red_partitions")
    assert keep(page, "Failed", "Materialized", "Missing") == failed(weeks)


def test_every_day_was_recorded_in_fixture_errors(page: Page, weeks: Weeks) -> None:
    page.goto("/assets/fixture_errors?view=partitions")
    expect(page.get_by_text("Failed (0)")).to_be_visible()
    expect(page.get_by_text("Materialized (22)")).to_be_visible()


def test_the_dialog_selects_exactly_the_failed_days(page: Page, weeks: Weeks) -> None:
    page.goto("/asset-groups")
    page.get_by_role("button", name="Materialize all (4)").click()
    page.get_by_text("Show all partitions").click()
    page.get_by_text("Failed", exact=True).last.click()
    expect(page.get_by_text("5 partitions", exact=True).first).to_be_visible()
    expect(page.get_by_role("textbox").last).to_have_value(", ".join(sorted(failed(weeks))))
    picture(page, "red_dialog")


def test_day_loaded_is_red_for_exactly_the_failed_days(page: Page, weeks: Weeks) -> None:
    open_days(page)
    expect(page.get_by_text("Failed (5)")).to_be_visible()
    expect(page.get_by_text("Passed (17)")).to_be_visible()
    picture(page, "red_day_loaded")
    assert keep(page, "Failed", "Passed", "Missing") == failed(weeks)


def test_no_open_errors_lists_exactly_the_failed_days(page: Page, weeks: Weeks) -> None:
    page.goto("/assets/fixture_errors?view=checks&checkDetail=no_open_errors")
    rows = page.locator("table", has=page.get_by_text("failing_since", exact=True)).last.locator("tbody tr")
    expect(rows).to_have_count(5)
    days = {row.locator("td").first.inner_text().replace("\n", "") for row in rows.all()}
    assert days == failed(weeks)
    picture(page, "red_fixture_errors")


def test_lineage_counts_the_failed_days(page: Page) -> None:
    assert read_lineage(page) == {
        "fixture_days": ("close", "3 / 4 Passed"),
        "fixtures": ("done", "5 / 5 Passed"),
        "fixture_errors": ("close", "0 / 1 Passed"),
    }
    expect(page.get_by_text("(5 failed)")).to_have_count(2)
    picture(page, "red_lineage")
