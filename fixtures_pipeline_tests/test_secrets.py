"""With a key set, the key is nowhere but in the requests, however a server writes it back."""

import html
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
from dagster import DagsterInstance
from dagster._serdes import serialize_value
from pydantic import SecretStr

from fixtures_pipeline import notify
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.fetching import Fetcher
from fixtures_pipeline.loading import load_days, open_store
from fixtures_pipeline.outcome import DayLoaded
from fixtures_pipeline.report.write import write_report
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.transport.limits import Limits
from fixtures_pipeline_tests.answers import BODIES
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.faults import FAULTS
from fixtures_pipeline_tests.runs import FIRST, failure_of, run
from fixtures_pipeline_tests.stores import TABLES, table, tables

KEY = "k3y-that/must=never+leak"
#: Each six characters of the key in a row: as good as the key.
PARTS = [KEY[at : at + 6] for at in range(len(KEY) - 5)]

#: How servers write a character in other ways, and how readers write a NUL, which UTF-16 leaves between characters.
_WRITTEN = re.compile(r"%([0-9a-f]{2})|&#x0*([0-9a-f]{2});|&#0*(\d{2,3});|\\+u00([1-9a-f][0-9a-f])", re.IGNORECASE)
_NAMED = {"&sol;": "/", "&equals;": "=", "&plus;": "+", "&hyphen;": "-"}
_BETWEEN = re.compile(r"\\+u0000|\\+x00|\\+000|\0|\\")


def find_key(text: str) -> str | None:
    """Return the part of the key that is in a text, however it is written."""
    for _ in range(3):
        plain = _BETWEEN.sub("", text).lower()
        if found := next((part for part in PARTS if part in plain), None):
            return found
        text = _WRITTEN.sub(_read_character, text)
        for name, character in _NAMED.items():
            text = text.replace(name, character)
    return None


def _read_character(found: re.Match[str]) -> str:
    percent, in_hex, decimal, escape = found.groups()
    return chr(int(decimal) if decimal else int(percent or in_hex or escape, 16))


def list_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every text in a folder and where it is: files as they are, and what is in databases value by value.

    DuckDB packs what it stores, and SQLite cuts what is long: their files alone do not tell.
    """
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        yield str(path), content.decode("latin-1")
        if path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as connection:
                tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
                for (name,) in tables:
                    rows = connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {name}").fetchall()
                    yield from ((f"{path}, {name}", str(value)) for row in rows for value in row if value)
        elif content.startswith(b"SQLite format 3"):
            with closing(sqlite3.connect(path)) as connection:
                for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    rows = connection.execute(f"SELECT * FROM '{name}'").fetchall()
                    yield from ((f"{path}, {name}", read(value)) for row in rows for value in row if value)


def read(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "in UTF-16": "\0".join,
    "in UTF-16 as Python shows it": lambda key: repr("\0".join(key)),
    "in percent signs": lambda key: quote(key, safe="").lower(),
    "in entities": lambda key: "".join(f"&#{ord(one)};" for one in key),
    "in entities of base 16": lambda key: "".join(f"&#x{ord(one):X};" for one in key),
    "in entities with names": lambda key: key.replace("/", "&sol;").replace("+", "&plus;").replace("=", "&equals;"),
    "in JSON's escapes": lambda key: "".join(f"\\u{ord(one):04x}" for one in key),
    "in JSON": lambda key: json.dumps(key).replace("/", r"\/"),
    "in JSON within JSON": lambda key: json.dumps(json.dumps("\0".join(key))),
    "in entities of percent signs": lambda key: html.escape(quote(key, safe="")).replace("%", "&#37;"),
    "in part": lambda key: key[9:15],
}


@pytest.mark.parametrize("way", WAYS)
def test_the_search_finds_it(way: str) -> None:
    assert find_key(f"You sent {WAYS[way](KEY)}.")
    assert not find_key(f"You sent {WAYS[way]('another' * 3)}.")


@pytest.mark.both_stores
def test_a_key_is_nowhere_after_a_run_in_which_every_fault_occurred(
    settings: Settings,
    api: FaultServer,
    instance_in_files: DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    hasty = Limits(connect=1, read=0.5, deadline=1, tries=2, pause=0.01, retry_after=1, size=1_000_000, refusals=1000)
    monkeypatch.setattr("fixtures_pipeline.loading.Fetcher", partial(Fetcher, limits=hasty))
    digests: list[notify.Digest] = []

    def send(digest: notify.Digest, _: Sequence[str]) -> list[str]:
        digests.append(digest)
        return []

    monkeypatch.setattr(notify, "send", send)
    for n, fault in enumerate(FAULTS.values()):
        api.plan(FIRST + timedelta(days=n), fault.respond)
    # What libpq sends to a server that asks for it.
    monkeypatch.setenv("PGPASSWORD", KEY)
    changes = {
        "api_key": SecretStr(KEY),
        "snapshot": None if settings.address else tmp_path / "copy.duckdb",
        "notify": SecretStr("json://127.0.0.1:9"),
    }
    secretive = settings.model_copy(update=changes)
    failing = sum(fault.expected is not None for fault in FAULTS.values())
    result = run(secretive, instance_in_files, FIRST, FIRST + timedelta(days=len(FAULTS) - 1))
    # More than those fail when the machine is busy.
    failed, _, total, *_ = failure_of(result).split()
    assert failing <= int(failed) <= int(total) == len(FAULTS)
    assert any(KEY in request.headers.values() for request in api.requests)
    page = write_report(secretive).path
    assert page.stat().st_size > 10_000
    places = [(str(path), text) for path, text in list_texts(tmp_path)]
    places += [("an event", f"{event!r}{serialize_value(event)}") for event in result.all_events]
    places += [("the log", serialize_value(entry)) for entry in instance_in_files.all_logs(result.run_id)]
    places += [("the terminal", text) for text in capfd.readouterr()]
    places += [("a message", f"{digest.title}{digest.body}") for digest in digests]
    places += [("the settings", repr(secretive))]
    places += [("a table", str(row)) for rows in tables(open_store(secretive), *TABLES) for row in rows]
    assert len(digests) == 1
    files = {"fixtures.duckdb", "copy.duckdb", settings.requests_file.name}
    assert {Path(where.partition(",")[0]).name for where, _ in places} > {
        *(set() if settings.address else files),
        settings.report_file.name,
        "index.db",
    }
    found = {(where, part) for where, text in places if (part := find_key(text))}
    assert not found, f"of {len(places)} places"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", ["api-football", "football-data"])
def test_a_key_in_a_providers_own_words_is_not_repeated(
    provider: str, way: str, api: FaultServer, tmp_path: Path
) -> None:
    key = WAYS[way](KEY)
    answers: list[dict[str, Any]] = [
        {"errors": {"token": f"Error: {key} is not known.", key: key}},
        {"parameters": {"date": key}},
        {"results": key},
        {"paging": {"total": key}},
        {"filters": {"permission": "TIER_ONE", "dateFrom": f"9{key}", "dateTo": key}},
        {"resultSet": {"count": key}},
        {"message": f"Your API token {key} is invalid."},
    ]
    for n, answer in enumerate(answers):
        day = FIRST + timedelta(days=n)
        body = json.dumps({**json.loads(BODIES[provider](day)), **answer}).encode()
        api.plan(day, (403, body) if "message" in answer else body)
    settings = Settings.load(
        provider=provider,
        api_url=api.url,
        api_key=KEY,
        db=tmp_path / "fixtures.duckdb",
        start_date="2025-01-01",
        requests_per_second=1000,
    )
    days = [FIRST + timedelta(days=n) for n in range(len(answers))]
    assert sum(map(len, load_days(settings, days))) == len(days)
    store = open_store(settings)
    assert "the key is in it" in store.dataframe("fixture_errors").to_csv()
    found = {(where, part) for where, text in list_texts(tmp_path) if (part := find_key(text))}
    assert not found


@pytest.mark.parametrize("key", ["home", "finished", "1741", "League", "null", "fixture", '"id":', "2025-03-01"])
@pytest.mark.parametrize("provider", ["sofascore", "api-football", "football-data"])
def test_no_key_alters_what_loads(provider: str, key: str, api: FaultServer, tmp_path: Path) -> None:
    """Neither a short one nor one that is a word of the answers."""
    body = BODIES[provider](FIRST)
    api.plan(FIRST, body)
    stored = []
    for number, used in enumerate((key, "another-key")):
        settings = Settings.load(
            provider=provider, api_url=api.url, api_key=used, db=tmp_path / f"{number}.duckdb", start_date="2025-01-01"
        )
        [[loaded]] = load_days(settings, [FIRST])
        assert isinstance(loaded.outcome, DayLoaded), loaded.outcome
        assert loaded.outcome.body == body
        stored.append(table(open_store(settings), "fixtures", "* EXCLUDE (updated_at, created_at)"))
    assert stored[0] == stored[1]
    assert len(stored[0]) >= 3


def test_the_key_is_not_among_the_definitions(settings: Settings) -> None:
    secretive = settings.model_copy(update={"api_key": SecretStr(KEY)})
    definitions = build_definitions(secretive)
    assert KEY not in repr(definitions.resolve_asset_graph())
    for spec in definitions.resolve_all_asset_specs():
        assert KEY not in repr(spec)
