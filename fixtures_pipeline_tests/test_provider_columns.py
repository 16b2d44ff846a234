"""What the mappings make of careless providers: any spelling, parts that disagree, times that are none."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline_tests.answers import IDENTITIES
from fixtures_pipeline_tests.days import MONDAY, TUESDAY
from fixtures_pipeline_tests.readings import ABSENT, KICKOFF, STATUS, Event, Reader, an_event, change, paths_of
from fixtures_pipeline_tests.strategies import json_values, leisurely, mutate, paths

NAMES = ("sofascore", "api-football", "football-data")
NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
STATUSES = {
    "scheduled", "live", "finished", "postponed", "cancelled", "abandoned", "suspended", "awarded", "unknown"
}  # fmt: skip


@pytest.fixture(scope="module")
def read() -> Reader:
    return Reader()


WORDS = {
    "sofascore": {
        "scheduled": ["notstarted", "delayed"],
        "live": ["inprogress", "interrupted"],
        "finished": ["finished"],
        "postponed": ["postponed"],
        "cancelled": ["canceled", "cancelled"],
        "suspended": ["suspended", "willcontinue"],
    },
    "api-football": {
        "scheduled": ["NS", "Not Started", "TBD", "Time to be defined"],
        "live": [
            *("1H", "First Half", "First Half, Kick Off", "HT", "Halftime", "2H", "Second Half", "ET", "Extra Time"),
            *("BT", "Break Time", "P", "Penalty In Progress", "LIVE", "In Progress", "INT", "Match Interrupted"),
        ],
        "finished": ["FT", "AET", "PEN", "Match Finished"],
        "postponed": ["PST", "Match Postponed"],
        "cancelled": ["CANC", "Match Cancelled", "Canceled"],
        "abandoned": ["ABD", "Match Abandoned", "Abandoned"],
        "suspended": ["SUSP", "Match Suspended"],
        "awarded": ["AWD", "Technical Loss", "WO", "WalkOver"],
    },
    "football-data": {
        "scheduled": ["SCHEDULED", "TIMED"],
        "live": ["IN_PLAY", "PAUSED", "EXTRA_TIME", "PENALTY_SHOOTOUT", "LIVE"],
        "finished": ["FINISHED"],
        "suspended": ["SUSPENDED"],
        "postponed": ["POSTPONED"],
        "cancelled": ["CANCELLED", "CANCELED"],
        "awarded": ["AWARDED"],
    },
}


def spell(word: str) -> list[str]:
    """Return a word as careless writers put it."""
    cases = [word, word.lower(), word.upper(), word.title()]
    return [*cases, f" {word}", f"{word}\n", f"\u00a0{word}\t", word.replace("_", " "), word.replace(" ", "-")]


class TestAStatus:
    @pytest.mark.parametrize("provider", NAMES)
    def test_is_understood_in_any_spelling(self, provider: str, read: Reader) -> None:
        expected = [
            (spelt, meaning) for meaning, words in WORDS[provider].items() for word in words for spelt in spell(word)
        ]
        rows = read(provider, *(an_event(provider, **{STATUS[provider]: spelt}) for spelt, _ in expected))
        assert [(spelt, row["status"]) for (spelt, _), row in zip(expected, rows, strict=True)] == expected

    @pytest.mark.parametrize("provider", NAMES)
    @pytest.mark.parametrize("word", ["", " ", "???", "finishedish", "not finished", None, ABSENT, 7, True, [], {}])
    def test_that_nobody_knows_is_unknown(self, provider: str, word: Any, read: Reader) -> None:
        [row] = read(provider, an_event(provider, **{STATUS[provider]: word}))
        assert row["status"] == "unknown"

    @pytest.mark.parametrize("provider", NAMES)
    def test_stands_beside_the_providers_own_word(self, provider: str, read: Reader) -> None:
        own = an_event(provider, **{STATUS[provider]: "  Not  quite \u00a0"})
        [row] = read(provider, change(own, status__description=ABSENT) if provider == "sofascore" else own)
        assert row["status_detail"] == "Not  quite"

    @pytest.mark.parametrize(
        ("code", "kind", "awarded", "status"),
        [
            (90, "Canceled", ABSENT, "abandoned"),
            (90, "finished", None, "finished"),
            (70, "canceled", False, "cancelled"),
            (91, "finished", None, "awarded"),
            (70, "canceled", True, "awarded"),
            (70, "canceled", "True", "awarded"),
        ],
    )
    def test_of_sofascore_is_made_of_three_keys(
        self, code: int, kind: str, awarded: Any, status: str, read: Reader
    ) -> None:
        [row] = read("sofascore", an_event("sofascore", status__code=code, status__type=kind, isAwarded=awarded))
        assert row["status"] == status


def goals(home: Any, away: Any) -> Event:
    return {"home": home, "away": away}


class TestAWinner:
    @pytest.mark.parametrize(
        ("home", "away", "score", "shoot_out", "winner"),
        [
            (True, False, (2, 1), None, "home"),
            (False, True, (2, 1), None, "away"),
            (True, None, (2, 1), None, "home"),
            ("TRUE", " false", (2, 1), None, "home"),
            (None, None, (1, 1), None, "draw"),
            (ABSENT, ABSENT, (0, 0), None, "draw"),
            (None, None, (2, 1), None, None),
            (None, None, (None, None), None, None),
            (None, None, (1, None), None, None),
            (None, None, (1, 1), (4, 3), None),
            (None, None, (1, 1), (0, 0), "draw"),
            (None, None, (1, 1), (4, None), None),
            (False, False, (1, 1), None, None),
            (True, True, (1, 1), None, None),
            ("", {}, (1, 2), None, None),
        ],
    )
    def test_of_api_football_is_what_it_says_and_a_draw_only_if_level(
        self, home: Any, away: Any, score: Any, shoot_out: Any, winner: str | None, read: Reader
    ) -> None:
        penalty = goals(*(shoot_out or (None, None)))
        changes = {"teams.home.winner": home, "teams.away.winner": away, "score": {"penalty": penalty}}
        [row] = read("api-football", an_event("api-football", goals=goals(*score), **changes))
        assert row["winner"] == winner

    @pytest.mark.parametrize(
        ("status", "winner"),
        [("FT", "home"), ("awd", "home"), ("WO", "home"), ("2H", None), ("SUSP", None), ("ABD", None), ("?", None)],
    )
    def test_is_nobody_while_an_event_is_on(self, status: str, winner: str | None, read: Reader) -> None:
        [row] = read("api-football", an_event("api-football", fixture__status__short=status))
        assert row["winner"] == winner

    def test_of_an_awarded_match_is_no_draw_of_itself(self, read: Reader) -> None:
        sides = {"teams.home.winner": None, "teams.away.winner": None}
        [row] = read("api-football", an_event("api-football", fixture__status__short="AWD", goals=goals(0, 0), **sides))
        assert row["winner"] is None

    @pytest.mark.parametrize(
        ("said", "winner"),
        [("HOME_TEAM", "home"), ("Away_Team", "away"), (" draw ", "draw"), (None, None), ("TBD", None), (1, None)],
    )
    @pytest.mark.parametrize("status", ["FINISHED", "Awarded", "IN_PLAY"])
    def test_of_football_data(self, said: Any, winner: str | None, status: str, read: Reader) -> None:
        [row] = read("football-data", an_event("football-data", score__winner=said, status=status))
        assert row["winner"] == (None if status == "IN_PLAY" else winner)

    @pytest.mark.parametrize(
        ("code", "winner"), [(1, "home"), (2, "away"), (3, "draw"), (0, None), (4, None), ("1", None), (None, None)]
    )
    def test_of_sofascore(self, code: Any, winner: str | None, read: Reader) -> None:
        [row] = read("sofascore", an_event("sofascore", winnerCode=code))
        assert row["winner"] == winner


def score_of(row: Event) -> tuple[Any, ...]:
    return row["home_score"], row["away_score"], row["home_penalties"], row["away_penalties"]


class TestAScoreOfApiFootball:
    @pytest.mark.parametrize(
        ("status", "total", "parts", "expected"),
        [
            # What the parts say where there are parts, once the event is over …
            ("FT", (2, 1), {"fulltime": (2, 1)}, (2, 1)),
            ("FT", (5, 4), {"fulltime": (1, 1)}, (1, 1)),
            ("FT", (None, None), {"fulltime": (1, 0)}, (1, 0)),
            ("AET", (2, 3), {"fulltime": (2, 2), "extratime": (0, 1)}, (2, 3)),
            ("PEN", (9, 10), {"fulltime": (1, 1), "extratime": (0, 0), "penalty": (8, 9)}, (1, 1)),
            ("PEN", (2, 1), {"fulltime": (2, 1), "extratime": (0, 0), "penalty": (3, 2)}, (2, 1)),
            # … and the sum where they are missing, or may still be behind.
            ("AET", (2, 3), {"fulltime": (2, 2)}, (2, 3)),
            ("PEN", (1, 1), {"fulltime": (1, 1), "penalty": (3, 2)}, (1, 1)),
            ("FT", (2, 1), {"fulltime": (2, None)}, (2, 1)),
            ("2H", (1, 0), {"fulltime": (0, 0)}, (1, 0)),
            ("AWD", (3, 0), {"fulltime": (1, 1)}, (3, 0)),
            ("ABD", (1, 0), {}, (1, 0)),
        ],
    )
    def test_is_that_of_its_parts(self, status: str, total: Any, parts: Any, expected: Any, read: Reader) -> None:
        score = {name: goals(*values) for name, values in parts.items()}
        [row] = read(
            "api-football",
            an_event("api-football", fixture__status__short=status, goals=goals(*total), score=score),
        )
        assert score_of(row) == (*expected, *parts.get("penalty", (None, None)))


class TestAScoreOfFootballData:
    @pytest.mark.parametrize(
        ("parts", "expected"),
        [
            # All of it.
            ({"fullTime": (7, 5), "regularTime": (2, 2), "extraTime": (1, 1), "penalties": (4, 2)}, (3, 3, 4, 2)),
            # Without the penalties: the rest of the sum.
            ({"fullTime": (3, 5), "regularTime": (0, 0), "extraTime": (0, 0)}, (0, 0, 3, 5)),
            ({"fullTime": (3, 5), "regularTime": (0, 0), "extraTime": (0, 0), "penalties": (3, None)}, (0, 0, 3, 5)),
            # Without the parts: the sum without the penalties.
            ({"fullTime": (6, 6), "penalties": (4, 5)}, (2, 1, 4, 5)),
            ({"fullTime": (6, 6), "penalties": (4, 5), "regularTime": (None, None), "extraTime": (0, 1)}, (2, 1, 4, 5)),
            # A sum that is without them already, or wrong, is no score.
            ({"fullTime": (3, 3), "penalties": (4, 2)}, (None, None, 4, 2)),
            ({"fullTime": (6, 6), "penalties": (4, 5), "halfTime": (0, 2)}, (None, None, 4, 5)),
            ({"fullTime": (6, 6), "penalties": (4, 5), "extraTime": (3, 0)}, (None, None, 4, 5)),
            # The parts win over the sum.
            ({"fullTime": (9, 9), "regularTime": (1, 1), "extraTime": (1, 1), "penalties": (4, 5)}, (2, 2, 4, 5)),
            ({"fullTime": (0, 0), "regularTime": (1, 1), "extraTime": (1, 1)}, (2, 2, None, None)),
            # Half of it is nothing.
            ({"fullTime": (3, 5)}, (None, None, None, None)),
            ({"fullTime": (3, 5), "regularTime": (0, 0)}, (None, None, None, None)),
            ({"fullTime": (None, None), "penalties": (3, 5)}, (None, None, 3, 5)),
            ({}, (None, None, None, None)),
        ],
    )
    def test_with_a_shoot_out_is_without_its_goals(self, parts: Any, expected: Any, read: Reader) -> None:
        score = {"winner": "AWAY_TEAM", "duration": "PENALTY_SHOOTOUT"}
        score |= {name: goals(*values) for name, values in parts.items()}
        [row] = read("football-data", an_event("football-data", score=score))
        assert score_of(row) == expected

    @pytest.mark.parametrize(
        ("parts", "expected"),
        [
            ({"fullTime": (3, 2), "regularTime": (2, 2), "extraTime": (1, 0)}, (3, 2)),
            ({"fullTime": (3, 2), "regularTime": (None, None), "extraTime": (1, 0)}, (3, 2)),
            ({"fullTime": (2, 2), "regularTime": (2, 2), "extraTime": (1, 0)}, (3, 2)),
        ],
    )
    def test_after_extra_time_is_that_of_its_parts(self, parts: Any, expected: Any, read: Reader) -> None:
        score = {"duration": "extra time"} | {name: goals(*values) for name, values in parts.items()}
        [row] = read("football-data", an_event("football-data", score=score))
        assert score_of(row) == (*expected, None, None)


class TestAScoreOfSofascore:
    @pytest.mark.parametrize(
        ("home", "away", "expected"),
        [
            ({"current": 2, "display": 2}, {"current": 1, "display": 1}, (2, 1, None, None)),
            ({"current": 2}, {"current": 1}, (2, 1, None, None)),
            ({}, {}, (None, None, None, None)),
            # With a shoot-out, `display` is without it and `current` with it.
            ({"current": 5, "display": 1, "penalties": 4}, {"current": 6, "display": 1, "penalties": 5}, (1, 1, 4, 5)),
            # The shoot-out that was won counted as a goal.
            (
                {"display": 1, "normaltime": 1, "overtime": 0, "penalties": 5},
                {"display": 2, "normaltime": 1, "overtime": 0, "penalties": 6},
                (1, 1, 5, 6),
            ),
            (
                {"display": 2, "normaltime": 0, "extra1": 1, "penalties": 4},
                {"display": 1, "normaltime": 0, "extra2": 1, "penalties": 3},
                (1, 1, 4, 3),
            ),
            # Parts that differ by anything else are stale.
            (
                {"display": 3, "normaltime": 1, "penalties": 5},
                {"display": 3, "normaltime": 1, "penalties": 4},
                (3, 3, 5, 4),
            ),
            (
                {"display": 2, "normaltime": 1, "penalties": 4},
                {"display": 1, "normaltime": 1, "penalties": 5},
                (2, 1, 4, 5),
            ),
            ({"display": 2, "normaltime": 1}, {"display": 1, "normaltime": 1}, (2, 1, None, None)),
            # 0-0 is no shoot-out; one that has begun is.
            ({"display": 1, "penalties": 0}, {"display": 1, "penalties": 0}, (1, 1, None, None)),
            ({"display": 1, "penalties": 1}, {"display": 1, "penalties": 0}, (1, 1, 1, 0)),
            # A negative `display` is none; `current` is then with or without the shoot-out, and the parts say which.
            (
                {"current": 1, "display": -2, "penalties": 3},
                {"current": 1, "display": -4, "penalties": 5},
                (1, 1, 3, 5),
            ),
            (
                {"current": 5, "penalties": 4, "normaltime": 1},
                {"current": 6, "penalties": 5, "normaltime": 1},
                (1, 1, 4, 5),
            ),
            ({"current": 5, "penalties": 4}, {"current": 6, "penalties": 5}, (1, 1, 4, 5)),
            ({"current": 2, "display": 2}, {"current": 3, "display": -1}, (2, 3, None, None)),
        ],
    )
    def test_is_without_the_shoot_out(self, home: Event, away: Event, expected: Any, read: Reader) -> None:
        [row] = read("sofascore", an_event("sofascore", homeScore=home, awayScore=away))
        assert score_of(row) == expected


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize(
    ("written", "meant"),
    [(0, 0), (7, 7), (2.0, 2), (999, 999), *((one, None) for one in (-1, 1000, 1.5, "2", None, ABSENT, True, [], {}))],
)
def test_a_goal_is_a_small_whole_number(provider: str, written: Any, meant: int | None, read: Reader) -> None:
    path = {"sofascore": "homeScore", "api-football": "goals.home", "football-data": "score.fullTime.home"}[provider]
    value = {"current": written} if provider == "sofascore" and written is not ABSENT else written
    [row] = read(provider, an_event(provider, **{path: {} if provider == "sofascore" and value is ABSENT else value}))
    assert row["home_score"] == meant


SECONDS = int(NOON.timestamp())


class TestAKickoff:
    @pytest.mark.parametrize(
        "written",
        [SECONDS, float(SECONDS), SECONDS * 1000, SECONDS * 1000 + 999, SECONDS * 1000.0, 1.7410032e9],
    )
    @pytest.mark.parametrize("provider", ["sofascore", "api-football"])
    def test_in_numbers_is_read_in_every_form_that_is_unmistakable(
        self, provider: str, written: float, read: Reader
    ) -> None:
        [row] = read(provider, an_event(provider, **{KICKOFF[provider]: written}))
        assert (row["kickoff"], row["unread"]) == (NOON, False)

    @pytest.mark.parametrize(
        "written",
        [
            "2025-03-03T12:00:00Z", "2025-03-03T12:00:00z", "2025-03-03t12:00:00Z", "2025-03-03T12:00Z",
            "2025-03-03 12:00:00Z", "2025-03-03T12:00:00+00:00", "2025-03-03T15:00:00+03:00",
            "2025-03-03T15:00:00+0300", "2025-03-03T15:00+03", "2025-03-03T02:30:00-09:30", "2025-03-03T12:00:00.000Z",
            "2025-03-03T12:00:00.000000000+00:00", " 2025-03-03T12:00:00Z\n",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("provider", ["api-football", "football-data"])
    def test_in_words_is_read_in_every_form_that_is_unmistakable(
        self, provider: str, written: str, read: Reader
    ) -> None:
        path = {"api-football": "fixture.date", "football-data": "utcDate"}[provider]
        of_api_football = {"fixture.timestamp": ABSENT} if provider == "api-football" else {}
        [row] = read(provider, an_event(provider, **{path: written}, **of_api_football))
        assert (row["kickoff"], row["unread"]) == (NOON, False)

    @pytest.mark.parametrize(
        "written", [f"{SECONDS}", "noon", 1.5, True, [1], {"seconds": SECONDS}, 10**18, -(10**18), 10**400]
    )
    @pytest.mark.parametrize("provider", ["sofascore", "api-football"])
    def test_in_another_form_is_not_read_and_not_overlooked(self, provider: str, written: Any, read: Reader) -> None:
        [row] = read(provider, an_event(provider, **{KICKOFF[provider]: written, "fixture.date": ABSENT}))
        assert (row["kickoff"], row["unread"]) == (None, True)

    @pytest.mark.parametrize(
        "written",
        ["2025-03-03T12:00:00", "2025-03-03T25:00:00Z", "2025-02-30T12:00:00Z", "03.03.2025 12:00", "2025-03-03", 7],
    )
    def test_in_other_words_is_not_read_and_not_overlooked(self, written: Any, read: Reader) -> None:
        [row] = read("football-data", an_event("football-data", utcDate=written))
        assert (row["kickoff"], row["unread"]) == (None, True)

    @pytest.mark.parametrize("provider", NAMES)
    @pytest.mark.parametrize("written", [None, ABSENT, "", [], {}])
    def test_that_is_not_there_is_none(self, provider: str, written: Any, read: Reader) -> None:
        [row] = read(provider, an_event(provider, **{KICKOFF[provider]: written, "fixture.date": ABSENT}))
        assert (row["kickoff"], row["unread"], row["own"]) == (
            None,
            written == "" and provider != "football-data",
            True,
        )

    @given(seconds=st.integers(10**8, 10**11 - 1), zone=st.sampled_from(["Asia/Kathmandu", "America/St_Johns", "UTC"]))
    @leisurely
    def test_is_the_same_moment_in_every_form(self, seconds: int, zone: str, read: Reader) -> None:
        moment = datetime.fromtimestamp(seconds, ZoneInfo(zone))
        numbers = [an_event("sofascore", startTimestamp=one) for one in (seconds, seconds * 1000, float(seconds))]
        texts = [moment.isoformat(), moment.isoformat(" ", "milliseconds"), f"{moment:%Y-%m-%dT%H:%M:%S%z}"]
        words = [an_event("football-data", utcDate=text, status="TIMED") for text in texts]
        rows = read("sofascore", *numbers) + read("football-data", *words)
        assert {row["kickoff"] for row in rows} == {moment}


class TestATimeThatIsNotFixed:
    @pytest.mark.parametrize("status", ["TBD", " tbd", "Time to be defined"])
    def test_of_api_football_is_none_and_the_date_stays(self, status: str, read: Reader) -> None:
        midnight = datetime(2025, 3, 4, tzinfo=UTC)
        written = {"fixture.date": midnight.isoformat(), "fixture.timestamp": int(midnight.timestamp())}
        event = an_event("api-football", fixture__status__short=status, **written)
        [row] = read("api-football", event, day=MONDAY)
        assert (row["kickoff"], row["unread"], row["own"]) == (None, False, False)
        [row] = read("api-football", event, day=TUESDAY, zone=ZoneInfo("America/New_York"))
        assert (row["kickoff"], row["own"], row["status"]) == (None, True, "scheduled")

    @pytest.mark.parametrize(
        ("status", "written", "fixed"),
        [
            ("SCHEDULED", "2025-03-04T00:00:00Z", False),
            ("Scheduled ", "2025-03-04T00:00Z", False),
            ("SCHEDULED", "2025-03-04T00:00:00.000+00:00", False),
            ("SCHEDULED", "2025-03-04T13:00:00Z", True),
            ("SCHEDULED", "2025-03-04T00:00:00+05:00", True),
            ("TIMED", "2025-03-04T00:00:00Z", True),
            ("FINISHED", "2025-03-04T00:00:00Z", True),
        ],
    )
    def test_of_football_data_is_midnight_of_a_match_that_is_merely_scheduled(
        self, status: str, written: str, fixed: bool, read: Reader
    ) -> None:
        event = an_event("football-data", status=status, utcDate=written)
        [row] = read("football-data", event, day=TUESDAY, zone=ZoneInfo("America/New_York"))
        assert (row["kickoff"] is not None, row["unread"]) == (fixed, False)
        if not fixed:
            assert row["own"]
            assert [read("football-data", event, day=day)[0]["own"] for day in (MONDAY, TUESDAY)] == [False, True]

    @pytest.mark.parametrize("provider", NAMES)
    def test_is_left_to_the_day_that_lists_it_if_no_day_is_named(self, provider: str, read: Reader) -> None:
        event = an_event(provider, **{KICKOFF[provider]: None, "fixture.date": None})
        for day in (MONDAY, TUESDAY):
            [row] = read(provider, event, day=day)
            assert (row["own"], row["merely_listed"]) == (True, True)


NO_OVERTIME = {"overtime": 0, "extra1": 0, "extra2": 0}
FULL: dict[str, list[Event]] = {
    "sofascore": [
        an_event(
            "sofascore",
            isAwarded=awarded,
            status__code=120,
            homeScore={"current": 6, "display": 2, "penalties": 4, "normaltime": 1, **NO_OVERTIME},
            awayScore={"current": 5, "display": 1, "penalties": 3, "normaltime": 1, **NO_OVERTIME},
            roundInfo={"round": 3, "name": "Final"},
        )
        for awarded in (False, True)
    ],
    "api-football": [
        an_event(
            "api-football",
            **{"fixture.date": "2025-03-03T12:00:00+00:00", "fixture.status.short": status},
            score={"fulltime": goals(1, 1), "extratime": goals(1, 0), "penalty": goals(4, 3)},
        )
        for status in ("PEN", "TBD", "FT")
    ],
    "football-data": [
        an_event(
            "football-data",
            group="GROUP_A",
            status=status,
            stage=stage,
            score={
                "winner": "HOME_TEAM",
                "duration": duration,
                "fullTime": goals(6, 5),
                "halfTime": goals(0, 0),
                "regularTime": goals(1, 1),
                "extraTime": goals(1, 1),
                "penalties": goals(4, 3),
            },
        )
        for status, stage, duration in (
            ("FINISHED", "FINAL", "PENALTY_SHOOTOUT"),
            ("SCHEDULED", "REGULAR_SEASON", "REGULAR"),
        )
    ],
    "openligadb": [
        an_event("openligadb", matchIsFinished=is_finished, matchResults=[
            {"resultID": n, "resultTypeID": kind, "resultTypeKind": name, "pointsTeam1": 2, "pointsTeam2": 1 + n}
            for n, (kind, name) in enumerate([(2, "After90Minutes"), (4, "AfterExtraTime"), (5, "AfterPenalties")])
        ])
        for is_finished in (True, False)
    ],
    **{
        name: [
            an_event(name, status__short=word, game__status__short=word, stage="Play-offs", game__stage="Play-offs")
            for word in ("FT", "NS", "INTR")
        ]
        for name in ("api-football-handball", "api-football-american-football")
    },
    "thesportsdb": [
        an_event("thesportsdb", strStatus=word, intHomeScoreExtra="3", intAwayScoreExtra="4") for word in ("AP", "TBD")
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "path"),
    [(name, path) for name in FULL for path in paths_of(json.loads(IDENTITIES[name].structure))],
)
def test_an_explicit_null_means_what_an_absent_key_means(provider: str, path: str, read: Reader) -> None:
    for full in FULL[provider]:
        absent, null, empty = read(provider, *(change(full, **{path: value}) for value in (ABSENT, None, {})))
        assert null == absent, path
        # Some providers write nothing as an empty object.
        if "." not in path or path.count(".") < 3:
            assert empty == absent, path


@pytest.mark.parametrize("provider", FULL)
@given(path=paths, new=json_values, which=st.integers(0, 5))
@example(path=[0], new=[], which=0)
@leisurely
def test_whatever_stands_anywhere_a_row_is_of_its_columns_types(
    provider: str, path: list[int], new: Any, which: int, read: Reader
) -> None:
    full = FULL[provider][which % len(FULL[provider])]
    event = mutate(full, path, new)
    if not isinstance(event, dict):
        return
    types = {"BIGINT": int, "INTEGER": int, "VARCHAR": str, "TIMESTAMPTZ": datetime, "DATE": date}
    [row] = read(provider, event)
    for column in COLUMNS["fixtures"]:
        if column.name in IDENTITIES[provider].columns:
            assert isinstance(row[column.name], types[column.type] | None)
    assert row["status"] in STATUSES
    assert row["winner"] in {"home", "away", "draw", None}
    assert all(number is None or 0 <= number < 2000 for number in score_of(row))
    assert row["kickoff"] is None or timedelta(0) <= row["kickoff"] - datetime(1, 1, 1, tzinfo=UTC)
