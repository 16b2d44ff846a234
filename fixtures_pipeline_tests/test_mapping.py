"""From a provider's JSON to rows: the words of the mappings, the columns, and which day owns an event."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pytest

from fixtures_pipeline.days import day_bounds
from fixtures_pipeline.loading import load_days, open_store
from fixtures_pipeline.outcome import DayLoaded
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.providers.mapping import define_words, extract_list, select_listed, select_stored
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.fixture_store import FixtureStore
from fixtures_pipeline.store.session import fetch_records
from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline_tests.answers import (
    BODIES,
    IDENTITIES,
    READINGS,
    read_api_football,
    read_football_data,
    recorded,
)
from fixtures_pipeline_tests.conftest import Judged, MakeStore
from fixtures_pipeline_tests.days import MONDAY
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.stores import UTC as ZONE
from fixtures_pipeline_tests.stores import table


@pytest.fixture(scope="module")
def words() -> Iterator[duckdb.DuckDBPyConnection]:
    """Return a session that knows the words of the mappings."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(define_words("MACRO"))
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


# Words


@pytest.mark.parametrize(
    ("word", "given", "expected"),
    [
        ("trimmed", " \t\r\n\u00a0Malmö FF\u00a0 ", "Malmö FF"),
        ("trimmed", "", None),
        ("trimmed", " \u00a0", None),
        ("trimmed", None, None),
        ("trimmed", '{"name": "an object"}', None),
        ("trimmed", "[]", None),
        ("trimmed", ' {"name": "an object"}\n', None),
        ("trimmed", "[sic]", "[sic]"),
        ("whole", "0", 0),
        ("whole", "-12", -12),
        ("whole", "9223372036854775807", 9223372036854775807),
        ("whole", "9223372036854775808", None),
        ("whole", "1.0", 1),
        ("whole", "1.5", None),
        ("whole", '"7"', None),
        ("whole", "true", None),
        ("whole", "null", None),
        ("goals", "0", 0),
        ("goals", "999", 999),
        ("goals", "1000", None),
        ("goals", "-1", None),
        ("goals", '"2"', None),
        ("moment", "0", datetime(1970, 1, 1, tzinfo=UTC)),
        # Milliseconds, and the last figure that is taken for seconds.
        ("moment", "1741003200000", datetime(2025, 3, 3, 12, tzinfo=UTC)),
        ("moment", "100000000000", datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        ("moment", "99999999999", datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
        # The first and the last moments that every zone can show.
        ("moment", "-62135337600", datetime(1, 1, 4, tzinfo=UTC)),
        ("moment", "-62135337601", None),
        ("moment", "253401955200000", datetime(9999, 12, 28, tzinfo=UTC)),
        ("moment", "253401955201000", None),
        ("moment", "1741003200.0", datetime(2025, 3, 3, 12, tzinfo=UTC)),
        ("moment", "1.5", None),
        ("moment", '"1741003200"', None),
        ("instant", "2025-03-03T12:30:00Z", datetime(2025, 3, 3, 12, 30, tzinfo=UTC)),
        ("instant", "2025-03-03T12:30Z", datetime(2025, 3, 3, 12, 30, tzinfo=UTC)),
        ("instant", "2025-02-30T12:30:00Z", None),
        ("instant", "2025-03-03T12:30:00", None),
        ("instant", "2025-03-03T12:30:00+01:00", datetime(2025, 3, 3, 11, 30, tzinfo=UTC)),
        ("instant", "2025-03-03T12:30:00-0330", datetime(2025, 3, 3, 16, tzinfo=UTC)),
        ("instant", "2025-03-03t12:30:00.25z", datetime(2025, 3, 3, 12, 30, 0, 250_000, tzinfo=UTC)),
        ("instant", "2025-03-03 12:30:00.123456789 +00", datetime(2025, 3, 3, 12, 30, 0, 123_456, tzinfo=UTC)),
        ("instant", "0001-01-01T00:00:00Z", None),
        ("instant", "9999-12-31T23:59:59Z", None),
        ("instant", "tomorrow", None),
        ("utc", "2026-10-04T13:30:00", datetime(2026, 10, 4, 13, 30, tzinfo=UTC)),
        ("utc", " 2026-10-04t13:30 ", datetime(2026, 10, 4, 13, 30, tzinfo=UTC)),
        ("utc", "2026-10-04T13:30:00+00:00", datetime(2026, 10, 4, 13, 30, tzinfo=UTC)),
        ("utc", "2026-10-04 13:30:00.5+02", datetime(2026, 10, 4, 11, 30, 0, 500_000, tzinfo=UTC)),
        ("utc", "2026-10-04T13:30:00z", datetime(2026, 10, 4, 13, 30, tzinfo=UTC)),
        ("utc", "2026-10-04", None),
        ("utc", "2026-10-04Tnoon", None),
        ("utc", "2026-02-30T13:30:00", None),
        ("utc", "0001-01-01T00:00:00", None),
        ("utc", "", None),
        ("word", " Match_Postponed ", "matchpostponed"),
        ("word", "PST.", "pst"),
        ("word", "--", None),
        ("word", None, None),
        ("day_of", "2025-03-03T23:30:00-05:00", date(2025, 3, 3)),
        ("day_of", "2025-02-30", None),
        ("day_of", "3 March 2025", None),
    ],
)
def test_a_word_gives_what_it_can_read_and_null_for_the_rest(
    word: str, given: str | None, expected: object, words: duckdb.DuckDBPyConnection
) -> None:
    kind = "JSON" if word in {"whole", "goals", "moment"} else "VARCHAR"
    assert words.execute(f"SELECT {word}($given::{kind})", {"given": given}).fetchall() == [(expected,)]


# Columns


def test_every_provider_maps_all_columns_that_are_not_the_stores_own() -> None:
    mapped = {column.name for column in COLUMNS["fixtures"]} - {"date", "provider", "updated_at", "created_at"}
    for provider in IDENTITIES.values():
        assert set(provider.columns) == mapped, provider.identity


@pytest.mark.parametrize("name", IDENTITIES)
def test_a_column_that_is_read_alone_and_one_that_is_read_from_what_is_kept_are_the_same(
    name: str, words: duckdb.DuckDBPyConnection
) -> None:
    """Whatever of an event is read, and whether from the whole answer or from the list that is stored of it."""
    provider = IDENTITIES[name]
    starts, ends = day_bounds(MONDAY, ZONE)
    answer = {"day": MONDAY, "body": BODIES[name](MONDAY), "starts": starts, "ends": ends, "fetched_at": ends}
    source = "(SELECT $day AS date, $body AS body, $starts AS starts, $ends AS ends, $fetched_at AS fetched_at)"
    kept = f"(SELECT {extract_list(provider)} AS data, date, starts, ends, fetched_at FROM {source})"

    def read(*columns: str, stored: bool = False) -> list[dict[str, Any]]:
        select = select_stored(provider, columns, kept) if stored else select_listed(provider, columns, source)
        return fetch_records(words.execute(select, answer))

    rows = read(*provider.columns)
    assert [row["own"] for row in rows] == [row["kickoff"].date() == MONDAY for row in rows]
    assert {(row["date"], row["merely_listed"], row["unread"]) for row in rows} == {(MONDAY, False, False)}
    assert read(*provider.columns, stored=True) == rows
    for column in provider.columns:
        alone = ["kickoff", column] if column != "kickoff" else ["kickoff"]
        assert read(*alone) == [
            {key: row[key] for key in ("date", *alone, "own", "merely_listed", "unread")} for row in rows
        ]


def test_both_scores_of_sofascore_are_read_from_the_same_count(store: FixtureStore, judged: Judged) -> None:
    """After a shoot-out `display` leaves its goals out, and is sometimes negative for one side."""
    home, away = {"current": 2, "display": 0, "penalties": 2}, {"current": 2, "display": -1, "penalties": 3}
    store.put([judged(MONDAY, good_body(MONDAY, homeScore=home, awayScore=away))])
    assert {(row["home_score"], row["away_score"]) for row in table(store, "fixtures")} == {(2, 2)}


# Recorded answers


@pytest.mark.parametrize("name", READINGS)
def test_recorded_days_that_are_loaded_hold_what_an_independent_reading_says(
    name: str, api: FaultServer, tmp_path: Any
) -> None:
    days, read = READINGS[name]
    settings = Settings.load(
        provider=name, api_url=api.url, api_key="some-key", db=tmp_path / "fixtures.duckdb", requests_per_second=1000
    )
    answers = days()
    for day, body in answers.items():
        api.plan_any(body)
        [[stored]] = load_days(settings, [day])
        assert isinstance(stored.outcome, DayLoaded)
    found = {row["event_id"]: row for row in table(open_store(settings), "fixtures")}
    expected = {
        key: row | {"date": day}
        for day, body in answers.items()
        for key, row in read(json.loads(body)).items()
        if row["kickoff"] is None or row["kickoff"].date() == day
    }
    assert len(expected) > 20
    assert set(found) == set(expected)
    for key, row in expected.items():
        assert {column: found[key][column] for column in row} == row


@pytest.mark.parametrize(
    ("name", "pattern", "read"),
    [
        ("api-football", "fixtures_ids_cl_penalties.json.gz", read_api_football),
        ("football-data", "competition_2001_matches_2022-09-12.body.json.gz", read_football_data),
    ],
)
def test_shoot_outs_and_extra_time_are_told_from_the_score(
    name: str, pattern: str, read: Any, make_store: MakeStore
) -> None:
    [path] = recorded(name, pattern)
    body = gzip.decompress(path.read_bytes())
    expected = read(json.loads(body))
    days: set[date] = {row["kickoff"].astimezone(UTC).date() for row in expected.values()}
    store = make_store("fixtures.duckdb", PROVIDERS[name])
    store.put([DayLoaded(day, body, len(expected), in_progress=False) for day in days])
    found = {row["event_id"]: row for row in table(store, "fixtures")}
    assert any(row["home_penalties"] is not None for row in found.values())
    for key, row in expected.items():
        assert {column: found[key][column] for column in row} == row
