"""What the columns of the tables and views mean: one list for the Dagster UI, for docs/tables.md and for the tests.

The tables themselves are made by `migrations/`; a test holds the two together.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table or view."""

    name: str
    type: str
    description: str


_DAY = (
    Column("data_id", "VARCHAR", "The day without dashes, such as 20241103."),
    Column("date", "DATE", "The day, in FIXTURES_TIMEZONE."),
)
_ANSWER = (
    *_DAY,
    Column("data", "JSON", "The complete list of events from the answer, including events of neighbouring days."),
    Column("count", "INTEGER", "Number of events in data."),
    Column(
        "in_progress",
        "BOOLEAN",
        "Whether any event of the day can still change: scheduled, live, suspended or of unknown status.",
    ),
    Column("created_at", "TIMESTAMPTZ", "Time of the first load."),
    Column("updated_at", "TIMESTAMPTZ", "Time of the latest load."),
    Column("provider", "VARCHAR", "The provider that gave the answer."),
    Column("fetched_at", "TIMESTAMPTZ", "When the answer was asked for; an older one never replaces it."),
)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "fixture_days": (
        *_ANSWER,
        Column(
            "events_hash",
            "VARCHAR",
            "MD5 of the ids of the day's own events in data, in order; NULL if an older version loaded the day.",
        ),
    ),
    "fixtures": (
        Column("event_id", "BIGINT", "The provider's id of the event; unique in the table."),
        Column(
            "date",
            "DATE",
            "The day that owns the row: the day of the kickoff in FIXTURES_TIMEZONE; without a kickoff the day that "
            "the provider names, else the day it was listed under.",
        ),
        Column("kickoff", "TIMESTAMPTZ", "When the event begins or began; NULL if the provider does not say."),
        Column(
            "status",
            "VARCHAR",
            "scheduled, live, finished, postponed, cancelled, abandoned, suspended, awarded, or unknown if this "
            "project does not know the provider's word.",
        ),
        Column("status_detail", "VARCHAR", "The provider's own word for the status."),
        Column("country", "VARCHAR", "Country or continent of the competition."),
        Column("competition_id", "BIGINT", "The provider's id of the competition."),
        Column("competition", "VARCHAR", "Name of the competition."),
        Column("season", "VARCHAR", "The provider's label for the season, such as 25/26 or 2025."),
        Column("round", "VARCHAR", "Name of the round, or its number."),
        Column("home_team_id", "BIGINT", "The provider's id of the home team."),
        Column("home_team", "VARCHAR", "Name of the home team."),
        Column("away_team_id", "BIGINT", "The provider's id of the away team."),
        Column("away_team", "VARCHAR", "Name of the away team."),
        Column("home_score", "INTEGER", "Goals of the home team, excluding a shoot-out."),
        Column("away_score", "INTEGER", "Goals of the away team, excluding a shoot-out."),
        Column("home_penalties", "INTEGER", "Goals of the home team in a shoot-out."),
        Column("away_penalties", "INTEGER", "Goals of the away team in a shoot-out."),
        Column("winner", "VARCHAR", "home, away or draw, as the provider reports it; NULL if it does not."),
        Column("provider", "VARCHAR", "The provider that listed the event."),
        Column("updated_at", "TIMESTAMPTZ", "Time of the load that last changed anything in this row."),
        Column("created_at", "TIMESTAMPTZ", "Time of the load that brought the event into this table."),
    ),
    "fixture_errors": (
        *_DAY,
        Column("data", "JSON", "The offending answer if it is JSON, else NULL."),
        Column("count", "INTEGER", "Number of events in the offending answer; 0 if it had none."),
        Column(
            "in_progress",
            "BOOLEAN",
            "Always false here; the column is there so that both day tables have the same columns.",
        ),
        Column("created_at", "TIMESTAMPTZ", "Time of the first of the consecutive failures."),
        Column("updated_at", "TIMESTAMPTZ", "Time of the latest failure."),
        Column("provider", "VARCHAR", "The provider that was asked."),
        Column("error_type", "VARCHAR", "Type of the latest failure; docs/errors.md lists them."),
        Column("error_message", "VARCHAR", "What was seen and what to do."),
        Column("http_status", "INTEGER", "Status of the last response; NULL if there was none."),
        Column("attempts", "INTEGER", "Number of consecutive failures."),
        Column(
            "retry_at",
            "TIMESTAMPTZ",
            "No use asking again before this time; year 9999 if asking again cannot help; NULL if nothing is known.",
        ),
        Column("fetched_at", "TIMESTAMPTZ", "When the day was last asked for."),
    ),
    "fixture_changes": (
        Column("event_id", "BIGINT", "The provider's id of the event."),
        Column("date", "DATE", "The day that owns the event now, or that it disappeared from."),
        Column("changed_at", "TIMESTAMPTZ", "Time of the load that made the change."),
        Column("fetched_at", "TIMESTAMPTZ", "When the answer that told of the change was asked for."),
        Column("field", "VARCHAR", "The column of fixtures that changed."),
        Column("before", "VARCHAR", "Its value before, as text (times in UTC); NULL if it had none."),
        Column("after", "VARCHAR", "Its value after, as text (times in UTC); NULL if it has none."),
        Column("run_id", "VARCHAR", "The Dagster run that made the change; NULL outside Dagster."),
    ),
    "load_log": (
        *_DAY,
        Column("at", "TIMESTAMPTZ", 'When the attempt was stored. It is an SQL keyword: write "at", in quotes.'),
        Column(
            "outcome",
            "VARCHAR",
            "loaded, failed, or stale: a newer answer was there already, and nothing else changed.",
        ),
        Column("error_type", "VARCHAR", "Type of the failure; NULL for a day that loaded."),
        Column("error_message", "VARCHAR", "What was seen and what to do; NULL for a day that loaded."),
        Column("http_status", "INTEGER", "Status of the last response; NULL if there was none."),
        Column("count", "INTEGER", "Number of events in the answer."),
        Column("bytes", "BIGINT", "Size of the answer, uncompressed."),
        Column(
            "elapsed_ms",
            "BIGINT",
            "Milliseconds from the first request to the last byte, including retries and pauses.",
        ),
        Column("provider", "VARCHAR", "The provider that was asked."),
        Column("run_id", "VARCHAR", "The Dagster run that asked; NULL outside Dagster."),
    ),
    "team_matches": (
        Column("event_id", "BIGINT", "The provider's id of the event; it appears once for each of its teams."),
        Column("date", "DATE", "The day that owns the event."),
        Column("kickoff", "TIMESTAMPTZ", "When the event begins or began; NULL if the provider does not say."),
        Column("status", "VARCHAR", "As in fixtures."),
        Column("country", "VARCHAR", "Country or continent of the competition."),
        Column("competition_id", "BIGINT", "The provider's id of the competition."),
        Column("competition", "VARCHAR", "Name of the competition."),
        Column("season", "VARCHAR", "The provider's label for the season."),
        Column("round", "VARCHAR", "Name of the round, or its number."),
        Column("team_id", "BIGINT", "The provider's id of the team whose match this is."),
        Column("team", "VARCHAR", "Name of the team."),
        Column("opponent_id", "BIGINT", "The provider's id of the other team."),
        Column("opponent", "VARCHAR", "Name of the other team."),
        Column("venue", "VARCHAR", "home or away."),
        Column("goals_for", "INTEGER", "Goals of the team, excluding a shoot-out."),
        Column("goals_against", "INTEGER", "Goals of the other team, excluding a shoot-out."),
        Column("penalties_for", "INTEGER", "Goals of the team in a shoot-out."),
        Column("penalties_against", "INTEGER", "Goals of the other team in a shoot-out."),
        Column(
            "result",
            "VARCHAR",
            "W, D or L once the match is finished or awarded. A shoot-out counts as a draw; an awarded match goes to "
            "its winner.",
        ),
    ),
    "standings": (
        Column("country", "VARCHAR", "Country or continent of the competition."),
        Column("competition_id", "BIGINT", "The provider's id of the competition."),
        Column("competition", "VARCHAR", "Name of the competition; the latest, if it was renamed."),
        Column("season", "VARCHAR", "The provider's label for the season."),
        Column("place", "INTEGER", "Place by points, then difference, then goals_for, then name."),
        Column("team_id", "BIGINT", "The provider's id of the team."),
        Column("team", "VARCHAR", "Name of the team; the latest, if it was renamed."),
        Column("played", "INTEGER", "Matches with a result."),
        Column("won", "INTEGER", "Matches won."),
        Column("drawn", "INTEGER", "Matches drawn, those with a shoot-out included."),
        Column("lost", "INTEGER", "Matches lost."),
        Column("goals_for", "INTEGER", "Goals of the team."),
        Column("goals_against", "INTEGER", "Goals of its opponents."),
        Column("difference", "INTEGER", "goals_for less goals_against."),
        Column("points", "INTEGER", "Three for a win, one for a draw."),
    ),
}

#: Those of them that are views over the others.
VIEWS = ("team_matches", "standings")

#: The tables that loads fill: those that are no views, and one that the store keeps for itself.
FILLED = {name: columns for name, columns in COLUMNS.items() if name not in VIEWS}
FILLED["superseded_fixtures"] = COLUMNS["fixtures"]
