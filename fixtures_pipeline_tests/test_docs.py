"""The documents name what there is: every column, check, error type and setting, and no file that is not there."""

import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.loading import load_days
from fixtures_pipeline.outcome import DayFailed
from fixtures_pipeline.providers import PROVIDERS
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline_tests.processes import ROOT
from fixtures_pipeline_tests.stores import file_store_at

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
SETTINGS = {f"FIXTURES_{name.upper()}": field for name, field in Settings.model_fields.items()}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """Return what is under a heading of a page."""
    return page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def rows(page: str) -> list[list[str]]:
    """Return the cells of every table row of a page whose first cell is in code font."""
    return [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]


def test_every_column_is_described_in_the_tables_page() -> None:
    page = text("docs/tables.md")
    for table, columns in COLUMNS.items():
        described = [line for line in section(page, table).splitlines() if line.startswith("| `")]
        assert described == [f"| `{column.name}` | {column.type} | {column.description} |" for column in columns]
    assert len(rows(page)) == sum(map(len, COLUMNS.values()))


def test_the_described_columns_are_those_that_the_migrations_make(tmp_path: Path) -> None:
    path = tmp_path / "fresh.duckdb"
    file_store_at(path, PROVIDERS["sample"]).put([DayFailed(date(2025, 3, 5), ErrorType.API_ERROR, "")])
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
    assert set(described) == {rule.name for rule in RULES} | {"day_loaded"}
    for rule in RULES:
        assert described[rule.name][1:3] == [f"`{rule.asset}`", rule.severity]
        assert described[rule.name][4:6] == [rule.sentence, rule.remedy]
    assert described["day_loaded"][1:3] == ["`fixture_days`", "ERROR"]


@pytest.mark.parametrize("name", ["docs/errors.md", "README.md"])
def test_every_error_type_is_described(name: str) -> None:
    described = {row[0].strip("`") for row in rows(text(name))}
    assert described >= set(ErrorType)
    assert {word for word in described if word.endswith("_ERROR")} == set(ErrorType)


def test_every_setting_is_described_with_its_default() -> None:
    page = section(text("docs/settings.md"), "Settings")
    described = {row[0].strip("`"): row for row in rows(page) if row[0].startswith("`FIXTURES_")}
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


@pytest.mark.parametrize(("name", "heading"), [("README.md", "A real provider"), ("docs/settings.md", "Providers")])
def test_every_provider_is_described(name: str, heading: str) -> None:
    described = {row[0].strip("`") for row in rows(section(text(name), heading))}
    assert described - {"FIXTURES_PROVIDER"} == set(PROVIDERS)


def test_every_schedule_and_sensor_is_described() -> None:
    definitions = build_definitions(Settings.load())
    named = {one.name for one in [*(definitions.schedules or ()), *(definitions.sensors or ())]}
    assert named == {row[0].strip("`") for row in rows(section(text("README.md"), "Automation"))}


def test_the_readme_is_short() -> None:
    assert len(text("README.md").splitlines()) <= 140


def test_the_program_of_the_readme_prints_fixtures(tmp_path: Path) -> None:
    [program] = re.findall(r"^\.venv/bin/python - <<'EOF'\n(.*?)^EOF$", text("README.md"), re.MULTILINE | re.DOTALL)
    today = datetime.now(UTC).date()
    settings = Settings.load(provider="sample", db=tmp_path / "data" / "sample.duckdb")
    # Of three days in a row, at most one fails.
    for _ in load_days(settings, [today + timedelta(days=n) for n in range(1, 4)]):
        pass
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    printed, shown = (
        [line for line in page.splitlines() if line.startswith("│")]
        for page in (done.stdout, section(text("README.md"), "Try it"))
    )
    # Names and types of the columns, then the fixtures.
    assert len(printed) == 2 + 5
    assert [line.split() for line in printed[:2]] == [line.split() for line in shown[:2]]


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            path = (page.parent / target).resolve() if target else page
            assert path.exists(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
                assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, f"{page.name}: {anchor}"


def test_every_make_target_is_described_and_every_one_that_is_described_exists() -> None:
    makefile = text("Makefile")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE))
        assert named <= targets, page.name
    described = rows(section(text("docs/settings.md"), "Make targets"))
    shown = {row[0].strip("`").removeprefix("make ") for row in described}
    assert shown == set(re.findall(r"^([a-z-]+):.*##", makefile, flags=re.MULTILINE))


@pytest.mark.parametrize("page", ["docs/reliability.md", "docs/contributing.md"])
def test_every_test_that_is_named_exists(page: str) -> None:
    for file, name in re.findall(r"`(?:\w+/)?(test_\w+\.py)(?:::(\w+))?", text(page)):
        path = ROOT / "fixtures_pipeline_tests" / file
        assert path.exists(), file
        if name:
            assert re.search(rf"^(?:def|class) {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE), name


def test_the_map_shows_every_room() -> None:
    shown = set(re.findall(r"(\w+)(?:\.py|/)  ", section(text("docs/contributing.md"), "The rooms")))
    package = ROOT / "fixtures_pipeline"
    rooms = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} <= shown


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < 250_000, picture.name
