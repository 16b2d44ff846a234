"""People are told once a run what is new, and no receiver can harm a run or see a secret leak."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.notify import News
from fixtures_pipeline.outcome import NEVER, DayFailed, DayLoaded, ErrorType
from fixtures_pipeline.retries import GIVEN_UP_AFTER
from fixtures_pipeline.settings import Settings, SettingsError
from fixtures_pipeline.store import FixtureStore, OpenError, Stored, StoreError
from fixtures_pipeline_tests.fault_server import FaultServer, closed_port, good_body
from fixtures_pipeline_tests.runs import check_alone, run

FIRST = date(2025, 3, 1)
TOKEN = "t0ken-that-must-never-leak"
LOGIN = b"<html>Please log in</html>"

Message = dict[str, Any]
Answer = Callable[[BaseHTTPRequestHandler], None]


def taken(request: BaseHTTPRequestHandler) -> None:
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
def receiving(answer: Answer = taken) -> Iterator[_Server]:
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
    """Return a receiver that takes every message."""
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
    """What is told of a run, through the real op and a real receiver."""

    def test_tells_once_that_a_day_fails_and_once_that_it_has_healed(
        self, settings: Settings, api: FaultServer, instance: DagsterInstance, receiver: _Server
    ) -> None:
        settings = telling(settings, url(receiver))
        api.plan(FIRST, LOGIN)
        assert run(settings, instance, FIRST).success
        [message] = receiver.messages
        assert (message["title"], message["type"]) == ("fixtures (sofascore): 1 day fails", "failure")
        first, second, last = message["message"].splitlines()
        assert first == "JSON_DECODE_ERROR, 1 day: 2025-03-01"
        assert "then load the day again" in second
        assert last == "Failing in all: 1 day"

        run(settings, instance, FIRST)
        assert receiver.messages == [message]

        api.plan(FIRST, good_body(FIRST))
        run(settings, instance, FIRST)
        healed = receiver.messages[-1]
        assert (healed["title"], healed["type"]) == ("fixtures (sofascore): 1 day healed", "success")
        assert healed["message"] == "Healed, 1 day: 2025-03-01\nFailing in all: 0 days"

        run(settings, instance, FIRST)
        assert len(receiver.messages) == 2

    def test_of_many_days_sends_one_message(
        self, settings: Settings, api: FaultServer, instance: DagsterInstance, receiver: _Server
    ) -> None:
        bad = [FIRST + timedelta(days=n) for n in (1, 2, 3, 5)]
        open_store(settings).load([DayFailed(FIRST, ErrorType.API_ERROR, "It broke.")])
        for day in bad:
            api.plan(day, LOGIN)
        run(telling(settings, url(receiver)), instance, FIRST, FIRST + timedelta(days=40))
        [message] = receiver.messages
        assert message["title"] == "fixtures (sofascore): 4 days fail, 1 healed"
        assert "JSON_DECODE_ERROR, 4 days: 2025-03-02 to 2025-03-04, 2025-03-06\n" in message["message"]
        assert message["message"].endswith("Healed, 1 day: 2025-03-01\nFailing in all: 4 days")

    def test_that_brought_nothing_new_sends_nothing(
        self, settings: Settings, instance: DagsterInstance, receiver: _Server
    ) -> None:
        settings = telling(settings, url(receiver))
        run(settings, instance, FIRST, FIRST + timedelta(days=3))
        run(settings, instance, FIRST, FIRST + timedelta(days=3))
        assert receiver.messages == []

    def test_of_checks_alone_sends_nothing(
        self, settings: Settings, instance: DagsterInstance, receiver: _Server
    ) -> None:
        open_store(settings).load([DayFailed(FIRST, ErrorType.API_ERROR, "It broke.")])
        assert check_alone(telling(settings, url(receiver)), instance, "no_open_errors").success
        assert receiver.messages == []

    def test_says_first_when_the_provider_begins_to_refuse(
        self, settings: Settings, api: FaultServer, instance: DagsterInstance, receiver: _Server
    ) -> None:
        settings = telling(settings, url(receiver))
        api.plan(FIRST, LOGIN)
        run(settings, instance, FIRST)
        api.plan(FIRST, (403, b"{}"))
        run(settings, instance, FIRST)
        assert len(receiver.messages) == 2
        assert receiver.messages[-1]["message"].startswith("The provider refuses")
        api.plan(FIRST, (401, b"{}"))
        run(settings, instance, FIRST)
        assert len(receiver.messages) == 2

    def test_says_when_a_day_is_given_up(
        self, settings: Settings, api: FaultServer, instance: DagsterInstance, receiver: _Server
    ) -> None:
        for _ in range(GIVEN_UP_AFTER - 1):
            open_store(settings).load([DayFailed(FIRST, ErrorType.API_ERROR, "It broke.")])
        api.plan(FIRST, LOGIN)
        run(telling(settings, url(receiver)), instance, FIRST)
        run(telling(settings, url(receiver)), instance, FIRST)
        [message] = receiver.messages
        assert message["title"] == "fixtures (sofascore): 1 day fails, 1 given up"
        assert "Given up, so not asked for again by itself, 1 day: 2025-03-01" in message["message"]

    def test_that_fails_tells_what_it_had_committed(
        self,
        settings: Settings,
        api: FaultServer,
        instance: DagsterInstance,
        receiver: _Server,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        load = FixtureStore.load
        stored: list[Stored] = []

        def load_once(self: FixtureStore, outcomes: Sequence[Any], run_id: str | None = None) -> list[Stored]:
            if stored:
                raise StoreError("The disk is full.")
            stored.extend(load(self, outcomes, run_id))
            return stored

        monkeypatch.setattr(FixtureStore, "load", load_once)
        api.plan_any(LOGIN)
        assert not run(telling(settings, url(receiver)), instance, FIRST, FIRST + timedelta(days=40)).success
        [message] = receiver.messages
        assert message["title"] == f"fixtures (sofascore): {len(stored)} days fail"


class TestAReceiver:
    """One that is broken costs a line in the log, and the others nothing."""

    @pytest.mark.parametrize("answer", [refused, silent, dripping])
    def test_that_does_not_take_the_message_is_named_by_its_place_and_the_others_get_it(
        self,
        answer: Answer,
        settings: Settings,
        api: FaultServer,
        instance: DagsterInstance,
        receiver: _Server,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(notify, "SECONDS", 12)
        api.plan(FIRST, LOGIN)
        with receiving(answer) as broken:
            result = run(telling(settings, url(broken), url(receiver)), instance, FIRST)
        assert result.success
        assert len(receiver.messages) == len(broken.messages) == 1
        [warning] = warnings(instance, result)
        assert warning.startswith("FIXTURES_NOTIFY: entry 1 (JSON) did not")

    def test_that_is_down_or_unknown_is_named_by_its_place_and_the_others_get_it(
        self, settings: Settings, api: FaultServer, instance: DagsterInstance, receiver: _Server
    ) -> None:
        api.plan(FIRST, LOGIN)
        broken = [f"json://127.0.0.1:{closed_port()}/{TOKEN}", f"nosuchservice://{TOKEN}", f"tgram://{TOKEN}"]
        result = run(telling(settings, *broken, url(receiver)), instance, FIRST)
        assert result.success
        assert len(receiver.messages) == 1
        down, unknown, malformed = warnings(instance, result)
        assert down.startswith("FIXTURES_NOTIFY: entry 1 (JSON) did not get the message")
        assert unknown.startswith("FIXTURES_NOTIFY: entry 2 did not get the message: Apprise knows no service")
        assert malformed.startswith("FIXTURES_NOTIFY: entry 3 did not get the message: Apprise knows no service")

    def test_gets_its_token_and_nothing_else_does(
        self,
        settings: Settings,
        api: FaultServer,
        instance: DagsterInstance,
        receiver: _Server,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        api.plan(FIRST, LOGIN)
        with receiving(refused) as broken:
            secretive = telling(settings, url(receiver), url(broken), f"nosuchservice://{TOKEN}")
            result = run(secretive, instance, FIRST)
        assert result.success
        assert TOKEN in receiver.requests[0]
        assert len(warnings(instance, result)) == 2
        for event in result.all_events:
            assert TOKEN not in repr(event)
        out, err = capfd.readouterr()
        assert TOKEN not in out + err
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) > 3
        for path in files:
            assert TOKEN.encode() not in path.read_bytes(), path
        assert TOKEN not in repr(secretive)


def test_loading_the_code_location_does_not_import_apprise() -> None:
    code = "import sys, fixtures_pipeline.definitions; sys.exit('apprise' in sys.modules)"
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], cwd=root, env={"FIXTURES_NOTIFY": "json://127.0.0.1"}, check=True)


class TestTheSetting:
    """URLs between blanks and commas; what is no URL stops the start."""

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


# The text of a digest


def failing(
    day: date, error_type: ErrorType = ErrorType.TIMEOUT_ERROR, message: str = "It is slow; load it later."
) -> DayFailed:
    return DayFailed(day, error_type, message)


def healed(day: date) -> Stored:
    return Stored(DayLoaded(day, b"{}", 2, in_progress=False), healed=True)


def told(*stored: Stored, open_days: int | None = None) -> notify.Digest:
    news = News("sofascore")
    news.add(stored)
    news.open_days = open_days
    return news.digest()


def is_news(stored: Stored) -> bool:
    news = News("sofascore")
    news.add([stored])
    return bool(news)


def test_one_day_is_told_with_its_type_its_message_and_what_to_do() -> None:
    digest = told(Stored(failing(FIRST), attempts=1), open_days=7)
    assert digest.title == "fixtures (sofascore): 1 day fails"
    assert digest.body == "TIMEOUT_ERROR, 1 day: 2025-03-01\n  It is slow; load it later.\nFailing in all: 7 days"


def test_a_season_is_told_in_as_many_lines_as_a_day() -> None:
    season = [FIRST + timedelta(days=n) for n in range(366)]
    digest = told(*(Stored(failing(day), attempts=1) for day in season))
    assert digest.title == "fixtures (sofascore): 366 days fail"
    assert digest.body == "TIMEOUT_ERROR, 366 days: 2025-03-01 to 2026-03-01\n  It is slow; load it later."


def test_scattered_days_are_named_only_in_part() -> None:
    digest = told(*(healed(FIRST + timedelta(days=2 * n)) for n in range(183)))
    assert digest.title == "fixtures (sofascore): 183 days healed"
    assert digest.body == "Healed, 183 days: 2025-03-01, 2025-03-03, 2025-03-05 and 180 more"


def test_types_are_told_one_by_one_refusals_first_then_by_day() -> None:
    days = [FIRST + timedelta(days=n) for n in range(4)]
    digest = told(
        Stored(failing(days[0], ErrorType.API_ERROR), attempts=1),
        Stored(failing(days[1], ErrorType.AUTH_ERROR, "Check FIXTURES_API_KEY."), attempts=1),
        Stored(failing(days[2], ErrorType.API_ERROR), attempts=1),
        healed(days[3]),
    )
    assert digest.title == "fixtures (sofascore): 3 days fail, 1 healed"
    assert digest.body.splitlines() == [
        "The provider refuses: look at the key, the plan and the quota.",
        "AUTH_ERROR, 1 day: 2025-03-02",
        "  Check FIXTURES_API_KEY.",
        "API_ERROR, 2 days: 2025-03-01, 2025-03-03",
        "  It is slow; load it later.",
        "Healed, 1 day: 2025-03-04",
    ]


def test_a_long_message_keeps_its_beginning_and_its_end_on_one_line() -> None:
    message = "It begins:\x1b[31m\n\u202eevil " + "<b>@everyone</b>\r\n" * 100 + "Open the address in a browser."
    _, line = told(Stored(failing(FIRST, message=message), attempts=1)).body.split("\n")
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
    row = OpenError(before[0], attempts - 1, before[1]) if before else None
    outcome = DayFailed(FIRST, ErrorType(error_type), "It broke.", retry_at=retry_at)
    assert is_news(Stored(outcome, attempts, row)) == news


def test_a_day_that_loads_is_news_only_when_it_had_failed() -> None:
    assert is_news(healed(FIRST))
    assert not is_news(Stored(DayLoaded(FIRST, b"{}", 2, in_progress=False)))


def test_the_store_tells_what_stood_there_before_a_day_failed_once_more(store: FixtureStore) -> None:
    days = [FIRST + timedelta(days=n) for n in range(3)]
    first = store.load([DayFailed(day, ErrorType.AUTH_ERROR, "Not in the plan.", retry_at=NEVER) for day in days[:2]])
    assert [(one.attempts, one.before) for one in first] == [(1, None), (1, None)]
    again = store.load([DayFailed(day, ErrorType.API_ERROR, "It broke.") for day in days])
    assert [one.attempts for one in again] == [2, 2, 1]
    assert [one.before for one in again] == [OpenError("AUTH_ERROR", 1, NEVER)] * 2 + [None]


outcomes = st.builds(
    lambda day, error_type, message, attempts, retry_at: Stored(
        DayFailed(FIRST + timedelta(days=day), error_type, message, retry_at=retry_at),
        attempts,
        OpenError("API_ERROR", attempts - 1, None) if attempts > 1 else None,
    ),
    st.integers(0, 20_000),
    st.sampled_from(ErrorType),
    st.text(max_size=50) | st.text(min_size=1).map(lambda text: text * 2000),
    st.integers(1, 10),
    st.sampled_from([None, NEVER]),
) | st.builds(lambda day: healed(FIRST + timedelta(days=day)), st.integers(0, 20_000))


@given(st.lists(outcomes, max_size=400, unique_by=lambda stored: stored.day), st.none() | st.integers(0, 20_000))
def test_whatever_happens_there_is_one_short_plain_message(stored: list[Stored], open_days: int | None) -> None:
    news = News("sofascore")
    news.add(stored)
    news.open_days = open_days
    if not news:
        return
    digest = news.digest()
    assert len(digest.title) < 100
    assert digest.title.isprintable()
    assert len(digest.body) < 3000
    assert len(digest.body.splitlines()) <= 22
    assert all(line.isprintable() for line in digest.body.split("\n"))
