"""The README's way to real matches in a browser: two commands, and another provider afterwards.

The program runs in a copy of the project, so that `.env`, databases and Dagster's homes are where anybody has them.
Of the season's answers, the matches in September 2026 are real (OpenLigaDB, www.openligadb.de, ODbL v1.0).
"""

import json
import os
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from fixtures_pipeline_tests.answers import openligadb_match
from fixtures_pipeline_tests.browser import IN_A_BROWSER, browsing, launch_all, open_days, picture
from fixtures_pipeline_tests.fault_server import Exchange, FaultServer, closed_port
from fixtures_pipeline_tests.processes import Ui
from fixtures_pipeline_tests.shell import serving

pytestmark = IN_A_BROWSER

LEAGUES = ("bl1", "bl2", "bl3", "dfb", "pl", "la1")
ATTRIBUTION = "Datenquelle: OpenLigaDB (www.openligadb.de), Open Database License (ODbL) v1.0"
#: Days that `make run` loads: two weeks, today and a week.
WINDOW = 14 + 1 + 7

SATURDAY, SUNDAY = date(2026, 9, 19), date(2026, 9, 20)
REAL = [
    (83187, "2026-09-19T13:30:00Z", "Borussia Mönchengladbach", "1. FSV Mainz 05", 3, 4),
    (83188, "2026-09-19T13:30:00Z", "Hamburger SV", "1. FC Köln", 2, 1),
    (83189, "2026-09-19T13:30:00Z", "SV Werder Bremen", "FC Augsburg", 3, 2),
    (83184, "2026-09-19T16:30:00Z", "VfB Stuttgart", "Borussia Dortmund", 0, 1),
    (83185, "2026-09-20T13:30:00Z", "Bayer 04 Leverkusen", "RB Leipzig", 2, 0),
]


def list_matches(league: str) -> list[dict[str, Any]]:
    """Return a match of the league on every second day around today, and the real ones if it is the first league."""
    now = datetime.now(UTC)
    first = 1000 * LEAGUES.index(league)
    matches = []
    for n in range(-14, 8, 2):
        noon = (now + timedelta(days=n)).replace(hour=12)
        over = {} if noon < now else {"matchIsFinished": False, "matchResults": []}
        names = {"leagueId": first, "leagueName": f"League {league}"}
        matches.append(openligadb_match(first + n + 20, f"{noon:%Y-%m-%dT%H}:00:00Z", **names, **over))
    return matches + (list_real() if league == LEAGUES[0] else [])


def list_real() -> list[dict[str, Any]]:
    return [
        openligadb_match(
            number,
            kickoff,
            leagueName="1. Fußball-Bundesliga 2026/2027",
            group={"groupName": "4. Spieltag"},
            team1={"teamId": number, "teamName": home},
            team2={"teamId": -number, "teamName": away},
            matchResults=[{"resultID": 2, "resultTypeID": 2, "pointsTeam1": goals, "pointsTeam2": against}],
        )
        for number, kickoff, home, away, goals, against in REAL
    ]


def answer_season(exchange: Exchange) -> None:
    """Answer with the matches of one league that belong to the season: one that begins in July of its year."""
    league, year = exchange.request.path.removeprefix("/getmatchdata/").split("/")
    matches = [
        match
        for match in list_matches(league)
        if (datetime.fromisoformat(match["matchDateTimeUTC"]) - timedelta(days=181)).year == int(year)
    ]
    exchange.answer(200, json.dumps(matches).encode(), Content_Type="application/json")


def read_first_fixtures(page: Page, day: date) -> list[list[str]]:
    """Return the rows of `first_fixtures` in a day's partition."""
    page.goto(f"/assets/fixtures?view=partitions&partition={day}")
    expect(page.get_by_text("first_fixtures")).to_be_visible()
    shown = page.locator("table", has=page.get_by_text("competition", exact=True)).last
    shown.scroll_into_view_if_needed()
    return [row.locator("td").all_inner_texts() for row in shown.locator("tbody tr").all()]


def test_two_commands_show_real_matches_and_another_provider_shows_none_of_them(api: FaultServer, copied: Path) -> None:
    api.plan_any(answer_season)
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    today = datetime.now(UTC).date()

    choose(copied, "openligadb")
    with serving(plain | {"FIXTURES_API_URL": api.url}, closed_port(), cwd=copied) as (url, _):
        asked = Counter(request.path.removeprefix("/getmatchdata/") for request in api.requests)
        assert set(asked.values()) == {1}, "days share the answer of a league's season"
        assert {season.partition("/")[0] for season in asked} == set(LEAGUES)
        before = len(api.requests)

        ui = Ui(url)
        with browsing(ui) as page:
            open_days(page)
            expect(page.get_by_text(f"Passed ({WINDOW})")).to_be_visible()
            expect(page.get_by_text("Failed (0)").first).to_be_visible()
            around = read_first_fixtures(page, today - timedelta(days=2))
            assert [row[1] for row in around] == [f"League {league}" for league in LEAGUES]

            assert ui.ended(launch_all(page, ui, SATURDAY, SUNDAY))["status"] == "COMPLETED_SUCCESS"
            later = Counter(request.path.removeprefix("/getmatchdata/") for request in api.requests[before:])
            assert later == {f"{league}/2026": 1 for league in LEAGUES}
            red = {name for name, one in ui.checks().items() if one is None or one[0] != "SUCCEEDED"}
            assert red == {"no_gaps"}, "the weeks in between were not asked for"
            open_days(page)
            expect(page.get_by_text(f"Passed ({WINDOW + 2})")).to_be_visible()

            shown = read_first_fixtures(page, SATURDAY)
            picture(page, "openligadb")
            assert [(row[0], row[2], row[3], row[4]) for row in shown] == [
                (kickoff[11:16], home, f"{goals}-{against}", away)
                for _, kickoff, home, away, goals, against in REAL
                if kickoff.startswith(str(SATURDAY))
            ]
            for name in ("fixtures", "coverage_report"):
                page.goto(f"/assets/{name}")
                expect(page.get_by_text(ATTRIBUTION).first).to_be_visible()
            page.goto((copied / "data" / "openligadb.coverage.html").as_uri())
            expect(page.get_by_text(ATTRIBUTION)).to_be_visible()

    choose(copied, "sample")
    with serving(plain, closed_port(), cwd=copied) as (url, _):
        ui = Ui(url)
        with browsing(ui) as page:
            open_days(page)
            passed, failed = (page.get_by_text(re.compile(rf"^{word} \(\d+\)$")) for word in ("Passed", "Failed"))
            expect(passed).to_be_visible()
            assert sum(int(one.inner_text()[8:-1]) for one in (passed, failed)) == WINDOW
            page.goto(f"/assets/fixtures?view=partitions&partition={SATURDAY}")
            expect(page.get_by_text("No metadata entries")).to_be_visible()
            page.goto("/assets/fixtures")
            expect(page.get_by_text("Sample data, invented by the bundled API").first).to_be_visible()
            expect(page.get_by_text("OpenLigaDB")).to_have_count(0)
    assert len(api.requests) == before + len(LEAGUES)


def choose(project: Path, provider: str) -> None:
    """Do what the README says: `echo FIXTURES_PROVIDER=… >> .env`."""
    with (project / ".env").open("a") as file:
        file.write(f"FIXTURES_PROVIDER={provider}\n")
