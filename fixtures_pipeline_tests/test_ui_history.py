"""What happened to a match, as the pages show it: changes, a corrected result, days made again by another mapping.

With SCREENSHOTS set, the pictures of the docs are taken.
"""

import gzip
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from playwright.sync_api import Locator, Page, expect

from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.browser import IN_A_BROWSER, browsing, choose_days, launch_all, picture, press_for_backfill
from fixtures_pipeline_tests.conftest import REAL_DAYS
from fixtures_pipeline_tests.fault_server import FaultServer, body_of, neighbours, own
from fixtures_pipeline_tests.processes import Dagster
from fixtures_pipeline_tests.stores import table
from fixtures_pipeline_tests.test_store_history import ODD

pytestmark = IN_A_BROWSER

Event = dict[str, Any]

MONDAY, TUESDAY = DAYS = [date(2025, 5, 5), date(2025, 5, 6)]
UNSYNCED = re.compile(r"Unsynced|Outdated")


def list_events(day: date) -> list[Event]:
    """Return the recorded events of a day, or made-up ones where the recordings are not beside this checkout."""
    path = REAL_DAYS / "sofascore" / f"{day}.json.gz"
    if path.exists():
        return list(json.loads(gzip.decompress(path.read_bytes()))["events"])
    named = [{**one, "homeTeam": {"id": one["id"], "name": f"Home {one['id']}"}} for one in own(day)]
    return [*named, *neighbours(day)]


def choose_finished(events: list[Event], day: date, count: int) -> list[Event]:
    """Return the first finished events of a day by kickoff: its page shows them."""
    on_day = [one for one in events if datetime.fromtimestamp(one["startTimestamp"], UTC).date() == day]
    ended = [one for one in on_day if one["status"]["description"] == "Ended"]
    return sorted(ended, key=lambda one: (one["startTimestamp"], one["id"]))[:count]


def serve(api: FaultServer, answers: Mapping[date, list[Event]], changes: Mapping[int, Event]) -> None:
    """Answer the days with events that are changed, by their id."""
    for day, events in answers.items():
        api.plan(day, body_of([{**one, **changes.get(one["id"], {})} for one in events]))


def open_day(page: Page, asset: str, day: date) -> None:
    """Open a day in the partitions of an asset, and wait until it is known whether it is unsynced."""
    with page.expect_response(lambda response: "AssetPartitionStaleQuery" in (response.request.post_data or "")):
        page.goto(f"/assets/{asset}?view=partitions&partition={day}")
    expect(page.get_by_text("Latest materialization")).to_be_visible()


def find_value(page: Page, name: str) -> Locator:
    """Return what the metadata has under a name."""
    return page.locator("tr", has=page.get_by_text(name, exact=True)).first.locator(":scope > td").nth(1)


def find_row(page: Page, event: Event) -> Locator:
    """Return the row of an event in `first_fixtures`."""
    rows = find_value(page, "first_fixtures").locator("tbody tr")
    return rows.filter(has=page.get_by_text(event["homeTeam"]["name"].strip(), exact=True))


def test_what_happened_to_events_is_seen_and_a_replay_by_another_mapping_asks_nobody(
    api: FaultServer, settings: Settings, tmp_path: Path
) -> None:
    answers = {day: list_events(day) for day in DAYS}
    odd, moved, corrected, vanished = choose_finished(answers[MONDAY], MONDAY, 4)
    goals = corrected["homeScore"]["current"]
    after = f"{goals + 1}-{corrected['awayScore']['current']}"
    home = tmp_path / "home"

    with Dagster(home, settings) as ui, browsing(ui) as page:
        serve(api, answers, {odd["id"]: dict(ODD)})
        assert ui.ended(launch_all(page, ui, *DAYS))["status"] == "COMPLETED_SUCCESS"
        for day in DAYS:
            open_day(page, "fixtures", day)
            expect(find_value(page, "changes")).to_have_text("0")
        open_day(page, "fixtures", MONDAY)
        expect(find_row(page, odd)).to_contain_text("unknown")
        for event in (moved, corrected, vanished):
            expect(find_row(page, event)).to_contain_text("finished")
        open_day(page, "fixture_days", MONDAY)
        # Those of the events that the day owns.
        counts = find_value(page, "competitions").locator("tbody tr td:last-child").all_inner_texts()
        assert sum(map(int, counts)) == sum(row["date"] == MONDAY for row in table(open_store(settings), "fixtures"))

        # A correction is one if the event ended more than an hour ago.
        with duckdb.connect(str(settings.database)) as connection:
            connection.execute("UPDATE fixtures SET created_at = created_at - INTERVAL 2 HOUR")
        later = {"startTimestamp": moved["startTimestamp"] + int(timedelta(days=1).total_seconds())}
        better = {"homeScore": {"current": goals + 1, "display": goals + 1}}
        left = {day: [one for one in events if one["id"] != vanished["id"]] for day, events in answers.items()}
        if moved["id"] not in {one["id"] for one in left[TUESDAY]}:
            left[TUESDAY].append(moved)
        serve(api, left, {odd["id"]: dict(ODD), moved["id"]: later, corrected["id"]: better})
        assert ui.ended(ui.backfill(DAYS))["status"] == "COMPLETED_SUCCESS"

        changes = table(open_store(settings), "fixture_changes")
        assert {row["event_id"] for row in changes} == {one["id"] for one in (moved, corrected, vanished)}
        for day in DAYS:
            open_day(page, "fixtures", day)
            expect(find_value(page, "changes")).to_have_text(str(sum(row["date"] == day for row in changes)))
            expect(find_row(page, moved)).to_have_count(int(day == TUESDAY))
            expect(page.get_by_text(UNSYNCED)).to_have_count(0)
        open_day(page, "fixtures", MONDAY)
        expect(find_row(page, corrected)).to_contain_text(after)
        expect(find_row(page, vanished)).to_have_count(0)

        page.goto("/assets/fixtures?view=checks&checkDetail=results_corrected")
        rows = page.locator("table", has=page.get_by_text("before", exact=True)).last.locator("tbody tr")
        expect(rows).to_have_count(1)
        cells = [cell.replace("\n", "") for cell in rows.locator("td").all_inner_texts()]
        assert [cells[1], *cells[5:8]] == [str(corrected["id"]), "home_score", str(goals), str(goals + 1)]
        picture(page, "history")

    asked = len(api.requests)
    with Dagster(home, settings, "fixtures_pipeline_tests.taught") as ui, browsing(ui) as page:
        for day in DAYS:
            open_day(page, "fixtures", day)
            expect(page.get_by_text(UNSYNCED)).to_be_visible()
            assert ui.stale_states(day) == {"FRESH", "STALE"}
        open_day(page, "fixtures", MONDAY)
        expect(page.get_by_text(UNSYNCED)).to_be_visible()
        picture(page, "unsynced")

        page.get_by_text("Materialize…").first.click()
        choose_days(page, f"[{MONDAY}...{TUESDAY}]")
        replay = press_for_backfill(ui, page.get_by_role("button", name="Launch backfill"))
        assert ui.ended(replay)["status"] == "COMPLETED_SUCCESS"
        assert len(api.requests) == asked
        for day, changed in ((TUESDAY, "0"), (MONDAY, "1")):
            open_day(page, "fixtures", day)
            expect(find_value(page, "changes")).to_have_text(changed)
            expect(page.get_by_text(UNSYNCED)).to_have_count(0)
            assert ui.stale_states(day) == {"FRESH"}
        expect(find_row(page, odd)).to_contain_text("finished")
        assert {row["status"] for row in table(open_store(settings), "fixtures")}.isdisjoint({"unknown"})
