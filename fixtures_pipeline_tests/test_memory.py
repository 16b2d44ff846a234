"""Whatever servers send, a run stays within its memory, and the other days load."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from fixtures_pipeline.transport.limits import LIMITS
from fixtures_pipeline_tests.fault_server import Exchange, FaultServer, body_of, good_body, neighbours, own

MIB = 1024 * 1024
DAY = date(2025, 3, 3)
#: Of the whole process; Python and what the project imports take some 100 of it.
MOST_MIB = 700

#: Loads and checks days as a run does, and says what came of each, and what it took at most. The kernel's own figure is
#: that of this program; `ru_maxrss` begins with that of the process that started it.
CHILD = """
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from fixtures_pipeline.loading import load_days, open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store import database
from fixtures_pipeline.store.questions import find_offending_rows
from fixtures_pipeline.store.rules import RULES
Settings.model_config["env_file"] = None
# Merging the blocks of a table takes as much as all that is in it, however it came there.
database._merge_blocks = lambda session: 1
url, db, first, count = sys.argv[1:]
settings = Settings.load(
    provider="sofascore", api_url=url, db=Path(db), start_date="2025-01-01", requests_per_second=1000
)
days = [date.fromisoformat(first) + timedelta(days=n) for n in range(int(count))]
for batch in load_days(settings, days):
    for stored in batch:
        print(stored.day, getattr(stored.outcome, "error_type", "loaded"), flush=True)
list(find_offending_rows(open_store(settings), RULES, days, datetime.now(UTC)))
[peak] = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print("peak", peak)
"""


def load(server: FaultServer, folder: Path, count: int) -> tuple[dict[date, str], float]:
    """Load days in a process of their own; return what came of each, and the most memory that it took, in MiB."""
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux says how much memory a process has taken")
    # Not `-c`: DuckDB would take that for somebody at a terminal, and show its progress.
    program = folder / "child.py"
    program.write_text(CHILD)
    command = [sys.executable, str(program), server.url, str(folder / "fixtures.duckdb"), DAY.isoformat(), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    *lines, last = (line.split() for line in done.stdout.splitlines())
    return {date.fromisoformat(day): outcome for day, outcome in lines}, int(last[1]) / 1024


def sending(body: bytes) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.answer(200, body, Content_Encoding="gzip")


def packed(make: Callable[[date], bytes]) -> Callable[[Exchange], None]:
    return lambda exchange: sending(gzip.compress(make(exchange.day), 1))(exchange)


def listing(element: bytes, size: int) -> Callable[[date], bytes]:
    """Make a list of the same element again and again."""
    return lambda _: b'{"events": [' + b",".join([element] * (size // (len(element) + 1))) + b"]}"


def with_more(value: bytes) -> Callable[[date], bytes]:
    """Make a good day, in whose first event something large stands."""
    return lambda day: good_body(day).replace(b'"season"', b'"more": ' + value + b', "season"', 1)


def largest(day: date) -> bytes:
    """Make a good day of the largest size that is allowed."""
    events = [*own(day), *neighbours(day)]
    events[0]["more"] = "x" * (LIMITS.size - len(body_of(events)) - len(', "more": ""'))
    return body_of(events)


ALMOST = LIMITS.size - 8192
BOMBS: dict[str, tuple[Callable[[date], bytes], str]] = {
    "6 MiB of ones": (listing(b"1", 6 * MIB), "DATA_STRUCTURE_ERROR"),
    "60 MiB of objects": (listing(b"{}", 60 * MIB), "API_ERROR"),
    "objects up to the limit": (listing(b"{}", ALMOST), "DATA_STRUCTURE_ERROR"),
    "ones in an event": (with_more(b"[" + b"1," * (ALMOST // 2) + b"1]"), "DATA_STRUCTURE_ERROR"),
    "lists in lists": (lambda _: b"[" * (ALMOST // 2) + b"]" * (ALMOST // 2), "DATA_STRUCTURE_ERROR"),
    "lists in lists in an event": (with_more(b"[" * (ALMOST // 2) + b"]" * (ALMOST // 2)), "DATA_STRUCTURE_ERROR"),
    "a long text": (with_more(b'"' + b"x" * ALMOST + b'"'), "loaded"),
    "a long text in another script": (with_more(('"' + "ع" * (ALMOST // 2) + '"').encode()), "loaded"),
    "a long text of halves": (with_more(b'"' + rb"\ud83d" * (ALMOST // 6) + b'"'), "loaded"),
    "a long text of escapes": (with_more(b'"' + rb"\n" * (ALMOST // 2 - 3) + rb'\ud83d"'), "loaded"),
    "not a number, and texts": (with_more(b"[" + b'"",' * (ALMOST // 3) + b"NaN]"), "loaded"),
    "the largest day": (largest, "loaded"),
    "a page": (lambda _: b"<html>" + b"<p>login</p>" * (ALMOST // 12), "JSON_DECODE_ERROR"),
}


def test_no_answer_takes_more_than_its_share(tmp_path: Path) -> None:
    with FaultServer() as server:
        expected: dict[date, str] = {}
        for n, (make, outcome) in enumerate(BOMBS.values()):
            day = DAY + timedelta(days=2 * n)
            # Made before anybody waits for it: that takes seconds on a busy machine.
            server.plan(day, sending(gzip.compress(make(day), 1)))
            expected |= {day: outcome, day + timedelta(days=1): "loaded"}
        outcomes, peak = load(server, tmp_path, len(expected))
    assert outcomes == expected
    assert peak < MOST_MIB


@pytest.mark.slow
@pytest.mark.parametrize("name", ["the largest day", "a long text in another script", "lists in lists in an event"])
def test_many_large_answers_take_no_more_than_a_few(name: str, tmp_path: Path) -> None:
    make, outcome = BOMBS[name]
    with FaultServer() as server:
        server.plan_any(packed(make))
        outcomes, peak = load(server, tmp_path, 48)
    assert set(outcomes.values()) == {outcome}
    assert len(outcomes) == 48
    assert peak < MOST_MIB


def test_a_failure_with_a_large_body_is_told_all_the_same(tmp_path: Path) -> None:
    ones = json.dumps([1] * 2_000_000).encode()
    with FaultServer() as server:
        server.plan_any(lambda exchange: exchange.answer(404, gzip.compress(ones, 1), Content_Encoding="gzip"))
        outcomes, peak = load(server, tmp_path, 8)
    assert set(outcomes.values()) == {"API_ERROR"}
    assert peak < MOST_MIB
