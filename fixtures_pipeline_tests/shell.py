"""`python -m fixtures_pipeline` as shells and `make run` start it."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fixtures_pipeline_tests.processes import ROOT


def start(environment: dict[str, str], *arguments: str, cwd: Path = ROOT) -> "subprocess.Popen[str]":
    """Start `python -m fixtures_pipeline`, not in the foreground of whoever runs the tests."""
    return subprocess.Popen(
        [sys.executable, "-m", "fixtures_pipeline", *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def command(environment: dict[str, str], *arguments: str, cwd: Path = ROOT) -> tuple[int, str, str]:
    """Run `python -m fixtures_pipeline` to its end; return the exit code, what it says, and what it complains of."""
    with start(environment, *arguments, cwd=cwd) as process:
        try:
            said, complained = process.communicate(timeout=120)
        finally:
            process.terminate()
    assert "Traceback" not in complained, complained
    return process.returncode, said, complained


@contextmanager
def serving(environment: dict[str, str], port: int, cwd: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Start what `make run` starts; yield the addresses that it announces: of the UI, and of its page of checks.

    Ctrl-C ends it. Nothing that it said may be a traceback.
    """
    with start(environment, "--port", str(port), cwd=cwd) as process:
        assert process.stderr is not None
        try:
            said = next(line for line in process.stderr if "until Ctrl-C" in line)
            ui, checks = re.findall(r"http://\S+", said)
            yield ui, checks
        finally:
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=120)
    assert "Traceback" not in rest, rest
