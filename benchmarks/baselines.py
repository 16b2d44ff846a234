"""What the pipeline is compared with: the least that any loader has to do, and what a plain script does."""

import http.client
import json
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import requests
from dagster import (
    AssetCheckEvaluation,
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetSpec,
    BackfillPolicy,
    DailyPartitionsDefinition,
    Definitions,
    Output,
    multi_asset,
)

from fixtures_pipeline.providers.mapping import SQL_WORDS
from fixtures_pipeline.providers.sofascore import SOFASCORE

CONCURRENCY = 8
_TABLES = ("fixture_days", "fixtures", "fixture_errors")


def floor(url: str, days: Sequence[date], folder: Path) -> None:
    """Do the same requests with a thread pool, then put all bodies into DuckDB and flatten them by one statement.

    Nothing is checked, retried, limited, logged or replaced.
    """
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=CONCURRENCY))

    def get(day: date) -> str:
        return session.get(url + SOFASCORE.request(day, "UTC").path, timeout=60).content.decode()

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        bodies = list(pool.map(get, days))
    columns = ", ".join(f"{expression} AS {name}" for name, expression in SOFASCORE.columns.items())
    with duckdb.connect(str(folder / "floor.duckdb")) as connection:
        for word in SQL_WORDS:
            connection.execute(f"CREATE TEMP MACRO {word}")
        connection.execute("BEGIN")
        connection.execute(
            "CREATE TABLE days AS SELECT unnest($days) AS date, unnest($bodies)::JSON AS data",
            {"days": days, "bodies": bodies},
        )
        connection.execute(
            f"""
            CREATE TABLE fixtures AS
            SELECT date, {columns}
            FROM (SELECT date, unnest(from_json(data->'events', '[{SOFASCORE.structure}]')) AS e FROM days)
            WHERE moment(e.startTimestamp)::DATE = date
            """
        )
        connection.execute("COMMIT")


def sequential(url: str, days: Sequence[date], folder: Path) -> None:
    """Do as a plain script does: one request after the other, `json`, one row a day in SQLite, nothing flattened."""
    parts = urlsplit(url)
    server = http.client.HTTPConnection(str(parts.hostname), parts.port)
    database = sqlite3.connect(folder / "sequential.sqlite")
    database.execute("CREATE TABLE days (data_id TEXT PRIMARY KEY, date TEXT, data TEXT, count INTEGER)")
    for day in days:
        server.request("GET", SOFASCORE.request(day, "UTC").path)
        listed = json.loads(server.getresponse().read())["events"]
        text = json.dumps(listed, ensure_ascii=False)
        with database:
            database.execute(
                "INSERT OR REPLACE INTO days VALUES (?, ?, ?, ?)", (f"{day:%Y%m%d}", f"{day}", text, len(listed))
            )
    database.close()
    server.close()


def bare_events(first: date, checks: int) -> Definitions:
    """Return assets and checks like the project's, whose op logs its events for each day and does nothing else."""
    partitions = DailyPartitionsDefinition(first.isoformat())

    @multi_asset(
        specs=[AssetSpec(table, skippable=True) for table in _TABLES],
        check_specs=[
            AssetCheckSpec("day_loaded", asset="fixture_days", partitions_def=partitions),
            *(AssetCheckSpec(f"check_{n}", asset="fixtures") for n in range(checks)),
        ],
        partitions_def=partitions,
        backfill_policy=BackfillPolicy.single_run(),
        can_subset=True,
    )
    def bare(
        context: AssetExecutionContext,
    ) -> Iterator[AssetMaterialization | AssetCheckEvaluation | AssetCheckResult | Output[None]]:
        for key in context.partition_keys:
            for table in _TABLES:
                yield AssetMaterialization(table, partition=key)
            yield AssetCheckEvaluation(
                asset_key=AssetKey("fixture_days"), check_name="day_loaded", passed=True, partition=key
            )
        yield Output(None, output_name="fixture_days_day_loaded")
        for n in range(checks):
            yield AssetCheckResult(passed=True, asset_key="fixtures", check_name=f"check_{n}")

    return Definitions(assets=[bare])
