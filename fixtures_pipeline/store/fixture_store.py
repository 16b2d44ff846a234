"""Outcomes in: one transaction puts a batch of days into the tables, and says what stands there afterwards.

An outcome is of the moment at which the day was asked for. So the tables end up the same in whatever order runs commit:
what is older than what is stored of the day is logged as stale and changes nothing.

The rows of `fixture_days`, `fixture_errors` and `load_log` are written here, those of `fixtures` in `ownership`. How
the file is opened is in `database`, what can be asked of it in `questions`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import duckdb

from fixtures_pipeline.days import day_bounds
from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.outcome import DayFailed, DayFixtures, DayLoaded, DayState, Outcome, Stored
from fixtures_pipeline.providers.mapping import OPEN_STATUSES, extract_list
from fixtures_pipeline.providers.provider import Provider
from fixtures_pipeline.store.ownership import make_claims, replace_fixtures
from fixtures_pipeline.store.questions import (
    STORED_DAYS,
    bind_days,
    count_by_competition,
    count_rows,
    read_first_fixtures,
    read_states,
    read_table,
)
from fixtures_pipeline.store.session import Database, WritingSession

if TYPE_CHECKING:
    import pandas

#: Days that are replayed in one transaction.
_TRANSACTION_DAYS = 64


class FixtureStore:
    """The tables of one provider."""

    def __init__(self, database: Database, provider: Provider, zone: ZoneInfo) -> None:
        """Name the database; nothing is opened or created before it is needed.

        Args:
            database: Where the tables are.
            provider: Whose answers are stored; a database holds one provider's.
            zone: Time zone in which days begin and end; a database holds days of one time zone.
        """
        self.database = database
        self.provider = provider
        self.zone = zone

    def __repr__(self) -> str:
        return f"FixtureStore({self.database.shown!r}, {self.provider.name!r})"

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
        with self.database.writing() as session:
            try:
                return self._write(session, outcomes, run_id)
            except self.database.refusals:
                # One of them is at fault: find it by putting each in alone.
                return [stored for outcome in outcomes for stored in self._write_alone(session, outcome, run_id)]

    def _write_alone(self, session: WritingSession, outcome: Outcome, run_id: str | None) -> list[Stored]:
        try:
            return self._write(session, [outcome], run_id)
        except self.database.refusals as error:
            if isinstance(outcome, DayFailed):
                if outcome.body is None:
                    raise
                return self._write_failure(session, outcome, run_id)
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
            return self._write(session, [refused], run_id)

    def _write_failure(self, session: WritingSession, outcome: DayFailed, run_id: str | None) -> list[Stored]:
        """Put a failure whose body is JSON to DuckDB, but not to the database: as DuckDB writes it, or without."""
        try:
            [(body,)] = session.memory.execute("SELECT json(decode($body))", {"body": outcome.body}).fetchall()
            return self._write(session, [replace(outcome, body=body.encode())], run_id)
        except self.database.refusals:
            return self._write(session, [replace(outcome, body=None)], run_id)

    def _write(self, session: WritingSession, outcomes: Sequence[Outcome], run_id: str | None) -> list[Stored]:
        days = [outcome.day for outcome in outcomes]
        begun = session.date_back(datetime.now(UTC))
        # A clock may have been set back since.
        asked = {
            outcome.day: min(session.date_back(outcome.fetched_at), begun) if outcome.fetched_at else begun
            for outcome in outcomes
        }
        loaded = sorted((one for one in outcomes if isinstance(one, DayLoaded)), key=lambda one: one.day)
        if loaded:
            self._take_apart(session.memory, loaded, asked, begun)
        answers: dict[date, str] = {}
        made: dict[date, tuple[str, int]] = {}
        with session.transaction():
            if loaded:
                session.stage("arrived")
                session.stage("claims")
            now = session.lock(run_id)
            common = {"now": now, "provider": self.provider.name, "run_id": run_id}
            before = {state.day: state.error for state in read_states(session, days)}
            stale = _find_stale(session, outcomes, asked, now)
            if any(outcome.day not in stale for outcome in loaded):
                _leave_out(session, stale)
                answers = _replace_days(session, common)
                made = replace_fixtures(session, self.provider, common)
            if failed := [one for one in outcomes if isinstance(one, DayFailed) and one.day not in stale]:
                _upsert_errors(session, sorted(failed, key=lambda one: one.day), asked, common)
            _log(session, outcomes, stale, common)
            after = {state.day: state for state in read_states(session, days)}
            described = self._describe(session, made, after)
        # Not before the commit: it takes longer the more there is, and others may be waiting.
        rows = count_rows(session)
        fixtures = {one.state.day: replace(one, total=rows["fixtures"]) for one in described}
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
        """Make the rows of days in `fixtures` again from their stored answers, by today's mapping.

        Nothing is fetched and no attempt is counted. What changes is kept in `fixture_changes`. Each transaction is of
        a few days, as DuckDB unpacks their answers in memory.

        Returns:
            What the rows are now, in order; nothing of a day without a stored answer.

        Raises:
            StoreError: the database cannot be opened or written. Days that were made again before stay so.
        """
        described: list[DayFixtures] = []
        with self.database.writing() as session:
            for start in range(0, len(days), _TRANSACTION_DAYS):
                with session.transaction():
                    described += self._replay(session, days[start : start + _TRANSACTION_DAYS], run_id)
            total = count_rows(session)["fixtures"]
        return [replace(one, total=total) for one in described]

    def _replay(self, session: WritingSession, days: Sequence[date], run_id: str | None) -> list[DayFixtures]:
        memory = session.memory
        now = session.lock(run_id)
        common = {"now": now, "provider": self.provider.name, "run_id": run_id}
        session.fetch_answers(days)
        memory.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE answers AS
            SELECT date, data, fetched_at, starts, ends FROM {STORED_DAYS}
            """,
            bind_days(days, self.zone),
        )
        make_claims(memory, self.provider, "answers", now)
        memory.execute("CREATE OR REPLACE TEMP TABLE arrived AS SELECT date, fetched_at FROM answers")
        session.stage("arrived")
        session.stage("claims")
        made = replace_fixtures(session, self.provider, common)
        # What the mapping has learned may end a day, or open it again.
        session.execute(
            """
            UPDATE fixture_days SET in_progress = NOT in_progress
            WHERE date IN (SELECT date FROM arrived) AND in_progress <> (
                date IN (SELECT date FROM claims WHERE status = ANY($open_statuses::VARCHAR[]))
            )
            """,
            {"open_statuses": list(OPEN_STATUSES)},
        )
        states = {state.day: state for state in read_states(session, list(made))}
        return self._describe(session, made, states)

    def _describe(
        self, session: WritingSession, made: Mapping[date, tuple[str, int]], states: Mapping[date, DayState]
    ) -> list[DayFixtures]:
        """Return what days have in `fixtures` now, in order; `made` is what `replace_fixtures` gives."""
        days = sorted(made)
        if not days:
            return []
        first = read_first_fixtures(session, days, self.zone)
        competitions = count_by_competition(session, days)
        return [
            DayFixtures(states[day], *made[day], first=first.get(day, ()), competitions=competitions.get(day, ()))
            for day in days
        ]

    def _take_apart(
        self,
        memory: duckdb.DuckDBPyConnection,
        loaded: Sequence[DayLoaded],
        asked: Mapping[date, datetime],
        now: datetime,
    ) -> None:
        """Make the tables `arrived`, of the days' answers, and `claims`, of the events that the days own by these."""
        bounds = [day_bounds(outcome.day, self.zone) for outcome in loaded]
        # The bodies are large: no join, sort or group may carry them.
        memory.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE arrived AS
            SELECT * EXCLUDE (body), {extract_list(self.provider)} AS data FROM (
                SELECT
                    unnest($ids) AS data_id, unnest($days) AS date, unnest($bodies) AS body,
                    unnest($counts)::INTEGER AS count, unnest($in_progress) AS in_progress,
                    NULL::TIMESTAMPTZ AS created_at, unnest($asked) AS fetched_at,
                    unnest($starts) AS starts, unnest($ends) AS ends
            )
            """,
            {
                "ids": [_format_id(outcome.day) for outcome in loaded],
                "days": [outcome.day for outcome in loaded],
                "bodies": [outcome.body for outcome in loaded],
                "counts": [outcome.events for outcome in loaded],
                "in_progress": [outcome.in_progress for outcome in loaded],
                "asked": [asked[outcome.day] for outcome in loaded],
                "starts": [starts for starts, _ in bounds],
                "ends": [ends for _, ends in bounds],
            },
        )
        make_claims(memory, self.provider, "arrived", now)


def _leave_out(session: WritingSession, stale: Collection[date]) -> None:
    """Delete stale days from what has arrived."""
    if stale:
        for table in ("arrived", "claims"):
            session.execute(f"DELETE FROM {table} WHERE date = ANY($stale::DATE[])", {"stale": list(stale)})


def _replace_days(session: WritingSession, common: Mapping[str, object]) -> dict[date, str]:
    """Put the days in the table `arrived` into `fixture_days`, in place of their rows; return hashes of the answers."""
    # A day that was asked for again since, and failed, is still failing.
    session.execute(
        """
        DELETE FROM fixture_errors
        WHERE data_id IN (
            SELECT data_id
            FROM (SELECT data_id, fetched_at FROM arrived) AS loaded
            JOIN (SELECT data_id, fetched_at AS failed_at FROM fixture_errors) AS failed USING (data_id)
            WHERE failed_at <= fetched_at OR failed_at > $now
        )
        """,
        {"now": common["now"]},
    )
    session.execute(
        """
        UPDATE arrived SET created_at = known.created_at
        FROM (SELECT data_id, created_at FROM fixture_days) AS known
        WHERE known.data_id = arrived.data_id
        """
    )
    session.execute("DELETE FROM fixture_days WHERE data_id IN (SELECT data_id FROM arrived)")
    session.execute(
        """
        INSERT INTO fixture_days (
            data_id, date, data, count, in_progress, created_at, updated_at, provider, fetched_at
        )
        SELECT data_id, date, data, count, in_progress, coalesce(created_at, $now), $now, $provider, fetched_at
        FROM arrived
        """,
        {"now": common["now"], "provider": common["provider"]},
    )
    versions = session.memory.execute("SELECT date, hash(data::VARCHAR) FROM arrived").fetchall()
    return {day: f"{version:x}" for day, version in versions}


def _find_stale(
    session: WritingSession, outcomes: Sequence[Outcome], asked: Mapping[date, datetime], now: datetime
) -> set[date]:
    """Return the days whose outcome is older than what is stored of them: than an answer, or a failure than another."""
    rows = session.execute(
        """
        SELECT date, fixture_days.fetched_at, fixture_errors.fetched_at
        FROM (SELECT date, fetched_at FROM fixture_days WHERE date = ANY($days::DATE[])) AS fixture_days
        FULL JOIN (
            SELECT date, fetched_at FROM fixture_errors WHERE date = ANY($days::DATE[])
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
    session: WritingSession,
    failed: Sequence[DayFailed],
    asked: Mapping[date, datetime],
    common: Mapping[str, object],
) -> None:
    session.execute(
        """
        INSERT INTO fixture_errors (
            data_id, date, data, count, in_progress, created_at, updated_at, provider,
            error_type, error_message, http_status, attempts, retry_at, fetched_at
        )
        SELECT
            unnest($ids::VARCHAR[]), unnest($days::DATE[]), unnest($bodies::VARCHAR[])::JSON,
            unnest($counts::INTEGER[]), false, $now, $now, $provider,
            unnest($types::VARCHAR[]), unnest($messages::VARCHAR[]), unnest($statuses::INTEGER[]),
            unnest($attempts::INTEGER[]), unnest($retry_at::TIMESTAMPTZ[]), unnest($asked::TIMESTAMPTZ[])
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
            "bodies": [outcome.body.decode() if outcome.body else None for outcome in failed],
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
    session: WritingSession,
    outcomes: Sequence[Outcome],
    stale: Collection[date],
    common: Mapping[str, object],
) -> None:
    failures = [outcome if isinstance(outcome, DayFailed) else None for outcome in outcomes]
    session.execute(
        """
        INSERT INTO load_log (
            data_id, date, "at", outcome, error_type, error_message, http_status, count, bytes, elapsed_ms,
            provider, run_id
        )
        SELECT
            unnest($ids::VARCHAR[]), unnest($days::DATE[]), $now, unnest($outcomes::VARCHAR[]),
            unnest($types::VARCHAR[]), unnest($messages::VARCHAR[]), unnest($statuses::INTEGER[]),
            unnest($counts::INTEGER[]), unnest($sizes::BIGINT[]), unnest($elapsed::BIGINT[]), $provider, $run_id
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
