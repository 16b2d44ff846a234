"""Outcomes in: one transaction puts a batch of days into the tables, and says what stands there afterwards.

An outcome is of the moment at which the day was asked for. So the tables end up the same in whatever order runs commit:
what is older than what is stored of the day is logged as stale and changes nothing.

The rows of `fixture_days`, `fixture_errors` and `load_log` are written here, those of `fixtures` in `ownership`. How
the file is opened is in `database`, what can be asked of it in `questions`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import duckdb

from fixtures_pipeline.days import day_bounds
from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.outcome import DayFailed, DayFixtures, DayLoaded, DayState, Outcome, Stored
from fixtures_pipeline.providers.mapping import OPEN_STATUSES, extract_list
from fixtures_pipeline.providers.provider import Provider
from fixtures_pipeline.store.connection import transaction
from fixtures_pipeline.store.database import FileDatabase
from fixtures_pipeline.store.ownership import replace_fixtures
from fixtures_pipeline.store.questions import (
    STORED_DAYS,
    bind_days,
    count_by_competition,
    count_rows,
    read_first_fixtures,
    read_states,
    read_table,
)

if TYPE_CHECKING:
    import pandas

#: A day's own fault: its values break a constraint or fit no column.
_DAY_REFUSED = (duckdb.IntegrityError, duckdb.DataError, duckdb.InvalidInputException)


class FixtureStore:
    """The tables of one provider."""

    def __init__(self, path: Path, provider: Provider, zone: ZoneInfo, *, lock_timeout: float = 60) -> None:
        """Name the file; nothing is opened or created before it is needed.

        Args:
            path: The DuckDB file; it and its folder are created at the first load.
            provider: Whose answers are stored; a file holds one provider's.
            zone: Time zone in which days begin and end; a file holds days of one time zone.
            lock_timeout: Seconds to wait for another process that holds the file.
        """
        self.provider = provider
        self.zone = zone
        self.database = FileDatabase(path, provider.identity, zone, lock_timeout=lock_timeout)

    def __repr__(self) -> str:
        return f"FixtureStore({str(self.database.path)!r}, {self.provider.name!r})"

    def dataframe(self, table: str) -> "pandas.DataFrame":
        """Return one of the project's tables as a data frame; `questions.read_table` says how it looks."""
        return read_table(self, table)

    def put(self, outcomes: Sequence[Outcome], run_id: str | None = None) -> list[Stored]:
        """Put outcomes of different days into the database, in one transaction.

        A day that loaded replaces its row in `fixture_days` and its rows in `fixtures` and loses its row in
        `fixture_errors`; a day that failed gets one there and is otherwise left as it was; both are logged. What is
        older than what is stored of the day is logged and changes nothing else.

        A day that breaks a constraint of the database becomes an `INTEGRITY_ERROR`; the others load all the same.

        Raises:
            StoreError: the database cannot be opened or written; nothing of `outcomes` was stored.
        """
        with self.database.writing() as connection:
            try:
                return self._write(connection, outcomes, run_id)
            except _DAY_REFUSED:
                # One of them is at fault: find it by putting each in alone.
                return [stored for outcome in outcomes for stored in self._write_alone(connection, outcome, run_id)]

    def _write_alone(self, connection: duckdb.DuckDBPyConnection, outcome: Outcome, run_id: str | None) -> list[Stored]:
        try:
            return self._write(connection, [outcome], run_id)
        except _DAY_REFUSED as error:
            if isinstance(outcome, DayFailed):
                raise
            refused = DayFailed(
                outcome.day,
                ErrorType.INTEGRITY_ERROR,
                f"The database refused {outcome.day} ({type(error).__name__}); what was stored of the day before is "
                "untouched. Load the day again; if that does not help, report it together with the day's answer.",
                http_status=200,
                events=outcome.events,
                size=outcome.size,
                elapsed_ms=outcome.elapsed_ms,
                fetched_at=outcome.fetched_at,
            )
            return self._write(connection, [refused], run_id)

    def _write(
        self, connection: duckdb.DuckDBPyConnection, outcomes: Sequence[Outcome], run_id: str | None
    ) -> list[Stored]:
        days = [outcome.day for outcome in outcomes]
        now = datetime.now(UTC)
        common = {"now": now, "provider": self.provider.name, "run_id": run_id}
        # A clock may have been set back since.
        asked = {outcome.day: min(outcome.fetched_at or now, now) for outcome in outcomes}
        answers: dict[date, str] = {}
        made: dict[date, tuple[str, int]] = {}
        with transaction(connection):
            before = {state.day: state.error for state in read_states(connection, days)}
            stale = _find_stale(connection, outcomes, asked, now)
            fresh = sorted((one for one in outcomes if one.day not in stale), key=lambda one: one.day)
            loaded = [outcome for outcome in fresh if isinstance(outcome, DayLoaded)]
            failed = [outcome for outcome in fresh if isinstance(outcome, DayFailed)]
            if loaded:
                answers = self._replace_days(connection, loaded, asked, common)
                made = replace_fixtures(connection, self.provider, common)
            if failed:
                _upsert_errors(connection, failed, asked, common)
            _log(connection, outcomes, stale, common)
            after = {state.day: state for state in read_states(connection, days)}
            rows = count_rows(connection)
            fixtures = self._describe(connection, made, after, rows["fixtures"])
        return [
            Stored(
                outcome,
                after[outcome.day],
                before=before.get(outcome.day),
                days_version=answers.get(outcome.day),
                fixtures=fixtures.get(outcome.day),
                rows=rows,
                stale=outcome.day in stale,
            )
            for outcome in outcomes
        ]

    def replay(self, days: Sequence[date], run_id: str | None = None) -> list[DayFixtures]:
        """Make the rows of days in `fixtures` again from their stored answers, by today's mapping, in one transaction.

        Nothing is fetched and no attempt is counted. What changes is kept in `fixture_changes`.

        Returns:
            What the rows are now, in order; nothing of a day without a stored answer.

        Raises:
            StoreError: the database cannot be opened or written; nothing was changed.
        """
        common = {"now": datetime.now(UTC), "provider": self.provider.name, "run_id": run_id}
        with self.database.writing() as connection, transaction(connection):
            connection.execute(
                f"""
                CREATE OR REPLACE TEMP TABLE arrived AS
                SELECT date, data, fetched_at, starts, ends FROM {STORED_DAYS}
                """,
                bind_days(days, self.zone),
            )
            made = replace_fixtures(connection, self.provider, common)
            # What the mapping has learned may end a day, or open it again.
            connection.execute(
                """
                UPDATE fixture_days SET in_progress = NOT in_progress
                WHERE date IN (SELECT date FROM arrived)
                    AND in_progress <> (date IN (SELECT date FROM claims WHERE list_contains($open_statuses, status)))
                """,
                {"open_statuses": list(OPEN_STATUSES)},
            )
            states = {state.day: state for state in read_states(connection, list(made))}
            described = self._describe(connection, made, states, count_rows(connection)["fixtures"])
        return list(described.values())

    def _describe(
        self,
        connection: duckdb.DuckDBPyConnection,
        made: Mapping[date, tuple[str, int]],
        states: Mapping[date, DayState],
        total: int,
    ) -> dict[date, DayFixtures]:
        """Return what days have in `fixtures` now; `made` is what `replace_fixtures` gives, `total` all rows there."""
        days = sorted(made)
        if not days:
            return {}
        first = read_first_fixtures(connection, days, self.zone)
        competitions = count_by_competition(connection, days)
        return {
            day: DayFixtures(
                states[day],
                *made[day],
                total=total,
                first=first.get(day, ()),
                competitions=competitions.get(day, ()),
            )
            for day in days
        }

    def _replace_days(
        self,
        connection: duckdb.DuckDBPyConnection,
        loaded: Sequence[DayLoaded],
        asked: Mapping[date, datetime],
        common: Mapping[str, object],
    ) -> dict[date, str]:
        """Replace the days' rows in `fixture_days`, leave them in the table `arrived`; return hashes of the answers."""
        bounds = [day_bounds(outcome.day, self.zone) for outcome in loaded]
        days = [outcome.day for outcome in loaded]
        created = dict(
            connection.execute(
                "SELECT date, created_at FROM fixture_days WHERE date IN (SELECT unnest($days))", {"days": days}
            ).fetchall()
        )
        # The bodies are large: no join, sort or group may carry them.
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE arrived AS
            SELECT * EXCLUDE (body), {extract_list(self.provider)} AS data FROM (
                SELECT
                    unnest($ids) AS data_id, unnest($days) AS date, unnest($bodies) AS body,
                    unnest($counts)::INTEGER AS count, unnest($in_progress) AS in_progress,
                    unnest($created) AS created_at, unnest($asked) AS fetched_at,
                    unnest($starts) AS starts, unnest($ends) AS ends
            )
            """,
            {
                "ids": [_format_id(day) for day in days],
                "days": days,
                "bodies": [outcome.body for outcome in loaded],
                "counts": [outcome.events for outcome in loaded],
                "in_progress": [outcome.in_progress for outcome in loaded],
                "created": [created.get(day, common["now"]) for day in days],
                "asked": [asked[day] for day in days],
                "starts": [starts for starts, _ in bounds],
                "ends": [ends for _, ends in bounds],
            },
        )
        # A day that was asked for again since, and failed, is still failing.
        connection.execute(
            """
            DELETE FROM fixture_errors
            WHERE data_id IN (
                SELECT data_id
                FROM arrived JOIN (SELECT data_id, fetched_at AS failed_at FROM fixture_errors) USING (data_id)
                WHERE failed_at <= fetched_at OR failed_at > $now
            )
            """,
            {"now": common["now"]},
        )
        connection.execute("DELETE FROM fixture_days WHERE data_id IN (SELECT data_id FROM arrived)")
        connection.execute(
            """
            INSERT INTO fixture_days (
                data_id, date, data, count, in_progress, created_at, updated_at, provider, fetched_at
            )
            SELECT data_id, date, data, count, in_progress, created_at, $now, $provider, fetched_at FROM arrived
            """,
            {"now": common["now"], "provider": common["provider"]},
        )
        versions = connection.execute("SELECT date, hash(data::VARCHAR) FROM arrived").fetchall()
        return {day: f"{version:x}" for day, version in versions}


def _find_stale(
    connection: duckdb.DuckDBPyConnection, outcomes: Sequence[Outcome], asked: Mapping[date, datetime], now: datetime
) -> set[date]:
    """Return the days whose outcome is older than what is stored of them: than an answer, or a failure than another."""
    rows = connection.execute(
        """
        SELECT date, fixture_days.fetched_at, fixture_errors.fetched_at
        FROM (SELECT date, fetched_at FROM fixture_days WHERE date IN (SELECT unnest($days))) AS fixture_days
        FULL JOIN (
            SELECT date, fetched_at FROM fixture_errors WHERE date IN (SELECT unnest($days))
        ) AS fixture_errors USING (date)
        """,
        {"days": list(asked)},
    ).fetchall()
    stored = {day: (answered, failed) for day, answered, failed in rows}

    def is_stale(outcome: Outcome) -> bool:
        answered, failed = stored.get(outcome.day, (None, None))
        newer = [answered, failed] if isinstance(outcome, DayFailed) else [answered]
        # What is dated in the future was dated by a clock that has been set back since.
        return any(asked[outcome.day] < moment <= now for moment in newer if moment is not None)

    return {outcome.day for outcome in outcomes if is_stale(outcome)}


def _upsert_errors(
    connection: duckdb.DuckDBPyConnection,
    failed: Sequence[DayFailed],
    asked: Mapping[date, datetime],
    common: Mapping[str, object],
) -> None:
    connection.execute(
        """
        INSERT INTO fixture_errors (
            data_id, date, data, count, in_progress, created_at, updated_at, provider,
            error_type, error_message, http_status, attempts, retry_at, fetched_at
        )
        SELECT
            unnest($ids), unnest($days), decode(unnest($bodies::BLOB[]))::JSON, unnest($counts), false, $now, $now,
            $provider, unnest($types), unnest($messages), unnest($statuses::INTEGER[]), unnest($attempts),
            unnest($retry_at::TIMESTAMPTZ[]), unnest($asked)
        ON CONFLICT (data_id) DO UPDATE SET
            data = excluded.data, count = excluded.count, updated_at = excluded.updated_at,
            provider = excluded.provider, error_type = excluded.error_type,
            error_message = excluded.error_message, http_status = excluded.http_status,
            attempts = fixture_errors.attempts + excluded.attempts, retry_at = excluded.retry_at,
            fetched_at = excluded.fetched_at
        """,
        {
            "now": common["now"],
            "provider": common["provider"],
            "ids": [_format_id(outcome.day) for outcome in failed],
            "days": [outcome.day for outcome in failed],
            "bodies": [outcome.body for outcome in failed],
            "counts": [outcome.events for outcome in failed],
            "types": [str(outcome.error_type) for outcome in failed],
            "messages": [outcome.message for outcome in failed],
            "statuses": [outcome.http_status for outcome in failed],
            "retry_at": [outcome.retry_at for outcome in failed],
            "attempts": [int(outcome.asked) for outcome in failed],
            "asked": [asked[outcome.day] for outcome in failed],
        },
    )


def _log(
    connection: duckdb.DuckDBPyConnection,
    outcomes: Sequence[Outcome],
    stale: Collection[date],
    common: Mapping[str, object],
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
            "ids": [_format_id(outcome.day) for outcome in outcomes],
            "days": [outcome.day for outcome in outcomes],
            "outcomes": [
                "stale" if outcome.day in stale else "failed" if isinstance(outcome, DayFailed) else "loaded"
                for outcome in outcomes
            ],
            "types": [str(failure.error_type) if failure else None for failure in failures],
            "messages": [failure.message if failure else None for failure in failures],
            "statuses": [failure.http_status if failure else 200 for failure in failures],
            "counts": [outcome.events for outcome in outcomes],
            "sizes": [outcome.size for outcome in outcomes],
            "elapsed": [outcome.elapsed_ms for outcome in outcomes],
        },
    )


def _format_id(day: date) -> str:
    return f"{day:%Y%m%d}"
