"""Text from outside where people see it: cut in Dagster's tables, harmless in messages, and marked as what it is."""

from typing import Any

import pytest
from dagster import DagsterInstance
from dagster._serdes import serialize_value
from hypothesis import example, given
from hypothesis import strategies as st

from fixtures_pipeline.dagster.events import TEXT_SHOWN, draw_table
from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.loading import load_days
from fixtures_pipeline.notify import News
from fixtures_pipeline.outcome import DayFailed
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.text import defuse, shorten
from fixtures_pipeline_tests.days import MONDAY
from fixtures_pipeline_tests.fault_server import FaultServer, body_of, own
from fixtures_pipeline_tests.runs import FIRST, evaluations, metadata_of, run
from fixtures_pipeline_tests.strategies import leisurely

LONG = "Ñ" * 150_000


def records_of(table: Any) -> list[dict[str, Any]]:
    return [dict(record.data) for record in table.records]


class TestALongName:
    def test_is_cut_wherever_dagster_keeps_it(
        self, api: FaultServer, settings: Settings, instance: DagsterInstance
    ) -> None:
        long = {
            "homeTeam": {"id": 1, "name": LONG},
            "tournament": {"id": 1, "name": LONG, "category": {"name": LONG}},
            "status": {"code": 100, "type": "finished", "description": LONG},
            "homeScore": {},
            "awayScore": {},
        }
        api.plan(FIRST, body_of([{**event, **long} for event in own(FIRST, 2)]))
        result = run(settings, instance, FIRST)
        told = sum(len(serialize_value(event)) for event in instance.all_logs(result.run_id))
        assert told < 400_000
        [row, _] = records_of(metadata_of(result, "fixtures", FIRST)["first_fixtures"])
        assert row["home"].startswith("ÑÑÑ")
        assert len(row["home"]) <= TEXT_SHOWN
        check = evaluations(result, "finished_with_scores")[None]
        assert not check.passed
        assert all(
            len(str(value)) <= TEXT_SHOWN for row in records_of(check.metadata["rows"].value) for value in row.values()
        )

    @given(value=st.text() | st.integers() | st.none() | st.dates())
    @example(value="Open the address. " * 100)
    @leisurely
    def test_is_on_one_line_and_no_longer_than_shown(self, value: Any) -> None:
        [record] = records_of(draw_table([{"name": value}]).value)
        shown = record["name"]
        if isinstance(value, int | None):
            assert shown == value
        else:
            assert len(shown) <= TEXT_SHOWN
            assert shown.isprintable()

    def test_keeps_its_beginning_and_its_end(self) -> None:
        assert shorten("a" * 1000 + "z", 11) == "aaaa … aaaz"
        assert shorten("short", 11) == "short"
        assert len(shorten(LONG * 40, 200)) <= 200


#: What chat services act on, and what must not stand in a message as it is.
FUSES = {
    "@everyone now": "@everyone",
    "<@123> <!channel> <!here>": "<!",
    "[Log in](http://evil.example)": "](",
    "<http://evil.example|Log in>": "<http",
    "see https://evil.example/x": "://",
    "see www.evil.example": "www.evil",
    "join #general": "#general",
    "mail you@evil.example": "you@evil",
}


class TestWordsOfAServer:
    @pytest.mark.parametrize("words", FUSES)
    def test_call_nobody_and_link_to_nothing_in_a_message(self, words: str, store: FixtureStore) -> None:
        message = f"The answer for {MONDAY} is not JSON. It begins: “{words}”. Load the day again."
        news = News("sofascore")
        news.add(store.put([DayFailed(MONDAY, ErrorType.JSON_DECODE_ERROR, message)]))
        body = news.digest().body
        assert FUSES[words] not in body
        # To the eye it is the same.
        assert words in body.replace("\N{ZERO WIDTH SPACE}", "")
        assert f"It begins: “{words}”." in body.replace("\N{ZERO WIDTH SPACE}", "")

    @given(text=st.text("@<>[](){}#:/.wx |!\\*_`", max_size=40))
    @leisurely
    def test_are_defused_whatever_they_are(self, text: str) -> None:
        safe = defuse(text)
        assert safe.replace("\N{ZERO WIDTH SPACE}", "") == text
        assert not any(fuse in safe for fuse in ("](", "://", "w.w", "x.x"))
        assert all(f"{sign}{letter}" not in safe for sign in "@<#" for letter in "!wx@#/h")

    @pytest.mark.parametrize(
        ("answer", "quoted"),
        [
            (b"@everyone <b>hi</b>", "It begins: “@everyone <b>hi</b>”."),
            ((500, b"ask\n\x1b[2J@all"), "It says: “ask [2J@all”."),
            ((404, b'{"error": 1}'), 'It says: “{"error": 1}”.'),
        ],
    )
    def test_stand_between_marks_of_their_own(
        self, answer: Any, quoted: str, api: FaultServer, settings: Settings
    ) -> None:
        api.plan(MONDAY, answer)
        [[stored]] = load_days(settings, [MONDAY])
        assert isinstance(stored.outcome, DayFailed)
        assert quoted in stored.outcome.message
