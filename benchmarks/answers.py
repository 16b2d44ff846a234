"""Real-shaped days to load, and a server that gives them after a fixed latency.

`python -m benchmarks.answers FOLDER` serves the files in a folder until it is ended, and prints its address first.
"""

import gzip
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from fixtures_pipeline.sample_days import day_body

#: Seconds that the server waits before it answers.
LATENCY = 0.05
FIRST = date(2025, 1, 1)
RECORDED = Path(__file__).parents[2] / "shared" / "real_days" / "sofascore"

# Long after any of the days, so that all of them are finished.
_NOW = datetime(2026, 6, 1, tzinfo=UTC)


def days(number: int) -> list[date]:
    """Return so many days in a row."""
    return [FIRST + timedelta(days=n) for n in range(number)]


def write_sample_days(folder: Path, number: int) -> None:
    """Write the sample API's good answers, a file a day."""
    for day in days(number):
        (folder / day.isoformat()).write_bytes(day_body(day, _NOW))


def write_recorded_days(folder: Path, number: int) -> None:
    """Write recorded answers over and over, each moved to a day of its own and its events given ids of their own."""
    recorded = sorted(RECORDED.glob("2*.json.gz"))
    for n, day in enumerate(days(number)):
        path = recorded[n % len(recorded)]
        moved = (day - date.fromisoformat(path.name[:10])).days * 86_400
        answer: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
        for event in answer["events"]:
            event["id"] += n * 100_000_000
            event["startTimestamp"] += moved
        (folder / day.isoformat()).write_text(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))


def history(years: int, events: int) -> Iterator[tuple[date, str]]:
    """Yield answers of so many years of 365 days in a row, each listing so many events of its own day.

    Made from the sample API's events of a month; only ids and kickoffs differ from one month to the next.
    """
    templates = [_templates(day, events) for day in days(30)]
    for n in range(years * 365):
        day = FIRST + timedelta(days=n)
        kickoff = str(int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()))
        listed = [
            f"{before}{1_000_000 + n * 1000 + number}{between}{kickoff}{after}"
            for number, (before, between, after) in enumerate(templates[n % 30])
        ]
        yield day, f'{{"events":[{",".join(listed)}]}}'


def _templates(day: date, number: int) -> list[list[str]]:
    """Return events as text, cut where the id and the kickoff stand."""
    listed: list[dict[str, Any]] = json.loads(day_body(day, _NOW))["events"]
    texts = []
    for n in range(number):
        event = listed[n % len(listed)] | {"id": "@cut@", "startTimestamp": "@cut@"}
        texts.append(json.dumps(event, ensure_ascii=False, separators=(",", ":")).split('"@cut@"'))
    return texts


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder of answers from a process of its own, and give its address."""
    with Popen([sys.executable, "-m", "benchmarks.answers", str(folder)], stdout=PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    bodies: dict[str, bytes]

    def do_GET(self) -> None:
        time.sleep(LATENCY)
        body = self.bodies[self.path.rpartition("/")[2]]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    _Handler.bodies = {path.name: path.read_bytes() for path in Path(sys.argv[1]).iterdir()}
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as listening:
        print(f"http://127.0.0.1:{listening.server_port}", flush=True)
        listening.serve_forever()
