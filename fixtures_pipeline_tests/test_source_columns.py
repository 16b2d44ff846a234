"""What the mappings make of OpenLigaDB, of API-Sports' other sports and of TheSportsDB."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fixtures_pipeline_tests.answers import IDENTITIES
from fixtures_pipeline_tests.days import MONDAY, TUESDAY
from fixtures_pipeline_tests.readings import ABSENT, Event, Reader, an_event

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def read() -> Reader:
    return Reader()


def score_of(row: Event) -> tuple[Any, ...]:
    return row["home_score"], row["away_score"], row["home_penalties"], row["away_penalties"]


KINDS = {"HalfTime": 1, "After90Minutes": 2, "Unknown": 3, "AfterExtraTime": 4, "AfterPenalties": 5}


def results(*rows: tuple[str | int, Any, Any], first: int = 1) -> list[Event]:
    """Return result rows of OpenLigaDB's, numbered from `first`; a kind is a word, or the number of older answers."""
    return [
        {
            "resultID": first + n,
            "resultTypeID": KINDS[kind] if isinstance(kind, str) else kind,
            **({"resultTypeKind": kind} if isinstance(kind, str) else {}),
            "pointsTeam1": home,
            "pointsTeam2": away,
        }
        for n, (kind, home, away) in enumerate(rows)
    ]


class TestAMatchOfOpenLigaDB:
    @pytest.mark.parametrize(
        ("rows", "score", "detail", "winner"),
        [
            ([("HalfTime", 1, 1), ("After90Minutes", 2, 1)], (2, 1, None, None), "After90Minutes", "home"),
            ([("After90Minutes", 2, 2), ("HalfTime", 1, 1)], (2, 2, None, None), "After90Minutes", "draw"),
            # Before the season of 2025 only numbers tell.
            ([(2, 0, 3), (1, 0, 1)], (0, 3, None, None), "After90Minutes", "away"),
            ([(2, 1, 1), (4, 1, 2)], (1, 2, None, None), "AfterExtraTime", "away"),
            ([(2, 1, 1), (4, 1, 1), (5, 5, 4)], (1, 1, 4, 3), "AfterPenalties", "home"),
            # Each row counts on from the one before.
            (
                [("After90Minutes", 1, 1), ("AfterExtraTime", 2, 2), ("AfterPenalties", 5, 6)],
                (2, 2, 3, 4),
                "AfterPenalties",
                "away",
            ),
            ([("After90Minutes", 1, 1), ("AfterPenalties", 4, 5)], (1, 1, 3, 4), "AfterPenalties", "away"),
            # The goal that decided it is counted before already, or the row is none that counts on.
            (
                [("After90Minutes", 1, 1), ("AfterExtraTime", 2, 1), ("AfterPenalties", 2, 1)],
                (2, 1, None, None),
                "AfterPenalties",
                "home",
            ),
            ([("After90Minutes", 3, 3), ("AfterPenalties", 5, 2)], (3, 3, None, None), "AfterPenalties", "home"),
            # Ice hockey: two rows of periods, and the third is the end of normal time.
            (
                [("HalfTime", 0, 0), ("HalfTime", 2, 0), ("After90Minutes", 4, 0)],
                (4, 0, None, None),
                "After90Minutes",
                "home",
            ),
            # Self-made kinds say nothing, whatever their number.
            ([("Unknown", 9, 9), ("After90Minutes", 1, 0)], (1, 0, None, None), "After90Minutes", "home"),
            ([("Unknown", 2, 1)], (None, None, None, None), None, None),
            ([], (None, None, None, None), None, None),
            # Half a score is none.
            ([("After90Minutes", None, 1), ("After90Minutes", 2, 1)], (2, 1, None, None), "After90Minutes", "home"),
        ],
    )
    def test_has_the_score_of_its_result_rows(
        self, rows: Any, score: Any, detail: str | None, winner: str | None, read: Reader
    ) -> None:
        [row] = read("openligadb", an_event("openligadb", matchResults=results(*rows)))
        assert (score_of(row), row["status_detail"], row["winner"]) == (score, detail, winner)

    def test_that_has_three_final_scores_has_the_one_entered_first(self, read: Reader) -> None:
        final = [("After90Minutes", 2, 0), ("After90Minutes", 2, 1), ("After90Minutes", 3, 1)]
        for rows in (results(*final, first=99), results(*final, first=99)[::-1]):
            [row] = read("openligadb", an_event("openligadb", matchResults=rows))
            assert score_of(row) == (2, 0, None, None)

    @pytest.mark.parametrize("rows", [None, ABSENT, {}, "1:0", 7, [None], [[]], ["2:1"]])
    def test_may_have_anything_in_their_place(self, rows: Any, read: Reader) -> None:
        [row] = read("openligadb", an_event("openligadb", matchResults=rows))
        assert (score_of(row), row["winner"], row["status"]) == ((None, None, None, None), None, "finished")

    @pytest.mark.parametrize(
        ("is_finished", "fetched_at", "status"),
        [
            (True, datetime(2025, 3, 3, 14, tzinfo=UTC), "finished"),
            # A postponed one keeps its old time until somebody moves it, so a finished one may lie ahead.
            (True, datetime(2025, 3, 3, 10, tzinfo=UTC), "finished"),
            (False, datetime(2025, 3, 3, 11, 59, 59, tzinfo=UTC), "scheduled"),
            (False, datetime(2025, 3, 3, 12, tzinfo=UTC), "unknown"),
            (False, datetime(2025, 3, 9, tzinfo=UTC), "unknown"),
            (None, datetime(2025, 3, 9, tzinfo=UTC), "unknown"),
            ("True", datetime(2025, 3, 9, tzinfo=UTC), "finished"),
            (1, datetime(2025, 3, 9, tzinfo=UTC), "unknown"),
        ],
    )
    def test_is_finished_or_to_come_or_nobody_knows(
        self, is_finished: Any, fetched_at: datetime, status: str, read: Reader
    ) -> None:
        event = an_event("openligadb", matchIsFinished=is_finished)
        [row] = read("openligadb", event, fetched_at=fetched_at)
        assert row["status"] == status
        assert (row["winner"], row["status_detail"]) == (
            ("home", "After90Minutes") if status == "finished" else (None, None)
        )
        assert (row["home_score"], row["away_score"]) == (2, 1), "rows run along"

    @pytest.mark.parametrize(
        ("written", "kickoff", "unread"),
        [
            ("2025-03-03T12:00:00Z", NOON, False),
            ("1970-01-01T00:00:00Z", None, False),
            ("1969-12-31T23:00:00Z", None, False),
            ("1970-06-03T16:00:00Z", datetime(1970, 6, 3, 16, tzinfo=UTC), False),
            ("0001-01-01T00:00:00Z", None, True),
            ("2025-03-03T12:00:00", None, True),
            (None, None, False),
        ],
    )
    def test_begins_in_utc_or_has_a_placeholder(
        self, written: Any, kickoff: datetime | None, unread: bool, read: Reader
    ) -> None:
        [row] = read("openligadb", an_event("openligadb", matchDateTimeUTC=written))
        assert (row["kickoff"], row["unread"]) == (kickoff, unread)

    def test_may_have_no_team_yet(self, read: Reader) -> None:
        [row] = read("openligadb", an_event("openligadb", team1=None, group=None))
        assert (row["home_team_id"], row["home_team"], row["round"]) == (None, None, None)
        assert row["away_team"] == "Away"

    def test_names_its_league_season_and_round(self, read: Reader) -> None:
        [row] = read("openligadb", an_event("openligadb"))
        assert {name: row[name] for name in ("competition_id", "competition", "season", "round", "country")} == {
            "competition_id": 4937,
            "competition": "1. Fußball-Bundesliga 2024/2025",
            "season": "2024",
            "round": "24. Spieltag",
            "country": None,
        }


#: What each sport's words mean, beside those that all of them share.
WORDS = {
    "basketball": {"live": "Q1 Q2 Q3 Q4 OT BT HT INTR", "finished": "FT AOT", "unknown": "AP 1H P1 IN1 S1"},
    "ice-hockey": {"live": "P1 P2 P3 OT PT BT INTR", "finished": "FT AOT AP", "unknown": "AET Q1 1H"},
    "baseball": {"live": "IN1 IN5 IN9 INTR", "finished": "FT", "unknown": "IN10 AOT"},
    "handball": {"live": "1H 2H HT ET BT PT INTR", "finished": "FT AET AP", "unknown": "AOT Q1"},
    "volleyball": {"live": "S1 S2 S3 S4 S5 INTR", "finished": "FT", "unknown": "S6 AOT"},
    "rugby": {"live": "1H 2H HT ET BT PT INTR", "finished": "FT AET", "unknown": "AP"},
    "american-football": {"live": "Q1 Q2 Q3 Q4 OT HT INTR", "finished": "FT AOT", "unknown": "IN1 BT"},
}
COMMON = {
    "scheduled": "NS TBD", "postponed": "POST PST", "cancelled": "CANC", "abandoned": "ABD", "suspended": "SUSP",
    "awarded": "AW AWD WO",
}  # fmt: skip


@pytest.fixture(params=WORDS)
def sport(request: pytest.FixtureRequest) -> str:
    """Return each of API-Sports' other sports in turn."""
    return str(request.param)


def a_game(sport: str, **changes: Any) -> Event:
    """Return a game of API-Sports, with changes where each sport has them."""
    inside = "game__" if sport == "american-football" else ""
    moved = ("id", "stage", "week", "status__short")
    return an_event(
        f"api-football-{sport}", **{inside + key if key in moved else key: value for key, value in changes.items()}
    )


class TestAGameOfApiSports:
    def test_has_a_status_in_the_words_of_its_sport(self, sport: str, read: Reader) -> None:
        expected = [
            (spelt, meaning)
            for meaning, words in (COMMON | WORDS[sport]).items()
            for word in words.split()
            for spelt in (word, word.lower(), f" {word}")
        ]
        rows = read(f"api-football-{sport}", *(a_game(sport, status__short=spelt) for spelt, _ in expected))
        assert [(spelt, row["status"]) for (spelt, _), row in zip(expected, rows, strict=True)] == expected
        assert [row["status_detail"] for row in rows] == [spelt.strip() for spelt, _ in expected]

    @pytest.mark.parametrize("in_total", [True, False])
    def test_has_scores_as_numbers_or_as_totals(self, in_total: bool, sport: str, read: Reader) -> None:
        def write(goals: Any) -> Any:
            return {"quarter_1": 1, "total": goals} if in_total else goals

        games = [((3, 2), "home"), ((99, 101), "away"), ((0, 0), "draw"), ((None, 1), None), (("3", 1), None)]
        rows = read(
            f"api-football-{sport}",
            *(a_game(sport, scores={"home": write(home), "away": write(away)}) for (home, away), _ in games),
        )
        for row, ((home, away), winner) in zip(rows, games, strict=True):
            assert score_of(row) == (home if home != "3" else None, away, None, None)
            assert row["winner"] == winner

    def test_has_no_score_before_it_begins_and_no_winner_before_it_ends(self, sport: str, read: Reader) -> None:
        games = [a_game(sport, status__short=word) for word in ("NS", "INTR", "AW")]
        scheduled, live, awarded = read(f"api-football-{sport}", *games)
        assert score_of(scheduled) == (None, None, None, None)
        assert score_of(live) == score_of(awarded) == (36, 33, None, None)
        assert {row["winner"] for row in (scheduled, live, awarded)} == {None}

    def test_without_a_time_yet_belongs_to_its_date(self, sport: str, read: Reader) -> None:
        midnight = datetime(2025, 3, 4, tzinfo=UTC)
        written = {"date": midnight.isoformat(), "timestamp": int(midnight.timestamp())}
        if sport == "american-football":
            written = {"game__date": {"date": "2025-03-04", "timestamp": written["timestamp"]}}
        game = a_game(sport, status__short="TBD", **written)
        for day, own in ((MONDAY, False), (TUESDAY, True)):
            [row] = read(f"api-football-{sport}", game, day=day)
            assert (row["kickoff"], row["unread"], row["own"]) == (None, False, own)

    def test_names_what_there_is_of_country_season_and_round(self, sport: str, read: Reader) -> None:
        games = [a_game(sport, stage=stage, week=week) for stage, week in (("Finals", 3), (None, None), ("", "Week 1"))]
        rows = read(f"api-football-{sport}", *games)
        assert [row["round"] for row in rows] == ["Finals 3", None, "Week 1"]
        assert {(row["country"], row["season"], row["competition"]) for row in rows} == {("Land", "2024", "League")}

    def test_is_asked_for_at_an_address_of_its_sport(self, sport: str) -> None:
        source = IDENTITIES[f"api-football-{sport}"]
        host = {"ice-hockey": "hockey"}.get(sport, sport)
        assert source.base_url == f"https://v1.{host}.api-sports.io"
        [request] = source.requests(MONDAY, "Asia/Tokyo")
        assert (request.path, request.query) == ("/games", {"date": "2025-03-03", "timezone": "Asia/Tokyo"})
        assert source.key_header == "x-apisports-key"
        assert (source.plan.requests_per_day, source.plan.days) == (100, (1, 1))


LIVE = (
    "1H",
    "2H",
    "HT",
    "ET",
    "BT",
    "P",
    "PT",
    "LIVE",
    "INT",
    "INTR",
    "Q1",
    "Q4",
    "OT",
    "P1",
    "SO",
    "IN1",
    "IN9",
    "S5",
)


class TestAnEventOfTheSportsDB:
    @pytest.mark.parametrize(
        ("word", "postponed", "status"),
        [
            *((word, "no", "scheduled") for word in ("NS", "TBD", "Not Started", " ns")),
            *((word, "no", "live") for word in LIVE),
            *((word, "no", "finished") for word in ("FT", "AET", "PEN", "AP", "AOT", "Match Finished")),
            *((word, "no", "postponed") for word in ("PST", "POST")),
            ("CANC", "no", "cancelled"),
            ("ABD", "no", "abandoned"),
            ("SUSP", "no", "suspended"),
            *((word, "no", "awarded") for word in ("AWD", "AW", "WO")),
            *((word, "no", "unknown") for word in (None, ABSENT, "", "Delayed", "IN10")),
            # It says so twice, and the two disagree.
            *((word, "yes", "postponed") for word in ("NS", "TBD", "Delayed", None, "PST")),
            ("FT", "yes", "finished"),
            ("CANC", "yes", "cancelled"),
        ],
    )  # fmt: skip
    def test_has_a_status_of_two_fields(self, word: Any, postponed: str, status: str, read: Reader) -> None:
        [row] = read("thesportsdb", an_event("thesportsdb", strStatus=word, strPostponed=postponed))
        assert row["status"] == status

    @pytest.mark.parametrize(
        ("stamp", "day", "time", "kickoff"),
        [
            ("2025-03-03T12:00:00", None, None, NOON),
            ("2025-03-03T12:00:00+00:00", None, None, NOON),
            ("2025-03-03T15:00:00+03:00", None, None, NOON),
            (None, "2025-03-03", "12:00:00", NOON),
            ("", "2025-03-03", "12:00:00", NOON),
            ("", "2025-03-03", "12:00", NOON),
            (None, "2025-03-03", None, None),
            (None, "2025-03-03", "", None),
            (None, None, "12:00:00", None),
            ("noon", "2025-03-03", "noon", None),
        ],
    )
    def test_begins_in_utc_without_saying_so(
        self, stamp: Any, day: Any, time: Any, kickoff: datetime | None, read: Reader
    ) -> None:
        [row] = read("thesportsdb", an_event("thesportsdb", strTimestamp=stamp, dateEvent=day, strTime=time))
        assert row["kickoff"] == kickoff
        assert row["unread"] == (kickoff is None and time in {"noon", "12:00:00"})
        assert row["own"] == (kickoff is not None or day != "2025-03-04")

    def test_without_a_time_belongs_to_its_date(self, read: Reader) -> None:
        for word, stamp in (("NS", None), ("TBD", "2025-03-04T00:00:00")):
            event = an_event(
                "thesportsdb", strStatus=word, strTimestamp=stamp, dateEvent="2025-03-04", strTime=stamp and "00:00:00"
            )
            rows = [read("thesportsdb", event, day=day)[0] for day in (MONDAY, TUESDAY)]
            assert [(row["kickoff"], row["unread"], row["own"]) for row in rows] == [
                (None, False, False),
                (None, False, True),
            ]
        [row] = read("thesportsdb", an_event("thesportsdb", strTimestamp="2025-03-04T00:00:00"), day=TUESDAY)
        assert row["kickoff"] == datetime(2025, 3, 4, tzinfo=UTC), "midnight of one that has a time is one"

    def test_has_ids_that_are_digits_in_texts(self, read: Reader) -> None:
        large = str(2**40)
        [row] = read(
            "thesportsdb", an_event("thesportsdb", idEvent=large, idHomeTeam="0", idAwayTeam=None, idLeague="")
        )
        assert (row["event_id"], row["home_team_id"], row["away_team_id"], row["competition_id"]) == (
            2**40, None, None, None
        )  # fmt: skip
        [row] = read("thesportsdb", an_event("thesportsdb", idEvent=7, intHomeScore=3))
        assert (row["event_id"], row["home_score"]) == (7, 3), "should they become numbers one day"
        for none in ("0", "", None, "x", "-"):
            [row] = read("thesportsdb", an_event("thesportsdb", idEvent=none))
            assert row["event_id"] is None

    @pytest.mark.parametrize(
        ("sport", "word", "extra", "shoot_out", "winner"),
        [
            ("Soccer", "AP", ("3", "4"), (3, 4), "away"),
            ("Soccer", "PEN", ("5", "4"), (5, 4), "home"),
            ("Soccer", "AP", (None, None), (None, None), "draw"),
            ("Soccer", "AP", ("4", None), (4, None), None),
            ("Soccer", "FT", ("3", "4"), (None, None), "draw"),
            ("Ice Hockey", "AP", ("3", "4"), (None, None), "draw"),
            ("Cricket", "FT", ("3", "4"), (None, None), "draw"),
            ("Soccer", "NS", (None, None), (None, None), None),
        ],
    )
    def test_has_a_shoot_out_in_football_only(
        self, sport: str, word: str, extra: Any, shoot_out: Any, winner: str | None, read: Reader
    ) -> None:
        event = an_event(
            "thesportsdb", strSport=sport, strStatus=word, intHomeScore="1", intAwayScore="1",
            intHomeScoreExtra=extra[0], intAwayScoreExtra=extra[1],
        )  # fmt: skip
        [row] = read("thesportsdb", event)
        assert (score_of(row), row["winner"]) == ((1, 1, *shoot_out), winner)

    def test_is_asked_for_by_each_utc_day_that_the_day_touches(self) -> None:
        source = IDENTITIES["thesportsdb-ice-hockey"]
        for zone, days in (
            ("UTC", ["2025-03-03"]),
            ("Europe/Istanbul", ["2025-03-02", "2025-03-03"]),
            ("America/New_York", ["2025-03-03", "2025-03-04"]),
        ):
            requests = source.requests(MONDAY, zone)
            assert [dict(request.query) for request in requests] == [{"d": day, "s": "Ice_Hockey"} for day in days]
            assert {request.path for request in requests} == {"/api/v1/json/{key}/eventsday.php"}
            assert [request.part for request in requests] == (
                [None] if len(days) == 1 else [f"{day} (UTC)" for day in days]
            )

    def test_round_0_is_none(self, read: Reader) -> None:
        rounds = ("0", "", None, "125", "9")
        rows = read("thesportsdb", *(an_event("thesportsdb", intRound=one) for one in rounds))
        assert [row["round"] for row in rows] == [None, None, None, "125", "9"]


def test_a_day_of_another_zone_begins_and_ends_there(read: Reader) -> None:
    event = an_event("thesportsdb", strTimestamp="2025-03-03T23:30:00")
    for day, own in ((date(2025, 3, 3), False), (date(2025, 3, 4), True)):
        [row] = read("thesportsdb", event, day=day, zone=ZoneInfo("Europe/Istanbul"))
        assert row["own"] == own
