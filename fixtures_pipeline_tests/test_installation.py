"""What is installed is what was checked: every package by its hash, what builds this one included."""

import re
import tomllib

import pytest

from fixtures_pipeline_tests.processes import ROOT


def list_installs() -> list[str]:
    """Return the commands of the Makefile that install something."""
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    return [line.strip() for line in makefile.splitlines() if re.search(r"\b(pip|uv)\b.* install\b", line)]


def test_nothing_is_installed_without_a_hash() -> None:
    installs = list_installs()
    assert len(installs) == 3
    for command in installs:
        # This project itself has none: it is built with what is there, and nothing is looked for.
        alone = {"--no-index", "--no-build-isolation", "--no-deps"} <= set(command.split())
        assert "--require-hashes" in command or alone, command


@pytest.mark.parametrize(
    ("lock", "packages"),
    [
        ("requirements.lock", {"setuptools"}),
        ("requirements-deploy.lock", {"setuptools"}),
        ("requirements-dev.lock", {"setuptools", "uv"}),
    ],
)
def test_what_builds_and_locks_is_locked(lock: str, packages: set[str]) -> None:
    locked = re.findall(r"^([\w.\[\]-]+)==.*?(?=^\S|\Z)", (ROOT / lock).read_text(), re.MULTILINE | re.DOTALL)
    hashed = re.findall(r"^([\w.\[\]-]+)==[^\n]*\\\n +--hash=sha256:", (ROOT / lock).read_text(), re.MULTILINE)
    assert packages <= set(hashed)
    assert locked == hashed


def test_what_is_locked_can_build_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["dependency-groups"]["build"] == project["build-system"]["requires"]
