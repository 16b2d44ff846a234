"""Which day owns which event, and what that changes: from the stored answers of some days to `fixtures`.

A day claims what kicks off on it (`providers.mapping`), and providers list neighbours, so events wander: a kickoff is
moved, an event is listed by two days, or by none any more. An event is in `fixtures` exactly once, on the latest
fetched of the days that claim it; the other claims wait in `superseded_fixtures`.

A day that merely lists an event, without a kickoff and without naming a day for it, has the weakest claim: it yields to
any other day, and to an earlier one that merely lists it, too, if that was fetched within the day before. So two days
that list the same event agree on its owner; an older claim still yields to the latest.

Who owns an event thus follows from the stored answers and the times of their fetching alone, in whatever order days are
loaded, and loading and replaying are the same. What changes thereby is compared column by column and kept in
`fixture_changes`.
"""

from collections.abc import Mapping
from datetime import date, datetime

import duckdb

from fixtures_pipeline.providers.mapping import select_stored
from fixtures_pipeline.providers.provider import NO_NAMED_DAY, Provider
from fixtures_pipeline.store.session import WritingSession
from fixtures_pipeline.store.tables import COLUMNS

_TIMES = ("updated_at", "created_at")
#: Columns that a load compares to see what has changed: all but the times that follow from the changes.
_COMPARED = tuple(column for column in COLUMNS["fixtures"] if column.name not in _TIMES)
_NAMES = ", ".join(column.name for column in _COMPARED)
_TYPED = ", ".join(f"{column.name}::{column.type} AS {column.name}" for column in _COMPARED)
_ROW = f"{_NAMES}, {', '.join(_TIMES)}"
#: Columns that the provider's mapping gives; the others are the store's own.
_MAPPED = tuple(column.name for column in _COMPARED if column.name not in {"date", "provider"})


def make_claims(memory: duckdb.DuckDBPyConnection, provider: Provider, answers: str, now: datetime) -> None:
    """Make the table `claims` of the events that days own by their answers.

    Args:
        memory: The session's.
        provider: Whose answers they are.
        answers: A table with `date`, `data`, `fetched_at`, `starts` and `ends` of each day. It is not `fixture_days`:
            to look for single days there takes DuckDB a third of a second.
        now: This moment.
    """
    statement = f"""
        CREATE OR REPLACE TEMP TABLE claims AS
        SELECT {_TYPED}, {_IS_WEAK} AS weak, {_FETCHED}
        FROM (SELECT *, $provider AS provider FROM ({select_stored(provider, _MAPPED, answers)}) WHERE own)
        JOIN (SELECT date, fetched_at FROM {answers}) USING (date)
    """
    memory.execute(statement, {"now": now, "provider": provider.name, "names_no_day": _names_no_day(provider)})


def replace_fixtures(
    session: WritingSession, provider: Provider, common: Mapping[str, object]
) -> dict[date, tuple[str, int]]:
    """Put the events that the days in the table `arrived` own into `fixtures`, in place of those they had.

    Args:
        session: Locked, and within a transaction. `arrived` has `date` and `fetched_at` of the days as in
            `fixture_days`, `claims` what `make_claims` made of their answers.
        provider: Whose answers they are.
        common: `now` and `run_id` as the rows have them.

    Returns:
        A hash of each day's rows, the same whenever the rows are, and how many values of its events have changed.
    """
    given = {**common, "names_no_day": _names_no_day(provider)}
    for table, statement in _STATEMENTS:
        used = {name: value for name, value in given.items() if f"${name}" in statement}
        if table:
            session.make(table, statement, used)
        else:
            session.execute(statement, used)
    changes = session.execute(_CHANGES_BY_DAY).fetchall()
    versions = _hash_rows(session, [day for day, _ in changes])
    return {day: (versions.get(day, "0"), number) for day, number in changes}


def _names_no_day(provider: Provider) -> bool:
    """Say whether a day that merely lists an event has a weak claim.

    What the answers of a provider that names days list without any tells nothing of their day.
    """
    return provider.named_day == NO_NAMED_DAY


def _hash_rows(session: WritingSession, days: list[date]) -> dict[date, str]:
    """Return a hash of the rows that each day has in `fixtures` now: those of its claims that have won."""
    lost = session.execute(_LOST).fetchall()
    rows = session.memory.execute(
        f"""
        SELECT date, bit_xor(hash({_NAMES}))
        FROM claims ANTI JOIN (
            SELECT unnest($ids::BIGINT[]) AS event_id, unnest($dates::DATE[]) AS date
        ) USING (event_id, date)
        WHERE list_contains($days, date)
        GROUP BY date
        """,
        {"ids": [event_id for event_id, _ in lost], "dates": [day for _, day in lost], "days": days},
    )
    return {day: f"{version:x}" for day, version in rows.fetchall()}


#: What `fixture_days.events_hash` holds, of rows that are grouped by day.
EVENTS_HASH = "md5(coalesce(string_agg(event_id::VARCHAR, ',' ORDER BY event_id), ''))"

#: Whether nothing but the list of a day says that the day owns an event.
_IS_WEAK = "kickoff IS NULL AND $names_no_day"
#: What is dated in the future was dated by a clock that has been set back since: it counts as the oldest.
_FETCHED = "CASE WHEN fetched_at <= $now THEN fetched_at ELSE TIMESTAMPTZ 'epoch' END AS fetched_at"
#: Answers that are fetched within this time of each other tell of the same state of things.
_SAME_TIME = "INTERVAL '1 day'"

_IS_SAME = " AND ".join(f"standing.{column.name} IS NOT DISTINCT FROM owners.{column.name}" for column in _COMPARED)
_FOLLOWED = [column.name for column in COLUMNS["fixtures"] if column.name not in {"event_id", "updated_at"}]

#: From `arrived` (the days) and `claims` (the events that they claim; then all claims to these) to `fixtures`: each
#: makes the temporary table that is named before it, if one is.
_STATEMENTS = (
    (
        None,
        f"""
        UPDATE fixture_days SET events_hash = hashed.events_hash
        FROM (
            SELECT date, {EVENTS_HASH} AS events_hash
            FROM (SELECT date FROM arrived) AS days LEFT JOIN claims USING (date)
            GROUP BY date
        ) AS hashed
        WHERE fixture_days.date = hashed.date
        """,
    ),
    (
        "touched",
        # All that these days may change: the events that they claim, had, or waited for.
        """
        SELECT event_id FROM claims
        UNION SELECT event_id FROM fixtures WHERE date IN (SELECT date FROM arrived)
        UNION SELECT event_id FROM superseded_fixtures WHERE date IN (SELECT date FROM arrived)
        """,
    ),
    ("standing", "SELECT *, rowid AS place FROM fixtures WHERE event_id IN (SELECT event_id FROM touched)"),
    # What these days claimed before is void.
    (None, "DELETE FROM superseded_fixtures WHERE date IN (SELECT date FROM arrived)"),
    (
        None,
        f"""
        INSERT INTO claims
        SELECT {_NAMES}, {_IS_WEAK}, {_FETCHED}
        FROM (
            SELECT {_NAMES}, fetched_at, row_number() OVER (PARTITION BY event_id, date) AS turn
            FROM (
                SELECT {_NAMES} FROM standing
                UNION ALL
                SELECT {_NAMES} FROM superseded_fixtures WHERE event_id IN (SELECT event_id FROM touched)
            ) AS others
            JOIN (SELECT date, fetched_at FROM fixture_days) AS days USING (date)
            WHERE date NOT IN (SELECT date FROM arrived)
        ) AS numbered
        WHERE turn = 1
        """,
    ),
    (
        "ranked",
        f"""
        SELECT event_id, date, row_number() OVER (
            PARTITION BY event_id
            ORDER BY
                fetched_at > latest - {_SAME_TIME} DESC, weak, CASE WHEN weak THEN date END, fetched_at DESC, date DESC
        ) AS place
        FROM (
            SELECT event_id, date, weak, fetched_at, max(fetched_at) OVER (PARTITION BY event_id) AS latest FROM claims
        ) AS dated
        """,
    ),
    ("owners", "SELECT claims.* FROM claims JOIN ranked USING (event_id, date) WHERE place = 1"),
    (
        "kept",
        # A row that is as it should be is left alone.
        f"""
        SELECT event_id, min(standing.place) AS place FROM standing JOIN owners USING (event_id)
        WHERE {_IS_SAME}
        GROUP BY event_id
        """,
    ),
    (
        "former",
        f"""
        SELECT {_ROW} FROM standing
        WHERE event_id NOT IN (SELECT event_id FROM kept)
            AND place IN (SELECT min(place) FROM standing GROUP BY event_id)
        """,
    ),
    (
        "present",
        f"""
        SELECT {_NAMES}, $now AS updated_at, coalesce(former.created_at, $now) AS created_at, fetched_at
        FROM owners LEFT JOIN (SELECT event_id, created_at FROM former) AS former USING (event_id)
        WHERE event_id NOT IN (SELECT event_id FROM kept)
        """,
    ),
    # Claims that lose wait; one that has won waits no longer.
    (
        None,
        """
        DELETE FROM superseded_fixtures WHERE EXISTS (
            SELECT 1 FROM owners
            WHERE owners.event_id = superseded_fixtures.event_id AND owners.date = superseded_fixtures.date
        )
        """,
    ),
    (
        None,
        f"""
        INSERT INTO superseded_fixtures ({_ROW})
        SELECT {_NAMES}, $now, $now FROM claims JOIN ranked USING (event_id, date)
        WHERE place > 1 AND date IN (SELECT date FROM arrived)
        UNION ALL
        SELECT {_ROW} FROM former JOIN (SELECT event_id, date AS moved_to FROM present) AS moved USING (event_id)
        WHERE date NOT IN (SELECT date FROM arrived) AND date <> moved_to
        """,
    ),
    (
        None,
        """
        DELETE FROM fixtures
        WHERE rowid IN (SELECT place FROM standing WHERE place NOT IN (SELECT place FROM kept))
        """,
    ),
    (None, f"INSERT INTO fixtures ({_ROW}) SELECT {_ROW} FROM present ORDER BY date, event_id"),
    (
        "changes",
        # An event that appears for the first time has not changed; one that was there before has left changes behind.
        f"""
        SELECT event_id, day, cause, fetched_at, field, before, after
        FROM (
            SELECT
                event_id, coalesce(present.date, former.date) AS day, coalesce(came.date, went.date) AS cause,
                coalesce(came.fetched_at, went.fetched_at, present.fetched_at) AS fetched_at,
                unnest(ARRAY[{", ".join(f"'{name}'" for name in _FOLLOWED)}]) AS field,
                unnest(ARRAY[{", ".join(f"former.{name}::VARCHAR" for name in _FOLLOWED)}]) AS before,
                unnest(ARRAY[{", ".join(f"present.{name}::VARCHAR" for name in _FOLLOWED)}]) AS after
            FROM former FULL JOIN present USING (event_id)
            LEFT JOIN (SELECT date, fetched_at FROM arrived) AS came ON came.date = present.date
            LEFT JOIN (SELECT date, fetched_at FROM arrived) AS went ON went.date = former.date
            WHERE former.event_id IS NOT NULL
                OR EXISTS (SELECT 1 FROM fixture_changes AS earlier WHERE earlier.event_id = present.event_id)
        ) AS followed
        WHERE before IS DISTINCT FROM after
        """,
    ),
    (
        None,
        """
        INSERT INTO fixture_changes (event_id, date, changed_at, fetched_at, field, before, after, run_id)
        SELECT event_id, day, $now, fetched_at, field, before, after, $run_id FROM changes
        """,
    ),
)

_CHANGES_BY_DAY = """
    SELECT date, coalesce(number, 0)
    FROM (SELECT date FROM arrived) AS days
    LEFT JOIN (SELECT cause AS date, count(*) AS number FROM changes GROUP BY cause) AS counted USING (date)
"""
_LOST = "SELECT event_id, date FROM ranked WHERE place > 1 AND date IN (SELECT date FROM arrived)"
