"""The DuckDB file: opening it, migrating it, putting outcomes into it, reading from it.

All SQL that writes is here. Rules that read it for the checks are in `rules`, what the columns mean in `tables`, how a
provider's events become columns in `providers`.

DuckDB lets one process write at a time and refuses everyone else meanwhile, so a connection is held for one short
transaction and never while anything is fetched (https://duckdb.org/docs/stable/connect/concurrency).
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import duckdb
import tenacity

from fixtures_pipeline.days import day_bounds
from fixtures_pipeline.judge import excerpt
from fixtures_pipeline.outcome import DayFailed, DayLoaded, ErrorType, Outcome
from fixtures_pipeline.providers.base import SQL_WORDS, Provider
from fixtures_pipeline.tables import COLUMNS

if TYPE_CHECKING:
    import pandas

# A new block of rows for every load, never merged by the way: DuckDB would otherwise rewrite the last 122,880 rows of
# a table, JSON and all, whenever one is added. `_tidy` merges them when there are many
# (https://github.com/duckdb/duckdb/pull/18829, https://github.com/duckdb/duckdb/pull/21769).
_CONFIG = {"storage_compatibility_version": "v1.5.0", "vacuum_rebuild_indexes": 50_000, "max_vacuum_tasks": 0}
_MERGE_TASKS = 100
_LOG_BLOCKS = 32
#: Stored answers that are read at once.
_DAYS_LISTED = 32

#: Types of columns that DuckDB hands to pandas now as one type, now as another, depending on whether a NULL is there.
_PANDAS_TYPES = {"INTEGER": "Int32", "BIGINT": "Int64"}


class StoreError(Exception):
    """The database cannot be used; the text says why and what to do."""


class StoreMissingError(StoreError):
    """There is no database yet."""


class StoreLockedError(StoreError):
    """Another process holds the database."""


@dataclass(frozen=True, slots=True)
class OpenError:
    """What stood in `fixture_errors` for a day before it failed once more.

    Attributes:
        error_type: The kind of failure.
        attempts: Failures in a row until then.
        retry_at: When the day was worth asking for again, as in `DayFailed`.
    """

    error_type: str
    attempts: int
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What stands in the database for one day after an outcome of it was put there.

    Attributes:
        outcome: The outcome; a `DayLoaded` that the database refused has become a `DayFailed`.
        attempts: Failures in a row up to now; 0 for a day that loaded.
        before: The day's error row before it failed once more; None if it had none, or has loaded.
        healed: The day loaded and had an error row before.
        fixtures: Rows of the day in `fixtures`.
        days_version: Hash of the day's stored answer; None for a day that failed.
        fixtures_version: Hash of the day's rows in `fixtures`; None for a day that failed.
        rows: Rows of each of the three tables of days in all, after the transaction.
    """

    outcome: Outcome
    attempts: int = 0
    before: OpenError | None = None
    healed: bool = False
    fixtures: int = 0
    days_version: str | None = None
    fixtures_version: str | None = None
    rows: Mapping[str, int] = field(default_factory=dict)

    @property
    def day(self) -> date:
        """The day."""
        return self.outcome.day


class FixtureStore:
    """The tables of one provider in one DuckDB file."""

    def __init__(self, path: Path, provider: Provider, zone: ZoneInfo, *, lock_timeout: float = 60) -> None:
        """Name the file; nothing is opened or created before it is needed.

        Args:
            path: The DuckDB file; it and its folder are created at the first load.
            provider: Whose answers are stored; a file holds one provider's.
            zone: Time zone in which days begin and end; a file holds days of one time zone.
            lock_timeout: Seconds to wait for another process that holds the file.
        """
        self.path = path
        self._provider = provider
        self._zone = zone
        self._lock_timeout = lock_timeout
        mapped = [f"{expression} AS {name}" for name, expression in provider.columns.items()]
        # In the order of the table: its second column is the day that owns the row.
        self._columns = ", ".join([*mapped[:1], "date", *mapped[1:]])

    def __repr__(self) -> str:
        return f"FixtureStore({str(self.path)!r}, {self._provider.name!r})"

    # Writing

    def load(self, outcomes: Sequence[Outcome], run_id: str | None = None) -> list[Stored]:
        """Put outcomes of different days into the database, in one transaction.

        A day that loaded replaces its row in `fixture_days` and its rows in `fixtures` and loses its row in
        `fixture_errors`; a day that failed gets one there and is otherwise left as it was; both are logged.

        A day that breaks a constraint of the database becomes an `INTEGRITY_ERROR`; the others load all the same.

        Raises:
            StoreError: the database cannot be opened or written; nothing of `outcomes` was stored.
        """
        with self._writing() as connection:
            try:
                return self._transaction(connection, outcomes, run_id)
            except _DAY_REFUSED:
                if len(outcomes) > 1:
                    # One of them is at fault: find it by loading each alone.
                    return [stored for outcome in outcomes for stored in self._alone(connection, outcome, run_id)]
                return self._alone(connection, outcomes[0], run_id)

    def _alone(self, connection: duckdb.DuckDBPyConnection, outcome: Outcome, run_id: str | None) -> list[Stored]:
        try:
            return self._transaction(connection, [outcome], run_id)
        except _DAY_REFUSED as error:
            if isinstance(outcome, DayFailed):
                raise
            refused = DayFailed(
                outcome.day,
                ErrorType.INTEGRITY_ERROR,
                f"The database refused {outcome.day} ({type(error).__name__}); what was stored of the day before is "
                "untouched. Load the day again; if it stays, report it together with the day's answer.",
                http_status=200,
                events=outcome.events,
                size=outcome.size,
                elapsed_ms=outcome.elapsed_ms,
            )
            return self._transaction(connection, [refused], run_id)

    def _transaction(
        self, connection: duckdb.DuckDBPyConnection, outcomes: Sequence[Outcome], run_id: str | None
    ) -> list[Stored]:
        now = datetime.now(UTC)
        common = {"now": now, "provider": self._provider.name}
        loaded = sorted((outcome for outcome in outcomes if isinstance(outcome, DayLoaded)), key=lambda one: one.day)
        failed = [outcome for outcome in outcomes if isinstance(outcome, DayFailed)]
        with _transaction(connection):
            healed = self._delete_errors(connection, loaded)
            kept = self._replace_days(connection, loaded, common) if loaded else {}
            before = self._upsert_errors(connection, failed, common) if failed else {}
            self._log(connection, outcomes, common | {"run_id": run_id})
            [rows] = _records(connection.execute(_ROW_COUNTS))
        return [
            replace(kept[outcome.day], healed=outcome.day in healed, outcome=outcome, rows=rows)
            if isinstance(outcome, DayLoaded)
            else _failure(outcome, before.get(outcome.day), rows)
            for outcome in outcomes
        ]

    def _delete_errors(self, connection: duckdb.DuckDBPyConnection, loaded: Sequence[DayLoaded]) -> set[date]:
        rows = connection.execute(
            "DELETE FROM fixture_errors WHERE data_id IN (SELECT unnest($ids)) RETURNING date",
            {"ids": [_data_id(outcome.day) for outcome in loaded]},
        ).fetchall()
        return {day for (day,) in rows}

    def _replace_days(
        self, connection: duckdb.DuckDBPyConnection, loaded: Sequence[DayLoaded], common: Mapping[str, object]
    ) -> dict[date, Stored]:
        bounds = [day_bounds(outcome.day, self._zone) for outcome in loaded]
        ids = [_data_id(outcome.day) for outcome in loaded]
        rows = connection.execute(
            "SELECT data_id, created_at FROM fixture_days WHERE data_id IN (SELECT unnest($ids))", {"ids": ids}
        ).fetchall()
        created = dict(rows)
        # The bodies are large: no join, sort or group may carry them.
        connection.execute(
            """
            CREATE OR REPLACE TEMP TABLE arrived AS
            SELECT
                unnest($ids) AS data_id, unnest($days) AS date, unnest($bodies) AS body,
                unnest($counts)::INTEGER AS count, unnest($in_progress) AS in_progress,
                unnest($created) AS created_at, unnest($starts) AS starts, unnest($ends) AS ends
            """,
            {
                "ids": ids,
                "days": [outcome.day for outcome in loaded],
                "bodies": [outcome.body for outcome in loaded],
                "counts": [outcome.events for outcome in loaded],
                "in_progress": [outcome.in_progress for outcome in loaded],
                "created": [created.get(data_id, common["now"]) for data_id in ids],
                "starts": [starts for starts, _ in bounds],
                "ends": [ends for _, ends in bounds],
            },
        )
        key = self._provider.list_key
        # S608: the provider's constants are the only text put into these statements.
        connection.execute("DELETE FROM fixture_days WHERE data_id IN (SELECT data_id FROM arrived)")
        connection.execute(
            f"""
            INSERT INTO fixture_days (data_id, date, data, count, in_progress, created_at, updated_at, provider)
            SELECT
                data_id, date, json_extract(decode(body), '$.{key}'), count, in_progress, created_at, $now, $provider
            FROM arrived
            """,  # noqa: S608
            common,
        )
        # An event that several of these days claim goes to the latest day; the others' rows are kept aside.
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE incoming AS
            SELECT * EXCLUDE (starts, ends), row_number() OVER (PARTITION BY event_id ORDER BY date DESC) AS place
            FROM (
                SELECT {self._columns}, $provider AS provider, starts, ends
                FROM (
                    SELECT
                        date, starts, ends,
                        unnest(from_json(decode(body), '{{"{key}": [{self._provider.structure}]}}').{key}) AS e
                    FROM arrived
                )
            )
            WHERE coalesce(kickoff >= starts AND kickoff < ends, true)
            """,  # noqa: S608
            {"provider": common["provider"]},
        )
        for statement in _REPLACE_FIXTURES:
            connection.execute(statement, {"now": common["now"]} if "$now" in statement else None)
        answers = dict(connection.execute("SELECT date, hash(body) FROM arrived").fetchall())
        by_day = {outcome.day: outcome for outcome in loaded}
        return {
            day: Stored(by_day[day], fixtures=count, days_version=f"{answers[day]:x}", fixtures_version=f"{version:x}")
            for day, count, version in connection.execute(_STORED).fetchall()
        }

    def _upsert_errors(
        self, connection: duckdb.DuckDBPyConnection, failed: Sequence[DayFailed], common: Mapping[str, object]
    ) -> dict[date, OpenError]:
        """Put failures into `fixture_errors`; return what stood there before for the days that had failed already."""
        ids = [_data_id(outcome.day) for outcome in failed]
        rows = connection.execute(
            "SELECT date, error_type, attempts, retry_at FROM fixture_errors WHERE data_id IN (SELECT unnest($ids))",
            {"ids": ids},
        ).fetchall()
        connection.execute(
            """
            INSERT INTO fixture_errors (
                data_id, date, data, count, in_progress, created_at, updated_at, provider,
                error_type, error_message, http_status, attempts, retry_at
            )
            SELECT
                unnest($ids), unnest($days), decode(unnest($bodies::BLOB[]))::JSON, unnest($counts), false, $now, $now,
                $provider, unnest($types), unnest($messages), unnest($statuses::INTEGER[]), 1,
                unnest($retry_at::TIMESTAMPTZ[])
            ON CONFLICT (data_id) DO UPDATE SET
                data = excluded.data, count = excluded.count, updated_at = excluded.updated_at,
                provider = excluded.provider, error_type = excluded.error_type,
                error_message = excluded.error_message, http_status = excluded.http_status,
                attempts = fixture_errors.attempts + 1, retry_at = excluded.retry_at
            """,
            {
                **common,
                "ids": ids,
                "days": [outcome.day for outcome in failed],
                "bodies": [outcome.body for outcome in failed],
                "counts": [outcome.events for outcome in failed],
                "types": [str(outcome.error_type) for outcome in failed],
                "messages": [outcome.message for outcome in failed],
                "statuses": [outcome.http_status for outcome in failed],
                "retry_at": [outcome.retry_at for outcome in failed],
            },
        )
        return {day: OpenError(*row) for day, *row in rows}

    def _log(
        self, connection: duckdb.DuckDBPyConnection, outcomes: Sequence[Outcome], common: Mapping[str, object]
    ) -> None:
        failures = [outcome if isinstance(outcome, DayFailed) else None for outcome in outcomes]
        connection.execute(
            """
            INSERT INTO load_log (
                data_id, date, "at", outcome, error_type, error_message, http_status, count, bytes, elapsed_ms,
                provider, run_id
            )
            SELECT
                unnest($ids), unnest($days), $now, unnest($outcomes), unnest($types::VARCHAR[]),
                unnest($messages::VARCHAR[]), unnest($statuses::INTEGER[]), unnest($counts), unnest($sizes),
                unnest($elapsed), $provider, $run_id
            """,
            {
                **common,
                "ids": [_data_id(outcome.day) for outcome in outcomes],
                "days": [outcome.day for outcome in outcomes],
                "outcomes": ["failed" if failure else "loaded" for failure in failures],
                "types": [str(failure.error_type) if failure else None for failure in failures],
                "messages": [failure.message if failure else None for failure in failures],
                "statuses": [failure.http_status if failure else 200 for failure in failures],
                "counts": [outcome.events for outcome in outcomes],
                "sizes": [outcome.size for outcome in outcomes],
                "elapsed": [outcome.elapsed_ms for outcome in outcomes],
            },
        )

    def snapshot(self, path: Path) -> None:
        """Put a copy of the whole database at `path`, for readers who would otherwise keep others from writing.

        A file there is replaced at once, so that a reader sees the old copy or the new one; who has the old one open
        keeps it. Nobody can write meanwhile: however many processes load days, a copy never follows a newer one.

        Raises:
            StoreError: the database cannot be opened, the copy not written, or `path` is a file of another kind; what
                is there is as it was.
        """
        # Beside it: only within one disk is a file moved in one step.
        unfinished = path.with_name(f"{path.name}.tmp")
        with ExitStack() as afterwards, self._writing() as connection:
            # From here on all that was committed is in the file, and nothing else.
            connection.execute("CHECKPOINT")
            try:
                # Closed after the connection: closing a file anywhere in a process gives up the process's lock on it.
                source = afterwards.enter_context(self.path.open("rb"))
                path.parent.mkdir(parents=True, exist_ok=True)
                if not _may_be_replaced(path):
                    raise StoreError(
                        f"{path} is no DuckDB file, so no copy is put there: name another FIXTURES_SNAPSHOT."
                    )
                with unfinished.open("wb") as target:
                    shutil.copyfileobj(source, target)
                    target.flush()
                    os.fsync(target.fileno())
                # What somebody who opened the old copy for writing has left there does not fit the new one.
                path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
                unfinished.replace(path)
            except OSError as error:
                with suppress(OSError):
                    unfinished.unlink()
                raise StoreError(
                    f"The copy {path} (FIXTURES_SNAPSHOT) cannot be written: {error.strerror}. Check its folder, the "
                    "free space and the permissions; an older copy is as it was, and the database has what was loaded."
                ) from error

    # Reading

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Run one reading query and return its rows, each by column name.

        Args:
            sql: A query whose text is constant; what varies goes into `parameters`. Besides the tables it can read
                `listed_fixtures`: `date` and `event_id` of what the stored answers of `$days`, or of all days if that
                is NULL, list for their own day.
            parameters: Values for the `$name`s in `sql`; ones that `sql` does not mention are left out.

        Raises:
            StoreMissingError: nothing has been loaded yet.
            StoreError: the database cannot be read.
        """
        given = {name: value for name, value in (parameters or {}).items() if re.search(rf"\${name}\b", sql)}
        with self._reading() as connection:
            if "listed_fixtures" in sql:
                self._list_fixtures(connection, (parameters or {}).get("days"))
            return _records(connection.execute(sql, given))

    def _list_fixtures(self, connection: duckdb.DuckDBPyConnection, days: Sequence[date] | None) -> None:
        """Make the table `listed_fixtures` that queries may read.

        A few days at a time: DuckDB would have up to 2,048 answers in memory at once, and what it makes of them.
        """
        for word in SQL_WORDS:
            connection.execute(f"CREATE TEMP MACRO {word}")
        connection.execute("CREATE TEMP TABLE listed_fixtures (date DATE, event_id BIGINT)")
        columns = self._provider.columns
        structure = self._provider.structure_of("event_id", "kickoff")
        # S608: the provider's constants are the only text put into this statement.
        insert = f"""
            INSERT INTO listed_fixtures
            SELECT date, event_id
            FROM (
                SELECT date, starts, ends, {columns["event_id"]} AS event_id, {columns["kickoff"]} AS kickoff
                FROM (
                    SELECT date, starts, ends, unnest(from_json(data, '[{structure}]')) AS e
                    FROM fixture_days JOIN (
                        SELECT unnest($listed) AS date, unnest($starts) AS starts, unnest($ends) AS ends
                    ) USING (date)
                    WHERE date BETWEEN $first AND $last
                )
            )
            WHERE coalesce(kickoff >= starts AND kickoff < ends, true)
        """  # noqa: S608
        stored = connection.execute(
            "SELECT date FROM fixture_days WHERE $days IS NULL OR list_contains($days, date) ORDER BY date",
            {"days": days},
        ).fetchall()
        for start in range(0, len(stored), _DAYS_LISTED):
            listed = [day for (day,) in stored[start : start + _DAYS_LISTED]]
            # In Python's time zones, as when it was loaded: DuckDB's may be of another year.
            starts, ends = zip(*(day_bounds(day, self._zone) for day in listed), strict=True)
            values = {"listed": listed, "starts": list(starts), "ends": list(ends)}
            connection.execute(insert, values | {"first": listed[0], "last": listed[-1]})

    def dataframe(self, table: str) -> "pandas.DataFrame":
        """Return one of the project's tables as a data frame, for notebooks.

        The file is open only while the table is read. A frame has the same types whatever the rows hold: days are
        `datetime64`, times `datetime64` in the store's time zone, whole numbers pandas' nullable integers.

        Args:
            table: One of `COLUMNS`.

        Raises:
            ValueError: there is no such table.
            StoreMissingError: nothing has been loaded yet.
            StoreError: the database cannot be read.
        """
        if table not in COLUMNS:
            raise ValueError(f"There is no table {table!r}, only {', '.join(COLUMNS)}.")
        times = [column.name for column in COLUMNS[table] if column.type == "TIMESTAMPTZ"]
        # As times without a zone: DuckDB would give them that of the machine, with a warning of pandas 3.1 on the way.
        in_utc = ", ".join(f'timezone(\'UTC\', "{name}") AS "{name}"' for name in times)
        with self._reading() as connection:
            # S608: names of the project's own columns and tables are the only text put into this statement.
            frame: pandas.DataFrame = connection.execute(f"SELECT * REPLACE ({in_utc}) FROM {table}").df()  # noqa: S608
        for name in times:
            frame[name] = frame[name].dt.tz_localize("UTC").dt.tz_convert(self._zone)
        return frame.astype(
            {column.name: _PANDAS_TYPES[column.type] for column in COLUMNS[table] if column.type in _PANDAS_TYPES}
        )

    # Opening

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder {self.path.parent} cannot be made: {error.strerror}. Check the folder above it and the "
                "permissions, or name another file in FIXTURES_DB."
            ) from error
        with self._opened(read_only=False, unusable=(duckdb.Error,)) as connection:
            # A load is too small to be shared out: a second thread only touches memory of its own.
            connection.execute("SET threads = 1")
            self._migrate(connection)
            self._belongs(connection)
            for word in SQL_WORDS:
                connection.execute(f"CREATE TEMP MACRO {word}")
            _tidy(connection)
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self.path.exists():
            raise StoreMissingError(f"Nothing has been loaded yet: there is no {self.path}.")
        with self._opened(read_only=True, unusable=_FILE_UNUSABLE) as connection:
            version = _version(connection)
            if version == 0:
                raise StoreMissingError(f"Nothing has been loaded yet: {self.path} is empty.")
            self._refuse_newer(version)
            if version < len(_migrations()):
                raise StoreError(
                    f"{self.path} was written by an older version of this project; load any day to bring it up to date."
                )
            self._belongs(connection)
            yield connection

    @contextmanager
    def _opened(
        self, *, read_only: bool, unusable: tuple[type[duckdb.Error], ...]
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._connect(read_only=read_only)
        try:
            yield connection
        except unusable as error:
            raise self._unusable(error) from error
        finally:
            # Not left to garbage collection: an exception that is still referenced would keep the file locked.
            connection.close()

    def _connect(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open the file; wait while somebody else has it."""
        waiting = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_lock),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=1),
            stop=tenacity.stop_after_delay(self._lock_timeout),
            reraise=True,
        )
        try:
            return waiting(duckdb.connect, str(self.path), read_only=read_only, config=_CONFIG)
        except duckdb.Error as error:
            if not _is_lock(error):
                raise self._unusable(error) from error
            holder = re.search(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)", str(error))
            who = f"{holder['program']} (process {holder['pid']})" if holder else "another process"
            raise StoreLockedError(
                f"{self.path} has been held by {who} for {self._lock_timeout:g} seconds. Close the file there (a "
                "DuckDB shell, a notebook, a BI tool?) and start the run again."
            ) from error

    def _unusable(self, error: Exception) -> StoreError:
        reason = excerpt(str(error))
        return StoreError(
            f"{self.path} cannot be used: {reason} Check the free space and the permissions of the disk; nothing in it "
            "was changed."
        )

    # Versions

    def _migrate(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Bring the tables up to date; each step is a transaction of its own."""
        version = _version(connection)
        self._refuse_newer(version)
        for number, script in enumerate(_migrations()[version:], version + 1):
            with _transaction(connection):
                if number == 1:
                    connection.execute(_STORE_INFO)
                    connection.execute(
                        "INSERT INTO store_info VALUES (1, $provider, $zone)",
                        {"provider": self._provider.name, "zone": str(self._zone)},
                    )
                connection.execute(script)
                connection.execute("UPDATE store_info SET schema_version = $number", {"number": number})

    def _refuse_newer(self, version: int) -> None:
        if version > len(_migrations()):
            raise StoreError(
                f"{self.path} was written by a newer version of this project (tables of version {version}, this one "
                f"knows {len(_migrations())}). Update the project, or name another file in FIXTURES_DB."
            )

    def _belongs(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Refuse a file that holds another provider's days or days of another time zone."""
        [(provider, zone)] = connection.execute("SELECT provider, timezone FROM store_info").fetchall()
        if provider != self._provider.name:
            raise StoreError(
                f"{self.path} holds days of the provider {provider}; days of {self._provider.name} do not mix with "
                "them. Name another file in FIXTURES_DB, or leave it out to have one for each provider."
            )
        if zone != str(self._zone):
            raise StoreError(
                f"{self.path} holds days of the time zone {zone}, and FIXTURES_TIMEZONE is {self._zone}. Set it back, "
                "or name another file in FIXTURES_DB and load the days again."
            )


_STORE_INFO = (
    "CREATE TABLE store_info (schema_version INTEGER NOT NULL, provider VARCHAR NOT NULL, timezone VARCHAR NOT NULL)"
)

#: From `arrived` (the days) and `incoming` (the events that they claim) to `fixtures`.
_REPLACE_FIXTURES = (
    # A row keeps its time of change while nothing in it changes.
    """
    CREATE OR REPLACE TEMP TABLE unchanged AS
    SELECT event_id, updated_at FROM fixtures
    WHERE event_id IN (
        SELECT event_id FROM (
            SELECT * EXCLUDE (place) FROM incoming WHERE place = 1
            INTERSECT
            SELECT * EXCLUDE (updated_at) FROM fixtures WHERE date IN (SELECT date FROM arrived)
        )
    )
    """,
    """
    CREATE OR REPLACE TEMP TABLE vanished AS
    SELECT event_id FROM fixtures WHERE date IN (SELECT date FROM arrived)
    EXCEPT SELECT event_id FROM incoming
    """,
    "DELETE FROM superseded_fixtures WHERE date IN (SELECT date FROM arrived)",
    """
    INSERT INTO superseded_fixtures BY NAME
    SELECT * FROM fixtures
    WHERE event_id IN (SELECT event_id FROM incoming) AND date NOT IN (SELECT date FROM arrived)
    """,
    """
    INSERT INTO superseded_fixtures BY NAME
    SELECT * EXCLUDE (place), $now AS updated_at FROM incoming WHERE place > 1
    """,
    "DELETE FROM fixtures WHERE date IN (SELECT date FROM arrived)",
    "DELETE FROM fixtures WHERE event_id IN (SELECT event_id FROM incoming)",
    """
    INSERT INTO fixtures BY NAME
    SELECT incoming.* EXCLUDE (place), coalesce(unchanged.updated_at, $now) AS updated_at
    FROM incoming LEFT JOIN unchanged USING (event_id)
    WHERE place = 1
    ORDER BY date, event_id
    """,
    # An event that its day no longer lists goes back to the latest loaded of the other days that do.
    """
    CREATE OR REPLACE TEMP TABLE returned AS
    SELECT superseded_fixtures.*
    FROM superseded_fixtures JOIN fixture_days USING (date)
    WHERE event_id IN (SELECT event_id FROM vanished)
    QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY fixture_days.updated_at DESC, date DESC) = 1
    """,
    "INSERT INTO fixtures BY NAME SELECT * REPLACE ($now AS updated_at) FROM returned",
    "DELETE FROM superseded_fixtures WHERE (event_id, date) IN (SELECT (event_id, date) FROM returned)",
)

#: How many rows stand in `fixtures` now for the days in `arrived`, and a hash of them.
_STORED = """
    SELECT date, count(event_id), coalesce(bit_xor(hash(*COLUMNS(fixtures.* EXCLUDE (date, updated_at)))), 0)
    FROM (SELECT date FROM arrived) LEFT JOIN fixtures USING (date)
    GROUP BY date
"""

_ROW_COUNTS = """
    SELECT
        (SELECT count(*) FROM fixture_days) AS fixture_days,
        (SELECT count(*) FROM fixtures) AS fixtures,
        (SELECT count(*) FROM fixture_errors) AS fixture_errors
"""

#: A day's own fault: its values break a constraint or fit no column.
_DAY_REFUSED = (duckdb.IntegrityError, duckdb.DataError, duckdb.InvalidInputException)
#: Nobody's fault in the data: the disk is full, the file read-only, damaged or not ours.
_FILE_UNUSABLE = (duckdb.OperationalError, duckdb.InternalError, duckdb.CatalogException)


def _records(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the rows of a result, each by column name."""
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _failure(outcome: DayFailed, before: OpenError | None, rows: Mapping[str, int]) -> Stored:
    return Stored(outcome, attempts=1 + (before.attempts if before else 0), before=before, rows=rows)


def _data_id(day: date) -> str:
    return f"{day:%Y%m%d}"


def _migrations() -> list[str]:
    """Return the scripts in `migrations/`, in order; the first one makes version 1."""
    folder = files("fixtures_pipeline") / "migrations"
    scripts = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [script.read_text(encoding="utf-8") for script in scripts]


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the version of the tables, 0 for a file without any."""
    try:
        rows = connection.execute("SELECT schema_version FROM store_info").fetchall()
    except duckdb.CatalogException:
        return 0
    return int(rows[0][0])


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        with suppress(duckdb.Error):  # a commit that failed has ended the transaction already
            connection.rollback()
        raise


def _may_be_replaced(path: Path) -> bool:
    """Say whether there is no file at `path`, an empty one, or a DuckDB file (https://duckdb.org/docs/internals/storage)."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        beginning = file.read(12)
    return beginning == b"" or beginning.endswith(b"DUCK")


def _is_lock(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, duckdb.IOException | duckdb.ConnectionException) and (
        "Could not set lock" in text or "different configuration" in text
    )


def _tidy(connection: duckdb.DuckDBPyConnection) -> None:
    """Merge the blocks that loads leave behind, when there are so many that it pays."""
    blocks, _ = _blocks(connection, "load_log")
    if blocks > _LOG_BLOCKS:
        # By hand, as merging would rewrite the large tables with it.
        with _transaction(connection):
            connection.execute("CREATE TEMP TABLE merged AS FROM load_log")
            connection.execute("DELETE FROM load_log")
            connection.execute("INSERT INTO load_log FROM merged")
        connection.execute("DROP TABLE merged")
    blocks, rows = _blocks(connection, "fixture_days")
    # Merging rewrites the table. It pays with a block for every fifty days, or when a fifth of the rows are deleted
    # ones; a small table is not worth it.
    [(days,)] = connection.execute("SELECT count(*) FROM fixture_days").fetchall()
    if blocks > 16 + days / 50 or rows > 100 + days * 1.25:
        connection.execute(f"SET max_vacuum_tasks = {_MERGE_TASKS}")


def _blocks(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int]:
    """Return in how many blocks of rows a table is stored, and how many rows these have, deleted ones included."""
    [(blocks, rows)] = connection.execute(
        """
        SELECT count(DISTINCT row_group_id), coalesce(sum(count), 0)
        FROM pragma_storage_info($table)
        WHERE column_name = 'data_id' AND segment_type <> 'VALIDITY'
        """,
        {"table": table},
    ).fetchall()
    return blocks, rows
