"""What is kept of an answer is strict JSON and otherwise as it came; a refusal in a provider's own words is heard."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from dagster import DagsterInstance
from hypothesis import example, given
from hypothesis import strategies as st

from fixtures_pipeline.errors import ErrorType, SettingsError
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.outcome import DayFailed, DayLoaded
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline_tests.answers import BODIES
from fixtures_pipeline_tests.days import MONDAY
from fixtures_pipeline_tests.fault_server import FaultServer, body_of, good_body, own
from fixtures_pipeline_tests.readings import ABSENT, change
from fixtures_pipeline_tests.runs import FIRST, run
from fixtures_pipeline_tests.stores import SOFASCORE, UTC, table
from fixtures_pipeline_tests.strategies import json_values, leisurely

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(SOFASCORE, UTC)


def load(judge: Judge, body: bytes) -> bytes:
    """Return what is kept of an answer that loads."""
    outcome = judge.judge(MONDAY, body).outcome
    assert isinstance(outcome, DayLoaded), outcome
    return outcome.body


def read_strictly(text: str | bytes) -> Any:
    """Read JSON as its standard has it; Python's reader takes more."""
    return json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))


def with_value(text: str) -> bytes:
    """Return an answer whose events hold `text` as one more value."""
    marked = [{**event, "more": "HERE"} for event in own(MONDAY, 2)]
    return body_of(marked).replace(b'"HERE"', text.encode())


class TestWhatIsNotJson:
    @pytest.mark.parametrize(
        "word",
        ["nan", "NaN", "NAN", "nAn", "inf", "Infinity", "INFINITY", "-inf", "-Infinity", "-NaN"],
    )
    @pytest.mark.parametrize("around", ["{}", "[{}]", "[1,{}]", '{{"a":{}}}', "[\n {} \t]", "[{},]", '{{"a" : {} , }}'])
    def test_becomes_null_or_goes_wherever_it_stands(self, word: str, around: str, judge: Judge) -> None:
        kept = read_strictly(load(judge, with_value(around.format(word))))
        expected = json.loads(around.format("null").replace(",]", "]").replace(" , }", "}"))
        assert [event["more"] for event in kept["events"]] == [expected, expected]

    def test_is_found_among_any_number_of_texts_that_look_like_it(self, judge: Judge) -> None:
        lookalikes = "n, " * 20_000
        kept = read_strictly(load(judge, with_value(f'["{lookalikes}", -Infinity]')))
        assert [event["more"] for event in kept["events"]] == [[lookalikes, None]] * 2

    @pytest.mark.parametrize("half", [r"\ud83d", r"\uDC00", r"\UD83D"])
    def test_is_no_half_of_a_character_however_it_is_spelt(self, half: str, judge: Judge) -> None:
        kept = read_strictly(load(judge, with_value(f'"{half}"')))
        assert [event["more"] for event in kept["events"]] == ["\N{REPLACEMENT CHARACTER}"] * 2

    @pytest.mark.parametrize("text", ["nan", " -Infinity ", "[NaN,]", '{"events": [nan]}', "[1,]", '{"error": inf,}'])
    def test_is_not_kept_of_what_fails_either(self, text: str, judge: Judge, store: FixtureStore) -> None:
        outcome = judge.judge(MONDAY, text.encode()).outcome
        assert isinstance(outcome, DayFailed)
        store.put([outcome])
        [row] = table(store, "fixture_errors")
        read_strictly(row["data"])
        kept = judge.keep(text.encode())
        assert kept is not None
        read_strictly(kept)

    @given(value=json_values, shout=st.booleans())
    @example(value={"a": [float("nan")]}, shout=True)
    @leisurely
    def test_never_gets_through(self, value: Any, shout: bool, judge: Judge) -> None:
        text = json.dumps(value)
        if shout:
            text = text.replace("NaN", "nAN").replace("Infinity", "inf")
        kept = read_strictly(load(judge, with_value(text)))
        # What Python makes of it, with null for what is not a number, and U+FFFD for half a character.
        expected = json.loads(text.replace("nAN", "NaN"), parse_constant=lambda _: None)
        halves = json.dumps(expected).encode("utf-8", "replace")
        if b"\\ud" not in halves and "inf" not in text:
            assert [event["more"] for event in kept["events"]] == [expected, expected]


class TestAllElse:
    @pytest.mark.parametrize(
        "text",
        [
            "1.50e2", "1E400", "-0", "0.10", "12345678901234567890123456789", r'"\/ \u00e9 \ud83d\ude00"', '"é"',
            '{"a": 1, "a": 2}', "[ 1 ,\n\t2 ]", '"NaN"', '"Inter Nan, Infinity [nan]"', r'"a \" , ] NaN"', r'"\\"',
            '""', '"\\\\", "less": "nan"', f'"{"n, inf," * 20_000}"',
        ],
    )  # fmt: skip
    def test_stays_as_it_came(self, text: str, judge: Judge) -> None:
        body = with_value(text)
        assert load(judge, body) == body

    def test_stays_as_it_came_beside_what_is_mended(self, judge: Judge) -> None:
        body = with_value('{"a": 1.50e2,  "a": "NaN, Infinity",\n"b": nan}')
        assert load(judge, body) == body.replace(b": nan", b": null")

    def test_is_stored_with_the_same_values(self, judge: Judge, store: FixtureStore) -> None:
        text = '{"a": 1.50e2, "a": "NaN", "b": [0.10, 12345678901234567890123456789]}'
        store.put([judge.judge(MONDAY, with_value(text)).outcome])
        [row] = table(store, "fixture_days")
        pairs: Callable[[Any], Any] = list
        assert [dict(event)["more"] for event in json.loads(row["data"], object_pairs_hook=pairs)] == [
            json.loads(text, object_pairs_hook=pairs)
        ] * 2

    def test_is_kept_as_it_came_of_what_fails(self, judge: Judge, store: FixtureStore) -> None:
        text = '{\n  "error": 1.50e2,  "error": "\\u00e9"\n}'
        store.put([judge.judge(MONDAY, text.encode()).outcome])
        assert table(store, "fixture_errors")[0]["data"] == text


#: As much as is read of an answer, in forms that take much more memory or time.
HEAPS = {
    "numbers": b'{"events": [' + b"1," * (8 * MIB - 20) + b"1]}",
    "objects": b'{"events": [' + b"{}," * (5 * MIB) + b"{}]}",
    "beside the list": b'{"events": [], "x": [' + b"1," * (8 * MIB - 20) + b"1]}",
    "in an event": b'{"events": [{"id": 1, "x": [' + b"1," * (8 * MIB - 20) + b"1]}, {}]}",
    "quotes": b'{"events": [nan], "' + b'\\"' * (8 * MIB - 20),
    "one text": b'{"events": [nan], "x": "' + b"x" * (16 * MIB - 40) + b'"}',
    "commas": b'{"events": [' + b", " * (8 * MIB - 20) + b"]}",
}


class TestAHostileAnswer:
    @pytest.mark.parametrize("heap", HEAPS)
    def test_fails_alone(self, heap: str, judge: Judge) -> None:
        with ThreadPoolExecutor(4) as pool:
            innocent = [pool.submit(judge.judge, MONDAY, good_body(MONDAY, events=300)) for _ in range(3)]
            verdict = pool.submit(judge.judge, MONDAY, HEAPS[heap])
            innocent += [pool.submit(judge.judge, MONDAY, good_body(MONDAY, events=300)) for _ in range(9)]
        outcome = verdict.result().outcome
        assert isinstance(outcome, DayFailed)
        assert outcome.error_type in {
            ErrorType.DATA_STRUCTURE_ERROR, ErrorType.JSON_DECODE_ERROR, ErrorType.DEFAULT_DATA_ERROR
        }  # fmt: skip
        assert all(isinstance(one.result().outcome, DayLoaded) for one in innocent)

    @pytest.mark.parametrize("heap", HEAPS)
    def test_has_no_words_and_may_be_too_much_to_keep(self, heap: str, judge: Judge) -> None:
        body = HEAPS[heap]
        assert Judge(PROVIDERS["football-data"], UTC).read_refusal(500, body, {}) is None
        assert (kept := judge.keep(body)) is None or kept == body.replace(b"nan", b"null")


def refuse(name: str, **changes: Any) -> tuple[ErrorType, str | None] | None:
    """Return the kind and the scope of the refusal that an answer of a provider's holds with these changes."""
    provider = PROVIDERS[name]
    body = change(json.loads(BODIES[name](MONDAY)), **changes)
    asked = dict(provider.requests(MONDAY, "UTC")[0].query)
    refusal = Judge(provider, UTC).judge(MONDAY, json.dumps(body).encode(), asked).refusal
    return None if refusal is None else (refusal.error_type, refusal.scope)


class TestARefusalOfApiFootball:
    @pytest.mark.parametrize(
        ("key", "expected"),
        [
            ("token", ("AUTH_ERROR", None)),
            ("Token", ("AUTH_ERROR", None)),
            ("Ip", ("AUTH_ERROR", None)),
            ("IP", ("AUTH_ERROR", None)),
            ("Domain", ("AUTH_ERROR", None)),
            ("access", ("AUTH_ERROR", None)),
            ("Plan", ("AUTH_ERROR", "plan")),
            ("requests", ("RATE_LIMIT_ERROR", "day")),
            ("Requests ", ("RATE_LIMIT_ERROR", "day")),
            ("rateLimit", ("RATE_LIMIT_ERROR", "minute")),
            ("ratelimit", ("RATE_LIMIT_ERROR", "minute")),
            ("date", ("API_ERROR", None)),
        ],
    )
    def test_is_known_by_its_key_in_any_spelling(self, key: str, expected: Any, judge: Judge) -> None:
        assert refuse("api-football", errors={key: "Because."}) == expected

    @pytest.mark.parametrize("errors", [[], {}, None, ABSENT, "", " "])
    def test_is_none_without_errors(self, errors: Any) -> None:
        assert refuse("api-football", errors=errors) is None

    @pytest.mark.parametrize("errors", [["Because."], "Because.", {"Bug": None}])
    def test_may_come_in_any_form(self, errors: Any) -> None:
        assert refuse("api-football", errors=errors) == ("API_ERROR", None)

    @pytest.mark.parametrize(
        ("changes", "refused"),
        [
            ({"parameters": {"date": "2025-03-03"}}, False),
            ({"parameters": {"date": "2025-03-04"}}, True),
            ({"parameters": []}, False),
            ({"parameters": None}, False),
            ({"results": 3}, False),
            ({"results": 2}, True),
            ({"results": None}, False),
            ({"paging.total": 2}, True),
            ({"paging.total": None}, False),
            ({"paging": ABSENT}, False),
        ],
    )
    def test_is_an_answer_to_another_question(self, changes: dict[str, Any], refused: bool) -> None:
        assert (refuse("api-football", **changes) is not None) == refused

    def test_is_quoted_as_its_own_words(self) -> None:
        body = change(json.loads(BODIES["api-football"](MONDAY)), errors={"Ip": "Not from here."})
        outcome = Judge(PROVIDERS["api-football"], UTC).judge(MONDAY, json.dumps(body).encode()).outcome
        assert isinstance(outcome, DayFailed)
        assert "API-Football did not give 2025-03-03: “Not from here”." in outcome.message


class TestARefusalOfFootballData:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, None),
            ({"filters.permission": None}, ("AUTH_ERROR", None)),
            ({"filters.permission": ABSENT}, ("AUTH_ERROR", None)),
            ({"filters": ABSENT}, ("AUTH_ERROR", None)),
            ({"filters.dateFrom": "2025-03-03", "filters.dateTo": "2025-03-04"}, None),
            ({"filters.dateFrom": "2025-03-01", "filters.dateTo": "2025-03-09"}, None),
            ({"filters.dateFrom": "2025-03-04", "filters.dateTo": "2025-03-05"}, ("DATA_STRUCTURE_ERROR", None)),
            ({"filters.dateFrom": "2025-03-02", "filters.dateTo": "2025-03-03"}, ("DATA_STRUCTURE_ERROR", None)),
            ({"filters.dateFrom": None}, None),
            ({"resultSet": {"count": 3}}, None),
            ({"resultSet": {"count": 0}}, ("DATA_STRUCTURE_ERROR", None)),
            ({"resultSet": None}, None),
            ({"matches": None}, None),
        ],
    )
    def test_is_read_from_its_filters_and_counts(self, changes: dict[str, Any], expected: Any) -> None:
        assert refuse("football-data", **changes) == expected

    @pytest.mark.parametrize(
        ("status", "message", "expected"),
        [
            (403, "The resource you are looking for is restricted. Please pass a valid API token", "AUTH_ERROR"),
            (403, "Check your subscription.", "AUTH_ERROR"),
            (400, "Your API token is invalid.", "AUTH_ERROR"),
            (400, "Specified period must not exceed 10 days.", None),
            (429, "You reached your request limit. Wait 48 seconds.", "RATE_LIMIT_ERROR"),
            (500, "token", None),
        ],
    )
    def test_with_another_status_is_never_for_a_day(self, status: int, message: str, expected: str | None) -> None:
        body = json.dumps({"message": message, "errorCode": status}).encode()
        refusal = Judge(PROVIDERS["football-data"], UTC).read_refusal(status, body, {})
        assert (refusal and refusal.error_type) == expected
        assert (refusal and refusal.scope) in {None, "minute"}


def test_a_page_of_sofascores_list_is_not_the_day() -> None:
    for more, refused in ((True, True), (False, False), (None, False), (ABSENT, False), ("true", True)):
        assert (refuse("sofascore", hasNextPage=more) is not None) == refused


class TestTheLeastEvents:
    @pytest.mark.parametrize(
        ("least", "events", "error_type"),
        [
            (2, 0, ErrorType.DEFAULT_DATA_ERROR),
            (2, 1, ErrorType.DEFAULT_DATA_ERROR),
            (2, 2, None),
            (1, 0, ErrorType.DEFAULT_DATA_ERROR),
            (1, 1, None),
            (0, 0, None),
            (100, 99, ErrorType.DEFAULT_DATA_ERROR),
            (100, 100, None),
        ],
    )
    @pytest.mark.parametrize("provider", ["sofascore", "football-data"])
    def test_of_a_day_are_what_the_operator_says(
        self, provider: str, least: int, events: int, error_type: ErrorType | None, make_store: Any
    ) -> None:
        source = PROVIDERS[provider]
        answer = json.loads(BODIES[provider](MONDAY))
        [first, *_] = answer[source.list_key]
        answer[source.list_key] = [first | {"id": number} for number in range(events)]
        body = json.dumps(answer).encode()
        outcome = Judge(source, UTC, least_events=least).judge(MONDAY, body).outcome
        assert (outcome.error_type if isinstance(outcome, DayFailed) else None) == error_type
        assert not isinstance(outcome, DayFailed) or f"fewer than {least} count as no data" in outcome.message
        store = make_store("fixtures.duckdb", source)
        [stored] = store.put([outcome])
        assert stored.state.fixtures == (events if error_type is None else 0)

    @pytest.mark.parametrize(("written", "least"), [("", 2), ("0", 0), ("1", 1), ("100", 100)])
    def test_are_a_setting(self, written: str, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FIXTURES_MIN_EVENTS", written)
        assert Settings.load().min_events == least

    @pytest.mark.parametrize("written", ["-1", "101", "two", "1.5", "nan"])
    def test_are_a_small_number(self, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FIXTURES_MIN_EVENTS", written)
        with pytest.raises(SettingsError, match="FIXTURES_MIN_EVENTS cannot be used"):
            Settings.load()

    @pytest.mark.parametrize(("least", "loaded"), [(0, {0, 1, 2}), (1, {1, 2}), (2, {2})])
    def test_decide_which_days_of_a_run_load(
        self, least: int, loaded: set[int], api: FaultServer, settings: Settings, instance: DagsterInstance
    ) -> None:
        for events in range(3):
            api.plan(FIRST + timedelta(days=events), body_of(own(FIRST + timedelta(days=events), events)))
        settings = settings.model_copy(update={"min_events": least})
        result = run(settings, instance, FIRST, FIRST + timedelta(days=2))
        assert result.success == (len(loaded) == 3)
        rows = {(row["date"] - FIRST).days: row["count"] for row in table(open_store(settings), "fixture_days")}
        assert rows == {events: events for events in loaded}
        errors = {row["error_type"] for row in table(open_store(settings), "fixture_errors")}
        assert errors <= {"DEFAULT_DATA_ERROR"}

    def test_may_be_none_but_a_missing_key_is_still_a_missing_key(self) -> None:
        body = b'{"filters": {"permission": null}, "resultSet": {"count": 0}, "matches": []}'
        outcome = Judge(PROVIDERS["football-data"], UTC, least_events=0).judge(MONDAY, body).outcome
        assert isinstance(outcome, DayFailed)
        assert outcome.error_type == ErrorType.AUTH_ERROR


@pytest.mark.parametrize("provider", ["sofascore", "api-football", "football-data"])
def test_kickoffs_that_nobody_can_read_are_another_structure(provider: str) -> None:
    source = PROVIDERS[provider]
    answer = json.loads(BODIES[provider](MONDAY))
    odd = {"startTimestamp": "noon", "utcDate": "noon", "fixture.timestamp": "noon"}
    events = [change(answer[source.list_key][0], id=number, fixture__id=number) for number in range(6)]
    for unread in range(7):
        answer[source.list_key] = [change(event, **odd) for event in events[:unread]] + events[unread:]
        outcome = Judge(source, UTC).judge(MONDAY, json.dumps(answer).encode()).outcome
        assert isinstance(outcome, DayLoaded) == (unread <= 3), unread
        if isinstance(outcome, DayFailed):
            assert outcome.error_type == ErrorType.DATA_STRUCTURE_ERROR
            assert f"{unread} have a kickoff that cannot be read" in outcome.message
