"""Whoever works with the file may have DuckDB 1.5, whatever the project itself uses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline_tests.stores import place_of
from fixtures_pipeline_tests.test_queries import NOW, QUERIES, History, asked, history

OLDER = "1.5"
__all__ = ["history"]  # a fixture, found by its name

#: Says which DuckDB it is, and prints the rows that each query gives.
_ASK = """
import json, sys
import duckdb
given = json.load(sys.stdin)
answers = {}
with duckdb.connect(given["path"], read_only=True) as connection:
    connection.execute("SET TimeZone = 'UTC'")
    for name, sql in given["queries"].items():
        answers[name] = repr(connection.execute(sql).fetchall())
print(json.dumps({"version": duckdb.__version__, "answers": answers}))
"""


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an older DuckDB, which Python finds before its own."""
    folder = tmp_path_factory.mktemp("older")
    wanted = f"duckdb=={OLDER}.*"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*install, "--target", str(folder), wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{wanted} cannot be had here: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return folder


@pytest.mark.slow
def test_every_query_of_the_page_has_the_same_answer(
    older: Path, history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(place_of(history.store))
    now = f"TIMESTAMPTZ '{NOW.isoformat()}'"
    given = {
        "path": str(path),
        "queries": {heading: sql.replace("now()", now) for heading, sql in QUERIES.items()}
        | {f"count {name}": f"SELECT count(COLUMNS(*)) FROM {name}" for name in COLUMNS},
    }
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        input=json.dumps(given),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(older)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["version"].startswith(f"{OLDER}.")
    monkeypatch.chdir(tmp_path)
    for heading in QUERIES:
        assert said["answers"][heading] == repr(asked(path, heading)), heading
