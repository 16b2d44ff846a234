"""The queries of docs/queries.md answer what they say, over a history that is small enough to answer by hand."""

import csv
import json
import re
import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pandas
import pytest
from time_machine import travel

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.loading import load_days
from fixtures_pipeline.outcome import DayFailed, DayLoaded, Outcome
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import body_of, event
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.stores import SOFASCORE, kept_open, place_of, query, store_at

PAGE = (Path(__file__).parents[1] / "docs" / "queries.md").read_text(encoding="utf-8")
SECTIONS = dict(section.split("\n", 1) for section in PAGE.split("\n## ")[1:])


def blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", SECTIONS[section], flags=re.MULTILINE | re.DOTALL)


QUERIES = {heading: "".join(blocks(heading, "sql")) for heading in SECTIONS if blocks(heading, "sql")}

#: When the queries are asked: noon in Istanbul of a Wednesday whose month before was February.
NOW = datetime(2025, 3, 12, 9, tzinfo=UTC)
ISTANBUL = ZoneInfo("Europe/Istanbul")

NU, EF, VS, DR = "Norheim United", "Elbridge FC", "Vesterby SK", "Dunwick Rovers"
TEAMS = {NU: 1, EF: 2, VS: 3, DR: 4}
LEAGUE, CUP = "Norvania Premier Division", "Norvania Cup"

Rows = list[tuple[Any, ...]]


def at(text: str) -> datetime:
    """Return a moment of 2025 in UTC, written as `03-12 09:00`."""
    return datetime.fromisoformat(f"2025-{text}:00+00:00")


def day(text: str) -> date:
    return date.fromisoformat(f"2025-{text}")


def local(text: str) -> datetime:
    """Return a time of 2025 as a clock shows it."""
    return datetime.fromisoformat(f"2025-{text}:00")


def match(
    number: int,
    kickoff: str,
    home: str,
    away: str,
    score: str = "",
    *,
    half: str = "0:0",
    kicks: str = "",
    competition: str = LEAGUE,
    country: str = "Norvania",
    **changes: Any,
) -> dict[str, Any]:
    """Return a match; without a score it is scheduled."""
    sides: tuple[dict[str, int], ...] = ({}, {})
    if score:
        goals, first = ([int(n) for n in text.split(":")] for text in (score, half))
        sides = tuple({"current": g, "display": g, "period1": f} for g, f in zip(goals, first, strict=True))
        changes.setdefault("winnerCode", 3 if goals[0] == goals[1] else 1 + (goals[1] > goals[0]))
    if kicks:
        for side, shot in zip(sides, map(int, kicks.split(":")), strict=True):
            side |= {"penalties": shot, "current": side["current"] + shot}
    made = event(
        number,
        int(at(kickoff).timestamp()),
        tournament={
            "id": 70,
            "name": competition,
            "category": {"name": country},
            "uniqueTournament": {"id": sum(competition.encode()), "name": competition},
        },
        season={"year": "2025"},
        homeTeam={"id": TEAMS.get(home, 100 + number), "name": home},
        awayTeam={"id": TEAMS.get(away, 200 + number), "name": away},
        homeScore=sides[0],
        awayScore=sides[1],
    )
    if not score:
        made["status"] = {"code": 0, "type": "notstarted", "description": "Not started"}
        del made["winnerCode"]
    return made | changes


AWARDED: dict[str, Any] = {"status": {"code": 91, "type": "finished", "description": "Walkover"}, "isAwarded": True}
ABANDONED: dict[str, Any] = {"status": {"code": 90, "type": "canceled", "description": "Abandoned"}}
CANCELLED: dict[str, Any] = {"status": {"code": 70, "type": "canceled", "description": "Canceled"}}
POSTPONED: dict[str, Any] = {"status": {"code": 60, "type": "postponed", "description": "Postponed"}}

COMEBACK = match(3, "02-15 15:00", EF, NU, "1:3", half="1:0")
PAST = [
    match(1, "02-01 15:00", NU, EF, "2:1", half="1:0"),
    match(2, "02-08 15:00", VS, NU, "0:0"),
    COMEBACK,
    match(20, "02-16 15:00", DR, EF, **AWARDED, winnerCode=1),
    match(4, "02-22 15:00", NU, VS, "0:1"),
    match(21, "02-23 15:00", VS, DR, "1:2", **AWARDED, winnerCode=1),
    match(5, "03-01 15:00", NU, DR, "4:0", half="2:0"),
    match(9, "03-02 15:00", EF, DR, "2:2", half="0:1"),
    match(6, "03-04 18:00", EF, NU, "1:1", kicks="5:4", half="1:0", competition=CUP, winnerCode=1),
    match(7, "03-08 15:00", DR, VS, "0:3", **AWARDED),
    match(8, "03-08 16:00", VS, EF, "1:0", **ABANDONED),
    match(16, "03-07 15:00", DR, NU, **POSTPONED),
    match(18, "03-09 15:00", VS, DR, **POSTPONED),
]
MOVED = match(15, "03-06 15:00", EF, VS)
SOME_DAY = match(26, "03-19 15:00", "I", "J", competition="Friendlies", startTimestamp=None)
#: What answers list besides the matches of their day: a neighbour's, and one without a kickoff that two days claim.
LISTED_TOO = {date(2025, 2, 16): [COMEBACK], date(2025, 3, 19): [SOME_DAY], date(2025, 3, 20): [SOME_DAY]}


class History:
    """Loads that happened at moments of the test's own."""

    def __init__(self, path: Path) -> None:
        self.store = store_at(path)
        #: When, whether it loaded, and milliseconds.
        self.attempts: list[tuple[datetime, bool, int]] = []
        self._judge = Judge(SOFASCORE, ZoneInfo("UTC"))

    def loaded(self, moment: str, *listed: dict[str, Any], elapsed_ms: int = 100) -> None:
        """Load each day on which one of these matches falls; each takes longer than the one before."""
        days: dict[date, list[dict[str, Any]]] = {}
        for one in listed:
            days.setdefault(datetime.fromtimestamp(one["startTimestamp"], UTC).date(), []).append(one)
        outcomes = []
        for n, (one_day, own) in enumerate(days.items()):
            outcome = self._judge.judge(
                one_day, body_of([*own, *self._fill(one_day), *LISTED_TOO.get(one_day, [])])
            ).outcome
            assert isinstance(outcome, DayLoaded)
            outcomes.append(replace(outcome, elapsed_ms=elapsed_ms + 40 * n))
        self._load(moment, outcomes)

    def failed(self, moment: str, *days: str, error_type: ErrorType = ErrorType.API_ERROR, message: str = "") -> None:
        self._load(moment, [DayFailed(day(one), error_type, message, elapsed_ms=9000) for one in days])

    def empty_day(self, moment: str, one_day: str, elapsed_ms: int = 100) -> None:
        """Load a day on which nothing of interest is played."""
        outcome = self._judge.judge(day(one_day), body_of(self._fill(day(one_day)))).outcome
        assert isinstance(outcome, DayLoaded)
        self._load(moment, [replace(outcome, elapsed_ms=elapsed_ms)])

    def _load(self, moment: str, outcomes: list[Any]) -> None:
        loads: list[Outcome] = outcomes
        with travel(at(moment), tick=False):
            self.store.put(loads)
        self.attempts += [(at(moment), isinstance(one, DayLoaded), one.elapsed_ms) for one in loads]

    @staticmethod
    def _fill(one_day: date) -> list[dict[str, Any]]:
        """Return two matches that no question is about: a day needs two."""
        number = one_day.toordinal() * 10
        return [
            match(number + n, f"{one_day:%m-%d} 11:00", "A", "B", competition="Other", country="Else") | CANCELLED
            for n in range(2)
        ]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Return the history that the expected answers are about."""
    with ExitStack() as opened:
        made = History(tmp_path_factory.mktemp("queries") / "fixtures.duckdb")
        opened.enter_context(kept_open(made.store))
        # The eighth week before NOW begins in Istanbul at 21:00 on a Sunday in UTC.
        made.empty_day("01-19 20:59", "01-17", elapsed_ms=5000)
        made.empty_day("01-19 21:01", "01-18", elapsed_ms=600)
        # February begins there three hours before it does in UTC.
        made.failed("01-31 20:59", "01-30")
        made.failed("01-31 21:30", "01-30", error_type=ErrorType.TIMEOUT_ERROR, message="Slow.")
        made.empty_day("02-03 05:15", "01-30", elapsed_ms=400)
        made.failed("02-10 05:15", "02-09", message="First.")
        made.failed("02-10 06:15", "02-09", message="Second.")
        made.empty_day("02-10 08:15", "02-09", elapsed_ms=700)
        made.empty_day("02-20 05:00", "02-19")
        made.failed("02-20 05:15", "02-19", error_type=ErrorType.TIMEOUT_ERROR, message="Silent.")
        made.failed("02-28 21:30", "02-27")
        made.empty_day("03-01 05:15", "02-27", elapsed_ms=50)
        made.loaded("03-05 05:00", MOVED)
        made.loaded("03-08 05:00", match(7, "03-08 15:00", DR, VS), match(8, "03-08 16:00", VS, EF))
        made.loaded("03-09 20:00", *PAST, elapsed_ms=200)
        # The same id on another day; the old day is not loaded again.
        made.loaded(
            "03-10 05:00",
            match(15, "03-20 15:00", EF, VS),
            match(17, "03-19 15:00", DR, NU),
            match(25, "03-10 15:00", NU, "K", competition="Friendlies"),
            match(27, "03-14 15:00", NU, "L", **POSTPONED, competition="Friendlies"),
            match(28, "03-21 15:00", NU, "M", competition="Friendlies"),
        )
        made.failed("03-10 06:00", "03-05", "03-08")
        made.failed("03-10 07:00", "02-09", message="Third.")
        evening = [
            match(10, "03-11 22:30", EF, DR),
            match(19, "03-11 18:00", DR, VS, competition=CUP),
            match(11, "03-12 20:00", NU, DR),
            match(12, "03-12 21:30", VS, NU),
            match(13, "03-12 18:00", "C", "D", competition="Norvania Second Division"),
            match(22, "03-12 18:00", "E", "F", country="Eastmark"),
        ]
        made.loaded("03-11 06:00", *evening, match(14, "03-15 15:00", NU, EF))
        made.loaded(
            "03-12 08:00",
            match(10, "03-11 22:30", EF, DR, "1:0", half="1:0"),
            match(19, "03-11 18:00", DR, VS, "2:2", kicks="3:5", half="2:1", competition=CUP, winnerCode=2),
            match(11, "03-12 20:30", NU, DR),
            match(23, "03-12 19:00", "G", "H", competition=CUP),
            *evening[3:],
            # Never loaded before, so nothing of it has changed.
            match(24, "03-16 15:00", EF, NU, competition=CUP),
        )
    assert_rules(made.store)
    yield made


@pytest.fixture(params=["UTC", "America/New_York"])
def machine(request: pytest.FixtureRequest) -> str:
    """Return a time zone that the machine of whoever asks may have."""
    zone: str = request.param
    return zone


def run(path: Path, sql: str, machine: str = "UTC") -> tuple[list[str], Rows]:
    """Return names and rows of a query, asked read-only."""
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute(f"SET TimeZone = '{machine}'")
        cursor = connection.execute(sql)
        return [column[0] for column in cursor.description or ()], cursor.fetchall()


def asked(path: Path, heading: str, machine: str = "UTC") -> Rows:
    """Return the answer to a query of the page, asked at NOW."""
    return run(path, QUERIES[heading].replace("now()", f"TIMESTAMPTZ '{NOW.isoformat()}'"), machine)[1]


#: What is expected of the queries whose answer can be written down.
EXPECTED: dict[str, Rows] = {
    "Today's fixtures of a league": [
        (local("03-12 01:30"), EF, DR, "finished", 1, 0),
        (local("03-12 23:30"), NU, DR, "scheduled", None, None),
    ],
    "The next kickoffs of a team": [
        (local("03-12 23:30"), LEAGUE, "home", DR),
        (local("03-13 00:30"), LEAGUE, "away", VS),
        (local("03-15 18:00"), LEAGUE, "home", EF),
        (local("03-16 18:00"), CUP, "away", EF),
        (local("03-19 18:00"), LEAGUE, "away", DR),
    ],
    "The last match of a team": [(local("03-04 21:00"), CUP, "away", EF, 1, 1, "D")],
    # 0:0, 3:1, 0:1, 4:0, 1:1; the 2:1 of 1 February is the sixth.
    "The form of a team": [("DWLWD", 8, 3)],
    "Two teams head to head": [
        (day("03-04"), CUP, EF, NU, 1, 1, 5, 4),
        (day("02-15"), LEAGUE, EF, NU, 1, 3, None, None),
        (day("02-01"), LEAGUE, NU, EF, 2, 1, None, None),
    ],
    # Neither the cup nor the abandoned match; 20 and 21 go to whom they were awarded to.
    "A league table": [
        (1, NU, 5, 3, 1, 1, 9, 3, 6, 10),
        (2, VS, 4, 3, 1, 0, 5, 2, 3, 10),
        (3, EF, 5, 1, 1, 3, 5, 7, -2, 4),
        (4, DR, 6, 1, 1, 4, 4, 11, -7, 4),
    ],
    "Results of a day": [
        ("Norvania", CUP, DR, VS, "2:2 (3:5)", "finished"),
        ("Norvania", LEAGUE, EF, DR, "1:0", "finished"),
    ],
    # League: 3, 0, 4, 1, 4, 4 and 1 goals; the cup has two matches only.
    "Goals per match": [("Norvania", LEAGUE, 7, 2.43, 57.1)],
    # With the cup: home, draw, away, away, home, draw, draw, draw, home.
    "Home advantage": [("Norvania", 9, 33.3, 44.4, 22.2, 0.33)],
    "Postponed matches and where they went": [
        (day("03-06"), day("03-20"), LEAGUE, EF, VS, "scheduled", False),
        (day("03-07"), day("03-19"), LEAGUE, DR, NU, "scheduled", True),
        (day("03-09"), None, LEAGUE, VS, DR, "postponed", None),
        (day("03-14"), None, "Friendlies", NU, "L", "postponed", None),
    ],
    "What has changed since yesterday": [
        (local("03-12 11:00"), LEAGUE, EF, DR, "away_score", None, "0"),
        (local("03-12 11:00"), LEAGUE, EF, DR, "home_score", None, "1"),
        (local("03-12 11:00"), LEAGUE, EF, DR, "status", "scheduled", "finished"),
        (local("03-12 11:00"), LEAGUE, NU, DR, "kickoff", "2025-03-12 20:00:00+00", "2025-03-12 20:30:00+00"),
        (local("03-12 11:00"), CUP, DR, VS, "away_score", None, "2"),
        (local("03-12 11:00"), CUP, DR, VS, "home_score", None, "2"),
        (local("03-12 11:00"), CUP, DR, VS, "status", "scheduled", "finished"),
    ],
    "Kickoffs that moved": [
        (LEAGUE, NU, DR, local("03-12 23:00"), local("03-12 23:30"), local("03-12 11:00")),
        (LEAGUE, EF, VS, local("03-06 18:00"), local("03-20 18:00"), local("03-10 08:00")),
    ],
    "Fixtures added since yesterday": [
        (local("03-12 11:00"), local("03-12 22:00"), CUP, "G", "H", "scheduled"),
    ],
    "Days that failed last month": [
        (day("01-30"), 1, "TIMEOUT_ERROR", local("02-01 00:30"), True),
        (day("02-09"), 2, "API_ERROR", local("02-10 09:15"), True),
        (day("02-19"), 1, "TIMEOUT_ERROR", local("02-20 08:15"), False),
    ],
    "Failures of last month by error type": [
        ("API_ERROR", 2, 1, "Second."),
        ("TIMEOUT_ERROR", 2, 2, "Silent."),
    ],
    "Days that took several attempts": [
        (day("02-27"), 1, "API_ERROR", local("03-01 00:30"), local("03-01 08:15"), timedelta(hours=7, minutes=45)),
        (day("02-09"), 2, "API_ERROR", local("02-10 08:15"), local("02-10 11:15"), timedelta(hours=3)),
        (
            day("01-30"), 2, "API_ERROR, TIMEOUT_ERROR", local("01-31 23:59"), local("02-03 08:15"),
            timedelta(days=2, hours=8, minutes=16),
        ),
    ],
    # Those since 10 February. COMEBACK, which two answers list, counts once.
    "Half-time and full-time": [
        ("away", "draw", 1),
        ("draw", "away", 1),
        ("home", "away", 1),
        ("home", "draw", 2),
        ("home", "home", 2),
    ],
}  # fmt: skip


@pytest.mark.parametrize("heading", EXPECTED)
def test_the_answer_is_right_whatever_the_zone_of_the_machine(history: History, heading: str, machine: str) -> None:
    assert asked(Path(place_of(history.store)), heading, machine) == EXPECTED[heading]


def test_every_day_of_the_month_is_loaded_failed_stale_or_missing(history: History, machine: str) -> None:
    loaded = {1, 2, 4, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 19, 20, 21}
    expected: Rows = []
    for n in range(1, 32):
        failed = n in {5, 8}
        state = {(True, True): "stale", (True, False): "loaded", (False, True): "failed", (False, False): "missing"}
        word = state[n in loaded, failed]
        expected.append((date(2025, 3, n), word, "API_ERROR" if failed else None, 1 if failed else None))
    assert asked(Path(place_of(history.store)), "Days of a month: loaded, failed or missing", machine) == expected


def test_the_weeks_of_the_api_are_those_of_an_independent_count(history: History, machine: str) -> None:
    weeks: dict[date, list[tuple[bool, int]]] = {}
    for moment, loaded, elapsed_ms in history.attempts:
        monday = moment.astimezone(ISTANBUL).date()
        monday -= timedelta(days=monday.weekday())
        weeks.setdefault(monday, []).append((loaded, elapsed_ms))
    assert min(weeks) == date(2025, 1, 13)
    del weeks[date(2025, 1, 13)]
    expected: Rows = []
    for monday, attempts in sorted(weeks.items()):
        times = [elapsed_ms for loaded, elapsed_ms in attempts if loaded]
        median = round(statistics.median(times)) if times else None
        # With one time there is nothing to divide.
        cut = (
            statistics.quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0] if times else None
        )
        failed = round(100 * sum(not loaded for loaded, _ in attempts) / len(attempts), 1)
        expected.append((monday, len(attempts), failed, median, cut if cut is None else round(cut)))
    assert len(expected) == 8
    assert any(median != p95 for *_, median, p95 in expected)
    assert asked(Path(place_of(history.store)), "How long the API takes, and how reliable it is", machine) == expected


def test_the_parquet_file_holds_the_fixtures(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked(Path(place_of(history.store)), "Export to Parquet")
    exported = duckdb.connect().execute("FROM 'fixtures.parquet'").fetchall()
    stored = query(history.store, "SELECT * FROM fixtures WHERE date >= DATE '2025-01-01' ORDER BY date, event_id")
    assert exported == [tuple(row.values()) for row in stored]
    assert exported


def test_the_csv_file_holds_the_coming_week_by_the_clock_of_the_zone(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    monkeypatch.chdir(tmp_path)
    asked(Path(place_of(history.store)), "Export to CSV", machine)
    with (tmp_path / "coming.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["local_kickoff", "country", "competition", "home_team", "away_team"]
    assert [(row[0], row[3], row[4]) for row in rows[1:]] == [
        ("2025-03-12 21:00", "C", "D"),
        ("2025-03-12 21:00", "E", "F"),
        ("2025-03-12 22:00", "G", "H"),
        ("2025-03-12 23:30", NU, DR),
        ("2025-03-13 00:30", VS, NU),
        ("2025-03-15 18:00", NU, EF),
        ("2025-03-16 18:00", EF, NU),
    ]


TESTED = {
    *EXPECTED,
    "Days of a month: loaded, failed or missing",
    "How long the API takes, and how reliable it is",
    "Export to Parquet",
    "Export to CSV",
}


def test_every_query_is_tested_here_and_stands_alone_under_its_heading() -> None:
    assert set(QUERIES) == TESTED
    assert [heading for heading in QUERIES if len(blocks(heading, "sql")) > 1] == []
    assert PAGE.count("```sql") == len(QUERIES)


def test_every_query_begins_with_what_is_asked_and_knows_one_word_for_this_moment() -> None:
    for heading, sql in QUERIES.items():
        assert re.match(r"(COPY \(\s+)?WITH asked AS \(", sql), heading
        # What NOW stands in for; these would go by the zone of the machine as well.
        assert not re.search(r"current_(date|time|timestamp)|today\(|localtime", sql, re.IGNORECASE), heading


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a database with sample data of today and of the days around NOW."""
    path = tmp_path_factory.mktemp("sample") / "sample.duckdb"
    today = datetime.now(UTC).date()
    days = [today, *(NOW.date() + timedelta(days=n) for n in range(-12, 3))]
    for _ in load_days(Settings.load(provider="sample", db=path), days):
        pass
    return path


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a database with all tables and nothing in them."""
    store = store_at(tmp_path_factory.mktemp("empty") / "empty.duckdb")
    store.put([])
    return Path(place_of(store))


@pytest.mark.parametrize("heading", QUERIES)
class TestAsItStands:
    """Pasted from the page, unchanged."""

    def test_a_query_runs_on_sample_data(
        self, heading: str, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        run(sample, QUERIES[heading])

    def test_a_query_runs_on_a_database_without_rows(
        self, heading: str, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        run(empty, QUERIES[heading])

    def test_its_times_are_of_the_zone_that_was_asked_for(
        self, heading: str, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with duckdb.connect(str(empty), read_only=True) as connection:
            cursor = connection.execute(QUERIES[heading])
            assert "TIMESTAMP WITH TIME ZONE" not in {str(column[1]) for column in cursor.description or ()}


#: Not what asks for one day, as any may have failed, nor what the sample has only now and then.
SHOWN_ON_SAMPLE_DATA = [
    "The last match of a team",
    "The form of a team",
    "A league table",
    "Goals per match",
    "Home advantage",
    "Days of a month: loaded, failed or missing",
    "How long the API takes, and how reliable it is",
    "Half-time and full-time",
]


@pytest.mark.parametrize("heading", SHOWN_ON_SAMPLE_DATA)
def test_a_query_has_something_to_show_on_sample_data(heading: str, sample: Path) -> None:
    rows = asked(sample, heading)
    assert rows
    assert any(value is not None for value in rows[0])


def examples() -> list[str]:
    return [heading for heading in QUERIES if blocks(heading, "text")]


@pytest.mark.parametrize("heading", examples())
def test_an_example_of_the_answer_has_the_columns_of_the_query(heading: str, empty: Path) -> None:
    [example] = blocks(heading, "text")
    names, _ = run(empty, QUERIES[heading])
    assert example.splitlines()[0].split() == names


def test_some_answers_are_shown() -> None:
    assert len(examples()) >= 2


def of_sofascore(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the operator of this database has in `.env`."""
    for name, value in {"PROVIDER": "sofascore", "API_URL": "http://127.0.0.1:8000", "DB": str(path)}.items():
        monkeypatch.setenv(f"FIXTURES_{name}", value)


class TestPandas:
    """The Python of the page, as it stands."""

    def execute(self, code: str) -> dict[str, Any]:
        module = ModuleType("page")
        exec(compile(code, "docs/queries.md", "exec"), module.__dict__)
        return module.__dict__

    def test_a_query_becomes_a_data_frame_and_the_file_is_free_again(self, history: History) -> None:
        [code] = blocks("Opening the file", "python")
        sql = QUERIES["The form of a team"]
        frame: pandas.DataFrame = self.execute(code)["answer"](sql, Path(place_of(history.store)))
        assert frame.to_dict("records") == [{"form": "DWLWD", "scored": 8, "conceded": 3}]
        duckdb.connect(str(Path(place_of(history.store))), config={"threads": 1}).close()

    def test_whole_tables_are_worked_with(self, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
        of_sofascore(Path(place_of(history.store)), monkeypatch)
        monkeypatch.setattr(pandas.Timestamp, "now", lambda zone: pandas.Timestamp(NOW).tz_convert(zone))
        [code] = blocks("With pandas", "python")
        made = self.execute(code)
        assert sorted(made["today"].loc[made["today"]["competition"] == LEAGUE, "event_id"]) == [10, 11, 22]
        assert made["goals"].round(2).to_dict() == {LEAGUE: 2.43, CUP: 3.0}
        failures = made["failures"].stack()
        assert {(row[0].date(), row[1]): count for row, count in failures.items() if count} == {
            (day("01-30"), "API_ERROR"): 1,
            (day("01-30"), "TIMEOUT_ERROR"): 1,
            (day("02-09"), "API_ERROR"): 3,
            (day("02-19"), "TIMEOUT_ERROR"): 1,
            (day("02-27"), "API_ERROR"): 1,
            (day("03-05"), "API_ERROR"): 1,
            (day("03-08"), "API_ERROR"): 1,
        }

    def test_whole_tables_may_be_without_rows(self, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        of_sofascore(empty, monkeypatch)
        [code] = blocks("With pandas", "python")
        made = self.execute(code)
        assert [len(made[name]) for name in ("today", "goals", "failures")] == [0, 0, 0]

    def test_every_python_block_is_tested_here(self) -> None:
        assert [heading for heading in SECTIONS if blocks(heading, "python")] == ["Opening the file", "With pandas"]


def test_the_answers_were_asked_of_what_a_provider_would_send(history: History) -> None:
    rows = query(
        history.store, "SELECT date, data FROM fixture_days WHERE date IN (DATE '2025-02-15', DATE '2025-02-16')"
    )
    listing = {row["date"] for row in rows if COMEBACK["id"] in {one["id"] for one in json.loads(row["data"])}}
    assert listing == {day("02-15"), day("02-16")}
