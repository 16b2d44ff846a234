"""What a second start of Dagster loads: the project's definitions once Sofascore's mapping has learned a word."""

from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.providers import SOURCES
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.test_store_history import TAUGHT

SOURCES["sofascore", "football"] = TAUGHT
taught = build_definitions(Settings.load())
