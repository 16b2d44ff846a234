"""Rules that the tables must keep, each a query for the rows that break it.

One declarative list, without Dagster: `checks` makes asset checks of it, docs/checks.md explains it. To add a rule, add
it here and there.
"""

from dataclasses import dataclass
from typing import Literal

#: Offending rows that a rule names one by one; it counts all of them.
ROWS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of one table.

    Attributes:
        name: Name of the asset check.
        asset: Table and asset that the rule is about.
        severity: ERROR where data are wrong or missing, WARN where they look odd.
        sentence: What must hold.
        remedy: What to do when it does not.
        query: Gives the offending rows. `$days` are the days of the run (NULL: all days), `$now` is this moment,
            `$most_events` what an answer lists at most with the provider's plan (NULL: all there is).
        reads_answers: Whether the query reads `listed_fixtures`: `date` and `event_id` of what the stored answers of
            `$days` list for their own day.
    """

    name: str
    asset: Literal["fixture_days", "fixtures", "fixture_errors"]
    severity: Literal["ERROR", "WARN"]
    sentence: str
    remedy: str
    query: str
    reads_answers: bool = False


RULES = (
    Rule(
        name="no_open_errors",
        asset="fixture_errors",
        severity="ERROR",
        sentence="The latest fetch of every day succeeded.",
        remedy="Read the type and message of the oldest day, fix the cause, then load the days again by hand or "
        "switch on the sensor retry_failed_days.",
        query="""
            SELECT
                date AS day, error_type, error_message, http_status, attempts, created_at AS failing_since,
                updated_at, retry_at
            FROM fixture_errors
            ORDER BY created_at, date
        """,
    ),
    Rule(
        name="unique_events",
        asset="fixtures",
        severity="ERROR",
        sentence="Every event appears exactly once.",
        remedy="Something other than this project has written to the table: load the days listed here again.",
        query="""
            SELECT event_id, count(*) AS times, min(date) AS first_day, max(date) AS last_day
            FROM fixtures
            GROUP BY event_id
            HAVING count(*) > 1
            ORDER BY event_id
        """,
    ),
    Rule(
        name="days_match_answers",
        asset="fixtures",
        severity="ERROR",
        sentence="Each loaded day has exactly the events that its stored answer lists for that day.",
        remedy="Something other than this project has written to the tables: load the days listed here again.",
        query="""
            WITH kept AS (
                SELECT date, event_id FROM fixtures WHERE $days::DATE[] IS NULL OR date = ANY($days::DATE[])
                UNION ALL
                SELECT date, event_id FROM superseded_fixtures WHERE $days::DATE[] IS NULL OR date = ANY($days::DATE[])
            )
            SELECT
                date AS day,
                count(*) FILTER (WHERE kept.event_id IS NULL) AS missing,
                count(*) FILTER (WHERE listed.event_id IS NULL) AS surplus
            FROM listed_fixtures AS listed FULL JOIN kept USING (date, event_id)
            WHERE listed.event_id IS NULL OR kept.event_id IS NULL
            GROUP BY date
            ORDER BY date
        """,
        reads_answers=True,
    ),
    Rule(
        name="finished_with_scores",
        asset="fixtures",
        severity="WARN",
        sentence="Every finished event has a score.",
        remedy="Providers often add scores later: load the days listed here again. Some scores never arrive.",
        query="""
            SELECT date AS day, event_id, home_team, away_team, competition, status_detail
            FROM fixtures
            WHERE status = 'finished' AND (home_score IS NULL OR away_score IS NULL)
                AND ($days::DATE[] IS NULL OR date = ANY($days::DATE[]))
            ORDER BY date DESC, event_id
        """,
    ),
    Rule(
        name="past_kickoffs_open",
        asset="fixtures",
        severity="WARN",
        sentence="No event that kicked off more than six hours ago is still scheduled or live.",
        remedy="Load the days listed here again. The schedule refresh_days_in_progress does so automatically for today "
        "and the two days before.",
        query="""
            SELECT date AS day, event_id, home_team, away_team, kickoff, status, status_detail
            FROM fixtures
            WHERE status IN ('scheduled', 'live') AND kickoff < $now::TIMESTAMPTZ - INTERVAL '6 hours'
            ORDER BY kickoff, event_id
        """,
    ),
    Rule(
        name="results_corrected",
        asset="fixtures",
        severity="WARN",
        sentence="No result was changed in the latest seven days more than an hour after its event had ended.",
        remedy="Results that you have passed on are different now: the table shows each value before and after. "
        "Nothing is to be loaded again.",
        # A replay changes values by another mapping, which is no news from the provider: it leaves nothing in load_log.
        query="""
            WITH corrected AS (
                SELECT event_id, changed_at, field, before, after
                FROM fixture_changes
                WHERE changed_at > $now::TIMESTAMPTZ - INTERVAL '7 days' AND before IS NOT NULL
                    AND field IN ('home_score', 'away_score', 'home_penalties', 'away_penalties', 'winner')
                    AND changed_at IN (SELECT "at" FROM load_log WHERE "at" > $now::TIMESTAMPTZ - INTERVAL '7 days')
            ),
            statuses AS (
                SELECT event_id, changed_at, before, after, row_number() OVER (
                    PARTITION BY event_id ORDER BY changed_at
                ) AS place
                FROM fixture_changes
                WHERE field = 'status' AND event_id IN (SELECT event_id FROM corrected)
            ),
            -- It ended when its status said so, or before it was seen at all.
            ends AS (
                SELECT event_id, min(changed_at) AS ended
                FROM (
                    SELECT event_id, changed_at FROM statuses WHERE after IN ('finished', 'awarded')
                    UNION ALL
                    SELECT event_id, created_at
                    FROM fixtures LEFT JOIN (
                        SELECT event_id, before FROM statuses WHERE place = 1
                    ) AS earliest USING (event_id)
                    WHERE event_id IN (SELECT event_id FROM corrected)
                        AND coalesce(earliest.before, status) IN ('finished', 'awarded')
                ) AS ended
                GROUP BY event_id
            )
            SELECT
                date AS day, event_id, home_team, away_team, competition, field, before, after, changed_at, ended
            FROM corrected JOIN ends USING (event_id) JOIN fixtures USING (event_id)
            WHERE status IN ('finished', 'awarded') AND changed_at > ended + INTERVAL '1 hour'
                AND NOT EXISTS (
                    SELECT 1 FROM fixture_changes AS gone
                    WHERE gone.event_id = corrected.event_id AND gone.changed_at = corrected.changed_at
                        AND gone.field = 'date' AND gone.after IS NULL
                )
            ORDER BY changed_at DESC, day DESC, event_id, field
        """,
    ),
    Rule(
        name="no_gaps",
        asset="fixture_days",
        severity="WARN",
        sentence="No day is missing between the first and the last loaded day.",
        remedy="Load the days listed here. Days that failed are not listed; they are in fixture_errors.",
        query="""
            WITH known AS (SELECT date FROM fixture_days UNION SELECT date FROM fixture_errors),
            missing AS (
                SELECT expected.day::DATE AS day
                FROM (SELECT min(date) AS first, max(date) AS last FROM fixture_days) AS bounds,
                    generate_series(bounds.first, bounds.last, INTERVAL '1 day') AS expected (day)
                WHERE expected.day::DATE NOT IN (SELECT date FROM known)
            )
            SELECT '[' || min(day)::VARCHAR || '...' || max(day)::VARCHAR || ']' AS partitions, count(*) AS days
            FROM (SELECT day, day - row_number() OVER (ORDER BY day)::INTEGER AS stretch FROM missing) AS stretches
            GROUP BY stretch
            ORDER BY min(day)
        """,
    ),
    Rule(
        name="volume_in_line",
        asset="fixture_days",
        severity="WARN",
        sentence="Every day lists at least half as many events as is usual for its weekday.",
        remedy="Look at the day. A winter break or an international week explains a low number; if the answer was cut "
        "short, load the day again.",
        query="""
            WITH usual AS (
                SELECT
                    one.date, one.count, count(*) AS compared,
                    percentile_cont(0.5) WITHIN GROUP (ORDER BY other.count) AS usual
                FROM fixture_days AS one JOIN fixture_days AS other
                    ON extract(isodow FROM other.date) = extract(isodow FROM one.date)
                    AND other.date BETWEEN one.date - 56 AND one.date + 56
                WHERE $days::DATE[] IS NULL OR one.date = ANY($days::DATE[])
                GROUP BY one.data_id, one.date, one.count
            )
            SELECT date AS day, count AS events, usual
            FROM usual
            WHERE compared >= 5 AND count < usual / 2
            ORDER BY date DESC
        """,
    ),
    Rule(
        name="days_not_cut",
        asset="fixture_days",
        severity="WARN",
        sentence="No day lists as many events as the provider's plan gives of one: there may be more.",
        remedy="The rest of these days comes only with a key of your own, in FIXTURES_API_KEY, or with a larger plan.",
        query="""
            SELECT date AS day, count AS events, $most_events::INTEGER AS most
            FROM fixture_days
            WHERE count >= $most_events::INTEGER AND ($days::DATE[] IS NULL OR date = ANY($days::DATE[]))
            ORDER BY date DESC
        """,
    ),
)
