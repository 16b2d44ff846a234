"""What the columns of the tables mean: one list for the Dagster UI, for docs/tables.md and for the tests.

The tables themselves are made by `migrations/`; a test holds the two together.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    type: str
    description: str


_DAY = (
    Column("data_id", "VARCHAR", "The day without dashes, such as 20241103."),
    Column("date", "DATE", "The day, in FIXTURES_TIMEZONE (`tarih` in the Django models)."),
)
_ANSWER = (
    *_DAY,
    Column("data", "JSON", "The list of events of the answer, all of it, neighbouring days' events included."),
    Column("count", "INTEGER", "Events in data."),
    Column(
        "in_progress",
        "BOOLEAN",
        "Whether some event of the day can still change: scheduled, live, suspended or of unknown status (`isprogress` "
        "in the Django models).",
    ),
    Column("created_at", "TIMESTAMPTZ", "First load."),
    Column("updated_at", "TIMESTAMPTZ", "Latest load."),
    Column("provider", "VARCHAR", "Where the answer came from."),
)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "fixture_days": _ANSWER,
    "fixtures": (
        Column("event_id", "BIGINT", "The provider's id of the event; stands once in the table."),
        Column("date", "DATE", "The day that owns the row: the kickoff's in FIXTURES_TIMEZONE."),
        Column("kickoff", "TIMESTAMPTZ", "When the event begins or began; NULL if the provider does not say."),
        Column(
            "status",
            "VARCHAR",
            "scheduled, live, finished, postponed, cancelled, abandoned, suspended, awarded, or unknown for a word of "
            "the provider's that this project does not know.",
        ),
        Column("status_detail", "VARCHAR", "The provider's own word for the status."),
        Column("country", "VARCHAR", "Country or continent of the competition."),
        Column("competition_id", "BIGINT", "The provider's id of the competition."),
        Column("competition", "VARCHAR", "Name of the competition."),
        Column("season", "VARCHAR", "The provider's label of the season, such as 25/26 or 2025."),
        Column("round", "VARCHAR", "Name of the round, or its number."),
        Column("home_team_id", "BIGINT", "The provider's id of the home team."),
        Column("home_team", "VARCHAR", "Name of the home team."),
        Column("away_team_id", "BIGINT", "The provider's id of the away team."),
        Column("away_team", "VARCHAR", "Name of the away team."),
        Column("home_score", "INTEGER", "Goals of the home team, without those of a shoot-out."),
        Column("away_score", "INTEGER", "Goals of the away team, without those of a shoot-out."),
        Column("home_penalties", "INTEGER", "Goals of the home team in the shoot-out."),
        Column("away_penalties", "INTEGER", "Goals of the away team in the shoot-out."),
        Column("winner", "VARCHAR", "home, away or draw, as the provider says; NULL if it does not."),
        Column("provider", "VARCHAR", "Where the event came from."),
        Column("updated_at", "TIMESTAMPTZ", "The load that last changed something in this row."),
    ),
    "fixture_errors": (
        *_DAY,
        Column("data", "JSON", "The offending answer where it is JSON, else NULL."),
        Column("count", "INTEGER", "Events in the offending answer, 0 where it had none."),
        Column("in_progress", "BOOLEAN", "Always false here; the column keeps the two day tables alike."),
        Column("created_at", "TIMESTAMPTZ", "First of the failures in a row."),
        Column("updated_at", "TIMESTAMPTZ", "Latest failure."),
        Column("provider", "VARCHAR", "Who was asked."),
        Column("error_type", "VARCHAR", "Kind of the latest failure; docs/errors.md lists them."),
        Column("error_message", "VARCHAR", "What was seen, and what to do."),
        Column("http_status", "INTEGER", "Status of the last response; NULL where none came."),
        Column("attempts", "INTEGER", "Failures in a row."),
        Column(
            "retry_at",
            "TIMESTAMPTZ",
            "Not worth asking before; the year 9999 for a day that asking again cannot help; NULL if nothing is known.",
        ),
    ),
    "load_log": (
        *_DAY,
        Column("at", "TIMESTAMPTZ", 'When the attempt was stored; a word of SQL\'s own, so write it "at" in queries.'),
        Column("outcome", "VARCHAR", "loaded or failed."),
        Column("error_type", "VARCHAR", "Kind of the failure; NULL for a day that loaded."),
        Column("error_message", "VARCHAR", "What was seen, and what to do; NULL for a day that loaded."),
        Column("http_status", "INTEGER", "Status of the last response; NULL where none came."),
        Column("count", "INTEGER", "Events in the answer."),
        Column("bytes", "BIGINT", "Size of the answer, unpacked."),
        Column("elapsed_ms", "BIGINT", "From the first request to the last byte, retries and pauses included."),
        Column("provider", "VARCHAR", "Who was asked."),
        Column("run_id", "VARCHAR", "The Dagster run that asked; NULL outside of one."),
    ),
}
