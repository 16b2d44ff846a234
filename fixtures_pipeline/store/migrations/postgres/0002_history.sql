
CREATE INDEX ON fixture_changes (event_id);
CREATE INDEX ON fixture_changes (changed_at);
