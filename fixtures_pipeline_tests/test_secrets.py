"""With a key set, the key is nowhere but in the requests: searched for byte by byte after a run of every fault."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from dagster import DagsterInstance
from pydantic import SecretStr

from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.fetching import Fetcher
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.faults import FAULTS
from fixtures_pipeline_tests.runs import FIRST, run

KEY = "k3y-that/must=never+leak"


def test_a_key_is_in_no_file_after_a_run_in_which_every_fault_occurred(
    settings: Settings,
    api: FaultServer,
    instance_in_files: DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    hasty = Limits(connect=1, read=0.5, deadline=1, tries=2, pause=0.01, retry_after=1, size=1_000_000, refusals=1000)
    monkeypatch.setattr("fixtures_pipeline.loading.Fetcher", partial(Fetcher, limits=hasty))
    for n, fault in enumerate(FAULTS.values()):
        api.plan(FIRST + timedelta(days=n), fault.respond)  # type: ignore[arg-type]
    secretive = settings.model_copy(update={"api_key": SecretStr(KEY)})
    result = run(secretive, instance_in_files, FIRST, FIRST + timedelta(days=len(FAULTS) - 1))
    assert result.success
    for event in result.all_events:
        assert KEY not in repr(event)
    assert any(KEY in request.headers.values() for request in api.requests)
    out, err = capfd.readouterr()
    assert KEY not in out + err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path
    assert KEY not in repr(secretive)


def test_the_key_is_not_among_the_definitions(settings: Settings) -> None:
    secretive = settings.model_copy(update={"api_key": SecretStr(KEY)})
    definitions = build_definitions(secretive)
    assert KEY not in repr(definitions.resolve_asset_graph())
    for spec in definitions.resolve_all_asset_specs():
        assert KEY not in repr(spec)
