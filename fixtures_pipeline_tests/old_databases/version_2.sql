
CREATE TABLE fixture_days (
    data_id VARCHAR PRIMARY KEY,
    date DATE NOT NULL,
    data JSON NOT NULL,
    count INTEGER NOT NULL,
    in_progress BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    provider VARCHAR NOT NULL,
    fetched_at TIMESTAMPTZ,
    events_hash VARCHAR
);

CREATE TABLE fixture_errors (
    data_id VARCHAR PRIMARY KEY,
    date DATE NOT NULL,
    data JSON,
    count INTEGER NOT NULL,
    in_progress BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    provider VARCHAR NOT NULL,
    error_type VARCHAR NOT NULL,
    error_message VARCHAR NOT NULL,
    http_status INTEGER,
    attempts INTEGER NOT NULL,
    retry_at TIMESTAMPTZ,
    fetched_at TIMESTAMPTZ
);

CREATE TABLE fixtures (
    event_id BIGINT NOT NULL,
    date DATE NOT NULL,
    kickoff TIMESTAMPTZ,
    status VARCHAR NOT NULL,
    status_detail VARCHAR,
    country VARCHAR,
    competition_id BIGINT,
    competition VARCHAR,
    season VARCHAR,
    round VARCHAR,
    home_team_id BIGINT,
    home_team VARCHAR,
    away_team_id BIGINT,
    away_team VARCHAR,
    home_score INTEGER,
    away_score INTEGER,
    home_penalties INTEGER,
    away_penalties INTEGER,
    winner VARCHAR,
    provider VARCHAR NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ
);

CREATE TABLE superseded_fixtures AS FROM fixtures;

CREATE TABLE load_log (
    data_id VARCHAR NOT NULL,
    date DATE NOT NULL,
    "at" TIMESTAMPTZ NOT NULL,
    outcome VARCHAR NOT NULL,
    error_type VARCHAR,
    error_message VARCHAR,
    http_status INTEGER,
    count INTEGER NOT NULL,
    bytes BIGINT NOT NULL,
    elapsed_ms BIGINT NOT NULL,
    provider VARCHAR NOT NULL,
    run_id VARCHAR
);

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

CREATE TABLE store_info (schema_version INTEGER NOT NULL, provider VARCHAR NOT NULL, timezone VARCHAR NOT NULL);
INSERT INTO store_info VALUES (2, 'sofascore', 'UTC');
INSERT INTO fixture_days VALUES (
    '20250303', '2025-03-03',
    '[{"id":1,"startTimestamp":1741003200},{"id":2,"startTimestamp":1741003200}]',
    2, true, '2025-03-03 12:00:00+00', '2025-03-04 12:00:00+00', 'sofascore',
    '2025-03-04 11:59:59+00', '05cf281c050be3da4eecf3bc6e8aac1b'
);
INSERT INTO fixtures (event_id, date, kickoff, status, provider, updated_at, created_at) VALUES
    (1, '2025-03-03', '2025-03-03 12:00:00+00', 'unknown', 'sofascore', '2025-03-03 12:00:00+00', '2025-03-03 12:00:00+00'),
    (2, '2025-03-03', '2025-03-03 12:00:00+00', 'unknown', 'sofascore', '2025-03-03 12:00:00+00', '2025-03-03 12:00:00+00');
INSERT INTO fixture_errors VALUES (
    '20250304', '2025-03-04', NULL, 0, false, '2025-03-04 12:00:00+00', '2025-03-04 12:00:00+00', 'sofascore',
    'TIMEOUT_ERROR', 'Too slow.', NULL, 2, NULL, '2025-03-04 11:59:59+00'
);
INSERT INTO load_log VALUES
    ('20250303', '2025-03-03', '2025-03-04 12:00:00+00', 'loaded', NULL, NULL, 200, 2, 80, 5, 'sofascore', 'a'),
    ('20250304', '2025-03-04', '2025-03-04 12:00:00+00', 'failed', 'TIMEOUT_ERROR', 'Too slow.', NULL, 0, 0, 5, 'sofascore', 'a');
