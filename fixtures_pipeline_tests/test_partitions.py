"""Which days can be loaded, and which of them are loaded without anybody naming them."""

from datetime import UTC, date, datetime, timedelta

import pytest

from fixtures_pipeline.dagster.partitions import daily_partitions
from fixtures_pipeline.loading import choose_window, find_bounds
from fixtures_pipeline.settings import Settings


@pytest.mark.parametrize("days_ahead", [0, 1, 7, 60])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_partitions_end_so_many_days_after_today(settings: Settings, days_ahead: int, zone: str) -> None:
    ahead = settings.model_copy(update={"days_ahead": days_ahead, "timezone": zone})
    today = datetime.now(ahead.zone).date()
    keys = daily_partitions(ahead).get_partition_keys()
    assert (keys[0], keys[-1]) == ("2025-01-01", (today + timedelta(days=days_ahead)).isoformat())
    assert find_bounds(ahead) == (date(2025, 1, 1), today + timedelta(days=days_ahead))


@pytest.mark.parametrize(("days_ahead", "loaded"), [(0, 0), (3, 3), (7, 7), (60, 7)])
def test_a_week_ahead_at_most_is_loaded_by_itself(settings: Settings, days_ahead: int, loaded: int) -> None:
    today = datetime.now(UTC).date()
    ahead = settings.model_copy(update={"days_ahead": days_ahead})
    assert choose_window(ahead, today, 2) == (today - timedelta(days=2), today + timedelta(days=loaded))
