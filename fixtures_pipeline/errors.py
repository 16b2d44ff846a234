"""The vocabulary of failure: how a day can fail, and what ends a run or a start.

A day that fails is a value, not an exception: a row of `fixture_errors` under one of the names of `ErrorType`.
Exceptions are for what no row can record. Every one that this project raises across modules is here, and its text is
a sentence for people:

    FixturesError
    ├── SettingsError         a setting cannot be used
    ├── StoreError            the database cannot be opened, read or written
    │   ├── StoreMissingError     there is none yet
    │   ├── StoreOutdatedError    an older version of the project wrote it
    │   └── StoreLockedError      another process holds it
    ├── HomeError             Dagster's home cannot be used
    ├── RunError              a run ended before it had tried all of its days
    └── ReportError           the coverage report cannot be made

Nothing here knows of HTTP, SQL or Dagster.
"""

from enum import StrEnum


class ErrorType(StrEnum):
    """The names under which a failed day appears in `fixture_errors`."""

    AUTH_ERROR = "AUTH_ERROR"
    RATE_LIMIT_ERROR = "RATE_LIMIT_ERROR"
    TIMEOUT_ERROR = "TIMEOUT_ERROR"
    CONNECTION_RESET_ERROR = "CONNECTION_RESET_ERROR"
    API_ERROR = "API_ERROR"
    JSON_DECODE_ERROR = "JSON_DECODE_ERROR"
    DATA_STRUCTURE_ERROR = "DATA_STRUCTURE_ERROR"
    DEFAULT_DATA_ERROR = "DEFAULT_DATA_ERROR"
    INTEGRITY_ERROR = "INTEGRITY_ERROR"


class FixturesError(Exception):
    """Something that people have to mend; the text says what happened and what to do."""


class SettingsError(FixturesError):
    """A setting has a value that cannot be used; the text is one sentence that names it."""


class StoreError(FixturesError):
    """The database cannot be used; the text says why and what to do."""


class StoreMissingError(StoreError):
    """There is no database yet."""


class StoreOutdatedError(StoreError):
    """The database was written by an older version of the project; opening it for writing brings it up to date."""


class StoreLockedError(StoreError):
    """Another process holds the database."""


class HomeError(FixturesError):
    """Dagster's home cannot be used; the text says why and what to do."""


class RunError(FixturesError):
    """A run ended before it had tried all of its days."""


class ReportError(FixturesError):
    """The report cannot be made; the text says why."""
