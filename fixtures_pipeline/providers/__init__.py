"""The providers that `FIXTURES_PROVIDER` can name."""

from fixtures_pipeline.providers.api_football import API_FOOTBALL
from fixtures_pipeline.providers.football_data import FOOTBALL_DATA
from fixtures_pipeline.providers.provider import Provider
from fixtures_pipeline.providers.sample import SAMPLE
from fixtures_pipeline.providers.sofascore import SOFASCORE

PROVIDERS: dict[str, Provider] = {
    provider.name: provider for provider in (SAMPLE, SOFASCORE, API_FOOTBALL, FOOTBALL_DATA)
}
