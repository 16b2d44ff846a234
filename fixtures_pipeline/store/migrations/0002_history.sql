-- What each column means stands in tables.py and docs/tables.md.

-- DuckDB cannot add NOT NULL to a table with a key; loads fill these columns always.
ALTER TABLE fixture_days ADD COLUMN fetched_at TIMESTAMPTZ;
-- Filled by the next load of a day; until then the check days_match_answers reads the answer.
ALTER TABLE fixture_days ADD COLUMN events_hash VARCHAR;
UPDATE fixture_days SET fetched_at = updated_at;
ALTER TABLE fixture_errors ADD COLUMN fetched_at TIMESTAMPTZ;
UPDATE fixture_errors SET fetched_at = updated_at;

ALTER TABLE fixtures ADD COLUMN created_at TIMESTAMPTZ;
UPDATE fixtures SET created_at = updated_at;
ALTER TABLE superseded_fixtures ADD COLUMN created_at TIMESTAMPTZ;
UPDATE superseded_fixtures SET created_at = updated_at;

CREATE TABLE fixture_changes (
    event_id BIGINT NOT NULL,
    date DATE NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    fetched_at TIMESTAMPTZ NOT NULL,
    field VARCHAR NOT NULL,
    before VARCHAR,
    after VARCHAR,
    run_id VARCHAR
);

CREATE VIEW team_matches AS
WITH results AS (
    SELECT
        *, CASE
            WHEN status = 'awarded' AND winner IS NOT NULL THEN winner
            WHEN home_score > away_score THEN 'home'
            WHEN home_score < away_score THEN 'away'
            WHEN home_score = away_score THEN 'draw'
        END AS better
    FROM fixtures
)
SELECT
    event_id, date, kickoff, status, country, competition_id, competition, season, round,
    home_team_id AS team_id, home_team AS team, away_team_id AS opponent_id, away_team AS opponent, 'home' AS venue,
    home_score AS goals_for, away_score AS goals_against,
    home_penalties AS penalties_for, away_penalties AS penalties_against,
    CASE WHEN status IN ('finished', 'awarded')
        THEN CASE better WHEN 'home' THEN 'W' WHEN 'draw' THEN 'D' WHEN 'away' THEN 'L' END END AS result
FROM results WHERE home_team_id IS NOT NULL OR home_team IS NOT NULL
UNION ALL
SELECT
    event_id, date, kickoff, status, country, competition_id, competition, season, round,
    away_team_id, away_team, home_team_id, home_team, 'away', away_score, home_score, away_penalties, home_penalties,
    CASE WHEN status IN ('finished', 'awarded')
        THEN CASE better WHEN 'away' THEN 'W' WHEN 'draw' THEN 'D' WHEN 'home' THEN 'L' END END
FROM results WHERE away_team_id IS NOT NULL OR away_team IS NOT NULL;

-- By ids where there are any: names are not unique, and may change within a season.
CREATE VIEW standings AS
WITH named AS (
    SELECT
        country, competition_id, competition, season, team_id, team,
        max(ARRAY[date - DATE '1970-01-01', event_id]) AS latest,
        count(*) AS played,
        count(*) FILTER (WHERE result = 'W') AS won,
        count(*) FILTER (WHERE result = 'D') AS drawn,
        count(*) FILTER (WHERE result = 'L') AS lost,
        sum(goals_for) AS goals_for,
        sum(goals_against) AS goals_against
    FROM team_matches
    WHERE result IS NOT NULL
    GROUP BY country, competition_id, competition, season, team_id, team
),
totals AS (
    SELECT
        country, competition_id, season, team_id,
        (array_agg(competition ORDER BY latest DESC) FILTER (WHERE competition IS NOT NULL))[1] AS competition,
        (array_agg(team ORDER BY latest DESC) FILTER (WHERE team IS NOT NULL))[1] AS team,
        sum(played)::INTEGER AS played,
        sum(won)::INTEGER AS won,
        sum(drawn)::INTEGER AS drawn,
        sum(lost)::INTEGER AS lost,
        coalesce(sum(goals_for), 0)::INTEGER AS goals_for,
        coalesce(sum(goals_against), 0)::INTEGER AS goals_against
    FROM named
    GROUP BY
        country, competition_id, CASE WHEN competition_id IS NULL THEN competition END, season,
        team_id, CASE WHEN team_id IS NULL THEN team END
),
ranked AS (
    SELECT *, goals_for - goals_against AS difference, 3 * won + drawn AS points FROM totals
)
SELECT
    country, competition_id, competition, season,
    row_number() OVER (
        PARTITION BY country, competition_id, CASE WHEN competition_id IS NULL THEN competition END, season
        ORDER BY points DESC, difference DESC, goals_for DESC, team COLLATE "C", team_id
    )::INTEGER AS place,
    team_id, team, played, won, drawn, lost, goals_for, goals_against, difference, points
FROM ranked;
