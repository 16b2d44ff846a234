-- What each column means stands in tables.py and docs/tables.md.

CREATE TABLE fixture_days (
    data_id VARCHAR PRIMARY KEY,
    date DATE NOT NULL,
    data JSON NOT NULL,
    count INTEGER NOT NULL,
    in_progress BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    provider VARCHAR NOT NULL
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

-- No key on event_id: its index would be rebuilt, and the last 122,880 rows rewritten, at every load, so that loading
-- one day would cost more with every year stored. Loading keeps ids unique; the check unique_events watches it.
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

-- Rows of fixtures whose event a later load of another day has taken over. They come back when that day is loaded
-- again and no longer lists the event.
CREATE TABLE superseded_fixtures AS SELECT * FROM fixtures WHERE false;

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
