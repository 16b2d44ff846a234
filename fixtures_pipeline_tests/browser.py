"""A headless Chromium over a running UI: what several tests do in it, and the pictures that they take.

Needs Debian's `chromium`, or another one named in CHROMIUM. What a page has to show belongs to the tests.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import pytest
from playwright.sync_api import ConsoleMessage, Locator, Page, expect, sync_playwright

from fixtures_pipeline_tests.processes import ROOT, TABLES, Ui, until

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
PICTURES = ROOT / "docs" / "images"

#: Marks of every test that needs a browser.
IN_A_BROWSER = [
    pytest.mark.ui,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium, or set CHROMIUM"),
]


@contextmanager
def browsing(ui: Ui) -> Iterator[Page]:
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
        opened = browser.new_page(viewport={"width": 1500, "height": 860}, base_url=ui.url)
        opened.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        opened.on("console", note)
        yield opened
        browser.close()
    assert errors == []


def picture(page: Page, name: str) -> None:
    """Take a picture for the docs, when SCREENSHOTS is set."""
    if os.environ.get("SCREENSHOTS"):
        PICTURES.mkdir(exist_ok=True)
        page.wait_for_timeout(1500)
        # Dagster's stack names folders of this machine.
        page.locator("span", has_text=re.compile(r"^\s*Stack Trace:")).evaluate_all(
            "found => found.forEach(one => one.style.visibility = 'hidden')"
        )
        page.screenshot(path=PICTURES / f"{name}.png")


# What starts something


def press_for_run(ui: Ui, button: Locator) -> str:
    """Press a button that starts a run, and return the run's id."""
    before = ui.runs()
    button.click()
    [run] = until(lambda: ui.runs() - before, 120)
    return str(run)


def press_for_backfill(ui: Ui, button: Locator) -> str:
    """Press a button that starts a backfill, and return the backfill's id."""
    before = ui.backfills()
    button.click()
    [backfill] = until(lambda: ui.backfills() - before, 120)
    return str(backfill)


def choose_days(page: Page, days: str) -> None:
    """Type days into the dialog that *Materialize* opens."""
    page.get_by_text("Show all partitions").click()
    box = page.get_by_role("textbox").last
    box.fill(days)
    box.press("Enter")


def launch_all(page: Page, ui: Ui, first: date, last: date) -> str:
    """Launch a backfill of all assets from Lineage, and return its id."""
    page.goto("/asset-groups")
    page.get_by_role("button", name="Materialize all (4)").click()
    choose_days(page, f"[{first}...{last}]")
    expect(page.get_by_text(f"{(last - first).days + 1} partitions", exact=True).first).to_be_visible()
    return press_for_backfill(ui, page.get_by_role("button", name="Launch backfill"))


def reexecute_from_failure(page: Page, ui: Ui, backfill: str) -> str:
    """Choose *Re-execute from failure* on a failed backfill's page, and return the new backfill's id."""
    page.goto(f"/runs/b/{backfill}")
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    page.locator("button", has=page.get_by_label("expand_more")).first.click()
    return press_for_backfill(ui, page.get_by_text("Re-execute from failure"))


def launch_failed_days(page: Page, ui: Ui) -> str:
    """Launch the job that loads all failing days, as a person finds it, and return the run's id."""
    page.goto("/jobs")
    page.get_by_role("link", name="load_failed_days_now").first.click()
    page.get_by_role("tab", name="Launchpad").click()
    return press_for_run(ui, page.get_by_role("button", name="Launch Run"))


# What is looked at


def open_days(page: Page) -> None:
    """Open the days of `day_loaded`: the tab beside its history, not the asset's above it."""
    page.goto("/assets/fixture_days?view=checks&checkDetail=day_loaded")
    expect(page.get_by_text("Execution history")).to_be_visible()
    page.get_by_text("Partitions", exact=True).last.click()


def read_lineage(page: Page) -> dict[str, tuple[str | None, str]]:
    """Return, by table, the sign that Lineage has beside its checks (`done` is the green tick) and what it says."""
    page.goto("/asset-groups")
    found = {}
    for table in TABLES:
        node = page.locator("[class*=AssetNode_assetNodeBox]", has=page.get_by_text(table, exact=True)).last
        passed = node.get_by_text(re.compile(r"^\d+ / \d+ Passed$"))
        sign = passed.locator("xpath=preceding-sibling::*[1]").get_attribute("aria-label")
        found[table] = (sign, passed.inner_text())
    return found
