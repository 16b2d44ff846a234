"""From settings to loaded days without Dagster, and the days that are loaded without anybody naming them."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from fixtures_pipeline.errors import StoreError
from fixtures_pipeline.fetching import BATCH_DAYS
from fixtures_pipeline.loading import choose_window, list_known_days, load_days, open_store, replay_days
from fixtures_pipeline.outcome import Stored
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.processes import holding, until
from fixtures_pipeline_tests.stores import table

TODAY = date(2025, 6, 15)


@pytest.mark.parametrize("damage", [Path.mkdir, lambda path: path.write_text("no database")])
def test_a_count_of_requests_that_cannot_be_kept_is_one_sentence(
    settings: Settings, damage: Callable[[Path], object]
) -> None:
    damage(settings.requests_file)
    with pytest.raises(StoreError) as caught:
        list(load_days(settings, [TODAY]))
    assert str(caught.value).startswith(f"{settings.requests_file}, where requests are counted, cannot be used: ")
    assert "\n" not in str(caught.value)


def days_in(settings: Settings, name: str) -> set[date]:
    return {row["date"] for row in table(open_store(settings), name)}


def test_leaving_early_keeps_what_was_committed_and_makes_no_failures(settings: Settings, api: FaultServer) -> None:
    days = [date(2025, 6, number) for number in range(1, 31)]
    api.plan_any(lambda exchange: exchange.answer(200, exchange.good()) if exchange.day < TODAY else exchange.idle())
    committed: list[Stored] = []
    loading = load_days(settings, days, note=committed.extend)
    assert isinstance(loading, Generator)
    with closing(loading):
        given = {stored.day for stored in next(loading)}
    assert days_in(settings, "fixture_days") == {stored.day for stored in committed} >= given != set()
    assert days_in(settings, "fixture_errors") == set()


def test_the_next_batch_is_committed_while_the_caller_is_busy_with_one_but_not_the_one_after(
    settings: Settings,
) -> None:
    days = [date(2025, 6, 1) + timedelta(days=number) for number in range(4 * BATCH_DAYS)]
    committed: list[Stored] = []
    for number, batch in enumerate(load_days(settings, days, note=committed.extend)):
        if number == 0:
            until(lambda batch=batch: len(committed) > len(batch), 30)  # type: ignore[misc]
            assert len(committed) <= len(batch) + BATCH_DAYS
        assert {stored.day for stored in batch} <= days_in(settings, "fixture_days")
    assert {stored.day for stored in committed} == days_in(settings, "fixture_days") == set(days)


def test_a_file_that_cannot_be_written_any_more_ends_it_after_what_was_committed(settings: Settings) -> None:
    days = [date(2025, 6, 1) + timedelta(days=number) for number in range(3 * BATCH_DAYS)]
    impatient = settings.model_copy(update={"lock_timeout": 0})
    given: list[Stored] = []

    def hold(_: object) -> None:
        if not given:
            held.enter_context(holding(settings.database, 60))

    with ExitStack() as held, pytest.raises(StoreError, match="held by"):
        for batch in load_days(impatient, days, note=hold):
            given += batch
    assert {stored.day for stored in given} == days_in(settings, "fixture_days") != set()


def test_without_patience_a_runs_own_threads_do_not_keep_each_other_out(settings: Settings) -> None:
    days = [date(2025, 6, 1) + timedelta(days=number) for number in range(2 * BATCH_DAYS)]
    impatient = settings.model_copy(update={"lock_timeout": 0})
    assert {stored.day for batch in load_days(impatient, days) for stored in batch} == set(days)


def test_leaving_does_not_wait_for_somebody_who_holds_the_file(settings: Settings) -> None:
    patient = settings.model_copy(update={"lock_timeout": 3600})
    days = [date(2025, 6, 1) + timedelta(days=number) for number in range(2 * BATCH_DAYS)]
    with ExitStack() as held:
        loading = load_days(patient, days, note=lambda _: held.enter_context(holding(settings.database, 3600)))
        assert isinstance(loading, Generator)
        with closing(loading):
            next(loading)
    assert days_in(settings, "fixture_errors") == set()


class TestTheWindow:
    """The days around today: within a plan of few days, unless the settings name another plan."""

    def test_is_what_is_asked_for(self, settings: Settings) -> None:
        assert choose_window(settings, TODAY, behind=2) == (date(2025, 6, 13), date(2025, 6, 22))
        assert choose_window(settings, TODAY, behind=2, ahead=0) == (date(2025, 6, 13), TODAY)

    def test_begins_with_the_first_partition(self, settings: Settings) -> None:
        young = settings.model_copy(update={"start_date": date(2025, 6, 14)})
        assert choose_window(young, TODAY, behind=14) == (date(2025, 6, 14), date(2025, 6, 22))

    def test_is_what_a_free_plan_serves(self) -> None:
        free = Settings.load(provider="api-football", api_key="a-key")
        assert choose_window(free, TODAY, behind=14) == (date(2025, 6, 14), date(2025, 6, 16))

    def test_of_another_plan_is_what_is_asked_for(self) -> None:
        paid = Settings.load(provider="api-football", api_key="a-key", requests_per_day=7500)
        assert choose_window(paid, TODAY, behind=2) == (date(2025, 6, 13), date(2025, 6, 22))


def test_a_database_of_version_1_is_brought_up_to_date_by_the_first_question(settings: Settings) -> None:
    """Which is what `make run` begins with."""
    script = Path(__file__).parent / "old_databases" / "version_1.sql"
    with duckdb.connect(str(settings.database)) as connection:
        connection.execute(script.read_text())
    assert list_known_days(settings) == [date(2025, 3, 3), date(2025, 3, 4)]
    store = open_store(settings)
    assert [row["fetched_at"] for row in table(store, "fixture_days")] == [datetime(2025, 3, 4, 12, tzinfo=UTC)]
    assert [row["created_at"] for row in table(store, "fixtures")] == [datetime(2025, 3, 3, 12, tzinfo=UTC)] * 2
    assert table(store, "fixture_changes") == []
    # The rows were made by hand, from an answer that has neither teams nor scores: a replay has nothing to add.
    assert [made.changes for batch in replay_days(settings, [date(2025, 3, 3)]) for made in batch] == [0]
    assert_rules(store)
