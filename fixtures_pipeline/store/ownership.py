"""Which day owns which event: from the answers of some days to their rows in `fixtures`.

A day owns what kicks off on it (`providers.mapping`), and providers list neighbours, so events wander: a kickoff is
moved, an event is listed by two days, or by none any more. After every load an event is in `fixtures` exactly once, on
the latest loaded of the days that claim it; the other claims wait in `superseded_fixtures`.
"""

from collections.abc import Mapping
from datetime import date

import duckdb

from fixtures_pipeline.providers.mapping import select_listed
from fixtures_pipeline.providers.provider import Provider
from fixtures_pipeline.store.tables import COLUMNS

#: Columns that a load compares to see what has changed: all but the time of the change.
_COMPARED = tuple(column.name for column in COLUMNS["fixtures"] if column.name != "updated_at")
_NAMES = ", ".join(_COMPARED)
_ROW = f"{_NAMES}, updated_at"
#: Columns that the provider's mapping gives; the others are the store's own.
_MAPPED = tuple(name for name in _COMPARED if name not in {"date", "provider"})


def replace_fixtures(
    connection: duckdb.DuckDBPyConnection, provider: Provider, common: Mapping[str, object]
) -> dict[date, str]:
    """Put the events that the days in the table `arrived` own into `fixtures`, in place of those they had.

    Args:
        connection: Within a transaction. `arrived` has `date`, `body`, `starts` and `ends` of each day.
        provider: Whose answers they are.
        common: `now` and `provider` as the rows have them.

    Returns:
        A hash of each day's rows, the same whenever the rows are.
    """
    # An event that several of these days claim goes to the latest day.
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE incoming AS
        SELECT {_NAMES}, row_number() OVER (PARTITION BY event_id ORDER BY date DESC) AS place
        FROM (
            SELECT *, $provider AS provider FROM ({select_listed(provider, _MAPPED, "arrived", ("date",))}) WHERE own
        )
        """,
        {"provider": common["provider"]},
    )
    for statement in _STATEMENTS:
        connection.execute(statement, {"now": common["now"]} if "$now" in statement else None)
    return {day: f"{version:x}" for day, version in connection.execute(_VERSIONS).fetchall()}


#: From `arrived` (the days) and `incoming` (the events that they claim) to `fixtures`.
_STATEMENTS = (
    # A row keeps its time of change while nothing in it changes.
    f"""
    CREATE OR REPLACE TEMP TABLE unchanged AS
    SELECT event_id, updated_at FROM fixtures
    WHERE event_id IN (
        SELECT event_id FROM (
            SELECT {_NAMES} FROM incoming WHERE place = 1
            INTERSECT
            SELECT {_NAMES} FROM fixtures WHERE date IN (SELECT date FROM arrived)
        )
    )
    """,
    """
    CREATE OR REPLACE TEMP TABLE vanished AS
    SELECT event_id FROM fixtures WHERE date IN (SELECT date FROM arrived)
    EXCEPT SELECT event_id FROM incoming
    """,
    # Claims that lose are kept aside: what these days claimed before is void, what other days had waits.
    "DELETE FROM superseded_fixtures WHERE date IN (SELECT date FROM arrived)",
    f"""
    INSERT INTO superseded_fixtures ({_ROW})
    SELECT {_ROW} FROM fixtures
    WHERE event_id IN (SELECT event_id FROM incoming) AND date NOT IN (SELECT date FROM arrived)
    """,
    f"INSERT INTO superseded_fixtures ({_ROW}) SELECT {_NAMES}, $now FROM incoming WHERE place > 1",
    "DELETE FROM fixtures WHERE date IN (SELECT date FROM arrived)",
    "DELETE FROM fixtures WHERE event_id IN (SELECT event_id FROM incoming)",
    f"""
    INSERT INTO fixtures ({_ROW})
    SELECT {_NAMES}, coalesce(unchanged.updated_at, $now)
    FROM incoming LEFT JOIN unchanged USING (event_id)
    WHERE place = 1
    ORDER BY date, event_id
    """,
    # An event that its day no longer lists goes back to the latest loaded of the other days that do.
    f"""
    CREATE OR REPLACE TEMP TABLE returned AS
    SELECT {_NAMES} FROM (
        SELECT
            superseded_fixtures.*,
            row_number() OVER (PARTITION BY event_id ORDER BY fixture_days.updated_at DESC, date DESC) AS place
        FROM superseded_fixtures JOIN fixture_days USING (date)
        WHERE event_id IN (SELECT event_id FROM vanished)
    )
    WHERE place = 1
    """,
    f"INSERT INTO fixtures ({_ROW}) SELECT {_NAMES}, $now FROM returned",
    "DELETE FROM superseded_fixtures WHERE (event_id, date) IN (SELECT (event_id, date) FROM returned)",
)

#: A hash of the rows that the days in `arrived` have now.
_VERSIONS = f"""
    SELECT date, coalesce(bit_xor(hash({_NAMES})), 0)
    FROM (SELECT date FROM arrived) LEFT JOIN fixtures USING (date)
    GROUP BY date
"""
