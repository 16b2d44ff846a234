"""Every button that executes checks or loads a table alone: what it starts succeeds, and no check is left behind.

Lineage and the pages of jobs have no button for checks; what can be pressed there loads days.
"""

import re
from collections.abc import Iterator
from datetime import date

import pytest
from playwright.sync_api import Page, expect

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.store.rules import RULES, Rule
from fixtures_pipeline_tests.browser import (
    IN_A_BROWSER,
    browsing,
    choose_days,
    press_for_backfill,
    press_for_run,
    read_lineage,
    reexecute_from_failure,
)
from fixtures_pipeline_tests.conftest import Weeks
from fixtures_pipeline_tests.processes import TABLES
from fixtures_pipeline_tests.stores import table

pytestmark = IN_A_BROWSER

CHECKS = {
    name: [*(["day_loaded"] if name == "fixture_days" else []), *(rule.name for rule in RULES if rule.asset == name)]
    for name in TABLES
}
#: What Dagster writes beside a check that has no result, an outdated one, or one that broke off.
NO_RESULT = re.compile("Not Evaluated|Execution failed|Skipped|In Progress", re.IGNORECASE)


@pytest.fixture
def page(weeks: Weeks) -> Iterator[Page]:
    """Return a page of a fresh browser over the loaded weeks."""
    with browsing(weeks.ui) as opened:
        yield opened


def verdicts(weeks: Weeks) -> dict[str, str | None]:
    """Return what each check says: SUCCEEDED, FAILED; None for *Not Evaluated*."""
    return {name: one and one[0] for name, one in weeks.ui.checks().items()}


def assert_executed(page: Page, weeks: Weeks, run: str, asset: str, *names: str, before: dict[str, str | None]) -> None:
    """Assert that a run has succeeded, and given these checks of an asset, and no others, the result that they had."""
    assert weeks.ui.ended_run(run) == "SUCCESS"
    assert {name for name, one in weeks.ui.checks().items() if one and one[1] == run} == set(names)
    assert verdicts(weeks) == before
    assert_shown(page, weeks, asset)


def assert_shown(page: Page, weeks: Weeks, asset: str) -> None:
    """Assert that the page of an asset's checks shows a result of each."""
    page.goto(f"/assets/{asset}?view=checks")
    for name in CHECKS[asset]:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    expect(page.get_by_text("Execution history")).to_be_visible()
    expect(page.get_by_text(NO_RESULT)).to_have_count(0)


def assert_loaded(page: Page, weeks: Weeks) -> None:
    """Assert that every check of every table has a result, and that Lineage has no green tick beside failing days."""
    found = verdicts(weeks)
    assert set(found.values()) <= {"SUCCEEDED", "FAILED"}
    assert table(open_store(weeks.settings), "fixture_errors"), "or this shows nothing"
    lineage = read_lineage(page)
    assert lineage["fixture_errors"] == ("close", "0 / 1 Passed")
    assert lineage["fixture_days"][0] == "close", "day_loaded is red"
    for asset in TABLES:
        assert_shown(page, weeks, asset)


@pytest.mark.parametrize("asset", TABLES)
def test_execute_all_evaluates_every_check_of_the_asset(page: Page, weeks: Weeks, asset: str) -> None:
    before = verdicts(weeks)
    page.goto(f"/assets/{asset}?view=checks")
    run = press_for_run(weeks.ui, page.get_by_role("button", name="Execute all"))
    assert_executed(page, weeks, run, asset, *CHECKS[asset], before=before)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_execute_evaluates_the_check(page: Page, weeks: Weeks, rule: Rule) -> None:
    before = verdicts(weeks)
    page.goto(f"/assets/{rule.asset}?view=checks&checkDetail={rule.name}")
    run = press_for_run(weeks.ui, page.get_by_text("Execute", exact=True))
    assert_executed(page, weeks, run, rule.asset, rule.name, before=before)


def test_dagster_has_no_button_yet_for_a_check_with_days(page: Page) -> None:
    page.goto("/assets/fixture_days?view=checks&checkDetail=day_loaded")
    button = page.locator("button", has=page.get_by_text("Execute", exact=True))
    expect(button).to_be_disabled()
    button.hover(force=True)
    expect(
        page.get_by_text("Executing checks on their own for partitioned assets is not yet supported")
    ).to_be_visible()


def test_a_run_of_checks_is_executed_again_from_its_page(page: Page, weeks: Weeks) -> None:
    before = verdicts(weeks)
    page.goto("/assets/fixture_days?view=checks")
    run = press_for_run(weeks.ui, page.get_by_role("button", name="Execute all"))
    weeks.ui.ended_run(run)
    page.goto(f"/runs/{run}")
    again = press_for_run(weeks.ui, page.get_by_text("Re-execute all (*)"))
    assert_executed(page, weeks, again, "fixture_days", *CHECKS["fixture_days"], before=before)


def launch(page: Page, weeks: Weeks, day: date) -> str:
    """Load one day through the dialog, and return the run's id."""
    choose_days(page, day.isoformat())
    return press_for_run(weeks.ui, page.get_by_role("button", name="Launch 1 run"))


@pytest.mark.parametrize("asset", TABLES)
def test_a_table_loaded_alone_leaves_no_check_behind(page: Page, weeks: Weeks, asset: str) -> None:
    page.goto(f"/assets/{asset}")
    page.get_by_text("Materialize…").first.click()
    run = launch(page, weeks, weeks.days[0])
    weeks.ui.ended_run(run)
    # `fixtures` alone is made from stored answers: the other tables and what was said of them stay as they were.
    about = {rule.name for rule in RULES if rule.asset == "fixtures"} if asset == "fixtures" else set(weeks.ui.checks())
    assert {one and one[1] for name, one in weeks.ui.checks().items() if name in about} == {run}
    assert_loaded(page, weeks)


def test_days_loaded_from_the_page_of_the_job_leave_no_check_behind(page: Page, weeks: Weeks) -> None:
    page.goto("/jobs")
    page.get_by_role("link", name="load_days_job").click()
    page.get_by_text("Materialize all…").click()
    choose_days(page, f"[{weeks.days[0]}...{weeks.days[3]}]")
    backfill = weeks.ui.ended(press_for_backfill(weeks.ui, page.get_by_role("button", name="Launch backfill")))
    [run] = backfill["runs"]
    assert {one and one[1] for one in weeks.ui.checks().values()} == {run["id"]}
    assert_loaded(page, weeks)


def test_reexecution_from_failure_leaves_no_check_behind(page: Page, weeks: Weeks) -> None:
    weeks.ui.ended(reexecute_from_failure(page, weeks.ui, weeks.backfill))
    assert_loaded(page, weeks)
