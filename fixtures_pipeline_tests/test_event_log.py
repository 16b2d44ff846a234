"""The event log with connections that stay open: the same files as Dagster's, crowds, crashes, nothing left behind."""

import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    AssetRecordsFilter,
    DagsterEventType,
    DagsterInstance,
    EventLogEntry,
)
from sqlalchemy.exc import OperationalError

from fixtures_pipeline.dagster.event_log import EventLog
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.days_logger import log_days_job
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.processes import ROOT, Process, environment, until
from fixtures_pipeline_tests.runs import FIRST, asking, run
from fixtures_pipeline_tests.stores import table

OWN = (ROOT / "dagster.yaml").read_text()
DEFAULT = re.sub(r"^event_log_storage:\n(  .*\n)+", "", OWN, flags=re.MULTILINE)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home as `make run` makes it."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text(OWN)
    return folder


@contextmanager
def opened(home: Path, config: str = OWN) -> Iterator[DagsterInstance]:
    (home / "dagster.yaml").write_text(config)
    with DagsterInstance.from_config(str(home)) as instance:
        assert isinstance(instance.event_log_storage, EventLog) == (config == OWN)
        yield instance


def log(instance: DagsterInstance, asset: str, count: int) -> str:
    """Log days in a run of this process; return its id."""
    config = {"ops": {"log_days": {"config": {"asset": asset, "count": count}}}}
    return log_days_job.execute_in_process(instance=instance, run_config=config).run_id


def logger(home: Path, asset: str, count: int) -> Process:
    """Start a process that logs days."""
    arguments = ("-m", "fixtures_pipeline_tests.days_logger", str(home), asset, str(count))
    return Process(*arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def in_log(instance: DagsterInstance, run_id: str) -> list[str]:
    """Return the days that the log of a run has, in order."""
    return [
        entry.get_dagster_event().partition or ""
        for entry in instance.all_logs(run_id)
        if entry.is_dagster_event and entry.get_dagster_event().is_step_materialization
    ]


def in_index(instance: DagsterInstance, asset: str) -> list[str]:
    """Return the days that the index has for an asset, in order."""
    records = instance.fetch_materializations(AssetRecordsFilter(AssetKey(asset)), limit=1000, ascending=True).records
    return [record.partition_key or "" for record in records]


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def files(home: Path) -> list[Path]:
    return list((home / "history" / "runs").iterdir())


def test_a_home_goes_from_dagsters_storage_to_this_one_and_back(home: Path, settings: Settings) -> None:
    shown: list[tuple[str, Sequence[EventLogEntry]]] = []
    for number, config in enumerate([DEFAULT, OWN, DEFAULT, OWN]):
        with opened(home, config) as instance:
            for earlier, logs in shown:
                assert instance.all_logs(earlier) == logs
            result = run(settings, instance, FIRST)
            assert result.success
            shown.append((result.run_id, instance.all_logs(result.run_id)))
            materialized = instance.fetch_materializations(AssetKey("fixtures"), limit=10).records
            assert [record.run_id for record in materialized] == [run_id for run_id, _ in reversed(shown)]
            assert len(materialized) == number + 1
    kinds = [[(entry.dagster_event_type, entry.step_key) for entry in logs] for _, logs in shown]
    assert kinds[0] == kinds[1] == kinds[2] == kinds[3]


def test_both_storages_write_the_same_rows(tmp_path: Path) -> None:
    written = []
    for name, config in (("default", DEFAULT), ("own", OWN)):
        home = tmp_path / name
        home.mkdir()
        with FaultServer() as api, opened(home, config) as instance:
            api.plan(FIRST + timedelta(days=1), b"<html>Please log in</html>")
            # One at a time: days that are asked for at once are stored as their answers come.
            settings = asking(api, home).model_copy(update={"concurrency": 1})
            result = run(settings, instance, FIRST, FIRST + timedelta(days=5))
            alone = log(instance, "days", 5)
        aliases = {result.run_id: "run", alone: "alone", str(home): "home"}
        written.append({comparable(file.name, aliases): rows(file, aliases) for file in files(home)})
    assert written[0].keys() == written[1].keys() == {"run.db", "alone.db", "index.db"}
    for file, tables in written[0].items():
        for name, expected in tables.items():
            assert written[1][file][name] == expected, name
    kinds = [row["dagster_event_type"] for row in written[1]["index.db"]["event_logs"]]
    assert kinds.count("ASSET_MATERIALIZATION") == 3 * 5 + 1 + 5


def rows(file: Path, aliases: Mapping[str, str]) -> dict[str, list[dict[str, object]]]:
    """Return what the tables of a file hold, but for what no two runs share: moments, and the name of a log."""
    shown: dict[str, list[dict[str, object]]] = {}
    with closing(sqlite3.connect(file)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            found = database.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in found.description]
            shown[table] = [
                {
                    column: comparable(value, aliases) if isinstance(value, str) else value
                    for column, value in zip(columns, row, strict=True)
                    if not column.endswith("timestamp")
                }
                for row in found
            ]
    return shown


def comparable(text: str, aliases: Mapping[str, str]) -> str:
    for name, alias in aliases.items():
        text = text.replace(name, alias)
    if "LOGS_CAPTURED" in text:
        return "LOGS_CAPTURED"
    # Days and ids of entries stay as they are, other numbers in JSON do not: moments, durations, the ids of processes.
    return re.sub(r"(?<!storage_id\": )(?<=: )[\d.]+|[\d.]+( days/s|m?s)\b|^[-\d]+ [:\d.]+$", "0", text)


def test_an_entry_is_on_the_disk_before_the_next_thing_happens(home: Path) -> None:
    with opened(home) as instance:
        run_id = log(instance, "days", 1)
        storage = instance.event_log_storage
        assert isinstance(storage, EventLog)
        for connection in (storage.index_connection(), storage.run_connection(run_id)):
            with connection as transaction:
                assert transaction.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
                assert transaction.exec_driver_sql("PRAGMA synchronous").scalar() == 2, "FULL, as by default"
        instance.report_runless_asset_event(AssetMaterialization("days", partition="1"))
        with closing(sqlite3.connect(home / "history" / "runs" / "index.db")) as other:
            assert other.execute("SELECT count(*) FROM event_logs WHERE partition IS NOT NULL").fetchone() == (2,)


def test_several_processes_log_and_read_at_once(home: Path) -> None:
    with opened(home) as instance, ExitStack() as stack:
        started = [stack.enter_context(logger(home, f"asset{number}", 40)) for number in range(4)]
        own = log(instance, "own", 40)
        runs = []
        for number, process in enumerate(started):
            assert process.stdout is not None
            runs.append(process.stdout.readline().strip())
            # As a server does, while they go on.
            seen = in_log(instance, runs[-1])
            assert seen == numbers(len(seen))
            process.stdout.read()
            assert process.wait() == 0
            assert in_index(instance, f"asset{number}") == numbers(40)
        for run_id in [own, *runs]:
            assert in_log(instance, run_id) == numbers(40)
            assert instance.get_run_by_id(run_id).status.value == "SUCCESS"  # type: ignore[union-attr]
    assert check_files(home) == {"ok"}


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_after_a_kill_there_is_what_was_said_to_be_logged_and_work_goes_on(home: Path, kills: int) -> None:
    for number in range(kills):
        asset = f"asset{number}"
        with opened(home) as instance, logger(home, asset, 1000) as process:
            assert process.stdout is not None
            run_id = process.stdout.readline().strip()
            said = [process.stdout.readline() for _ in range(3 + number)]
            process.kill()
            said += process.stdout.readlines()
            process.wait()
            logged = len([line for line in said if line.endswith("\n")])
            # What the server sees, which has had the index open all along, and who comes later, with either storage.
            assert logged <= len(in_index(instance, asset)) <= len(in_log(instance, run_id)) <= logged + 1
            seen = in_log(instance, run_id), in_index(instance, asset)
            assert seen == (numbers(len(seen[0])), numbers(len(seen[1])))
            own = log(instance, "own", 2)
        for config in (DEFAULT, OWN):
            with opened(home, config) as instance:
                assert (in_log(instance, run_id), in_index(instance, asset)) == seen
                assert in_log(instance, own) == numbers(2)
    assert check_files(home) == {"ok"}


def test_a_run_that_is_killed_has_logged_nothing_that_is_not_committed(home: Path, settings: Settings) -> None:
    arguments = ("-m", "fixtures_pipeline", "load", f"{FIRST}...{FIRST + timedelta(days=199)}")
    with opened(home) as instance, Process(*arguments, env=environment(settings, home)) as process:
        # In the second batch of days or later, while another one is being stored.
        until(lambda: len(in_index(instance, "fixture_errors")) > 24, 120)
        process.kill()
        process.wait()
        logged = {asset: in_index(instance, asset) for asset in ("fixture_days", "fixtures", "fixture_errors")}
    committed = [row["date"].isoformat() for row in table(open_store(settings), "fixture_days")]
    assert len(logged["fixture_days"]) < 200
    for days in logged.values():
        assert len(days) == len(set(days))
        assert set(days) <= set(committed)
    assert logged["fixtures"] == logged["fixture_days"][: len(logged["fixtures"])], "order per day"
    assert logged["fixture_errors"] == logged["fixtures"][: len(logged["fixture_errors"])]


def test_who_follows_a_run_of_another_process_sees_each_entry_while_it_goes_on(home: Path) -> None:
    followed: list[EventLogEntry] = []

    def follow(entry: EventLogEntry, _: str) -> None:
        followed.append(entry)

    with opened(home) as instance, logger(home, "days", 1000) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        instance.watch_event_logs(run_id, None, follow)
        for _ in range(3):
            process.stdout.readline()
            seen = len(followed)
            until(lambda seen=seen: len(followed) > seen, 30)  # type: ignore[misc]
        instance.end_watch_event_logs(run_id, follow)


def test_a_server_that_looks_at_many_runs_keeps_one_of_their_files_open(home: Path) -> None:
    with opened(home) as instance:
        runs = [log(instance, "days", 1) for _ in range(3)]
        for run_id in runs:
            in_log(instance, run_id)
        links = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        assert {Path(link).name for link in links if str(home) in link and link.endswith(".db")} >= {"index.db"}
        assert len({link for link in links if str(home / "history" / "runs") in link and link.endswith(".db")}) == 2


def test_nothing_is_left_beside_the_files_when_a_process_ends(home: Path) -> None:
    with opened(home) as instance:
        log(instance, "days", 1)
    assert {path.suffix for path in files(home)} == {".db"}


def test_what_is_handed_over_together_is_stored_as_a_whole(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(home) as instance:
        run_id = log(instance, "days", 2)
        entries = instance.all_logs(run_id)
        days = [entry for entry in entries if entry.is_dagster_event and entry.get_dagster_event().asset_key]
        broken = days[1]._replace(run_id="a run without a folder/")
        storage = instance.event_log_storage
        with pytest.raises(OperationalError, match="unable to open"):
            storage.store_event_batch([entries[0], broken])

        def fail(*_: object) -> None:
            raise OperationalError("disk full", {}, Exception())

        monkeypatch.setattr(storage, "_store_asset_event", fail)
        with pytest.raises(OperationalError, match="disk full"):
            storage.store_event_batch(days)
        assert instance.all_logs(run_id) == entries
        assert in_index(instance, "days") == numbers(2)


def test_an_interrupt_waits_until_the_days_of_a_batch_are_logged(
    home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EventLog.store_event_batch

    def interrupt(self: EventLog, events: Sequence[EventLogEntry]) -> None:
        if events[0].dagster_event_type is DagsterEventType.ASSET_MATERIALIZATION:
            os.kill(os.getpid(), signal.SIGINT)
        store(self, events)

    monkeypatch.setattr(EventLog, "store_event_batch", interrupt)
    with opened(home) as instance:
        interrupted = run(settings, instance, FIRST, FIRST + timedelta(days=3))
        assert "DagsterExecutionInterruptedError" in str(interrupted.failure_data_for_node("load_days"))
        assert sorted(in_log(instance, interrupted.run_id)) == sorted(in_index(instance, "fixture_days"))
        assert len(in_index(instance, "fixture_days")) == 4


def test_a_wiped_log_begins_anew(home: Path) -> None:
    with opened(home) as instance:
        log(instance, "days", 1)
        instance.wipe()
        assert in_index(instance, "days") == []
        assert in_log(instance, log(instance, "days", 2)) == numbers(2)


def check_files(home: Path) -> set[str]:
    """Return what SQLite finds wrong with the files."""
    found = set()
    for path in files(home):
        if path.suffix == ".db":
            with closing(sqlite3.connect(path)) as database:
                found |= {row[0] for row in database.execute("PRAGMA integrity_check")}
    return found
