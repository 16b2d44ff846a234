"""Times in the years 1 and 9999 are stored and read whatever the time zone of the machine and of the days."""

import os
import subprocess
from pathlib import Path

import pytest

from fixtures_pipeline_tests.processes import Process


@pytest.mark.parametrize(
    ("machine", "days"),
    [
        ("Europe/Istanbul", "Europe/Istanbul"),
        ("America/New_York", "America/New_York"),
        ("Pacific/Kiritimati", "UTC"),
        ("UTC", "Europe/Istanbul"),
    ],
)
def test_far_years_are_read_on_every_machine(machine: str, days: str, tmp_path: Path) -> None:
    arguments = ("-W", "error", "-m", "fixtures_pipeline_tests.far_years", str(tmp_path / "far.duckdb"), days)
    environment = {**os.environ, "TZ": machine}
    with Process(*arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        told, complaints = process.communicate(timeout=120)
    assert told == "read\n", complaints[-2000:]
