"""Which day owns which event: from the answers of some days to their rows in `fixtures`.

A day owns what kicks off on it (`providers.mapping`), and providers list neighbours, so events wander: a kickoff is
moved, an event is listed by two days, or by none any more. After every load an event is in `fixtures` exactly once, on
the latest loaded of the days that claim it; the other claims wait in `superseded_fixtures`.

A day that merely lists an event, without a kickoff and without naming a day for it, has the weakest claim: it yields to
any other day, and to an earlier one that merely lists it, too, if that was loaded within the day before. So two days
that list the same event agree on its owner in whichever order they arrive; an older claim still yields to the latest.
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
    # An event that several of these days claim goes to the latest of them; of those that merely list it, to the first.
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE claims AS
        SELECT
            {_NAMES}, merely_listed,
            row_number() OVER (
                PARTITION BY event_id ORDER BY merely_listed, CASE WHEN merely_listed THEN date END, date DESC
            ) AS place
        FROM (
            SELECT *, $provider AS provider FROM ({select_listed(provider, _MAPPED, "arrived")}) WHERE own
        )
        """,
        {"provider": common["provider"]},
    )
    for statement in _STATEMENTS:
        connection.execute(statement, {"now": common["now"]} if "$now" in statement else None)
    return {day: f"{version:x}" for day, version in connection.execute(_VERSIONS).fetchall()}


#: Answers that are loaded within this time of each other tell of the same state of things.
_SAME_TIME = "INTERVAL 1 DAY"

#: From `arrived` (the days) and `claims` (the events that they own) to `fixtures`.
_STATEMENTS = (
    # What becomes of each claim: one is in `fixtures` afterwards, the others wait.
    f"""
    CREATE OR REPLACE TEMP TABLE incoming AS
    SELECT {_NAMES}, place = 1 AND event_id NOT IN (
        SELECT claims.event_id
        FROM claims JOIN fixtures AS owner USING (event_id) JOIN fixture_days ON fixture_days.date = owner.date
        WHERE claims.merely_listed AND claims.place = 1 AND owner.date NOT IN (SELECT date FROM arrived)
            AND (owner.kickoff IS NOT NULL OR owner.date < claims.date)
            AND fixture_days.updated_at > $now - {_SAME_TIME}
    ) AS wins
    FROM claims
    """,
    # A row keeps its time of change while nothing in it changes.
    f"""
    CREATE OR REPLACE TEMP TABLE unchanged AS
    SELECT event_id, updated_at FROM fixtures
    WHERE event_id IN (
        SELECT event_id FROM (
            SELECT {_NAMES} FROM incoming WHERE wins
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
    WHERE event_id IN (SELECT event_id FROM incoming WHERE wins) AND date NOT IN (SELECT date FROM arrived)
    """,
    f"INSERT INTO superseded_fixtures ({_ROW}) SELECT {_NAMES}, $now FROM incoming WHERE NOT wins",
    "DELETE FROM fixtures WHERE date IN (SELECT date FROM arrived)",
    "DELETE FROM fixtures WHERE event_id IN (SELECT event_id FROM incoming WHERE wins)",
    f"""
    INSERT INTO fixtures ({_ROW})
    SELECT {_NAMES}, coalesce(unchanged.updated_at, $now)
    FROM incoming LEFT JOIN unchanged USING (event_id)
    WHERE wins
    ORDER BY date, event_id
    """,
    # An event that its day no longer lists goes back to the latest loaded of the other days that do, or to the one of
    # the same time whose claim is better.
    f"""
    CREATE OR REPLACE TEMP TABLE returned AS
    SELECT {_NAMES} FROM (
        SELECT
            *, row_number() OVER (
                PARTITION BY event_id
                ORDER BY
                    loaded_at > latest - {_SAME_TIME} DESC, kickoff IS NULL, CASE WHEN kickoff IS NULL THEN date END,
                    loaded_at DESC, date DESC
            ) AS place
        FROM (
            SELECT
                superseded_fixtures.*, fixture_days.updated_at AS loaded_at,
                max(loaded_at) OVER (PARTITION BY event_id) AS latest
            FROM superseded_fixtures JOIN fixture_days USING (date)
            WHERE event_id IN (SELECT event_id FROM vanished)
        )
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
