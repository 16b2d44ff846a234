"""The README's recipe in a browser, from the first start of what `make run` starts: no dead end on the way to green.

It takes minutes: the daemon looks at backfills every half a minute.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page, expect

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline_tests.browser import (
    IN_A_BROWSER,
    browsing,
    launch_all,
    launch_failed_days,
    open_days,
    read_lineage,
    reexecute_from_failure,
)
from fixtures_pipeline_tests.fault_server import Exchange, FaultServer, closed_port
from fixtures_pipeline_tests.processes import Ui, environment
from fixtures_pipeline_tests.shell import serving
from fixtures_pipeline_tests.stores import table

pytestmark = IN_A_BROWSER


def failing(settings: Settings) -> dict[date, str]:
    """Return the days that are failing, and what they say."""
    return {row["date"]: row["error_message"] for row in table(open_store(settings), "fixture_errors")}


def open_day(page: Page, day: date) -> None:
    """Open a day in the list of a check's days; the last of all days stands above the list as well."""
    page.get_by_text(day.isoformat(), exact=True).filter(visible=True).last.click()


def walk(page: Page, ui: Ui, checks: str, settings: Settings, first: date, last: date) -> str:
    """Do what the README says, and return the status of the last run: that of the job that loads all failing days."""
    page.goto("/")
    expect(page.get_by_text("load_days_job").first).to_be_visible()

    page.goto(checks)
    page.get_by_text("day_loaded", exact=True).first.click()
    expect(page.get_by_text("Execution history")).to_be_visible()
    page.get_by_text("Partitions", exact=True).last.click()
    red = failing(settings)
    expect(page.get_by_text(f"Failed ({len(red)})")).to_be_visible()
    open_day(page, max(red))
    expect(page.get_by_text("error_message")).to_be_visible()
    expect(page.get_by_text("See docs/errors.md").first).to_be_visible()

    backfill = launch_all(page, ui, first, last)
    # A notice leads to the backfill, which is otherwise under Runs.
    page.get_by_text("View", exact=True).click()
    page.wait_for_url(f"**/runs/b/{backfill}**")
    assert ui.ended(backfill)["status"] == "COMPLETED_FAILED"
    in_month = sum(first <= day <= last for day in failing(settings))
    assert in_month > 0
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()

    ui.ended(reexecute_from_failure(page, ui, backfill))
    assert sum(first <= day <= last for day in failing(settings)) < in_month
    return ui.ended_run(launch_failed_days(page, ui))


def test_of_the_sample_only_the_days_stay_red_that_it_leaves_out_on_purpose(tmp_path: Path) -> None:
    settings = Settings.load(db=tmp_path / "sample.duckdb")
    with serving(environment(settings, tmp_path / "home"), closed_port()) as (url, checks):
        ui = Ui(url)
        with browsing(ui) as page:
            status = walk(page, ui, checks, settings, date(2025, 3, 1), date(2025, 3, 31))
            left = failing(settings)
            assert status == "FAILURE"
            assert left
            assert all("on purpose" in message for message in left.values())
            open_days(page)
            expect(page.get_by_text(f"Failed ({len(left)})")).to_be_visible()
            expect(page.get_by_text(f"Passed ({22 + 31 - len(left)})")).to_be_visible()
            open_day(page, max(left))
            expect(page.get_by_text("on purpose").first).to_be_visible()
        red = {name for name, one in ui.checks().items() if one is None or one[0] != "SUCCEEDED"}
        assert red & {rule.name for rule in RULES if rule.severity == "ERROR"} == {"no_open_errors"}


def test_once_the_faults_are_over_everything_is_green(api: FaultServer, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    # The month before the days around today, so that no gap is left.
    first, last = today - timedelta(days=14 + 31), today - timedelta(days=14 + 1)
    for day, times in {today - timedelta(days=3): 1, today: 1, first: 1, last: 2}.items():
        api.plan(day, lambda exchange, times=times: fail_at_first(exchange, times))  # type: ignore[misc]
    settings = Settings.load(provider="sofascore", api_url=api.url, db=tmp_path / "fixtures.duckdb")
    with serving(environment(settings, tmp_path / "home"), closed_port()) as (url, checks):
        ui = Ui(url)
        with browsing(ui) as page:
            assert walk(page, ui, checks, settings, first, last) == "SUCCESS"
            assert failing(settings) == {}
            assert {one and one[0] for one in ui.checks().values()} == {"SUCCEEDED"}
            assert read_lineage(page) == {
                "fixture_days": ("done", "4 / 4 Passed"),
                "fixtures": ("done", "5 / 5 Passed"),
                "fixture_errors": ("done", "1 / 1 Passed"),
            }
            open_days(page)
            expect(page.get_by_text("Failed (0)").first).to_be_visible()
            expect(page.get_by_text(f"Passed ({22 + 31})")).to_be_visible()
            page.goto("/assets/fixture_days?view=partitions")
            expect(page.get_by_text("Failed (0)")).to_be_visible()
            expect(page.get_by_text(f"Materialized ({22 + 31})")).to_be_visible()


def fail_at_first(exchange: Exchange, times: int) -> None:
    """Answer without events as often as that, and well from then on."""
    exchange.answer(200, b'{"events": []}' if exchange.request.before < times else exchange.good())
