-- Filled by the next load of a day; until then the check days_match_answers reads the answer.
ALTER TABLE fixture_days ADD COLUMN events_hash VARCHAR;
