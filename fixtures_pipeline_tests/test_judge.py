"""What one answer is worth, and what is said of one that is worth nothing. `test_fetching` has the whole catalogue."""

import gc
import json
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.judge import Judge, Refusal, Verdict
from fixtures_pipeline.outcome import DayFailed, DayLoaded, Outcome
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline_tests.answers import api_football_body, football_data_body, recorded
from fixtures_pipeline_tests.conftest import Judged
from fixtures_pipeline_tests.days import MONDAY, TUESDAY
from fixtures_pipeline_tests.fault_server import body_of, event, good_body, neighbours, noon, own
from fixtures_pipeline_tests.stores import UTC, events


def judge(provider: str, body: object) -> Verdict:
    """Judge a value as a provider's answer for Monday."""
    with closing(Judge(PROVIDERS[provider], UTC)) as judge:
        return judge.judge(MONDAY, json.dumps(body).encode())


def refused(outcome: Outcome) -> DayFailed:
    """Return an outcome that must be a failure."""
    assert isinstance(outcome, DayFailed)
    return outcome


def test_a_good_answer_is_passed_on_as_it_came_with_its_events_counted(judged: Judged) -> None:
    body = good_body(MONDAY, events=5)
    assert judged(MONDAY, body) == DayLoaded(MONDAY, body, events=7, in_progress=False)


@pytest.mark.parametrize(
    ("body", "expected", "words"),
    [
        (b"", ErrorType.JSON_DECODE_ERROR, "is not JSON. It is empty."),
        (b"<b>Please\n\tlog in</b>", ErrorType.JSON_DECODE_ERROR, "is not JSON. It begins: “<b>Please log in</b>”. "),
        (good_body(MONDAY)[:-1], ErrorType.JSON_DECODE_ERROR, "is not JSON. It begins: “{"),
        (b"Malm\xf6", ErrorType.JSON_DECODE_ERROR, "is not UTF-8, so it is not JSON. It begins: “Malm\ufffd”. "),
        (b"[]", ErrorType.DATA_STRUCTURE_ERROR, "no list under 'events': the answer is a list. It begins: “[]”. "),
        (b"7", ErrorType.DATA_STRUCTURE_ERROR, "no list under 'events': the answer is a number."),
        (b'{"event": []}', ErrorType.DATA_STRUCTURE_ERROR, "no list under 'events': there is no such key."),
        (body_of(None), ErrorType.DATA_STRUCTURE_ERROR, " null."),
        (body_of("none"), ErrorType.DATA_STRUCTURE_ERROR, " a text."),
        (
            body_of([*own(MONDAY, 2), {}, {"id": "3"}]),
            ErrorType.DATA_STRUCTURE_ERROR,
            "Of the 4 events in the answer for 2025-03-03, 2 are not objects with an integer id.",
        ),
        (body_of([]), ErrorType.DEFAULT_DATA_ERROR, "has 0 events on that day; fewer than 2 count"),
        (
            body_of([*own(MONDAY, 1), *neighbours(MONDAY)]),
            ErrorType.DEFAULT_DATA_ERROR,
            "has 1 event on that day (and 2 on neighbouring days);",
        ),
        (body_of([*own(MONDAY, 3), *own(MONDAY, 1)]), ErrorType.INTEGRITY_ERROR, "4 events but only 3 different ids"),
    ],
)  # fmt: skip
def test_a_failure_says_what_was_seen(body: bytes, expected: ErrorType, words: str, judged: Judged) -> None:
    outcome = refused(judged(MONDAY, body))
    assert (outcome.error_type, outcome.http_status, outcome.retry_at) == (expected, 200, None)
    assert str(MONDAY) in outcome.message
    assert words in outcome.message


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ({"refused", "shapeless"}, ErrorType.API_ERROR),
        ({"without ids", "too few", "twice"}, ErrorType.DATA_STRUCTURE_ERROR),
        ({"too few", "twice"}, ErrorType.DEFAULT_DATA_ERROR),
    ],
)
def test_the_first_fault_counts(faults: set[str], expected: ErrorType) -> None:
    """A refusal comes before the shape, the shape before the number, the number before integrity."""
    body = json.loads(api_football_body(MONDAY))
    one, *_ = body["response"]
    if "refused" in faults:
        body["errors"] = ["Something is wrong."]
    if "shapeless" in faults:
        body["response"] = None
    if "too few" in faults:
        later = one | {"fixture": one["fixture"] | {"timestamp": noon(TUESDAY)}}
        body["response"] = [later, later] if "twice" in faults else [later]
    if "without ids" in faults:
        body["response"] += [{}]
    assert refused(judge("api-football", body).outcome).error_type == expected


def test_json_that_failed_is_kept_and_anything_else_is_not(judged: Judged) -> None:
    assert refused(judged(MONDAY, b"[]")).body == b"[]"
    assert refused(judged(MONDAY, b"<html>")).body is None


class TestStrictReaders:
    """What only strict readers refuse costs no day."""

    def test_nan_and_infinity_become_null(self, judged: Judged) -> None:
        body = good_body(MONDAY, odds=[float("nan"), float("inf"), -float("inf"), 1.5])
        outcome = judged(MONDAY, body)
        assert isinstance(outcome, DayLoaded)
        assert {str(one["odds"]) for one in events(outcome.body) if "odds" in one} == {"[None, None, None, 1.5]"}

    def test_half_an_emoji_becomes_a_replacement_character(self, judged: Judged) -> None:
        outcome = judged(MONDAY, good_body(MONDAY, homeTeam={"id": 1, "name": "half \ud83d"}))
        assert isinstance(outcome, DayLoaded)
        assert events(outcome.body)[0]["homeTeam"]["name"] == "half \N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("status", "in_progress"),
    [
        ({"code": 0, "type": "notstarted"}, True),
        ({"code": 6, "type": "inprogress"}, True),
        ({"code": 30, "type": "suspended"}, True),
        ({"code": 1, "type": "a new word"}, True),
        ({}, True),
        ({"code": 100, "type": "finished"}, False),
        ({"code": 60, "type": "postponed"}, False),
        ({"code": 70, "type": "canceled"}, False),
    ],
)
def test_a_day_is_in_progress_while_an_event_of_its_own_can_change(
    status: dict[str, Any], in_progress: bool, judged: Judged
) -> None:
    def listed(day: date) -> Outcome:
        odd = event(1, noon(day), status=status)
        return judged(MONDAY, body_of([*own(MONDAY, 2), odd]))

    outcome, neighbour = listed(MONDAY), listed(TUESDAY)
    assert isinstance(outcome, DayLoaded)
    assert isinstance(neighbour, DayLoaded)
    assert (outcome.in_progress, neighbour.in_progress) == (in_progress, False)


def test_the_zone_of_the_operator_decides_what_belongs_to_a_day() -> None:
    berlin = Judge(PROVIDERS["football-data"], ZoneInfo("Europe/Berlin"))
    late = football_data_body(MONDAY).replace(b"T12:00:00Z", b"T23:30:00Z")
    assert refused(berlin.judge(MONDAY, late).outcome).error_type == ErrorType.DEFAULT_DATA_ERROR
    assert isinstance(berlin.judge(TUESDAY, late).outcome, DayLoaded)


def test_many_threads_can_judge_at_once(judged: Judged) -> None:
    days = [MONDAY + timedelta(days=n) for n in range(24)]
    bodies = [good_body(day, events=2 + n) if n % 3 else b"[]" for n, day in enumerate(days)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(judged, days, bodies)) == [judged(*one) for one in zip(days, bodies, strict=True)]


def test_what_is_wrong_with_the_question_is_not_said_of_the_answer() -> None:
    without_zone = datetime(2025, 3, 3, 12)  # noqa: DTZ001 - the mistake
    with closing(Judge(PROVIDERS["sofascore"], UTC)) as judge, pytest.raises(duckdb.Error):
        judge.judge(MONDAY, good_body(MONDAY), fetched_at=without_zone)


def test_a_judge_that_nobody_closes_goes_with_the_last_reference() -> None:
    judge = Judge(PROVIDERS["sofascore"], UTC)
    judge.judge(MONDAY, good_body(MONDAY))
    watched = weakref.ref(judge)
    del judge
    gc.collect()
    assert watched() is None


class TestRefusals:
    """The provider's own words, in an answer of status 200 or another."""

    @pytest.mark.parametrize(
        ("errors", "expected", "scope"),
        [
            ({"token": "Error/Missing application key."}, ErrorType.AUTH_ERROR, None),
            ({"access": "Your account is suspended."}, ErrorType.AUTH_ERROR, None),
            ({"plan": "Free plans do not have access to this date."}, ErrorType.AUTH_ERROR, "plan"),
            ({"requests": "You have reached the request limit for the day."}, ErrorType.RATE_LIMIT_ERROR, "day"),
            ({"rateLimit": "Too many requests."}, ErrorType.RATE_LIMIT_ERROR, "minute"),
            ({"timezone": "The Timezone field is not known."}, ErrorType.API_ERROR, None),
            (["Something else."], ErrorType.API_ERROR, None),
        ],
    )
    def test_api_football_refuses_with_status_200(self, errors: Any, expected: ErrorType, scope: str | None) -> None:
        verdict = judge("api-football", json.loads(api_football_body(MONDAY)) | {"errors": errors})
        words = errors[0] if isinstance(errors, list) else next(iter(errors.values()))
        said = f"“{words.rstrip('.')}”"
        assert verdict.refusal == Refusal(expected, said, scope)
        outcome = refused(verdict.outcome)
        assert outcome.error_type == expected
        assert outcome.message == f"API-Football did not give {MONDAY}: {said}."

    @pytest.mark.parametrize("errors", [[None], {"bug": None}, [""], {"": ""}])
    def test_api_football_may_refuse_without_a_word(self, errors: Any) -> None:
        verdict = judge("api-football", json.loads(api_football_body(MONDAY)) | {"errors": errors})
        outcome = refused(verdict.outcome)
        assert outcome.error_type == ErrorType.API_ERROR
        assert f"did not give {MONDAY}: it does not say why." in outcome.message

    @pytest.mark.parametrize("errors", [[], {}, None])
    def test_api_football_without_errors_loads(self, errors: Any) -> None:
        body = json.loads(api_football_body(MONDAY)) | {"errors": errors}
        assert judge("api-football", body).refusal is None
        assert isinstance(judge("api-football", body).outcome, DayLoaded)

    def test_api_football_in_pages_is_not_a_half_loaded_day(self) -> None:
        body = json.loads(api_football_body(MONDAY)) | {"paging": {"current": 1, "total": 2}}
        outcome = refused(judge("api-football", body).outcome)
        assert outcome.error_type == ErrorType.DATA_STRUCTURE_ERROR
        assert "2 pages" in outcome.message

    def test_api_football_recorded_errors_have_their_type(self) -> None:
        found = {
            path.name: refused(judge("api-football", json.loads(path.read_bytes())).outcome).error_type
            for path in recorded("api-football", "error_200_*.json")
        }
        assert found == {
            "error_200_access_suspended.json": ErrorType.AUTH_ERROR,
            "error_200_field_combination_teams.json": ErrorType.API_ERROR,
            "error_200_field_combination_venues.json": ErrorType.API_ERROR,
            "error_200_plan_date.json": ErrorType.AUTH_ERROR,
            "error_200_plan_season.json": ErrorType.AUTH_ERROR,
            "error_200_plan_season_compact.json": ErrorType.AUTH_ERROR,
            "error_200_required_empty_params.json": ErrorType.API_ERROR,
        }

    def test_football_data_refuses_with_another_status(self) -> None:
        body = {"message": "The resource you are looking for is restricted and …"}
        with closing(Judge(PROVIDERS["football-data"], UTC)) as judge:
            refusal = judge.read_refusal(403, json.dumps(body).encode(), {})
        # For the account's sake, not the day's.
        assert refusal == Refusal(ErrorType.AUTH_ERROR, f"“{body['message']}”", scope=None)

    @pytest.mark.parametrize("name", PROVIDERS)
    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message": 5, "errors": 5}', b"\xff"])
    def test_what_is_not_the_providers_own_words_is_left_to_the_status(self, name: str, body: bytes) -> None:
        with closing(Judge(PROVIDERS[name], UTC)) as judge:
            assert judge.read_refusal(500, body, {}) is None
