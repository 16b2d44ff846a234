"""The documents name what there is: every column, check, error type and setting, and no file that is not there."""

import re
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from fixtures_pipeline.outcome import DayFailed, ErrorType
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.rules import RULES
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import FixtureStore
from fixtures_pipeline.tables import COLUMNS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
SETTINGS = {f"FIXTURES_{name.upper()}": field for name, field in Settings.model_fields.items()}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(page: str) -> list[list[str]]:
    """Return the cells of every table row of a page whose first cell is in code font."""
    return [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]


def test_every_column_is_described_in_the_tables_page() -> None:
    page = text("docs/tables.md")
    for table, columns in COLUMNS.items():
        section = page.split(f"## {table}\n", 1)[1].split("\n## ", 1)[0]
        described = [line for line in section.splitlines() if line.startswith("| `")]
        assert described == [f"| `{column.name}` | {column.type} | {column.description} |" for column in columns]
    assert len(rows(page)) == sum(map(len, COLUMNS.values()))


def test_the_described_columns_are_those_that_the_migrations_make(tmp_path: Path) -> None:
    path = tmp_path / "fresh.duckdb"
    FixtureStore(path, PROVIDERS["sample"], ZoneInfo("UTC")).load(
        [DayFailed(date(2025, 3, 5), ErrorType.API_ERROR, "")]
    )
    with duckdb.connect(str(path), read_only=True) as connection:
        made = connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal ORDER BY column_index"
        ).fetchall()
    tables: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in made:
        tables.setdefault(table, []).append((column, kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")))
    described = {table: [(column.name, column.type) for column in columns] for table, columns in COLUMNS.items()}
    assert {table: tables[table] for table in described} == described
    assert tables["superseded_fixtures"] == described["fixtures"]
    assert set(tables) == {*COLUMNS, "superseded_fixtures", "store_info"}
    assert all(f"`{table}`" in text("docs/tables.md") or f"## {table}" in text("docs/tables.md") for table in tables)


def test_every_check_is_described_with_its_severity() -> None:
    described = {row[0].strip("`"): row for row in rows(text("docs/checks.md"))}
    assert set(described) == {rule.name for rule in RULES} | {"day_loaded", "real_provider"}
    for rule in RULES:
        assert described[rule.name][1:3] == [f"`{rule.asset}`", rule.severity]
        assert described[rule.name][4:6] == [rule.sentence, rule.remedy]
    assert described["day_loaded"][1:3] == ["`fixture_days`", "ERROR"]
    assert described["real_provider"][1:3] == ["`fixture_days`", "WARN"]


@pytest.mark.parametrize("name", ["docs/errors.md", "README.md"])
def test_every_error_type_is_described(name: str) -> None:
    described = {row[0].strip("`") for row in rows(text(name))}
    assert described >= set(ErrorType)
    assert {word for word in described if word.endswith("_ERROR")} == set(ErrorType)


def test_every_setting_is_described_with_its_default() -> None:
    described = {row[0].strip("`"): row for row in rows(text("README.md")) if row[0].startswith("`FIXTURES_")}
    example = dict(re.findall(r"^#(FIXTURES_\w+)=(.*)$", text(".env.example"), flags=re.MULTILINE))
    assert set(described) == set(example) == set(SETTINGS)
    for name, field in SETTINGS.items():
        if field.default is not None:
            assert example[name] == str(field.default)
            assert described[name][1] == f"`{field.default}`"


def test_every_setting_that_is_described_exists() -> None:
    for page in [*PAGES, ROOT / ".env.example"]:
        named = set(re.findall(r"\bFIXTURES_[A-Z_]+[A-Z]", page.read_text(encoding="utf-8")))
        assert named <= set(SETTINGS), page.name


def test_every_provider_is_described() -> None:
    section = text("README.md").split("## A real provider\n", 1)[1].split("\n## ", 1)[0]
    described = {row[0].strip("`") for row in rows(section) if not row[0].startswith("`FIXTURES_")}
    assert described == set(PROVIDERS)


def test_every_schedule_and_sensor_is_described() -> None:
    named = set(re.findall(r'^        name="(\w+)"', text("fixtures_pipeline/automation.py"), flags=re.MULTILINE))
    assert len(named) == 3
    assert named <= {row[0].strip("`") for row in rows(text("README.md"))}


def test_every_link_leads_to_a_file() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_make_target_is_described_and_every_one_that_is_described_exists() -> None:
    makefile = text("Makefile")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE))
        assert named <= targets, page.name
    shown = {row[0].strip("`").removeprefix("make ") for row in rows(text("README.md")) if row[0].startswith("`make ")}
    assert shown == set(re.findall(r"^([a-z-]+):.*##", makefile, flags=re.MULTILINE))


def test_every_test_that_is_named_exists() -> None:
    for file, name in re.findall(r"`(test_\w+\.py)(?:::(\w+))?", text("docs/reliability.md")):
        path = ROOT / "fixtures_pipeline_tests" / file
        assert path.exists(), file
        if name:
            assert re.search(rf"^(?:def|class) {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE), name


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < 250_000, picture.name
