"""What can stand on the command line, and the sentences and exit codes of what cannot."""

import os
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from fixtures_pipeline.__main__ import main
from fixtures_pipeline.settings import PROJECT_ROOT


@pytest.fixture(autouse=True)
def _no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the test runner's signals alone."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)


def wrong(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what is said about wrong use."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "days", ["2025-13", "2025-02-30", "March", "2025-03-01...", "1...2", "2025-03-01..2025-03-02", ""]
)
def test_what_names_no_days_is_told_what_does(capsys: pytest.CaptureFixture[str], days: str) -> None:
    assert "is not a day (2025-03-01), a range of days (2025-03-01...2025-03-31)" in wrong(capsys, "load", days)


def test_a_range_runs_forwards(capsys: pytest.CaptureFixture[str]) -> None:
    assert "2025-03-01 comes before 2025-03-31" in wrong(capsys, "load", "2025-03-31...2025-03-01")


def test_days_that_cannot_be_loaded_name_the_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert "the first day is 2024-01-01 (FIXTURES_START_DATE" in wrong(capsys, "load", "2023-12")
    later = date.today() + timedelta(days=40)  # noqa: DTZ011
    assert "7 days after today (FIXTURES_DAYS_AHEAD" in wrong(capsys, "load", later.isoformat())


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "3000.5"])
def test_a_port_is_a_number_in_reach(capsys: pytest.CaptureFixture[str], port: str) -> None:
    assert "is not a port: a number from 1 to 65535" in wrong(capsys, f"--port={port}")


@pytest.mark.parametrize("arguments", [(), ("load", "2025-03-01"), ("retry",), ("status",)])
def test_a_setting_that_cannot_be_used_is_one_sentence(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIXTURES_TIMEZONE", "Mars/Olympus")
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("FIXTURES_TIMEZONE cannot be used")
    assert len(said.splitlines()) == 1


def test_an_environment_that_was_copied_with_its_folder_does_not_touch_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fixtures_pipeline").mkdir()
    (tmp_path / "fixtures_pipeline" / "__main__.py").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setenv("FIXTURES_DB", str(tmp_path / "fixtures.duckdb"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir("/")
    assert main(["status"]) == 2
    assert f"finds the project in {PROJECT_ROOT}. Start this in {tmp_path}" in capsys.readouterr().err
    monkeypatch.chdir(PROJECT_ROOT)
    assert main(["status"]) == 0, "whoever is in a folder means the project there"


def test_help_names_the_commands_and_the_exit_codes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fixtures_pipeline", "--help"],
        cwd=PROJECT_ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    for word in ("load", "retry", "status", "--port", "exit codes"):
        assert word in done.stdout
