"""`python -m fixtures_pipeline`: what stands on the command line, and the exit code.

What it asks for is done in `serve` and `commands`.
"""

import argparse
import os
import re
import signal
import sys
import warnings
from calendar import monthrange
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from fixtures_pipeline import commands, serve
from fixtures_pipeline.errors import FixturesError, SettingsError
from fixtures_pipeline.loading import find_bounds
from fixtures_pipeline.settings import Settings

_PACKAGE = Path(__file__).resolve().parent

_EXIT_CODES = """
exit codes:
  0  done
  1  days have failed; status: days are failing
  2  wrong use: an argument, a day that cannot be loaded, a setting
  3  it could not be done, and a sentence says why
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for, and return the exit code; it ends with a sentence rather than a traceback."""
    parser = _build_parser()
    asked = parser.parse_args(arguments)
    if not sys.warnoptions:
        # They are for whoever changes this project; `make check` turns them into errors.
        warnings.simplefilter("ignore")
    # Whoever ends it, it ends as after Ctrl-C; a shell that starts it in the background has it ignore SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        _refuse_other_folder()
        settings = Settings.load()
        if asked.command == "load":
            _refuse_days_outside(parser, settings, *asked.days)
            return commands.load(settings, *asked.days)
        if asked.command == "copy":
            return commands.copy(*_find_databases(parser, FROM=asked.source, TO=asked.target))
        if asked.command is None:
            return serve.serve(settings, asked.port)
        return {"retry": commands.retry, "status": commands.status}[asked.command](settings)
    except FixturesError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, SettingsError) else commands.EXIT_IMPOSSIBLE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fixtures_pipeline",
        description="Without a command: load what is missing of the days around today, then serve the UI until Ctrl-C.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=_read_port, default=3000, help="port of the UI on 127.0.0.1 (3000)")
    found = parser.add_subparsers(dest="command", metavar="command")
    load = found.add_parser("load", help="load days, whether they are loaded already or not")
    load.add_argument("days", type=_read_days, help="2025-03-01, or 2025-03-01...2025-03-31, or 2025-03 for a month")
    found.add_parser("retry", help="load all days again that are failing, now")
    found.add_parser("status", help="say what is loaded, what is failing, and how large it is")
    copy = found.add_parser("copy", help="copy a database into a new one: a file, or one on a Postgres server")
    copy.add_argument("source", metavar="FROM", help="as in FIXTURES_DB: a path, or postgresql://[user@]host/database")
    copy.add_argument("target", metavar="TO", help="the same; a file that is not there yet, or an empty database")
    return parser


def _find_databases(parser: argparse.ArgumentParser, **named: str) -> list[Settings]:
    """Return settings like those of the environment, with each of these databases; readers' copies are not made."""
    databases = []
    for name, database in named.items():
        try:
            databases.append(Settings.load(db=database, snapshot=None))
        except SettingsError as error:
            # Without what was named, which may hold a password.
            parser.error(str(error).replace("FIXTURES_DB", name, 1))
    if databases[0].database == databases[1].database:
        parser.error("FROM and TO are the same database")
    return databases


def _read_port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 1 to 65535")
    return int(text)


def _read_days(text: str) -> tuple[date, date]:
    """Return the first and the last day that `text` names.

    >>> [str(day) for day in _read_days("2024-02")]
    ['2024-02-01', '2024-02-29']
    >>> [str(day) for day in _read_days("2025-03-01...2025-03-02")]
    ['2025-03-01', '2025-03-02']
    """
    try:
        if re.fullmatch(r"\d{4}-\d{2}", text):
            first = date.fromisoformat(f"{text}-01")
            return first, first.replace(day=monthrange(first.year, first.month)[1])
        first, last = (date.fromisoformat(day) for day in (text.split("...") * 2)[:2])
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a day (2025-03-01), a range of days (2025-03-01...2025-03-31) or a month (2025-03)"
        ) from None
    if last < first:
        raise argparse.ArgumentTypeError(f"{last} comes before {first}")
    return first, last


def _refuse_days_outside(parser: argparse.ArgumentParser, settings: Settings, first: date, last: date) -> None:
    earliest, latest = find_bounds(settings)
    if first < earliest:
        parser.error(f"{first} cannot be loaded: the first day is {earliest} (FIXTURES_START_DATE, see .env.example)")
    if last > latest:
        parser.error(
            f"{last} cannot be loaded: the last day is {latest}, {settings.days_ahead} days after today "
            "(FIXTURES_DAYS_AHEAD, see .env.example)"
        )


def _refuse_other_folder() -> None:
    """Refuse to work on another copy of this project than the one whose environment this is.

    Raises:
        SettingsError: the environment was copied or moved together with its folder, and still names the old one.
    """
    own = Path(sys.prefix).resolve().parent
    named_otherwise = "PYTHONPATH" in os.environ or Path.cwd() == _PACKAGE.parent
    if own != _PACKAGE.parent and (own / _PACKAGE.name / "__main__.py").exists() and not named_otherwise:
        raise SettingsError(
            f"The environment in {sys.prefix} finds the project in {_PACKAGE.parent}. Start this in {own}, or make the "
            "environment again there: make clean run."
        )


if __name__ == "__main__":
    sys.exit(main())
