
-- Postgres keeps an index up to date at the cost of the rows that change.
ALTER TABLE fixtures ADD PRIMARY KEY (event_id);
CREATE INDEX ON fixtures (date);
CREATE INDEX ON superseded_fixtures (event_id);
CREATE INDEX ON superseded_fixtures (date);
CREATE INDEX ON fixture_days (date);
CREATE INDEX ON fixture_errors (date);
CREATE INDEX ON load_log (date);
CREATE INDEX ON load_log ("at");
