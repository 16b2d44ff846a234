"""Every question that is asked of the store, by name.

What writes is in `fixture_store` and `ownership`. What the answers mean to people is for the callers: checks, sensors,
the report.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

from fixtures_pipeline.days import day_bounds
from fixtures_pipeline.errors import StoreError
from fixtures_pipeline.outcome import DayState, OpenError
from fixtures_pipeline.providers.mapping import OPEN_STATUSES, select_stored
from fixtures_pipeline.providers.provider import Provider
from fixtures_pipeline.store.connection import connect
from fixtures_pipeline.store.ownership import EVENTS_HASH
from fixtures_pipeline.store.rules import Rule
from fixtures_pipeline.store.session import Database, Session, fetch_records
from fixtures_pipeline.store.tables import COLUMNS

if TYPE_CHECKING:
    import pandas

#: Fixtures of a day that are shown to people.
FIXTURES_SHOWN = 50
#: Competitions of a day that are shown to people; a Saturday has twice as many.
COMPETITIONS_SHOWN = 50

#: Stored answers that are read at once, and their bytes unless it is one: DuckDB would otherwise have up to 2,048 of
#: them in memory, several times over.
_DAYS_AT_ONCE, _BYTES_AT_ONCE = 32, 24 * 1024 * 1024

#: A time within the years that pandas can show in every time zone.
_WITHIN_YEARS = """CASE
        WHEN "{0}" > TIMESTAMPTZ '9999-12-31 00:00:00+00' THEN TIMESTAMPTZ '9999-12-31 00:00:00+00'
        WHEN "{0}" < TIMESTAMPTZ '0001-01-02 00:00:00+00' THEN TIMESTAMPTZ '0001-01-02 00:00:00+00'
        ELSE "{0}"
    END"""

#: Types of columns that DuckDB hands to pandas now as one type, now as another, depending on whether a NULL is there.
_PANDAS_TYPES = {"INTEGER": "Int32", "BIGINT": "Int64"}


class Store(Protocol):
    """What a question needs to know of a store."""

    provider: Provider
    zone: ZoneInfo

    @property
    def database(self) -> Database:
        """Where its tables are."""


# Within a session


def read_states(session: Session, days: Sequence[date] | None) -> list[DayState]:
    """Return what the database holds for each of `days` that it knows (None: for all), in order."""
    return [
        DayState(
            row["date"],
            row["loaded_at"],
            row["events"] or 0,
            row["fixtures"] or 0,
            bool(row["in_progress"]),
            OpenError(
                row["error_type"],
                row["error_message"],
                row["http_status"],
                row["events_in_error"],
                row["attempts"],
                row["failing_since"],
                row["failed_at"],
                row["retry_at"],
            )
            if row["error_type"] is not None
            else None,
        )
        for row in fetch_records(session.execute(_STATES, {"days": None if days is None else list(days)}))
    ]


_STATES = """
    SELECT
        date,
        fixture_days.count AS events,
        fixture_days.in_progress,
        fixture_days.updated_at AS loaded_at,
        own.fixtures,
        fixture_errors.error_type,
        fixture_errors.error_message,
        fixture_errors.http_status,
        fixture_errors.attempts,
        fixture_errors.count AS events_in_error,
        fixture_errors.created_at AS failing_since,
        fixture_errors.updated_at AS failed_at,
        fixture_errors.retry_at
    FROM (
        SELECT date, count, in_progress, updated_at FROM fixture_days
        WHERE $days::DATE[] IS NULL OR date = ANY($days::DATE[])
    ) AS fixture_days
    FULL JOIN (
        SELECT date, error_type, error_message, http_status, attempts, count, created_at, updated_at, retry_at
        FROM fixture_errors
        WHERE $days::DATE[] IS NULL OR date = ANY($days::DATE[])
    ) AS fixture_errors USING (date)
    LEFT JOIN (
        SELECT date, count(*) AS fixtures FROM fixtures
        WHERE $days::DATE[] IS NULL OR date = ANY($days::DATE[])
        GROUP BY date
    ) AS own USING (date)
    ORDER BY date
"""


#: What stands after FROM to read some days of `fixture_days` with the moments at which they begin and end: `bind_days`
#: names the days. The dates between are named, too, as DuckDB would otherwise read the answers of all.
STORED_DAYS = """
    fixture_days JOIN (SELECT unnest($days) AS date, unnest($starts) AS starts, unnest($ends) AS ends) USING (date)
    WHERE date BETWEEN $first AND $last
"""


def bind_days(days: Sequence[date], zone: ZoneInfo) -> dict[str, Any]:
    """Return the parameters of `STORED_DAYS` for some days, at least one."""
    # In Python's time zones, as when they were loaded: DuckDB's may be of another year.
    starts, ends = zip(*(day_bounds(day, zone) for day in days), strict=True)
    return {"days": list(days), "starts": list(starts), "ends": list(ends), "first": min(days), "last": max(days)}


def read_first_fixtures(
    session: Session, days: Sequence[date], zone: ZoneInfo
) -> dict[date, list[dict[str, str | None]]]:
    """Return the first fixtures of each of `days` by kickoff, as people read them: times are in `zone`."""
    rows = fetch_records(session.execute(_FIRST_FIXTURES, {"days": list(days), "most": FIXTURES_SHOWN}))
    found: dict[date, list[dict[str, str | None]]] = {}
    for row in rows:
        day, kickoff = row.pop("date"), row.pop("kickoff")
        time = f"{kickoff.astimezone(zone):%H:%M}" if kickoff else None
        found.setdefault(day, []).append({"time": time, **row})
    return found


_FIRST_FIXTURES = """
    SELECT
        date, kickoff, competition, home_team AS home,
        CASE WHEN home_score IS NOT NULL AND away_score IS NOT NULL THEN
            home_score || '-' || away_score || CASE
                WHEN home_penalties IS NOT NULL AND away_penalties IS NOT NULL
                THEN ' (' || home_penalties || '-' || away_penalties || ' pen.)' ELSE '' END
        END AS score,
        away_team AS away, status
    FROM (
        SELECT *, row_number() OVER (PARTITION BY date ORDER BY kickoff NULLS LAST, event_id) AS place
        FROM fixtures WHERE date = ANY($days::DATE[])
    ) AS ranked
    WHERE place <= $most
    ORDER BY date, place
"""


def count_by_competition(session: Session, days: Sequence[date]) -> dict[date, list[dict[str, str | int | None]]]:
    """Return the competitions of each of `days` with the number of their fixtures, the largest first."""
    rows = fetch_records(
        session.execute(
            """
            SELECT date, country, competition, fixtures
            FROM (
                SELECT date, country, competition, count(*) AS fixtures, row_number() OVER (
                    PARTITION BY date ORDER BY count(*) DESC, country COLLATE "C", competition COLLATE "C"
                ) AS place
                FROM fixtures WHERE date = ANY($days::DATE[])
                GROUP BY date, country, competition
            ) AS ranked
            WHERE place <= $most
            ORDER BY date, place
            """,
            {"days": list(days), "most": COMPETITIONS_SHOWN},
        )
    )
    found: dict[date, list[dict[str, str | int | None]]] = {}
    for row in rows:
        found.setdefault(row.pop("date"), []).append(row)
    return found


def count_rows(session: Session) -> dict[str, int]:
    """Return the rows of each of the three tables of days."""
    [rows] = fetch_records(
        session.execute(
            """
            SELECT
                (SELECT count(*) FROM fixture_days) AS fixture_days,
                (SELECT count(*) FROM fixtures) AS fixtures,
                (SELECT count(*) FROM fixture_errors) AS fixture_errors
            """
        )
    )
    return rows


# Of a store; each opens the file once and raises
#   StoreMissingError: nothing has been loaded yet,
#   StoreError: the database cannot be read.


def find_states(store: Store, days: Sequence[date] | None) -> list[DayState]:
    """Return what the store holds for each of `days` that it knows (None: for all), in order."""
    with store.database.reading() as session:
        return read_states(session, days)


def list_asked_days(store: Store) -> list[date]:
    """Return every day that was ever asked for, in order."""
    rows = _ask(store, "SELECT date FROM fixture_days UNION SELECT date FROM fixture_errors ORDER BY date")
    return [row["date"] for row in rows]


def list_loaded_days(store: Store) -> list[date]:
    """Return every day that is loaded, in order, whether it is failing now or not."""
    return [row["date"] for row in _ask(store, "SELECT date FROM fixture_days ORDER BY date")]


def list_failing_days(store: Store) -> list[date]:
    """Return every day whose latest fetch failed, in order."""
    return [row["date"] for row in _ask(store, "SELECT date FROM fixture_errors ORDER BY date")]


def list_open_errors(store: Store, since: date) -> list[dict[str, Any]]:
    """Return `date`, `attempts`, `updated_at` and `retry_at` of the days from `since` on that are failing, in order."""
    return _ask(
        store,
        "SELECT date, attempts, updated_at, retry_at FROM fixture_errors WHERE date >= $since ORDER BY date",
        {"since": since},
    )


def list_days_in_progress(store: Store, first: date, last: date, soon: datetime) -> dict[date, datetime | None]:
    """Return the days from `first` to `last` with an event that begins before `soon` and can still change, in order.

    For each it says before when asking again is not worth it (`retry_at`), if its latest fetch failed and said so.
    """
    rows = _ask(
        store,
        """
        SELECT date, retry_at
        FROM (SELECT date, in_progress FROM fixture_days) AS days
        LEFT JOIN (SELECT date, retry_at FROM fixture_errors) AS errors USING (date)
        WHERE in_progress AND date BETWEEN $first AND $last
            AND date IN (
                SELECT date FROM fixtures
                WHERE status = ANY($open_statuses::VARCHAR[])
                    AND (kickoff IS NULL OR kickoff < $soon)
            )
        ORDER BY date
        """,
        {"first": first, "last": last, "soon": soon, "open_statuses": list(OPEN_STATUSES)},
    )
    return {row["date"]: row["retry_at"] for row in rows}


def summarize_days(store: Store) -> list[dict[str, Any]]:
    """Return each day that was ever asked for, with what the coverage report shows of it, in order.

    Each row has `day`, `events` (its rows in `fixtures`; NULL if it never loaded), `open` (those that can still
    change), `in_progress`, `error_type`, `error_message` and `attempts`. The stored answers are not read, so that
    twenty years are cheap.
    """
    return _ask(
        store,
        """
        SELECT
            date AS day, CASE WHEN data_id IS NOT NULL THEN coalesce(events, 0) END AS events,
            coalesce(open, 0) AS open, coalesce(in_progress, false) AS in_progress, error_type, error_message, attempts
        FROM (SELECT date, data_id, in_progress FROM fixture_days) AS days
        FULL JOIN (SELECT date, error_type, error_message, attempts FROM fixture_errors) AS errors USING (date)
        LEFT JOIN (
            SELECT
                date, count(*) AS events,
                count(*) FILTER (WHERE status = ANY($open_statuses::VARCHAR[])) AS open
            FROM fixtures
            GROUP BY date
        ) AS own USING (date)
        ORDER BY date
        """,
        {"open_statuses": list(OPEN_STATUSES)},
    )


def find_offending_rows(
    store: Store, rules: Iterable[Rule], days: Sequence[date] | None, now: datetime
) -> Iterator[list[dict[str, Any]]]:
    """Yield, for each rule, the rows that break it, of the rule's own columns; the file is open until the last of them.

    Args:
        store: Where the tables are.
        rules: The rules.
        days: The days that they are asked about; None for all days.
        now: This moment.
    """
    with store.database.reading() as session:
        for rule in rules:
            listed = None if days is None else list(days)
            if rule.reads_answers:
                # To read all answers takes seconds per year.
                listed = _find_suspects(session) if listed is None else listed
                _list_answers(session, store, listed)
            given = {"days": listed, "now": now, "most_events": store.provider.plan.most_events}
            used = {name: value for name, value in given.items() if f"${name}" in rule.query}
            yield fetch_records(session.execute(rule.query, used))


def _find_suspects(session: Session) -> list[date]:
    """Return the days that have other events than were hashed when they were loaded, or were not hashed at all."""
    suspects = session.execute(
        f"""
        SELECT date
        FROM (SELECT date, events_hash FROM fixture_days) AS days FULL JOIN (
            SELECT date, {EVENTS_HASH} AS events_hash
            FROM (
                SELECT date, event_id FROM fixtures UNION ALL SELECT date, event_id FROM superseded_fixtures
            ) AS stored
            GROUP BY date
        ) AS events USING (date)
        WHERE days.events_hash IS DISTINCT FROM coalesce(events.events_hash, md5('')) OR days.events_hash IS NULL
        """
    )
    return [day for (day,) in suspects.fetchall()]


def _list_answers(session: Session, store: Store, days: list[date]) -> None:
    """Make the table `listed_fixtures`: `date` and `event_id` of what stored answers list for their own day."""
    session.memory.execute("CREATE OR REPLACE TEMP TABLE listed_fixtures (date DATE, event_id BIGINT)")
    insert = f"""
        INSERT INTO listed_fixtures
        SELECT date, event_id FROM ({select_stored(store.provider, ("event_id", "kickoff"), STORED_DAYS)})
        WHERE own
    """
    # The log knows the sizes: to measure an answer is to read it.
    stored = session.execute(
        """
        SELECT date, max(bytes) AS bytes
        FROM fixture_days LEFT JOIN load_log USING (date)
        WHERE date = ANY($days::DATE[])
        GROUP BY date
        ORDER BY date
        """,
        {"days": days},
    ).fetchall()
    for listed in divide_days(stored):
        session.fetch_answers(listed)
        session.memory.execute(insert, bind_days(listed, store.zone))
    session.stage("listed_fixtures")


def divide_days(stored: Sequence[tuple[date, int | None]]) -> Iterator[list[date]]:
    """Yield days whose answers may be read at once, given the size of each."""
    listed: list[date] = []
    room = _BYTES_AT_ONCE
    for day, size in stored:
        if listed and (len(listed) == _DAYS_AT_ONCE or (size or 0) > room):
            yield listed
            listed, room = [], _BYTES_AT_ONCE
        listed.append(day)
        room -= size or 0
    if listed:
        yield listed


def read_table(store: Store, table: str) -> "pandas.DataFrame":
    """Return one of the project's tables or views as a data frame, for notebooks.

    The file is open only while the table is read. A frame has the same types whatever the rows hold: days are
    `datetime64`, times `datetime64` in the store's time zone, whole numbers pandas' nullable integers.

    Args:
        store: Where the tables are.
        table: One of `COLUMNS`.

    Raises:
        ValueError: there is no such table.
    """
    if table not in COLUMNS:
        raise ValueError(f"There is no table {table!r}, only {', '.join(COLUMNS)}.")
    times = [column.name for column in COLUMNS[table] if column.type == "TIMESTAMPTZ"]
    columns = ", ".join(
        # As times without a zone: pandas 3.1 warns on the way otherwise.
        f"timezone('UTC', {_WITHIN_YEARS.format(column.name)}) AS \"{column.name}\""
        if column.type == "TIMESTAMPTZ"
        else f'"{column.name}"'
        for column in COLUMNS[table]
    )
    with store.database.reading() as session:
        frame = session.fetch_frame(f"SELECT {columns} FROM {table}")
    for name in times:
        frame[name] = frame[name].dt.tz_localize("UTC").dt.tz_convert(store.zone)
    return frame.astype(
        {column.name: _PANDAS_TYPES[column.type] for column in COLUMNS[table] if column.type in _PANDAS_TYPES}
    )


def knows_run(path: Path, run_id: str) -> bool:
    """Say whether a run has loaded days into the database at `path`, which may be any provider's."""
    try:
        with connect(path, read_only=True, patience=0) as connection:
            return bool(
                connection.execute("SELECT 1 FROM load_log WHERE run_id = $id LIMIT 1", {"id": run_id}).fetchall()
            )
    except StoreError:
        return False


def _ask(store: Store, query: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    with store.database.reading() as session:
        return fetch_records(session.execute(query, parameters or {}))
