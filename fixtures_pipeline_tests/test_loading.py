"""From settings to loaded days without Dagster, and the days that are loaded without anybody naming them."""

from collections.abc import Callable, Generator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from fixtures_pipeline.errors import StoreError
from fixtures_pipeline.loading import choose_window, list_known_days, load_days, open_store, replay_days
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.oracle import assert_rules
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


def test_leaving_early_keeps_what_was_committed(settings: Settings, api: FaultServer) -> None:
    days = [date(2025, 6, number) for number in range(1, 31)]
    api.plan_any(lambda exchange: exchange.answer(200, exchange.good()) if exchange.day < TODAY else exchange.idle())
    loading = load_days(settings, days)
    assert isinstance(loading, Generator)
    with closing(loading):
        committed = {stored.day for stored in next(loading)}
    assert {row["date"] for row in table(open_store(settings), "fixture_days")} == committed != set()


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
