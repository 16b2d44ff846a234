"""The bundled sample API: Sofascore's request, envelope and mapping under a name of its own.

The server itself is `sample_api`; a run starts it on loopback when no `FIXTURES_API_URL` is set.
"""

from dataclasses import replace

from fixtures_pipeline.providers.provider import Plan
from fixtures_pipeline.providers.sofascore import SOFASCORE

SAMPLE = replace(SOFASCORE, name="sample", title="Sample API (made up)", plan=Plan(requests_per_second=1000))
