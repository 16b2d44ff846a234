
CREATE TABLE fixture_days (
    data_id VARCHAR PRIMARY KEY,
    date DATE NOT NULL,
    data JSON NOT NULL,
    count INTEGER NOT NULL,
    in_progress BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    provider VARCHAR NOT NULL,
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
    retry_at TIMESTAMPTZ
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
    updated_at TIMESTAMPTZ NOT NULL
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
CREATE TABLE store_info (schema_version INTEGER NOT NULL, provider VARCHAR NOT NULL, timezone VARCHAR NOT NULL);
INSERT INTO store_info VALUES (2, 'sofascore', 'UTC');
INSERT INTO fixture_days VALUES (
    '20250303', '2025-03-03',
    '[{"id":1,"startTimestamp":1741003200},{"id":2,"startTimestamp":1741003200}]',
    2, true, '2025-03-03 12:00:00+00', '2025-03-04 12:00:00+00', 'sofascore',
    '05cf281c050be3da4eecf3bc6e8aac1b'
);
INSERT INTO fixtures (event_id, date, kickoff, status, provider, updated_at) VALUES
    (1, '2025-03-03', '2025-03-03 12:00:00+00', 'unknown', 'sofascore', '2025-03-03 12:00:00+00'),
    (2, '2025-03-03', '2025-03-03 12:00:00+00', 'unknown', 'sofascore', '2025-03-03 12:00:00+00');
INSERT INTO fixture_errors VALUES (
    '20250304', '2025-03-04', NULL, 0, false, '2025-03-04 12:00:00+00', '2025-03-04 12:00:00+00', 'sofascore',
    'TIMEOUT_ERROR', 'Too slow.', NULL, 2, NULL
);
INSERT INTO load_log VALUES
    ('20250303', '2025-03-03', '2025-03-04 12:00:00+00', 'loaded', NULL, NULL, 200, 2, 80, 5, 'sofascore', 'a'),
    ('20250304', '2025-03-04', '2025-03-04 12:00:00+00', 'failed', 'TIMEOUT_ERROR', 'Too slow.', NULL, 0, 0, 5, 'sofascore', 'a');
