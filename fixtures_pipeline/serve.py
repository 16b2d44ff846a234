"""`make run`: loads what is missing of the days around today, then serves the UI until Ctrl-C.

The first load and the UI are processes of their own, which get every setting in their environment. This process stays
beside them: it says when the UI answers, and sees to it that nothing is left when it ends.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

from fixtures_pipeline import home as homes
from fixtures_pipeline.commands import EXIT_DONE, EXIT_FAILED_DAYS
from fixtures_pipeline.days import contiguous, list_days
from fixtures_pipeline.errors import HomeError, RunError
from fixtures_pipeline.loading import choose_window, list_known_days, list_loaded_days, open_store
from fixtures_pipeline.settings import PROJECT_ROOT, Settings, freeze_environment
from fixtures_pipeline.store.questions import find_states
from fixtures_pipeline.text import count

#: Days before today that a first start loads.
DAYS_BACK = 14

# Seconds that are waited for: a load or the UI to end, runs to be cancelled, and an answer of the UI.
_PATIENCE, _PATIENCE_WITH_RUNS, _PATIENCE_WITH_ANSWERS = 15, 10, 5

_DAYS = "/assets/fixture_days?view=checks"
# Of Dagster's own processes, say what went wrong. What runs say is up to `dagster.console`.
_QUIETLY = ("--log-level", "error", "--code-server-log-level", "error")


def serve(settings: Settings, port: int) -> int:
    """Load, then serve until Ctrl-C or SIGTERM; return the exit code.

    Raises:
        FixturesError: the port, Dagster's home or the database cannot be used.
    """
    address = f"http://127.0.0.1:{port}"
    home = homes.choose_home(settings)
    with homes.serving(home) as lock:
        homes.sign(lock, f"process {os.getpid()} at {address}")
        _refuse_taken(port)
        if done := homes.open_home(settings, home):
            _say(done)
        environment = _build_environment(home)
        _free_dead_runs(home)
        _load_missing(settings, home, environment)
        _compare(settings, home)
        return _serve_ui(home, environment, address, lock)


def _refuse_taken(port: int) -> None:
    """Refuse a port that is taken: Dagster would go on without a UI."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise HomeError(f"Port {port} on 127.0.0.1 cannot be used; choose another: make run PORT=3100") from None


def _build_environment(home: Path) -> dict[str, str]:
    """Return what the children get: every setting, the home, and this project's code before any that is installed."""
    code = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join([code, *filter(None, [os.environ.get("PYTHONPATH")])])
    # Python's warnings are for whoever changes this project; `make check` turns them into errors.
    return freeze_environment() | {"DAGSTER_HOME": str(home), "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}


def _free_dead_runs(home: Path) -> None:
    """Mark runs as failed whose processes are gone: they would fill Dagster's queue for ever."""
    from fixtures_pipeline.dagster import launch  # noqa: PLC0415

    with homes.nobody_loading(home) as nobody:
        # This process has the home for itself, so that nobody else carries a run out.
        dead = launch.free_dead_runs(home) if nobody else []
    if dead:
        _say(f"Cut off when this last ended, and marked as failed: {', '.join(dead)}. Load what is red there again.")


def _compare(settings: Settings, home: Path) -> None:
    """Say which days only one of Dagster and the database knows as loaded, and what to do."""
    from fixtures_pipeline.dagster import launch  # noqa: PLC0415

    where = open_store(settings).database.shown
    shown, loaded = launch.list_days_shown(home), set(list_loaded_days(settings))
    if lost := shown - loaded:
        _say(
            f"Dagster shows {_name(lost)} as loaded that {where} does not have. Load them again; or end "
            f"this and delete {home}, and Dagster begins a new record."
        )
    if hidden := loaded - shown:
        _say(f"Dagster does not show {_name(hidden)} that {where} has. Load them again to see them there.")


def _name(days: Set[date]) -> str:
    return f"{count(len(days), 'day')} ({min(days)} to {max(days)})"


def _load_missing(settings: Settings, home: Path, environment: Mapping[str, str]) -> None:
    """Load the days around today that were never asked for."""
    from fixtures_pipeline.dagster import launch  # noqa: PLC0415

    # A load that is ended early may have stored days of which Dagster does not know yet: it is done again. So it is for
    # a new home, in which there would be nothing to see.
    unfinished = home / "unfinished"
    again = unfinished.exists() or not launch.list_days_shown(home)
    stretches = list(find_missing_days(settings, again=again))
    for first, last in stretches:
        unfinished.touch()
        _say(f"Loading {first} to {last} …")
        _load(first, last, home, environment)
    unfinished.unlink(missing_ok=True)
    if stretches:
        days = [day for first, last in stretches for day in list_days(first, last)]
        failed = sum(state.error is not None for state in find_states(open_store(settings), days))
        meant = ", as the sample means them to" if failed and settings.provider == "sample" else ""
        _say(f"{len(days)} days: {len(days) - failed} loaded, {failed} failed{meant}.")


def find_missing_days(settings: Settings, *, again: bool = False) -> Iterator[tuple[date, date]]:
    """Yield the stretches of days around today that were never asked for; all of them if it is to be done again."""
    today = datetime.now(settings.zone).date()
    # Asked in any case: a database that cannot be read is found out here.
    known = set(list_known_days(settings))
    window = list_days(*choose_window(settings, today, DAYS_BACK))
    return contiguous([day for day in window if again or day not in known])


def _load(first: date, last: date, home: Path, environment: Mapping[str, str]) -> None:
    """Load a stretch of days in a process of its own; its failed days are in the UI, and need no lines here."""
    # Not of this terminal's foreground: Ctrl-C reaches it from here.
    command = subprocess.Popen(
        [sys.executable, "-m", "fixtures_pipeline", "load", f"{first}...{last}"],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        process_group=0,
    )
    try:
        _, said = command.communicate()
    except KeyboardInterrupt:
        command.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            command.communicate(timeout=_PATIENCE)
        raise
    finally:
        _kill(command)
    if command.returncode not in {EXIT_DONE, EXIT_FAILED_DAYS}:
        sys.stderr.write(said)
        raise RunError("The days around today could not be loaded; the lines above say why.")


def _serve_ui(home: Path, environment: Mapping[str, str], address: str, lock: IO[str]) -> int:
    workspace, port = str(PROJECT_ROOT / "workspace.yaml"), address.rpartition(":")[2]
    ui = subprocess.Popen(
        [sys.executable, "-m", "dagster", "dev", "-w", workspace, "-h", "127.0.0.1", "-p", port, *_QUIETLY],
        # Not in the project's folder: Dagster would read the .env there, and warn about the dagster.yaml.
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        # It holds the home, too: should this process be killed, nobody else serves beside it.
        pass_fds=[lock.fileno()],
        # Not of this terminal's foreground: Ctrl-C would reach all of its processes at once, and each would complain.
        process_group=0,
    )
    homes.sign(lock, f"process {ui.pid} at {address}")
    ending = threading.Event()
    threading.Thread(target=_announce, args=[address, ui, ending], daemon=True).start()
    showing = threading.Thread(target=_pass_on, args=[ui, ending], daemon=True)
    showing.start()
    try:
        ui.wait()
    except KeyboardInterrupt:
        ending.set()
        _say("Ending …")
        _cancel_runs(address)
        ui.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            ui.wait(_PATIENCE)
        return EXIT_DONE
    finally:
        # Nothing is left behind, however often somebody has pressed Ctrl-C.
        _kill(ui)
        showing.join(_PATIENCE)
    raise RunError("The UI has ended by itself.")


def _pass_on(ui: "subprocess.Popen[str]", ending: threading.Event) -> None:
    """Show what the UI and its runs say, until they are ended."""
    for line in ui.stdout or ():
        if not ending.is_set():
            _say(line.rstrip())


def _announce(address: str, ui: "subprocess.Popen[str]", ending: threading.Event) -> None:
    """Say where the UI is, as soon as it answers there."""
    while ui.poll() is None and not ending.is_set():
        with suppress(OSError), urllib.request.urlopen(f"{address}/server_info", timeout=_PATIENCE_WITH_ANSWERS):  # noqa: S310
            _say(f"The UI is at {address} until Ctrl-C. Each day, and what is wrong with red ones: {address}{_DAYS}")
            return
        ending.wait(0.5)


def _cancel_runs(address: str) -> None:
    """Cancel the runs that the UI or its daemon started, as its page of runs does; they know best how to end."""
    end = time.monotonic() + _PATIENCE_WITH_RUNS
    with suppress(OSError, ValueError, LookupError, TypeError):
        running = _find_runs(address)
        if running:
            _ask(address, "mutation ($ids: [String!]!) { terminateRuns(runIds: $ids) { __typename } }", ids=running)
        while running and time.monotonic() < end:
            time.sleep(0.3)
            running = _find_runs(address, "CANCELING")


def _find_runs(address: str, *statuses: str) -> list[str]:
    query = """query ($statuses: [RunStatus!]) { runsOrError(filter: {statuses: $statuses}) {
        ... on Runs { results { runId canTerminate } } } }"""
    found = _ask(address, query, statuses=statuses or ["STARTING", "STARTED"])["runsOrError"]["results"]
    # Not those of commands, which the UI cannot end.
    return [run["runId"] for run in found if run["canTerminate"]]


def _ask(address: str, query: str, **variables: object) -> Any:  # noqa: ANN401 - JSON
    request = urllib.request.Request(  # noqa: S310
        f"{address}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=_PATIENCE_WITH_ANSWERS) as answer:  # noqa: S310
        return json.load(answer)["data"]


def _kill(process: "subprocess.Popen[Any]") -> None:
    """End what is left of a process and of those that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _say(text: str) -> None:
    # The terminal may be gone.
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")
