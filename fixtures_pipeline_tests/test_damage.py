"""Whatever happens to the files, what meets them says a sentence or works, and takes nothing from anybody."""

import subprocess
from pathlib import Path

import pytest

from fixtures_pipeline_tests.damage import make_files
from fixtures_pipeline_tests.processes import Process


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with every file that the pipeline leaves."""
    folder = tmp_path_factory.mktemp("made")
    make_files(folder)
    names = {path.name for path in folder.iterdir()}
    assert names > {"fixtures.duckdb", "fixtures.duckdb.wal", "copy.duckdb", "fixtures.requests.sqlite"}
    return folder


def meet_damages(made: Path, first: int, count: int) -> None:
    arguments = ("-m", "fixtures_pipeline_tests.damage", str(made), str(first), str(count))
    with Process(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        told, complaints = process.communicate(timeout=1200)
    assert process.returncode == 0, f"{told[-1000:]}\n{complaints[-3000:]}"
    assert len(told.splitlines()) == count


def test_some_damages(made: Path) -> None:
    meet_damages(made, 1000, 12)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 200, 50))
def test_two_hundred_damages(first: int, made: Path) -> None:
    meet_damages(made, first, 50)
