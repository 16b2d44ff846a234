"""What runs say on the terminal: one line per failed day, and one about the run.

Only the terminal is meant. The UI shows the whole log of a run, tracebacks and all.
"""

import logging
import os
from contextlib import suppress
from typing import Any

from dagster import DagsterExecutionInterruptedError, InitLoggerContext, logger
from dagster._core.events import RunFailureReason


class _Terse(logging.Formatter):
    """A record as one line: what was said, without where and when."""

    def format(self, record: logging.LogRecord) -> str:
        said = _read(record)
        event = said.get("dagster_event")
        if event is None or not event.is_step_failure:
            return _join(said.get("orig_message") or record.getMessage())
        failure = event.step_failure_data
        if failure.user_failure_data:
            # A `Failure`, whose description is a sentence for people.
            return _join(failure.user_failure_data.description or "")
        cause = failure.error.cause or failure.error
        return f"{event.step_key} broke: {_join(cause.message)} (run {said['run_id']} in the UI has the traceback)"


def _is_for_people(record: logging.LogRecord) -> bool:
    """Say whether a record tells people something: what an op says, why a step failed, why a run had no step that did.

    That somebody has ended a run is no news to them.
    """
    event = _read(record).get("dagster_event")
    if event is None:
        return True
    if event.is_step_failure:
        return bool(event.step_failure_data.error.cls_name != DagsterExecutionInterruptedError.__name__)
    known = {RunFailureReason.STEP_FAILURE, RunFailureReason.UNEXPECTED_TERMINATION}
    return bool(event.is_job_failure and event.job_failure_data.failure_reason not in known)


def _read(record: logging.LogRecord) -> dict[str, Any]:
    said: dict[str, Any] = getattr(record, "dagster_meta", {})
    return said


def _join(text: str) -> str:
    return " ".join(text.split())


class _Terminal(logging.Handler):
    """What stderr is when a run begins: Dagster captures that of its steps, and shows it late or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self._stderr = os.dup(2)

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            os.write(self._stderr, f"{self.format(record)}\n".encode())

    def __del__(self) -> None:
        os.close(self._stderr)


@logger
def console(_: InitLoggerContext) -> logging.Logger:
    """Return what Dagster hands the records of a run to."""
    terminal = _Terminal()
    terminal.setFormatter(_Terse())
    terminal.addFilter(_is_for_people)
    # Not from `getLogger`: it belongs to one run, and nothing of Python's logging may reach it.
    terse = logging.Logger("fixtures_pipeline", logging.WARNING)
    terse.addHandler(terminal)
    return terse


def replace_default_console() -> None:
    """Have runs that name no logger, which are all that the UI starts, use `console`.

    Dagster 1.13 takes the loggers of `Definitions` for them only where their run config names one.
    """
    from dagster import _loggers  # noqa: PLC0415

    _loggers.colored_console_logger = console
