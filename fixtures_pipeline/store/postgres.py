"""The store in Postgres, which many machines share: a schema for each provider and sport.

Only the connection, the lock and the way of rows into it are known here; what is written is in `fixture_store` and
`ownership`. Answers are taken apart by a DuckDB in memory, and what comes of them is copied into temporary tables.

One advisory lock lets one process write a schema at a time. It is taken when all is staged, lives and dies with its
transaction, and stops no reader: these see a snapshot
(https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS).
"""

import re
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import duckdb
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.types.string import TextLoader

from fixtures_pipeline.errors import StoreError, StoreLockedError
from fixtures_pipeline.providers.mapping import define_words
from fixtures_pipeline.store import schema
from fixtures_pipeline.store.tables import Column
from fixtures_pipeline.text import excerpt, format_moment

if TYPE_CHECKING:
    import pandas

#: The oldest version of Postgres that this project was tried with.
OLDEST = 15
#: Seconds after which the server gives up a writer that holds the lock and does nothing: it was stopped, or is gone.
_IDLE = 30
#: Seconds after which one side asks whether the other is still there, for how long, and how often.
_KEEPALIVE = {"idle": 30, "interval": 10, "count": 3}
#: Seconds to wait for a server to answer at all, and the same for libpq.
_NOTICING = {"connect_timeout": 15, **{f"keepalives_{name}": value for name, value in _KEEPALIVE.items()}}
#: Types of DuckDB's that Postgres calls otherwise, and the other way round.
_TYPES = {"TIMESTAMP WITH TIME ZONE": "timestamptz"}
_OIDS = {16: "BOOLEAN", 20: "BIGINT", 23: "INTEGER", 114: "JSON", 1082: "DATE", 1114: "TIMESTAMP", 1184: "TIMESTAMPTZ"}

_LOCK = "hashtext('fixtures_pipeline'), hashtext($schema)"
_HOLDERS = """
    SELECT pid, application_name, usename, coalesce(client_hostname, host(client_addr)) AS address, xact_start
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE pid <> pg_backend_pid() AND granted AND database = (
        SELECT oid FROM pg_database WHERE datname = current_database()
    ) AND (
        locktype = 'advisory' AND objsubid = 2
            AND classid = (hashtext('fixtures_pipeline')::BIGINT & 4294967295)::OID
            AND objid = (hashtext($schema)::BIGINT & 4294967295)::OID
        OR mode LIKE '%Exclusive%' AND mode <> 'ShareUpdateExclusiveLock'  -- a VACUUM's, which stops no writer
            AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace($schema))
    )
    ORDER BY xact_start
    LIMIT 1
"""

_POOLED = (
    "Name Postgres itself in FIXTURES_DB: PgBouncer, or another pool, passes on neither the schema nor the time zone."
)
_KEPT = "What was committed before is kept, and nothing of what was being written is there"
#: What Postgres or its client library says, and what to do about it; the first that fits.
_ADVICE = (
    (
        "password|[Aa]uthenticat|pg_hba|28P01|28000",
        "Check the user in FIXTURES_DB, and its password in PGPASSWORD or in the file that PGPASSFILE names.",
    ),
    (
        "42501",
        "The role needs more rights: CREATE on the database for the first load, later USAGE on the schema and rights "
        "on its tables, best by owning them; TEMPORARY on the database in any case. See docs/settings.md.",
    ),
    ("25006|read-only", "It is a standby, or set to read only: name the primary server in FIXTURES_DB."),
    ("53100|No space left", f"The server's disk is full: make room there and start the run again. {_KEPT}."),
    ("53300|too many clients|remaining connection slots", "Raise the server's max_connections, or run less at once."),
    ("3D000|database .* does not exist", "Create the database (createdb), or name another one in FIXTURES_DB."),
    (
        "support SSL|SSL error|SSL SYSCALL|certificate|sslmode",
        "Check sslmode in FIXTURES_DB (https://www.postgresql.org/docs/current/libpq-ssl.html).",
    ),
    ("startup parameter", _POOLED),
    (
        "refused|not translate|resolve|timeout expired|timed out|No route|unreachable|No such file|starting up|57P03",
        "Check that the server runs, and the host and port in FIXTURES_DB.",
    ),
    ("25P03", f"This process did nothing for {_IDLE} seconds, and the server ended it. {_KEPT}: start the run again."),
    (
        "57P0|closed|terminat|lost|reset|EOF|08006|08003",
        "The connection was cut, or the server restarted. What was being written is there as a whole or not at all: "
        "start the run again.",
    ),
    (
        "connection failed",
        "Check host, port, database and user in FIXTURES_DB, and the password in PGPASSWORD or PGPASSFILE.",
    ),
    ("42P01|42703", "Somebody has changed its tables: restore a backup, or drop the schema and load the days again."),
    ("", f"{_KEPT}."),
)


class PostgresDatabase:
    """A schema of a Postgres database that holds one provider's days of one time zone."""

    engine = "postgres"
    kind = "database"
    addenda: str | None = "postgres"
    refusals: tuple[type[Exception], ...] = (
        psycopg.DataError,
        psycopg.IntegrityError,
        psycopg.errors.StatementTooComplex,
        duckdb.IntegrityError,
        duckdb.DataError,
        duckdb.InvalidInputException,
    )

    def __init__(self, address: str, provider: str, zone: ZoneInfo, *, lock_timeout: float) -> None:
        """Name the database; nothing is opened or created before it is needed.

        Args:
            address: `postgresql://[user@]host[:port]/database[?…]`, without a password: libpq reads `PGPASSWORD` and
                `PGPASSFILE` (https://www.postgresql.org/docs/current/libpq-envars.html).
            provider: Whose days it holds, and of which sport (`Provider.identity`); the schema is named after it.
            zone: Time zone in which its days begin and end.
            lock_timeout: Seconds to wait for another process that writes.
        """
        self.schema = provider.replace("-", "_")
        self.name = urlsplit(address).path.lstrip("/")
        self.shown = f"{address.partition('?')[0]} (schema {self.schema})"
        #: Set by whoever wants no writer of this process to wait for the lock any longer.
        self.leaving = threading.Event()
        self.address = address
        self._belongs_to = (provider, str(zone))
        self._memory = Memory()
        self._lock_timeout = lock_timeout

    @property
    def connected_by(self) -> str:
        """What libpq connects by to the schema, in UTC; a transaction in which nothing is done is given up."""
        return make_conninfo(self.address, **_NOTICING, options=f"{self._options} {_giving_up()}")

    @property
    def _options(self) -> str:
        """What every connection asks of the server, which is to find out, too, that a machine is gone."""
        keepalive = " ".join(f"-c tcp_keepalives_{name}={value}" for name, value in _KEEPALIVE.items())
        return f"-c search_path={self.schema} -c timezone=UTC {keepalive}"

    def qualify(self, table: str) -> str:
        """Return a table's name with those of what it is in."""
        return f"{self.name}.{self.schema}.{table}"

    def measure(self) -> int:
        """Return how many bytes the schema takes; 0 if there is none."""
        with self._connect("") as session:
            [(size,)] = session.execute(
                "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::BIGINT FROM pg_class "
                "WHERE relnamespace = to_regnamespace($schema) AND relkind = 'r'",
                {"schema": self.schema},
            ).fetchall()
        return int(size)

    @contextmanager
    def writing(self) -> Iterator["PostgresSession"]:
        """Open the schema for writing, made or migrated first if need be.

        Raises:
            StoreError: it cannot be opened or written.
        """
        # Whatever the server's default is: after the lock, a statement must see what its last holder committed.
        isolation = "-c default_transaction_isolation=read\\ committed"
        with self._connect(f"{isolation} {_giving_up()}") as session:
            if not session.execute("SELECT to_regnamespace($schema)", {"schema": self.schema}).fetchall()[0][0]:
                with session.transaction():
                    session.lock()
                    session.execute(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
            schema.migrate(session, self, *self._belongs_to)
            yield session

    @contextmanager
    def making(self) -> Iterator["PostgresSession"]:
        """Open the schema for writing in one transaction, while nobody else can write.

        Raises:
            StoreError: it cannot be opened or written.
        """
        with self.writing() as session, session.transaction():
            session.lock()
            yield session

    @contextmanager
    def reading(self) -> Iterator["PostgresSession"]:
        """Open the schema for reading: a snapshot, which waits for nobody.

        Raises:
            StoreMissingError: nothing has been loaded yet.
            StoreError: it cannot be opened or read.
        """
        with self._connect("-c default_transaction_isolation=repeatable\\ read") as session, session.transaction():
            schema.require_current(session, self, *self._belongs_to)
            yield session

    @contextmanager
    def _connect(self, options: str) -> Iterator["PostgresSession"]:
        """Connect for as long as the context lasts; what Postgres says of it becomes a sentence."""
        # Not zero, which is for ever.
        patience = max(1, round(self._lock_timeout * 1000))
        try:
            with psycopg.connect(
                make_conninfo(self.address, **_NOTICING),
                autocommit=True,
                # Values are written into the statement: a statement is one round trip then, and NULL has no type.
                cursor_factory=psycopg.ClientCursor,
                client_encoding="UTF8",
                application_name=_name_holder(None),
                options=f"{self._options} -c datestyle=ISO -c client_min_messages=warning -c lock_timeout={patience} "
                f"{options}",
            ) as connection:
                self._refuse_unsuitable(connection)
                # JSON is text here, as it is in DuckDB.
                connection.adapters.register_loader("json", TextLoader)
                session = PostgresSession(connection, self.schema, self._memory, self.leaving)
                if not session.direct:
                    raise StoreError(f"{self.shown} drops what this project asks of a connection. {_POOLED}")
                try:
                    yield session
                except psycopg.errors.LockNotAvailable as error:
                    raise self._explain_lock(session) from error
                finally:
                    session.close()
        except (psycopg.Error, duckdb.Error) as error:
            raise self._explain(error) from error

    def _refuse_unsuitable(self, connection: psycopg.Connection[Any]) -> None:
        major = connection.info.server_version // 10_000
        if major < OLDEST:
            raise StoreError(
                f"{self.shown} is on PostgreSQL {major}; the oldest that this project was tried with is {OLDEST}. "
                "Update the server, or name another one in FIXTURES_DB."
            )
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreError(
                f"{self.shown} is encoded in {encoding}, and names of clubs need UTF8. Create a database with "
                "ENCODING 'UTF8' and name that in FIXTURES_DB."
            )

    def _explain_lock(self, session: "PostgresSession") -> StoreLockedError:
        """Return a sentence that names who keeps this process from writing."""
        with suppress(psycopg.Error):
            session.execute("ROLLBACK")
        rows: list[Any] = []
        with suppress(psycopg.Error):
            rows = session.execute(_HOLDERS, {"schema": self.schema}).fetchall()
        who, remedy = "another session", "Wait until that has ended"
        for pid, name, user, address, since in rows:
            begun = f" since {format_moment(since)}" if since else ""
            place = f"process {pid} of the server, from {address or 'its own machine'}"
            who = f"{name or user or 'another program'} ({place}){begun}"
            remedy = f"Wait until that has ended, or end it with SELECT pg_terminate_backend({pid}),"
        return StoreLockedError(
            f"{self.shown} has been kept by {who}, for longer than FIXTURES_LOCK_TIMEOUT ({self._lock_timeout:g} "
            f"seconds). {remedy} and start the run again."
        )

    def _explain(self, error: psycopg.Error | duckdb.Error) -> StoreError:
        code = getattr(error, "sqlstate", None) or ""
        said = f"{code} {error}"
        advice = next(advice for pattern, advice in _ADVICE if re.search(pattern, said))
        return StoreError(f"{self.shown} cannot be used: {excerpt(str(error)).rstrip('.!?')}. {advice}")


class Memory:
    """A DuckDB in memory for all sessions with a database: to make one takes longer than a small load."""

    def __init__(self) -> None:
        """Make it when it is needed."""
        self._made: duckdb.DuckDBPyConnection | None = None
        self._making = threading.Lock()

    def open(self) -> duckdb.DuckDBPyConnection:
        """Return a connection to it."""
        with self._making:
            if self._made is None:
                # A load is too small to be shared out.
                self._made = duckdb.connect(config={"threads": 1})
                self._made.execute(define_words("MACRO"))
            connection = self._made.cursor()
        connection.execute("SET TimeZone = 'UTC'")
        return connection


class PostgresSession:
    """A session with a schema of Postgres: `session.WritingSession` says what it does."""

    def __init__(
        self, connection: psycopg.Connection[Any], schema_name: str, memory: "Memory", leaving: threading.Event
    ) -> None:
        """Take over the connection, which commits each statement outside a transaction."""
        self._connection = connection
        self._schema = schema_name
        self._memory = memory
        self._leaving = leaving
        #: What stands for JSON that Postgres does not read.
        self._fitted: dict[object, str | None] = {}
        before = datetime.now(UTC)
        # To compress an answer costs more than all the rest with the older method.
        [(moment, path, _)] = self.execute(
            """
            SELECT clock_timestamp(), current_setting('search_path'), (
                SELECT set_config(name, 'lz4', false) FROM pg_settings
                WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)
            )
            """
        ).fetchall()
        after = datetime.now(UTC)
        #: Whether the server has the connection's settings: a pool may drop them, and tables would be in `public`.
        self.direct = path == schema_name
        #: How much the server's clock is ahead, as far as that can be told.
        self._ahead = timedelta() if before <= moment <= after else moment - (before + (after - before) / 2)

    @cached_property
    def memory(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB in memory, with the words that mappings use and temporary tables of the session's own."""
        return self._memory.open()

    def close(self) -> None:
        """Give up what the session has in memory."""
        if "memory" in vars(self):
            self.memory.close()

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None, /) -> psycopg.Cursor[Any]:
        """Execute a statement, or several."""
        if not parameters:
            return self._connection.execute(_name_rows(sql))
        return self._connection.execute(_bind(sql), {name: _clean(value) for name, value in parameters.items()})

    def has(self, table: str, /) -> bool:
        """Say whether there is a table, or a view, of this name."""
        [(known,)] = self.execute("SELECT to_regclass($table) IS NOT NULL", {"table": table}).fetchall()
        return bool(known)

    def list_tables(self) -> list[str]:
        """Return the names of all tables and views in the schema, in order."""
        rows = self.execute(
            """
            SELECT relname, has_schema_privilege(relnamespace, 'USAGE') FROM pg_class
            WHERE relnamespace = to_regnamespace($schema) AND relkind IN ('r', 'p', 'v', 'm', 'f')
            ORDER BY relname
            """,
            {"schema": self._schema},
        ).fetchall()
        if not all(allowed for _, allowed in rows):
            # Postgres would not find what it may not look for.
            raise psycopg.errors.InsufficientPrivilege(f"permission denied for schema {self._schema}")
        return [name for name, _ in rows]

    def make(self, table: str, query: str, parameters: Mapping[str, object] | None = None, /) -> None:
        """Make a temporary table of a query's rows, in place of one of that name; it goes with the transaction."""
        self.execute(
            f"DROP TABLE IF EXISTS pg_temp.{table}; CREATE TEMP TABLE {table} ON COMMIT DROP AS {query}", parameters
        )

    def stage(self, table: str, /) -> None:
        """Copy a temporary table of `memory` into one of the same name; it goes with the transaction."""
        types = {name: kind for name, kind, *_ in self.memory.execute(f"DESCRIBE {table}").fetchall()}
        columns = ", ".join(f'"{name}" {_TYPES.get(kind, kind)}' for name, kind in types.items())
        self.execute(f"DROP TABLE IF EXISTS pg_temp.{table}; CREATE TEMP TABLE {table} ({columns}) ON COMMIT DROP")
        # As text: to make and read Python's own values takes longer than all the rest. Postgres knows no NUL in texts.
        texts = ", ".join(
            f"""replace("{name}", chr(0), '\N{REPLACEMENT CHARACTER}')""" if kind == "VARCHAR" else f'"{name}"::VARCHAR'
            for name, kind in types.items()
        )
        rows = self.memory.execute(f"SELECT {texts} FROM {table}")
        with self._connection.cursor().copy(f"COPY pg_temp.{table} FROM STDIN") as copy:
            while some := rows.fetchmany(1000):
                for row in some:
                    copy.write_row(row)
        # Or Postgres would take it for a thousand days, and rather read twenty years than look for each.
        self.execute(f"ANALYZE pg_temp.{table} ({', '.join(name for name in ('date', 'event_id') if name in types)})")

    def fetch_answers(self, days: Sequence[date], /) -> None:
        """Copy `date`, `data` and `fetched_at` of these days into a table `fixture_days` of `memory`."""
        self._remember(
            "fixture_days",
            self.execute(
                "SELECT date, data, fetched_at FROM fixture_days WHERE date = ANY($days::DATE[])", {"days": list(days)}
            ),
        )

    def fetch_frame(self, query: str, /) -> "pandas.DataFrame":
        """Return a query's rows as a data frame, of the types that DuckDB gives."""
        self._remember("frame", self.execute(query))
        return self.memory.execute("FROM frame").df()

    def _remember(self, table: str, found: psycopg.Cursor[Any]) -> None:
        """Make a table of `memory` of the rows that a statement gives."""
        columns = found.description or ()
        rows = found.fetchall()
        unnested = ", ".join(
            f'unnest(${n}::{_OIDS.get(column.type_code, "VARCHAR")}[]) AS "{column.name}"'
            for n, column in enumerate(columns, 1)
        )
        self.memory.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {unnested}",
            [[row[n] for row in rows] for n in range(len(columns))],
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end of the context, or roll back if it raises."""
        self.execute("BEGIN")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            with suppress(psycopg.Error):  # the connection may be gone, and the transaction with it
                self.execute("ROLLBACK")
            raise

    def lock(self, run_id: str | None = None, /) -> datetime:
        """Keep every other writer out until the transaction ends; return the moment, by the server's clock.

        Raises:
            psycopg.errors.LockNotAvailable: others have kept this process out for too long.
        """
        given = {"schema": self._schema, "name": _name_holder(run_id)}
        [(free, _)] = self.execute(
            f"SELECT pg_try_advisory_xact_lock({_LOCK}), set_config('application_name', $name, false)", given
        ).fetchall()
        if not free:
            with self._given_up():
                self.execute(f"SELECT pg_advisory_xact_lock({_LOCK})", given)
        now: datetime
        [(now,)] = self.execute("SELECT clock_timestamp()").fetchall()
        return now

    @contextmanager
    def _given_up(self) -> Iterator[None]:
        """Cancel the statement of the context as soon as nobody wants to wait for it any longer."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                if self._leaving.is_set():
                    self._connection.cancel_safe()
                    return

        watcher = threading.Thread(target=watch, name="lock", daemon=True)
        watcher.start()
        try:
            yield
        except psycopg.errors.QueryCanceled as error:
            raise psycopg.errors.LockNotAvailable from error
        finally:
            done.set()
            watcher.join()

    def date_back(self, moment: datetime, /) -> datetime:
        """Return a moment of this machine's past by the server's clock."""
        return moment + self._ahead

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], /) -> None:
        """Insert rows that a file has given; a JSON that Postgres does not read becomes one that it does, or NULL."""
        try:
            self._copy(table, columns, rows)
        except (psycopg.DataError, psycopg.errors.StatementTooComplex):
            documents = [n for n, column in enumerate(columns) if column.type == "JSON"]
            for text in {row[n] for row in rows for n in documents if row[n] is not None}:
                self._fit(text)
            self._copy(table, columns, rows)

    def _copy(self, table: str, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> None:
        names = ", ".join(f'"{column.name}"' for column in columns)
        # A savepoint: what fails leaves the transaction as it was.
        with (
            self._connection.transaction(),
            self._connection.cursor().copy(f"COPY {table} ({names}) FROM STDIN") as copy,
        ):
            for row in self.as_kept(rows):
                copy.write_row(row)

    def _fit(self, text: str) -> None:
        """Remember what stands for a JSON that Postgres does not read: as DuckDB writes it; none if it is too deep."""
        try:
            with self._connection.transaction():
                self.execute("SELECT $text::JSON", {"text": text})
        except psycopg.DataError:
            [(self._fitted[text],)] = self.memory.execute("SELECT json($text)", {"text": text}).fetchall()
        except psycopg.errors.StatementTooComplex:
            self._fitted[text] = None

    def as_kept(self, rows: Sequence[tuple[Any, ...]], /) -> Sequence[tuple[Any, ...]]:
        """Return rows that were inserted as Postgres gives them."""
        fitted = self._fitted
        return [tuple(_clean(fitted.get(value, value) if fitted else value) for value in row) for row in rows]


def _giving_up() -> str:
    """Return the option that ends a transaction in which nothing is done."""
    return f"-c idle_in_transaction_session_timeout={_IDLE}s"


def _name_holder(run_id: str | None) -> str:
    """Return what the server shows of this process: the program, the run as Dagster shows it, the machine."""
    run = f" run {run_id[:8]}" if run_id else ""
    return f"fixtures_pipeline{run} on {socket.gethostname()}"[:63]


@lru_cache(maxsize=256)
def _bind(sql: str) -> str:
    """Return a statement with its parameters as psycopg writes them."""
    return re.sub(r"\$(\w+)", r"%(\1)s", _name_rows(sql).replace("%", "%%"))


@lru_cache(maxsize=256)
def _name_rows(sql: str) -> str:
    """Return a statement with Postgres's name for where a row stands."""
    return re.sub(r"\browid\b", "ctid", sql)


def _clean(value: object) -> object:
    """Return a value without NUL in its texts, which Postgres does not know."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return [_clean(one) for one in value] if isinstance(value, list) else value
