"""Clocks that are set back, and locks that nobody lets go of: no run waits for what will not come."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from filelock import FileLock

from fixtures_pipeline.dagster.automation import choose_due
from fixtures_pipeline.errors import ErrorType, StoreError
from fixtures_pipeline.fetching import Fetcher
from fixtures_pipeline.outcome import NEVER, DayFailed, DayLoaded
from fixtures_pipeline.retries import is_due
from fixtures_pipeline.transport.failures import Broken
from fixtures_pipeline.transport.turns import Turns
from fixtures_pipeline_tests.conftest import MakeStore
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.stores import SOFASCORE, table
from fixtures_pipeline_tests.stores import UTC as ZONE

DAY = date(2025, 3, 3)
YEAR = timedelta(days=365)
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "requests.sqlite"


class TestTurnsTakenUnderAClockThatWasAhead:
    """They count for nothing when the clock has been set back."""

    @pytest.mark.parametrize("ahead", [timedelta(hours=1), YEAR])
    @pytest.mark.parametrize("open_before", [False, True])
    def test_the_rate_and_the_quota_are_free_again(self, ahead: timedelta, open_before: bool, file: Path) -> None:
        def take(turns: Turns, count: int) -> list[Broken | None]:
            return [turns.wait(threading.Event()) for _ in range(count)]

        with closing(Turns(2, per_day=5, counted_in=file)) as before:
            with (
                time_machine.travel(datetime.now(UTC) + ahead, tick=True),
                closing(Turns(2, per_day=5, counted_in=file)) as one,
            ):
                assert take(one, 5) == [None] * 5
                assert isinstance(one.wait(threading.Event()), Broken)
                one.hold(60)
            begun = time.monotonic()
            with closing(before if open_before else Turns(2, per_day=5, counted_in=file)) as turns:
                assert take(turns, 3) == [None] * 3
            assert time.monotonic() - begun < 30

    def test_a_day_is_fetched(self, file: Path, api: FaultServer) -> None:
        for ahead in (YEAR, timedelta()):
            with (
                time_machine.travel(datetime.now(UTC) + ahead, tick=True),
                Fetcher(SOFASCORE, api.url, zone=ZONE, requests_per_second=1, counted_in=file) as fetcher,
            ):
                [[outcome]] = fetcher.fetch([DAY])
                assert isinstance(outcome, DayLoaded)


class TestFailuresDatedInTheFuture:
    """Such a day is asked for again at once, and only once."""

    def row(self, failed_at: datetime, retry_at: datetime | None = None, attempts: int = 3) -> dict[str, Any]:
        return {"date": DAY, "attempts": attempts, "updated_at": failed_at, "retry_at": retry_at}

    @pytest.mark.parametrize("retry_at", [None, NOW + YEAR + timedelta(days=3)])
    @pytest.mark.parametrize("ahead", [timedelta(minutes=1), YEAR])
    def test_the_day_is_due(self, ahead: timedelta, retry_at: datetime | None) -> None:
        rows = [self.row(NOW + ahead, retry_at)]
        due, asked = choose_due(rows, {}, NOW)
        assert due == [DAY]
        due, asked = choose_due(rows, asked, NOW + timedelta(seconds=30))
        assert due == [], "its run is on its way"
        # The run has failed, too, and said so by the right clock.
        failed_at = NOW + timedelta(seconds=45)
        assert choose_due([self.row(failed_at)], asked, failed_at + timedelta(hours=3))[0] == []
        assert choose_due([self.row(failed_at)], asked, failed_at + timedelta(hours=4))[0] == [DAY]

    def test_the_sensor_asked_in_the_future(self) -> None:
        rows = [self.row(NOW - timedelta(days=1))]
        due, asked = choose_due(rows, {DAY.isoformat(): (NOW + YEAR).isoformat()}, NOW)
        assert due == [DAY]
        assert choose_due(rows, asked, NOW + timedelta(minutes=1))[0] == []

    @pytest.mark.parametrize(("attempts", "retry_at"), [(8, None), (1, NEVER)])
    def test_a_day_that_was_given_up_stays_so(self, attempts: int, retry_at: datetime | None) -> None:
        assert not is_due(attempts, NOW + YEAR, retry_at, NOW)

    def test_a_day_that_said_when_to_come_back_is_left_alone_until_then(self) -> None:
        assert not is_due(1, NOW - timedelta(days=1), NOW + timedelta(seconds=1), NOW)
        assert is_due(1, NOW - timedelta(days=1), NOW, NOW)


class TestAHeldCount:
    """Who holds the file where requests are counted is waited for, but not for ever."""

    @pytest.fixture
    def holder(self, file: Path) -> Iterator[None]:
        """Hold the lock in another process, as one that was stopped does."""
        code = (
            "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); "
            "sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, f"{file}.lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            yield
            process.kill()

    @pytest.mark.usefixtures("holder")
    def test_is_named_when_a_run_begins(self, file: Path) -> None:
        begun = time.monotonic()
        with pytest.raises(StoreError, match=r"requests\.sqlite, where requests are counted, cannot be used: .*lock"):
            Turns(1, counted_in=file, patience=0.5)
        assert time.monotonic() - begun < 60

    @pytest.mark.parametrize("per_day", [None, 100])
    def test_is_named_when_it_is_held_in_the_midst_of_a_run(
        self, per_day: int | None, file: Path, api: FaultServer, request: pytest.FixtureRequest
    ) -> None:
        fetcher = Fetcher(SOFASCORE, api.url, zone=ZONE, requests_per_day=per_day, counted_in=file, patience=0.5)
        with fetcher:
            request.getfixturevalue("holder")
            begun = time.monotonic()
            with pytest.raises(
                StoreError, match=r"requests\.sqlite, where requests are counted, cannot be used: .*lock"
            ):
                list(fetcher.fetch([DAY + timedelta(days=n) for n in range(10)]))
            assert time.monotonic() - begun < 60
        assert not api.requests

    def test_is_waited_for_while_it_is_held_for_a_moment(self, file: Path, api: FaultServer) -> None:
        with Fetcher(SOFASCORE, api.url, zone=ZONE, requests_per_day=9, counted_in=file, patience=20) as fetcher:
            lock = FileLock(f"{file}.lock", thread_local=False)
            lock.acquire()
            threading.Timer(1.5, lock.release).start()
            [[outcome]] = fetcher.fetch([DAY])
        assert isinstance(outcome, DayLoaded)


class TestTimesBeyondTheCalendar:
    """Whatever a server says of when to come back, the database can be read afterwards, in every time zone."""

    @pytest.mark.parametrize("zone", ["Asia/Istanbul", "Pacific/Kiritimati", "America/Los_Angeles"])
    def test_a_file_can_be_read_and_written(
        self, zone: str, api: FaultServer, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            api.plan(DAY, lambda exchange: exchange.answer(429, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"))
            store = make_store()
            with Fetcher(SOFASCORE, api.url, zone=ZONE) as fetcher:
                [[outcome]] = fetcher.fetch([DAY])
            assert isinstance(outcome, DayFailed)
            assert outcome.error_type == ErrorType.RATE_LIMIT_ERROR
            for retry_at in (outcome.retry_at, NEVER):
                for _ in range(2):
                    store.put([DayFailed(DAY, outcome.error_type, outcome.message, retry_at=retry_at)])
                [row] = table(store, "fixture_errors")
                assert row["retry_at"] == retry_at
                assert "retry_at" in store.dataframe("fixture_errors")
        finally:
            monkeypatch.undo()
            time.tzset()
