"""Where turns are counted and pauses are kept by runs on many machines: in a schema of Postgres, by the server's clock.

It needs the extra `postgres`, and is imported only where `FIXTURES_DB` is the address of a server.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool
from pyrate_limiter import Limiter, PostgresBucket, Rate, SingleBucketFactory

from fixtures_pipeline.errors import StoreError
from fixtures_pipeline.text import excerpt

#: Seconds to wait for a connection at least: to make one takes a moment.
_CONNECTING = 5

_PAUSES = "CREATE TABLE IF NOT EXISTS request_pauses (asked_at TIMESTAMPTZ NOT NULL, ends_at TIMESTAMPTZ NOT NULL)"


class SharedCounter:
    """A counter in a schema of Postgres; `counters.Counter` says what it does."""

    def __init__(self, address: str, patience: float) -> None:
        """Connect.

        Args:
            address: What libpq connects by, the schema and the time zone UTC included
                (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING).
            patience: Seconds to wait for a connection, if it is not too few to make one.

        Raises:
            StoreError: it cannot be used; the other methods may raise it as well.
        """
        # One connection waits for its turn while another looks for a pause. A server that was started again has
        # ended those that were open, so each is tried before it is used.
        self._pool = ConnectionPool(
            address,
            min_size=1,
            max_size=2,
            timeout=max(patience, _CONNECTING),
            check=ConnectionPool.check_connection,
            open=True,
        )
        try:
            with self.using(), self._pool.connection() as connection:
                # Two that make a table at the same time would fail.
                connection.execute("SELECT pg_advisory_xact_lock(hashtext('fixtures_pipeline requests'))")
                connection.execute(_PAUSES)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def using(self) -> Iterator[None]:
        """Make a StoreError of what goes wrong with the server."""
        try:
            yield
        except psycopg.Error as error:
            raise StoreError(
                f"The database in FIXTURES_DB, where requests are counted, cannot be used: {excerpt(str(error))}. "
                "Check that it can be reached, and that the role may create tables in its schema."
            ) from error

    def open_limiter(self, rate: Rate) -> Limiter:
        """Return the limiter of a rate."""
        with self.using():
            # Without the thread of pyrate-limiter that drops what is too old: it would outlive the connections.
            bucket = _Bucket(self._pool, f"requests_in_{rate.interval}_ms", [rate])
            limiter = Limiter(SingleBucketFactory(bucket, schedule_leak=False))
        self.forget_future(limiter)
        return limiter

    def forget_future(self, limiter: Limiter) -> None:
        """Drop what was counted while the server's clock was ahead, and what is too old to count."""
        for bucket in limiter.bucket_factory.owned_buckets():
            if isinstance(bucket, _Bucket):
                with self.using():
                    bucket.forget_future()
                    bucket.leak(bucket.now())

    def hold(self, seconds: float) -> None:
        """Keep a pause that begins now."""
        with self.using(), self._pool.connection() as connection:
            connection.execute("DELETE FROM request_pauses WHERE ends_at < clock_timestamp()")
            connection.execute(
                "INSERT INTO request_pauses VALUES (clock_timestamp(), clock_timestamp() + %s * INTERVAL '1 second')",
                [seconds],
            )

    def find_pause(self) -> float:
        """Return the seconds until the last pause has ended."""
        # A pause that begins in the future was asked for before the clock was set back; it may never end.
        longest = """
            SELECT extract(epoch FROM max(ends_at) - clock_timestamp())::FLOAT8 FROM request_pauses
            WHERE asked_at <= clock_timestamp()
        """
        with self.using(), self._pool.connection() as connection:
            [[seconds]] = connection.execute(longest).fetchall()
        return seconds or 0

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


class _Bucket(PostgresBucket):
    """A bucket that fails when the server does; pyrate-limiter's would go on by this machine's clock."""

    def now(self) -> int:
        with self.pool.connection() as connection:
            [[now]] = connection.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT").fetchall()
        return int(now)

    def forget_future(self) -> None:
        future = "DELETE FROM {} WHERE item_timestamp > clock_timestamp() + INTERVAL '2 seconds'"
        with self.pool.connection() as connection:
            connection.execute(sql.SQL(future).format(sql.Identifier(f"ratelimit___{self.table}")))
