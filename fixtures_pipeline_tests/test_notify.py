"""What people are told about a run, and that no receiver can harm a run or learn more than its message."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, ExecuteInProcessResult
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from fixtures_pipeline import notify
from fixtures_pipeline.errors import ErrorType, SettingsError, StoreError
from fixtures_pipeline.notify import Digest, News, send
from fixtures_pipeline.outcome import NEVER, DayFailed, DayLoaded, DayState, OpenError, Outcome, Stored
from fixtures_pipeline.retries import GIVEN_UP_AFTER
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline_tests.fault_server import FaultServer, closed_port, good_body
from fixtures_pipeline_tests.runs import check_alone, failure_of, run
from fixtures_pipeline_tests.stores import fail

FIRST = date(2025, 3, 1)
TOKEN = "t0ken-that-must-never-leak"
LOGIN = b"<html>Please log in</html>"
DIGEST = Digest("1 day failed", "API_ERROR, 1 day: 2025-03-01\n  It broke.", bad=True)

Message = dict[str, Any]
Answer = Callable[[BaseHTTPRequestHandler], None]


def accepted(request: BaseHTTPRequestHandler) -> None:
    request.send_response(204)
    request.end_headers()


def refused(request: BaseHTTPRequestHandler) -> None:
    request.send_error(500)


def silent(request: BaseHTTPRequestHandler) -> None:
    request.server.ended.wait(60)  # type: ignore[attr-defined]


def dripping(request: BaseHTTPRequestHandler) -> None:
    """Send a byte a second, so that no pause is long enough for a timeout between two pieces."""
    request.send_response(200)
    request.send_header("Content-Length", "60")
    request.end_headers()
    for _ in range(60):
        request.wfile.write(b".")
        if request.server.ended.wait(1):  # type: ignore[attr-defined]
            return


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        self.messages: list[Message] = []
        self.requests: list[str] = []
        self.ended = threading.Event()
        messages, requests = self.messages, self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                requests.append(f"{self.path}\n{self.headers}")
                answer(self)

            def log_message(self, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *args: object) -> None:
        """Say nothing of clients that have gone."""


@contextmanager
def receiving(answer: Answer = accepted) -> Iterator[_Server]:
    """Serve a receiver of messages on loopback."""
    server = _Server(answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture
def receiver() -> Iterator[_Server]:
    """Return a receiver that accepts every message."""
    with receiving() as server:
        yield server


def url(server: _Server) -> str:
    return f"json://user:{TOKEN}@127.0.0.1:{server.server_port}/{TOKEN}"


def telling(settings: Settings, *urls: str) -> Settings:
    return settings.model_copy(update={"notify": SecretStr(", ".join(urls))})


def warnings(instance: DagsterInstance, result: ExecuteInProcessResult) -> list[str]:
    """Return what the log of a run says about receivers."""
    return [
        entry.user_message
        for entry in instance.all_logs(result.run_id)
        if entry.user_message.startswith("FIXTURES_NOTIFY")
    ]


class TestARun:
    """What is told about a run, through the real op and a real receiver."""

    def test_sends_one_message_about_all_that_is_new_and_none_when_nothing_is(
        self, settings: Settings, api: FaultServer, instance: DagsterInstance, receiver: _Server
    ) -> None:
        settings = telling(settings, url(receiver))
        fail(settings, FIRST)
        for n in (1, 2, 4):
            api.plan(FIRST + timedelta(days=n), LOGIN)
        failure = failure_of(run(settings, instance, FIRST, FIRST + timedelta(days=40)))
        assert failure.startswith("3 of 41 days failed: ")
        [message] = receiver.messages
        assert (message["title"], message["type"]) == ("fixtures (sofascore): 3 days failed, 1 recovered", "failure")
        first, second, third, last = message["message"].splitlines()
        assert first == "JSON_DECODE_ERROR, 3 days: 2025-03-02 to 2025-03-03, 2025-03-05"
        assert "then load the day again" in second
        assert third == "1 day recovered: 2025-03-01"
        assert last == "3 days failing in total"

        failure = failure_of(run(settings, instance, FIRST, FIRST + timedelta(days=4)))
        assert failure.startswith("3 of 5 days failed: ")
        assert receiver.messages == [message]

    def test_of_checks_alone_sends_nothing(
        self, settings: Settings, instance: DagsterInstance, receiver: _Server
    ) -> None:
        fail(settings, FIRST)
        assert check_alone(telling(settings, url(receiver)), instance, "no_open_errors").success
        assert receiver.messages == []

    def test_that_fails_tells_what_it_had_committed(
        self,
        settings: Settings,
        api: FaultServer,
        instance: DagsterInstance,
        receiver: _Server,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        put = FixtureStore.put
        stored: list[Stored] = []

        def put_once(self: FixtureStore, outcomes: Sequence[Any], run_id: str | None = None) -> list[Stored]:
            if stored:
                raise StoreError("The disk is full.")
            stored.extend(put(self, outcomes, run_id))
            return stored

        monkeypatch.setattr(FixtureStore, "put", put_once)
        api.plan_any(LOGIN)
        result = run(telling(settings, url(receiver)), instance, FIRST, FIRST + timedelta(days=40))
        assert failure_of(result) == "The disk is full."
        [message] = receiver.messages
        days = "1 day" if len(stored) == 1 else f"{len(stored)} days"
        assert message["title"] == f"fixtures (sofascore): {days} failed"


class TestAReceiver:
    """One that is broken costs a sentence, and the others nothing."""

    def test_that_does_not_accept_the_message_is_named_by_its_position_and_the_others_get_it(
        self, receiver: _Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(notify, "SECONDS", 12)
        down = f"json://127.0.0.1:{closed_port()}/{TOKEN}"
        with receiving(refused) as refusing, receiving(silent) as hanging, receiving(dripping) as slow:
            complaints = send(
                DIGEST,
                [
                    url(hanging),
                    url(slow),
                    down,
                    f"nosuchservice://{TOKEN}",
                    f"tgram://{TOKEN}",
                    url(refusing),
                    url(receiver),
                ],
            )
            assert [len(each.messages) for each in (hanging, slow, refusing, receiver)] == [1, 1, 1, 1]
        no_answer = "did not accept the message: it refused it or gave no answer."
        unknown = "did not accept the message: Apprise does not know a service with such a URL."
        assert receiver.messages[0]["message"] == DIGEST.body
        assert complaints == [
            # Apprise itself gives up on silence, but not on single bytes.
            f"receiver 1 (JSON) {no_answer}",
            "receiver 2 (JSON) did not accept the message within 12 seconds.",
            f"receiver 3 (JSON) {no_answer}",
            f"receiver 4 {unknown}",
            f"receiver 5 {unknown}",
            f"receiver 6 (JSON) {no_answer}",
        ]

    def test_gets_its_token_and_nothing_else_does_not_even_a_warning(
        self,
        settings: Settings,
        api: FaultServer,
        instance_in_files: DagsterInstance,
        receiver: _Server,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        api.plan(FIRST, LOGIN)
        with receiving(refused) as broken:
            secretive = telling(settings, url(receiver), url(broken), f"nosuchservice://{TOKEN}")
            result = run(secretive, instance_in_files, FIRST)
        assert failure_of(result).startswith("1 of 1 day failed: ")
        assert TOKEN in receiver.requests[0]
        assert warnings(instance_in_files, result) == [
            "FIXTURES_NOTIFY: receiver 2 (JSON) did not accept the message: it refused it or gave no answer.",
            "FIXTURES_NOTIFY: receiver 3 did not accept the message: Apprise does not know a service with such a URL.",
        ]
        for event in result.all_events:
            assert TOKEN not in repr(event)
        out, err = capfd.readouterr()
        assert TOKEN not in out + err
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) > 3
        for path in files:
            assert TOKEN.encode() not in path.read_bytes(), path
        assert TOKEN not in repr(secretive)

    def test_is_named_if_the_sending_process_crashes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "/bin/false")
        crashed = "did not accept the message: the sending process ended early."
        assert send(DIGEST, ["json://a", "json://b"]) == [f"receiver 1 {crashed}", f"receiver 2 {crashed}"]

    def test_is_told_of_if_the_sending_process_cannot_be_started(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "/nowhere")
        [complaint] = send(DIGEST, ["json://a", "json://b"])
        assert complaint == (
            "no receiver got the message: the sending process did not start (No such file or directory)."
        )


def test_loading_the_code_location_does_not_import_apprise() -> None:
    code = "import sys, fixtures_pipeline.definitions; sys.exit('apprise' in sys.modules)"
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], cwd=root, env={"FIXTURES_NOTIFY": "json://127.0.0.1"}, check=True)


class TestTheSetting:
    """URLs between spaces and commas; what is not a URL stops the start."""

    def test_lists_urls_between_blanks_and_commas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FIXTURES_NOTIFY", " json://a/?to=x%2Cy,ntfy://b\n , mailto://c:d@e.org ")
        assert Settings.load().receivers == ["json://a/?to=x%2Cy", "ntfy://b", "mailto://c:d@e.org"]

    def test_is_empty_by_default(self) -> None:
        assert Settings.load().receivers == []

    def test_names_the_place_of_a_bad_entry_and_never_the_entry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FIXTURES_NOTIFY", f"json://{TOKEN} hooks.example.org/{TOKEN}")
        with pytest.raises(SettingsError, match="FIXTURES_NOTIFY cannot be used: entry 2 is not a URL") as caught:
            Settings.load()
        assert TOKEN not in repr(caught.value)
        assert caught.value.__cause__ is None


# News and its text


def failing(
    day: date, error_type: ErrorType = ErrorType.TIMEOUT_ERROR, message: str = "It is slow; load it later."
) -> DayFailed:
    return DayFailed(day, error_type, message)


def error(error_type: str = "API_ERROR", attempts: int = 1, retry_at: datetime | None = None) -> OpenError:
    """Return a row of `fixture_errors`."""
    at = datetime(2025, 3, 2, tzinfo=UTC)
    return OpenError(error_type, "It broke.", None, 0, attempts, at, at, retry_at)


def stored(outcome: Outcome, attempts: int = 1, before: OpenError | None = None) -> Stored:
    """Return what became of an outcome after so many failures in a row."""
    now = error(outcome.error_type, attempts, outcome.retry_at) if isinstance(outcome, DayFailed) else None
    return Stored(outcome, DayState(outcome.day, error=now), before)


def recovered(day: date) -> Stored:
    return stored(DayLoaded(day, b"{}", 2, in_progress=False), before=error())


def told(*batch: Stored, open_days: int | None = None) -> Digest:
    news = News("sofascore")
    news.add(batch)
    news.open_days = open_days
    return news.digest()


def is_news(one: Stored) -> bool:
    news = News("sofascore")
    news.add([one])
    return bool(news)


def test_one_day_is_told_with_its_type_its_message_and_what_to_do() -> None:
    digest = told(stored(failing(FIRST)), open_days=7)
    assert digest.title == "fixtures (sofascore): 1 day failed"
    assert digest.body == "TIMEOUT_ERROR, 1 day: 2025-03-01\n  It is slow; load it later.\n7 days failing in total"


def test_a_season_is_told_in_as_many_lines_as_a_day() -> None:
    season = [FIRST + timedelta(days=n) for n in range(366)]
    digest = told(*(stored(failing(day)) for day in season))
    assert digest.title == "fixtures (sofascore): 366 days failed"
    assert digest.body == "TIMEOUT_ERROR, 366 days: 2025-03-01 to 2026-03-01\n  It is slow; load it later."


def test_scattered_days_are_named_only_in_part() -> None:
    digest = told(*(recovered(FIRST + timedelta(days=2 * n)) for n in range(183)))
    assert digest.title == "fixtures (sofascore): 183 days recovered"
    assert digest.body == "183 days recovered: 2025-03-01, 2025-03-03, 2025-03-05 and 180 more"


def test_types_are_told_one_by_one_refusals_first_then_by_day() -> None:
    days = [FIRST + timedelta(days=n) for n in range(4)]
    digest = told(
        stored(failing(days[0], ErrorType.API_ERROR)),
        stored(failing(days[1], ErrorType.AUTH_ERROR, "Check FIXTURES_API_KEY.")),
        stored(failing(days[2], ErrorType.API_ERROR)),
        recovered(days[3]),
    )
    assert digest.title == "fixtures (sofascore): 3 days failed, 1 recovered"
    assert digest.body.splitlines() == [
        "The provider is refusing requests: check the key, the plan and the quota.",
        "AUTH_ERROR, 1 day: 2025-03-02",
        "  Check FIXTURES_API_KEY.",
        "API_ERROR, 2 days: 2025-03-01, 2025-03-03",
        "  It is slow; load it later.",
        "1 day recovered: 2025-03-04",
    ]


def undefused(text: str) -> str:
    """Return a message without the marks that keep receivers from taking a server's words for mentions and links."""
    return text.replace("\u200b", "")


def test_a_long_message_keeps_its_beginning_and_its_end_on_one_line() -> None:
    message = "It begins:\x1b[31m\n\u202eevil " + "<b>@everyone</b>\r\n" * 100 + "Open the address in a browser."
    _, line = undefused(told(stored(failing(FIRST, message=message))).body).split("\n")
    assert line.startswith("  It begins: [31m evil <b>")
    assert line.endswith("Open the address in a browser.")
    assert len(line) <= 402
    assert line.isprintable()


@pytest.mark.parametrize(
    ("error_type", "attempts", "retry_at", "before", "news"),
    [
        ("API_ERROR", 1, None, None, True),
        ("API_ERROR", 2, None, ("API_ERROR", None), False),
        ("API_ERROR", 2, None, ("TIMEOUT_ERROR", None), False),
        ("AUTH_ERROR", 2, None, ("TIMEOUT_ERROR", None), True),
        ("RATE_LIMIT_ERROR", 5, None, ("API_ERROR", None), True),
        ("RATE_LIMIT_ERROR", 5, None, ("AUTH_ERROR", None), False),
        ("API_ERROR", 5, None, ("AUTH_ERROR", None), False),
        ("API_ERROR", 8, None, ("API_ERROR", None), True),
        ("API_ERROR", 9, None, ("API_ERROR", None), False),
        ("API_ERROR", 3, NEVER, ("API_ERROR", None), True),
        ("API_ERROR", 3, NEVER, ("API_ERROR", datetime(2025, 3, 2, tzinfo=UTC)), True),
        ("API_ERROR", 3, NEVER, ("API_ERROR", NEVER), False),
        ("API_ERROR", 8, NEVER, ("API_ERROR", NEVER), False),
        ("API_ERROR", 3, None, ("API_ERROR", NEVER), False),
    ],
)
def test_a_failure_is_news_when_it_is_the_first_a_refusal_or_the_last(
    error_type: str, attempts: int, retry_at: datetime | None, before: tuple[str, datetime | None] | None, news: bool
) -> None:
    row = error(before[0], attempts - 1, before[1]) if before else None
    outcome = DayFailed(FIRST, ErrorType(error_type), "It broke.", retry_at=retry_at)
    assert is_news(stored(outcome, attempts, row)) == news


def test_what_is_older_than_what_is_stored_is_no_news() -> None:
    assert is_news(stored(failing(FIRST)))
    assert not is_news(replace(stored(failing(FIRST)), stale=True))


def test_a_day_that_loads_is_news_only_when_it_had_failed() -> None:
    assert is_news(recovered(FIRST))
    assert not is_news(stored(DayLoaded(FIRST, b"{}", 2, in_progress=False)))


def test_a_day_that_is_given_up_is_named_once_more() -> None:
    digest = told(stored(failing(FIRST), GIVEN_UP_AFTER, error("TIMEOUT_ERROR", GIVEN_UP_AFTER - 1)))
    assert digest.title == "fixtures (sofascore): 1 day failed, 1 given up"
    assert digest.body.endswith("\n1 day given up, no longer retried automatically: 2025-03-01")


def test_what_only_recovers_is_good_news() -> None:
    assert not told(recovered(FIRST)).bad
    assert told(recovered(FIRST), stored(failing(FIRST + timedelta(days=1)))).bad


def test_of_the_days_that_a_store_takes_each_turn_is_told_once(store: FixtureStore) -> None:
    """A day fails, fails again, is refused twice, is given up, fails on, recovers and loads again."""
    outcomes: list[Outcome] = [
        *[DayFailed(FIRST, ErrorType.API_ERROR, "It broke.")] * 2,
        *[DayFailed(FIRST, ErrorType.AUTH_ERROR, "The key is wrong.")] * 2,
        *[DayFailed(FIRST, ErrorType.AUTH_ERROR, "Not in the plan.", retry_at=NEVER)] * 2,
        *[DayLoaded(FIRST, good_body(FIRST), 7, in_progress=False)] * 2,
    ]
    titles = []
    for outcome in outcomes:
        news = News("sofascore")
        news.add(store.put([outcome]))
        titles.append(news.digest().title.partition(": ")[2] if news else None)
    assert titles == [
        "1 day failed",
        None,
        "1 day failed",
        None,
        "1 day failed, 1 given up",
        None,
        "1 day recovered",
        None,
    ]


def test_the_store_tells_what_was_there_before_a_day_failed_again(store: FixtureStore) -> None:
    days = [FIRST + timedelta(days=n) for n in range(3)]
    first = store.put([DayFailed(day, ErrorType.AUTH_ERROR, "Not in the plan.", retry_at=NEVER) for day in days[:2]])
    assert [(one.attempts, one.before) for one in first] == [(1, None), (1, None)]
    again = store.put([DayFailed(day, ErrorType.API_ERROR, "It broke.") for day in days])
    assert [one.attempts for one in again] == [2, 2, 1]
    assert [one.before for one in again] == [one.state.error for one in first] + [None]


outcomes = st.builds(
    lambda day, error_type, message, attempts, retry_at: stored(
        DayFailed(FIRST + timedelta(days=day), error_type, message, retry_at=retry_at),
        attempts,
        error(attempts=attempts - 1) if attempts > 1 else None,
    ),
    st.integers(0, 20_000),
    st.sampled_from(ErrorType),
    st.text(max_size=50) | st.text(min_size=1).map(lambda text: text * 2000),
    st.integers(1, 10),
    st.sampled_from([None, NEVER]),
) | st.builds(lambda day: recovered(FIRST + timedelta(days=day)), st.integers(0, 20_000))


@given(st.lists(outcomes, max_size=400, unique_by=lambda one: one.day), st.none() | st.integers(0, 20_000))
def test_whatever_happens_there_is_one_short_plain_message(batch: list[Stored], open_days: int | None) -> None:
    news = News("sofascore")
    news.add(batch)
    news.open_days = open_days
    if not news:
        return
    digest = news.digest()
    assert len(digest.title) < 100
    assert digest.title.isprintable()
    body = undefused(digest.body)
    assert len(body) < 3000
    assert len(body.splitlines()) <= 22
    assert all(line.isprintable() for line in body.split("\n"))
