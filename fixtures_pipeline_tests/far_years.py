"""`python -m fixtures_pipeline_tests.far_years DATABASE ZONE`: a process that stores and reads times of far years.

It is started with the time zone of another machine, and says `read` at the end.
"""

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
from dagster import DagsterInstance, build_sensor_context

from fixtures_pipeline.dagster.checks import evaluate_rules
from fixtures_pipeline.dagster.events import evaluate_days
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.outcome import NEVER, DayLoaded
from fixtures_pipeline.report.write import write_report
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.questions import find_states
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline_tests.days import MONDAY, failure
from fixtures_pipeline_tests.fault_server import body_of, event, noon
from fixtures_pipeline_tests.stores import SOFASCORE, store_at

#: The last second that Python knows, and the first; an earlier version stored what a server had asked for.
LAST, FIRST = "9999-12-31 23:59:59+00", "0001-01-01 00:00:00+00"


def main() -> None:
    path, zone = Path(sys.argv[1]), ZoneInfo(sys.argv[2])
    store = store_at(path, zone=zone)
    days = [MONDAY + timedelta(days=n) for n in range(4)]
    store.put([replace(failure(day), retry_at=NEVER) for day in days[:3]])
    with duckdb.connect(str(path)) as connection:
        for day, until in zip(days[1:3], (LAST, FIRST), strict=True):
            connection.execute("UPDATE fixture_errors SET retry_at = ?::TIMESTAMPTZ WHERE date = ?", [until, day])
    # The first and the last second that a mapping gives, and those beyond, which it does not.
    moments = [datetime(year, month, 4, tzinfo=UTC) for year, month in ((1, 1), (1, 2), (3000, 1), (5000, 1))]
    far = [event(n, int(moment.timestamp())) for n, moment in enumerate(moments)]
    outcome = (
        Judge(SOFASCORE, zone).judge(days[3], body_of([*far, event(8, noon(days[3])), event(9, noon(days[3]))])).outcome
    )
    assert isinstance(outcome, DayLoaded)
    store.put([outcome])
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "INSERT INTO fixtures BY NAME SELECT 90 AS event_id, date, $last::TIMESTAMPTZ AS kickoff, 'live' AS status,"
            " 'sofascore' AS provider, $first::TIMESTAMPTZ AS updated_at FROM fixture_days",
            {"last": LAST, "first": FIRST},
        )
    store.put([outcome, *(replace(failure(day), retry_at=NEVER) for day in days[:1])])

    settings = Settings.load(provider="sofascore", api_url="http://127.0.0.1:1", db=path, timezone=str(zone))
    states = find_states(store, None)
    assert [state.error and state.error.retry_at for state in states] == [
        NEVER, datetime.fromisoformat(LAST), datetime.fromisoformat(FIRST), None
    ]  # fmt: skip
    with DagsterInstance.ephemeral() as instance:
        assert len(list(evaluate_rules(RULES, store, instance, None, retries_on=True))) == len(RULES)
        assert len(list(evaluate_days(instance, states, retries_on=True))) == len(states)
        sensor = build_definitions(settings).resolve_sensor_def("retry_failed_days")
        sensor.evaluate_tick(build_sensor_context(instance=instance))
    write_report(settings)
    for name in COLUMNS:
        frame = store.dataframe(name)
        assert str(frame)
    sys.stdout.write("read\n")


if __name__ == "__main__":
    main()
