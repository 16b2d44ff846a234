"""`python -m fixtures_pipeline_tests.damage FOLDER FIRST COUNT`: a process that damages files and meets the damage.

FOLDER holds what `make_files` has made. For each number from FIRST on, one of the files is damaged in a copy of the
folder, and everything that reads or writes them is tried. The process says `NUMBER what became of it` for each, and
ends with an error where something else came than a sentence, or where what could be read before cannot be read after.
It is a process of its own because damaged files may bring DuckDB itself down.
"""

import faulthandler
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from fixtures_pipeline.errors import ReportError, StoreError
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.loading import copy_for_readers, load_days, open_store
from fixtures_pipeline.report.write import write_report
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.questions import find_states, list_days_in_progress, list_open_errors
from fixtures_pipeline.store.rules import RULES
from fixtures_pipeline.store.tables import COLUMNS
from fixtures_pipeline_tests.fault_server import FaultServer, good_body
from fixtures_pipeline_tests.processes import Process
from fixtures_pipeline_tests.stores import SOFASCORE, kept_open, rows_breaking, store_at
from fixtures_pipeline_tests.stores import UTC as UTC_ZONE

FIRST = date(2025, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(12)]


def settings_of(folder: Path, url: str) -> Settings:
    return Settings.load(
        provider="sofascore",
        api_url=url,
        db=folder / "fixtures.duckdb",
        snapshot=folder / "copy.duckdb",
        start_date="2025-01-01",
        requests_per_second=1000,
        requests_per_day=1000,
        lock_timeout=1,
    )


def make_files(folder: Path) -> None:
    """Make a database with a log that was not emptied, a copy, a report, and the files where requests are counted."""
    with FaultServer() as api:
        settings = settings_of(folder, api.url)
        api.plan(DAYS[3], b"<html>")
        list(load_days(settings, DAYS[:8]))
        copy_for_readers(settings)
        write_report(settings)
    # Killed before it could empty its log.
    code = (
        "import sys; from pathlib import Path; from fixtures_pipeline_tests import damage; "
        "damage.load_and_die(Path(sys.argv[1]))"
    )
    with Process("-c", code, str(settings.database)) as process:
        process.wait(60)


def load_and_die(path: Path) -> None:
    """Load the last days, and end without closing the file."""
    judge = Judge(SOFASCORE, UTC_ZONE)
    with kept_open(store_at(path)) as store:
        for day in DAYS[8:]:
            store.put([judge.judge(day, good_body(day, events=20)).outcome])
        os._exit(0)


class Damage:
    """One damage, told by its number."""

    def __init__(self, folder: Path, number: int) -> None:
        self._random = random.Random(number)
        files = sorted(path for path in folder.iterdir() if path.suffix not in {".html"})
        weights = [{".duckdb": 8, ".lock": 1}.get(path.suffix, 5) for path in files]
        [self.path] = self._random.choices(files, weights)
        self._other = self._random.choice([path for path in files if path != self.path])
        kinds = (self._flip, self._flip, self._cut, self._zero, self._append, self._swap, self._replace)
        self._inflict: Callable[[bytearray], bytearray] = self._random.choice(kinds)
        self.path.write_bytes(self._inflict(bytearray(self.path.read_bytes())))

    def __str__(self) -> str:
        return f"{self.path.name} {self._inflict.__name__.strip('_')}"

    def _flip(self, content: bytearray) -> bytearray:
        for _ in range(self._random.choice((1, 8, 200)) if content else 0):
            content[self._choose(content)] ^= self._random.randrange(1, 256)
        return content

    def _choose(self, content: bytearray) -> int:
        """Choose a byte, one that is in use if possible: most of a small database are zeros."""
        found = [self._random.randrange(len(content)) for _ in range(300)]
        return next((at for at in found if content[at]), found[0])

    def _cut(self, content: bytearray) -> bytearray:
        return content[: self._random.randrange(len(content) + 1)]

    def _zero(self, content: bytearray) -> bytearray:
        start = self._choose(content) // 4096 * 4096 if content else 0
        content[start : start + 4096] = bytes(len(content[start : start + 4096]))
        return content

    def _append(self, content: bytearray) -> bytearray:
        return content + self._random.randbytes(self._random.choice((1, 4096, 100_000)))

    def _swap(self, content: bytearray) -> bytearray:
        other = self._other.read_bytes()
        self._other.write_bytes(content)
        return bytearray(other)

    def _replace(self, content: bytearray) -> bytearray:
        return bytearray(self._random.choice((b"", b"\0" * len(content), self._random.randbytes(len(content) or 9))))


def read_days(path: Path) -> dict[date, str]:
    """Return what can be read of each day with nothing but DuckDB."""
    found: dict[date, str] = {}
    with suppress(duckdb.Error, UnicodeDecodeError), duckdb.connect(str(path), read_only=True) as connection:
        for day in DAYS:
            with suppress(duckdb.Error, UnicodeDecodeError):
                rows = connection.execute("SELECT data FROM fixture_days WHERE date = ?", [day]).fetchall()
                found |= dict.fromkeys([day] if rows else [], rows[0][0] if rows else "")
    return found


def meet(settings: Settings) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield everything that meets the files, by name, readers first."""
    store = open_store(settings)
    now = datetime(2025, 3, 9, tzinfo=UTC)

    yield "states", partial(find_states, store, None)
    yield "in progress", partial(list_days_in_progress, store, DAYS[0], DAYS[-1], now)
    yield "errors", partial(list_open_errors, store, DAYS[0])
    yield "report", partial(write_report, settings)
    yield from ((f"frame {name}", partial(store.dataframe, name)) for name in COLUMNS)
    yield from ((rule.name, partial(rows_breaking, store, rule, None, now)) for rule in RULES)
    yield "load", lambda: list(load_days(settings, [DAYS[0], DAYS[-1]]))
    yield "copy", partial(copy_for_readers, settings)
    yield "load again", lambda: list(load_days(settings, [DAYS[0]]))


def try_all(folder: Path, number: int, url: str) -> str:
    """Damage one file of a folder, meet the damage, and return what became of it."""
    damage = Damage(folder, number)
    settings = settings_of(folder, url)
    copy = folder / "copy.duckdb"
    before, copied, copy_content = read_days(settings.database), read_days(copy), copy.read_bytes()
    failed = []
    for name, thing in meet(settings):
        try:
            thing()
        except (StoreError, ReportError) as error:
            assert str(error).isprintable(), name
            failed.append(name)
            if name == "copy":
                assert copy.read_bytes() == copy_content, (
                    f"{damage}: a copy that came to nothing has changed the old one"
                )
    after = read_days(settings.database)
    lost = [day for day in before if day not in {DAYS[0], DAYS[-1]} and after.get(day) != before[day]]
    assert not lost, f"{damage}: {lost} could be read before"
    assert set(before) <= set(after), damage
    if "copy" not in failed:
        assert read_days(copy) == after, f"{damage}: the copy is another than the database"
    assert set(copied) <= set(read_days(copy)), f"{damage}: the copy could be read before"
    return (
        f"{damage}: {len(before)} days before, {len(copied)} in the copy, {len(failed)} sentences ({', '.join(failed)})"
    )


def main() -> None:
    faulthandler.enable()
    made, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with FaultServer() as api:
        for number in range(first, first + count):
            with TemporaryDirectory() as name:
                folder = Path(name) / "data"
                shutil.copytree(made, folder)
                sys.stdout.write(f"{number} ")
                sys.stdout.flush()
                sys.stdout.write(f"{try_all(folder, number, api.url)}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
