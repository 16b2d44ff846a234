"""Days cut out of seasons: a season is asked for once per run, and a day is as good as all of its seasons."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dagster import DagsterInstance
from hypothesis import given
from hypothesis import strategies as st

from fixtures_pipeline.days import list_days
from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.fetching import Fetcher
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.loading import load_days, open_store
from fixtures_pipeline.outcome import DayFailed, DayLoaded, Outcome
from fixtures_pipeline.providers import SOURCES
from fixtures_pipeline.providers.provider import Provider, Request, Seasons
from fixtures_pipeline.seasons import Almanac
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline_tests.answers import openligadb_match
from fixtures_pipeline_tests.fault_server import Exchange, FaultServer, Plan
from fixtures_pipeline_tests.runs import failure_of, run
from fixtures_pipeline_tests.stores import UTC as ZONE
from fixtures_pipeline_tests.stores import table
from fixtures_pipeline_tests.strategies import leisurely

OPENLIGADB = SOURCES["openligadb", "football"]
LEAGUES = ("bl1", "bl2", "bl3", "dfb", "pl", "la1")
BEGIN = date(2025, 8, 20)
DAY = date(2025, 11, 8)


def match(number: int, kickoff: str | None, **changes: Any) -> str:
    return json.dumps(openligadb_match(number, kickoff, **changes))


def season(*matches: str) -> bytes:
    return f"[{','.join(matches)}]".encode()


def serve(api: FaultServer, plans: dict[str, Plan], other: Plan = b"[]") -> None:
    """Answer `league/year` by what is planned for it, and all else alike."""

    def respond(exchange: Exchange) -> None:
        plan = plans.get(exchange.request.path.removeprefix("/getmatchdata/"), other)
        if callable(plan):
            plan(exchange)
        else:
            exchange.answer(*(plan if isinstance(plan, tuple) else (200, plan)))

    api.plan_any(respond)


def fetch(api: FaultServer, days: list[date], *leagues: str, **options: Any) -> list[Outcome]:
    source = choose(*leagues) if leagues else OPENLIGADB
    options = {"zone": ZONE, "requests_per_second": 1000, "limits": Limits(tries=2, pause=0.01), **options}
    with Fetcher(source, api.url, **options) as fetcher:
        found = [outcome for batch in fetcher.fetch(days) for outcome in batch]
    return sorted(found, key=lambda outcome: outcome.day)


def choose(*leagues: str) -> Provider:
    assert OPENLIGADB.seasons is not None
    return replace(OPENLIGADB, seasons=replace(OPENLIGADB.seasons, leagues=leagues))


def ids(outcome: Outcome) -> list[int]:
    assert isinstance(outcome, DayLoaded), outcome
    return [event["matchID"] for event in json.loads(outcome.body)]


def asked(api: FaultServer) -> Counter[str]:
    return Counter(request.path.removeprefix("/getmatchdata/") for request in api.requests)


@pytest.fixture
def settings(api: FaultServer, tmp_path: Any) -> Settings:
    """Return settings that ask `api` as OpenLigaDB."""
    return Settings.load(
        provider="openligadb",
        api_url=api.url,
        db=tmp_path / "fixtures.duckdb",
        requests_per_second=1000,
        lock_timeout=5,
    )


# How often a season is asked for


def test_two_hundred_days_of_six_leagues_cost_six_requests(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    """Through a run of Dagster's, with a match of each league on every seventh day."""
    days = list_days(BEGIN, BEGIN + timedelta(days=199))
    serve(
        api,
        {
            f"{league}/2025": season(*(match(1000 * n + at, f"{day}T14:30:00Z") for at, day in enumerate(days[::7])))
            for n, league in enumerate(LEAGUES)
        },
    )
    assert run(settings, instance, days[0], days[-1]).success
    assert asked(api) == {f"{league}/2025": 1 for league in LEAGUES}
    counts = {row["date"]: row["count"] for row in table(open_store(settings), "fixture_days")}
    assert counts == {day: 6 if n % 7 == 0 else 0 for n, day in enumerate(days)}
    assert len(table(open_store(settings), "fixtures")) == sum(counts.values())


@pytest.mark.parametrize(
    ("day", "years"),
    [
        (date(2026, 1, 1), [2025]),
        (date(2026, 5, 31), [2025]),
        (date(2026, 6, 1), [2025, 2026]),
        (date(2026, 7, 31), [2025, 2026]),
        (date(2026, 8, 1), [2026]),
        (date(2026, 12, 31), [2026]),
    ],
)
def test_the_season_of_a_day_is_that_of_its_half_of_the_year_and_both_in_the_summer(
    day: date, years: list[int], api: FaultServer
) -> None:
    serve(api, {}, season(match(1, "2020-01-01T12:00:00Z")))
    assert [type(outcome) for outcome in fetch(api, [day], "bl1")] == [DayLoaded]
    assert asked(api) == {f"bl1/{year}": 1 for year in years}


def test_the_next_run_asks_again(settings: Settings, api: FaultServer) -> None:
    serve(api, {}, season(match(1, f"{DAY}T12:00:00Z")))
    one = settings.model_copy(update={"leagues": "bl1"})
    for _ in range(2):
        list(load_days(one, [DAY]))
    assert asked(api) == {"bl1/2025": 2}


# What becomes of a day


def test_a_day_keeps_its_own_part_of_every_season_in_the_order_of_the_leagues(api: FaultServer) -> None:
    serve(
        api,
        {
            "bl1/2025": season(
                match(3, f"{DAY}T23:59:59Z"), match(4, "2025-11-09T00:00:00Z"), match(1, f"{DAY}T00:00:00Z")
            ),
            "pl/2025": season(match(2, f"{DAY}T12:00:00Z", extra={"as it": [1.5, "came", None]})),
        },
    )
    [outcome] = fetch(api, [DAY], "pl", "bl1")
    assert ids(outcome) == [2, 3, 1]
    assert isinstance(outcome, DayLoaded)
    assert json.loads(outcome.body)[0]["extra"] == {"as it": [1.5, "came", None]}
    assert (outcome.events, outcome.size) == (3, len(outcome.body))


def test_a_day_begins_and_ends_in_its_own_time_zone(api: FaultServer) -> None:
    serve(api, {"bl1/2025": season(match(1, f"{DAY}T23:30:00Z"), match(2, "2025-11-07T23:30:00Z"))})
    berlin = fetch(api, list_days(DAY, DAY + timedelta(days=1)), "bl1", zone=ZoneInfo("Europe/Berlin"))
    assert [ids(outcome) for outcome in berlin] == [[2], [1]]


@pytest.mark.parametrize("least", [0, 2, 100])
def test_a_day_without_matches_is_loaded_when_its_seasons_came(
    least: int, api: FaultServer, settings: Settings
) -> None:
    serve(api, {}, season(match(1, "2025-08-22T18:30:00Z")))
    [[stored]] = load_days(settings.model_copy(update={"min_events": least, "leagues": "bl1"}), [DAY])
    assert isinstance(stored.outcome, DayLoaded)
    assert (stored.state.events, stored.state.fixtures, stored.state.in_progress) == (0, 0, False)
    [row] = table(open_store(settings), "fixture_days")
    assert (row["data"], row["count"]) == ("[]", 0)


def test_a_match_without_a_time_is_on_no_day_until_it_has_one(api: FaultServer) -> None:
    placeholders = ["1970-01-01T00:00:00Z", "1969-12-31T23:00:00Z", None]
    written = [match(n, kickoff) for n, kickoff in enumerate(placeholders)]
    serve(api, {"bl1/2025": season(*written, *(match(9 + n, f"{DAY}T12:00:00Z") for n in range(3)))})
    [outcome] = fetch(api, [DAY], "bl1")
    assert ids(outcome) == [9, 10, 11]


@pytest.mark.parametrize(
    ("answer", "expected", "seen"),
    [
        ((503, b"<html>maintenance"), ErrorType.API_ERROR, "answered 503"),
        ((404, b""), ErrorType.API_ERROR, "answered 404"),
        ((403, b""), ErrorType.AUTH_ERROR, "answered 403"),
        ((429, b""), ErrorType.RATE_LIMIT_ERROR, "answered 429"),
        (b"", ErrorType.JSON_DECODE_ERROR, "is not JSON"),
        (b"<html>", ErrorType.JSON_DECODE_ERROR, "is not JSON"),
        (b"{}", ErrorType.DATA_STRUCTURE_ERROR, "is no list: it is an object"),
        (season(match(1, "x")).strip(b"[]"), ErrorType.DATA_STRUCTURE_ERROR, "is no list: it is an object"),
        (b"null", ErrorType.DATA_STRUCTURE_ERROR, "is no list: it is null"),
        (b"[null]", ErrorType.DATA_STRUCTURE_ERROR, "are not objects with an integer id"),
        (b'[{"MatchID": 1}]', ErrorType.DATA_STRUCTURE_ERROR, "are not objects with an integer id"),
        (season(match(1, "noon")), ErrorType.DATA_STRUCTURE_ERROR, "have a kickoff that cannot be read"),
    ],
)
def test_the_days_of_a_season_that_cannot_be_had_fail_with_its_error(
    answer: Any, expected: ErrorType, seen: str, api: FaultServer
) -> None:
    serve(api, {"pl/2024": answer}, season(match(1, "2020-01-01T12:00:00Z")))
    days = list_days(date(2025, 5, 20), date(2025, 5, 25))
    *failed, loaded = fetch(api, [*days, date(2025, 8, 1)], "bl1", "pl")
    for outcome, day in zip(failed, days, strict=True):
        assert isinstance(outcome, DayFailed)
        assert (outcome.day, outcome.error_type, outcome.asked) == (day, expected, True)
        assert "pl 2024" in outcome.message
        assert seen in outcome.message
    assert isinstance(loaded, DayLoaded)
    assert asked(api)["pl/2024"] == (2 if "503" in seen or "429" in seen else 1)


def test_a_large_answer_that_is_wrong_is_not_kept_once_for_every_day(api: FaultServer) -> None:
    small, large = (json.dumps({"matches": "x" * size}).encode() for size in (10, 100_000))
    for body, kept in ((small, small), (large, None)):
        serve(api, {}, body)
        for outcome in fetch(api, list_days(DAY, DAY + timedelta(days=2)), "bl1"):
            assert isinstance(outcome, DayFailed)
            assert outcome.body == kept


def test_a_season_that_was_not_asked_for_has_not_failed_once_more(api: FaultServer) -> None:
    serve(api, {}, season(match(1, f"{DAY}T12:00:00Z")))
    for outcome in fetch(api, [DAY, DAY + timedelta(days=1)], "bl1", "bl2", requests_per_day=1):
        assert isinstance(outcome, DayFailed)
        assert (outcome.error_type, outcome.asked) == (ErrorType.RATE_LIMIT_ERROR, False)
        assert outcome.retry_at is not None


# Seasons with nothing in them


def test_a_day_whose_leagues_are_all_empty_fails_and_names_them(api: FaultServer) -> None:
    warnings: list[str] = []
    for outcome in fetch(api, [DAY, DAY + timedelta(days=1)], "bl", "pl1", warn=warnings.append):
        assert isinstance(outcome, DayFailed)
        assert (outcome.error_type, outcome.http_status) == (ErrorType.DEFAULT_DATA_ERROR, 200)
        assert "OpenLigaDB has nothing for bl 2025, pl1 2025." in outcome.message
        assert "FIXTURES_LEAGUES" in outcome.message
    assert warnings == []
    assert len(api.requests) == 2


@pytest.fixture(autouse=True)
def _empty(api: FaultServer) -> None:
    api.plan_any(b"[]")


def test_one_empty_league_is_a_warning_of_the_run_and_just_one(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    serve(api, {"bl1/2025": season(match(1, f"{DAY}T12:00:00Z"))})
    chosen = settings.model_copy(update={"leagues": "bl1, bl7 pl"})
    result = run(chosen, instance, DAY, DAY + timedelta(days=9))
    assert result.success
    said = [log.user_message for log in instance.all_logs(result.run_id) if "has nothing" in log.user_message]
    assert sorted(message.partition(". ")[0] for message in said) == [
        "OpenLigaDB has nothing for bl7 2025",
        "OpenLigaDB has nothing for pl 2025",
    ]


def test_in_the_summer_a_league_is_empty_only_if_both_of_its_seasons_are(api: FaultServer) -> None:
    warnings: list[str] = []
    serve(api, {"bl1/2025": season(match(1, "2026-05-16T13:30:00Z")), "dfb/2026": b"[]"})
    days = list_days(date(2026, 6, 10), date(2026, 6, 20))
    outcomes = fetch(api, days, "bl1", "dfb", warn=warnings.append)
    assert all(isinstance(outcome, DayLoaded) for outcome in outcomes)
    assert [warning.partition(". ")[0] for warning in warnings] == ["OpenLigaDB has nothing for dfb 2025 and dfb 2026"]


def test_a_run_with_a_season_that_fails_says_so_in_one_sentence(
    settings: Settings, api: FaultServer, instance: DagsterInstance
) -> None:
    api.plan_any((403, b""))
    result = run(settings, instance, DAY, DAY + timedelta(days=9))
    assert not result.success
    assert failure_of(result).startswith("10 of 10 days failed: 10 AUTH_ERROR (")
    assert len(api.requests) == 1


# The moment of the answer


def test_what_has_begun_and_is_not_finished_is_unknown_and_never_live(settings: Settings, api: FaultServer) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    today, one = now.date(), timedelta(minutes=1)

    def begun(number: int, at: datetime, **changes: Any) -> str:
        return match(number, f"{at:%Y-%m-%dT%H:%M:%SZ}", **({"matchIsFinished": False} | changes))

    running = [{"resultID": 1, "resultTypeKind": "After90Minutes", "pointsTeam1": 1, "pointsTeam2": 0}]
    before, after = max(now - one, day_start(today)), now + 10 * one
    serve(
        api,
        {},
        season(
            begun(1, before, matchResults=running), begun(2, before, matchResults=[]),
            begun(3, after, matchResults=[]), begun(4, before, matchIsFinished=True),
        ),
    )  # fmt: skip
    chosen = settings.model_copy(update={"leagues": "bl1"})
    for day in sorted({today, after.date()}):
        list(load_days(chosen, [day]))
    rows = {row["event_id"]: row for row in table(open_store(settings), "fixtures")}
    assert {key: row["status"] for key, row in rows.items()} == {
        1: "unknown", 2: "unknown", 3: "scheduled", 4: "finished"
    }  # fmt: skip
    assert (rows[1]["home_score"], rows[1]["winner"], rows[1]["status_detail"]) == (1, None, None)
    assert {row["in_progress"] for row in table(open_store(settings), "fixture_days")} == {True}


def day_start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def test_a_day_is_as_old_as_the_oldest_of_its_seasons(api: FaultServer) -> None:
    came: list[datetime] = []
    before = datetime.now(UTC)

    def slowly(exchange: Exchange) -> None:
        came.append(datetime.now(UTC))
        exchange.server.ended.wait(0.2)
        exchange.answer(200, season(match(len(came), f"{DAY}T12:00:00Z")))

    api.plan_any(slowly)
    [outcome] = fetch(api, [DAY], "bl1", "bl2")
    assert outcome.fetched_at is not None
    assert before <= outcome.fetched_at <= came[0] < came[1]


# Any season


@leisurely
@given(
    minutes=st.lists(st.integers(0, 5 * 24 * 60), max_size=12),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Kiritimati"]).map(ZoneInfo),
    leagues=st.integers(1, 3),
)
def test_every_match_is_on_the_day_of_its_kickoff_and_on_no_other(
    minutes: list[int], zone: ZoneInfo, leagues: int
) -> None:
    assert OPENLIGADB.seasons is not None
    moments = [datetime(2025, 7, 30, tzinfo=UTC) + timedelta(minutes=one) for one in minutes]
    written = [match(n, f"{moment:%Y-%m-%dT%H:%M:%SZ}") for n, moment in enumerate(moments)]
    bodies = {
        f"l{n}": season(*written[n::leagues], *([match(900 + n, "2020-01-01T12:00:00Z")])) for n in range(leagues)
    }
    judge = Judge(OPENLIGADB, zone, least_events=0)
    seasons = Seasons(tuple(bodies), lambda day: [2025], OPENLIGADB.seasons.request)

    def ask(day: date, request: Request) -> Outcome:
        return judge.judge(day, bodies[request.path.split("/")[2]], part=request.part).outcome

    def refuse(sentence: str) -> None:
        raise AssertionError(sentence)

    almanac = Almanac(OPENLIGADB, seasons, zone, judge=judge, ask=ask, warn=refuse)
    found = {day: sorted(ids(almanac.cut(day))) for day in list_days(date(2025, 7, 28), date(2025, 8, 5))}
    expected: dict[date, list[int]] = {day: [] for day in found}
    for n, moment in enumerate(moments):
        expected[moment.astimezone(zone).date()].append(n)
    assert found == expected
    judge.close()
