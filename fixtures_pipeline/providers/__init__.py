"""The providers that `FIXTURES_PROVIDER` can name, and what each has of the sports that `FIXTURES_SPORT` can name."""

from fixtures_pipeline.providers.api_football import API_FOOTBALL
from fixtures_pipeline.providers.api_sports import API_SPORTS
from fixtures_pipeline.providers.football_data import FOOTBALL_DATA
from fixtures_pipeline.providers.openligadb import OPENLIGADB
from fixtures_pipeline.providers.provider import FOOTBALL, Provider
from fixtures_pipeline.providers.sample import SAMPLE
from fixtures_pipeline.providers.sofascore import SOFASCORE
from fixtures_pipeline.providers.thesportsdb import THESPORTSDB

#: Every source of days, by provider and sport.
SOURCES: dict[tuple[str, str], Provider] = {
    (source.name, source.sport): source
    for source in (SAMPLE, SOFASCORE, API_FOOTBALL, *API_SPORTS, FOOTBALL_DATA, *OPENLIGADB, *THESPORTSDB)
}
#: What each provider has of football; every one has some.
PROVIDERS: dict[str, Provider] = {name: source for (name, sport), source in SOURCES.items() if sport == FOOTBALL}
