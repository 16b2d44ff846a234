"""`python -m fixtures_pipeline`: loads what is missing of the days around today, then serves the UI until Ctrl-C.

This is what `make run` starts. Everything that it does can be done with Dagster's own commands, too; see the README.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

from fixtures_pipeline.days import contiguous
from fixtures_pipeline.errors import SettingsError, StoreError, StoreMissingError
from fixtures_pipeline.loading import choose_window, open_store
from fixtures_pipeline.settings import PROJECT_ROOT, Settings
from fixtures_pipeline.store.questions import list_asked_days

#: Days before today that a first start loads.
DAYS_BACK = 14

#: Seconds that a load has to end after Ctrl-C.
_PATIENCE = 10

_DAGSTER = (sys.executable, "-m", "dagster")
_DEFINITIONS = "fixtures_pipeline.definitions"
_TABLES = "fixture_days,fixtures,fixture_errors"
#: Of a run's log, show what went wrong.
_QUIETLY = ("-m", _DEFINITIONS, "--config-json", '{"loggers": {"console": {"config": {"log_level": "WARNING"}}}}')


def main() -> None:
    """Load, then serve; ends the process with a sentence where a setting or the database cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m fixtures_pipeline", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=3000, help="port of the UI on 127.0.0.1 (3000)")
    port = parser.parse_args().port
    _refuse_taken(port)
    home = _dagster_home()
    unfinished = home / "unfinished"
    try:
        missing = _missing_days(Settings.load(), again=unfinished.exists())
    except (SettingsError, StoreError) as error:
        raise SystemExit(str(error)) from None
    os.environ["DAGSTER_HOME"] = str(home)
    # Python's warnings are for whoever changes this project; `make check` turns them into errors.
    os.environ["PYTHONWARNINGS"] = "ignore"
    for first, last in missing:
        # A load that is ended early may have stored days of which Dagster does not know yet: it is done again.
        unfinished.touch()
        _say(f"Loading {first} to {last} …")
        _run("asset", "materialize", "--select", _TABLES, "--partition-range", f"{first}...{last}", *_QUIETLY, cwd=home)
    unfinished.unlink(missing_ok=True)
    _say(f"Serving the UI on http://127.0.0.1:{port} until Ctrl-C.")
    # Not in the project's folder: Dagster would warn that it does not use the dagster.yaml there.
    os.chdir(home)
    # A shell that starts this in the background has it ignore SIGINT, and Dagster's processes would inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    workspace = str(PROJECT_ROOT / "workspace.yaml")
    arguments = ["dev", "-w", workspace, "-h", "127.0.0.1", "-p", str(port), "--log-level", "warning"]
    # The UI takes this process's place, so that Ctrl-C reaches it directly.
    os.execv(sys.executable, [*_DAGSTER, *arguments])  # noqa: S606


def _refuse_taken(port: int) -> None:
    """End with a sentence if the port is taken: Dagster would go on without a UI."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            raise SystemExit(f"Port {port} on 127.0.0.1 cannot be used; choose another: make run PORT=3100") from None


def _run(*arguments: str, cwd: Path) -> None:
    """Run one of Dagster's commands to its end; what it complains of is passed on."""
    # Not of this terminal's foreground, so that Ctrl-C does not have it complain of that, too.
    command = subprocess.Popen(
        [*_DAGSTER, *arguments],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        process_group=0,
    )
    try:
        for line in command.stderr or ():
            sys.stderr.write(line)
        returncode = command.wait()
    except KeyboardInterrupt:
        command.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            command.communicate(timeout=_PATIENCE)
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        raise SystemExit(130) from None
    if returncode:
        raise SystemExit("Loading has failed; what was loaded until then is kept. The lines above say why.")


def _missing_days(settings: Settings, *, again: bool = False) -> list[tuple[date, date]]:
    """Return the stretches of days around today that were never asked for; all of them if it is to be done again."""
    today = datetime.now(settings.zone).date()
    first, last = choose_window(settings, today, DAYS_BACK)
    wanted = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    try:
        asked = list_asked_days(open_store(settings))
    except StoreMissingError:
        asked = []
    known = set() if again else set(asked)
    return list(contiguous([day for day in wanted if day not in known]))


def _dagster_home() -> Path:
    """Return the folder where Dagster keeps its runs and events, with this project's instance settings in it."""
    home = PROJECT_ROOT / os.environ.get("DAGSTER_HOME", "data/dagster")
    home.mkdir(parents=True, exist_ok=True)
    if "DAGSTER_HOME" not in os.environ or not (home / "dagster.yaml").exists():
        shutil.copyfile(PROJECT_ROOT / "dagster.yaml", home / "dagster.yaml")
    return home


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
