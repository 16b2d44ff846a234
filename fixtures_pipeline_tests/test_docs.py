"""The documents name what there is: every column, check, error type and setting, and no file that is not there."""

import re
from pathlib import Path

import pytest

from fixtures_pipeline.outcome import ErrorType
from fixtures_pipeline.rules import RULES
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.tables import COLUMNS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_column_is_described_in_the_tables_page() -> None:
    page = text("docs/tables.md")
    for table, columns in COLUMNS.items():
        section = page.split(f"## {table}\n", 1)[1].split("\n## ", 1)[0]
        rows = [line for line in section.splitlines() if line.startswith("| `")]
        assert rows == [f"| `{column.name}` | {column.type} | {column.description} |" for column in columns]


def test_every_check_is_described_with_its_severity() -> None:
    page = text("docs/checks.md")
    for rule in RULES:
        assert f"| `{rule.name}` | `{rule.asset}` | {rule.severity} | {rule.sentence}" in page
    assert "| `day_loaded` |" in page
    assert "| `real_provider` |" in page


@pytest.mark.parametrize("name", ["docs/errors.md", "README.md"])
def test_every_error_type_is_described(name: str) -> None:
    for error_type in ErrorType:
        assert f"`{error_type}`" in text(name)


@pytest.mark.parametrize("name", [".env.example", "README.md"])
def test_every_setting_is_described(name: str) -> None:
    for field in Settings.model_fields:
        assert f"FIXTURES_{field.upper()}" in text(name)


def test_every_setting_that_is_described_exists() -> None:
    known = {f"FIXTURES_{field.upper()}" for field in Settings.model_fields}
    for page in [*PAGES, ROOT / ".env.example"]:
        assert set(re.findall(r"\bFIXTURES_[A-Z_]+[A-Z]", page.read_text(encoding="utf-8"))) <= known, page.name


def test_every_link_leads_to_a_file() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), flags=re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))) <= targets, page.name


def test_every_test_that_is_named_exists() -> None:
    for file in re.findall(r"`(test_\w+\.py)", text("docs/reliability.md")):
        assert (ROOT / "fixtures_pipeline_tests" / file).exists(), file
