"""What the pipeline is compared with: the least that any loader has to do, a plain script, Dagster as it comes.

`python -m benchmarks.baselines HOME TAGS` carries out one run with all that Dagster does by default.
"""

import http.client
import json
import sqlite3
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import requests
from dagster import DagsterInstance, Definitions, JobDefinition, execute_job, reconstructable

from fixtures_pipeline.dagster.automation import LOAD_DAYS_JOB
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.providers.mapping import define_words, select_stored
from fixtures_pipeline.providers.sofascore import SOFASCORE
from fixtures_pipeline.settings import Settings

CONCURRENCY = 8


def floor(url: str, days: Sequence[date], folder: Path) -> None:
    """Do the same requests with a thread pool, then put all bodies into DuckDB and flatten them by one statement.

    Nothing is checked, retried, limited, logged or replaced.
    """
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=CONCURRENCY))

    def get(day: date) -> str:
        return session.get(url + SOFASCORE.requests(day, "UTC")[0].path, timeout=60).content.decode()

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        bodies = list(pool.map(get, days))
    flattened = select_stored(SOFASCORE, list(SOFASCORE.columns), "days")
    with duckdb.connect(str(folder / "floor.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(define_words("TEMP MACRO"))
        connection.execute("BEGIN")
        connection.execute(
            """
            CREATE TABLE days AS
            SELECT date, body->'events' AS data, date::TIMESTAMPTZ AS starts, (date + 1)::TIMESTAMPTZ AS ends
            FROM (SELECT unnest($days) AS date, unnest($bodies)::JSON AS body)
            """,
            {"days": days, "bodies": bodies},
        )
        connection.execute(f"CREATE TABLE fixtures AS SELECT * FROM ({flattened}) WHERE own")
        connection.execute("COMMIT")


def sequential(url: str, days: Sequence[date], folder: Path) -> None:
    """Do as a plain script does: one request after the other, `json`, one row a day in SQLite, nothing flattened."""
    parts = urlsplit(url)
    server = http.client.HTTPConnection(str(parts.hostname), parts.port)
    database = sqlite3.connect(folder / "sequential.sqlite")
    database.execute("CREATE TABLE days (data_id TEXT PRIMARY KEY, date TEXT, data TEXT, count INTEGER)")
    for day in days:
        server.request("GET", SOFASCORE.requests(day, "UTC")[0].path)
        listed = json.loads(server.getresponse().read())["events"]
        text = json.dumps(listed, ensure_ascii=False)
        with database:
            database.execute(
                "INSERT OR REPLACE INTO days VALUES (?, ?, ?, ?)", (f"{day:%Y%m%d}", f"{day}", text, len(listed))
            )
    database.close()
    server.close()


def describe(settings: Settings) -> dict[str, str]:
    """Return an environment from which `load_each_day` reads these settings."""
    given = settings.model_dump(include={"provider", "api_url", "db", "start_date", "requests_per_second"})
    return {f"FIXTURES_{name.upper()}": str(value) for name, value in given.items()}


def load_each_day() -> JobDefinition:
    """Return the project's job with Dagster's own executor."""
    ours = build_definitions(Settings.load())
    return Definitions(assets=ours.assets, jobs=[LOAD_DAYS_JOB]).resolve_job_def(LOAD_DAYS_JOB.name)


if __name__ == "__main__":
    with DagsterInstance.from_config(sys.argv[1]) as instance:
        assert execute_job(reconstructable(load_each_day), instance, tags=json.loads(sys.argv[2])).success
