"""Settings: read from the environment and from `.env`, checked, and nothing else.

Every setting is described in `.env.example`. What a setting is good for belongs to the module that uses it.
"""

import hashlib
import importlib
import os
import re
from dataclasses import replace
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fixtures_pipeline.errors import SettingsError
from fixtures_pipeline.providers import PROVIDERS, SOURCES
from fixtures_pipeline.providers.provider import FOOTBALL, Provider

_PREFIX = "FIXTURES_"
# Set in an environment that holds every setting: `.env` is not read then.
_FROZEN = "_FIXTURES_FROZEN"
#: What an address in FIXTURES_DB looks like, and what libpq can be told by it
#: (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS).
_EXAMPLE = "postgresql://user@host:5432/database"
_ADDRESS = re.compile("postgres(ql)?://")
_ANY_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PARAMETERS = {
    "channel_binding", "gssencmode", "host", "krbsrvname", "passfile", "sslcert", "sslcrl", "sslkey", "sslmode",
    "sslnegotiation", "sslrootcert", "target_session_attrs",
}  # fmt: skip
_CHECKOUT = Path(__file__).resolve().parent.parent
#: Where `data/` and `.env` are: the checkout, or the working directory of a package that was installed without one.
PROJECT_ROOT = _CHECKOUT if (_CHECKOUT / "pyproject.toml").exists() else Path.cwd()


class Settings(BaseSettings):
    """The project's settings; `Settings.load()` reads them from the environment."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_file=PROJECT_ROOT / ".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    provider: str = "sample"
    sport: str = FOOTBALL
    leagues: str | None = None
    api_url: str | None = None
    api_key: SecretStr | None = None
    api_key_header: str | None = None
    db: Path | str | None = None
    start_date: date = date(2024, 1, 1)
    days_ahead: int = Field(default=7, ge=0, le=60)
    timezone: str = "UTC"
    min_events: int = Field(default=2, ge=0, le=100)
    requests_per_second: float | None = Field(default=None, gt=0, le=1000)
    requests_per_day: int | None = Field(default=None, ge=1)
    concurrency: int = Field(default=8, ge=1, le=64)
    keep_runs: int = Field(default=30, ge=1, le=36500)
    lock_timeout: float = Field(default=60, ge=0, le=3600)
    notify: SecretStr | None = None
    snapshot: Path | None = None

    @classmethod
    def load(cls, **values: Any) -> "Settings":  # noqa: ANN401 - each field has a type of its own
        """Read the environment and `.env`; `values` win over both.

        Raises:
            SettingsError: a value cannot be used, one is missing, a `FIXTURES_…` name that does not exist is set, or
                `.env` cannot be read.
        """
        values.setdefault("_env_file", _find_env_file())
        known = {_PREFIX + name.upper() for name in cls.model_fields}
        for name in sorted({*os.environ, *_read(values["_env_file"])} - known):
            if name.startswith(_PREFIX):
                close = get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]}?" if close else ", see .env.example."
                raise SettingsError(f"{name} is not a setting of this project{hint}")
        try:
            settings = cls(**values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            dated = first["type"].startswith("date_")
            reason = "a day is written YYYY-MM-DD" if dated else re.sub("^Value error, ", "", first["msg"])
            name = _PREFIX + str(first["loc"][0]).upper()
            # `from None`: the chained error would print the values of other settings.
            raise SettingsError(f"{name} cannot be used: {reason} (see .env.example).") from None
        if settings.provider != "sample" and not (settings.api_url or settings.source.base_url):
            raise SettingsError(
                f"FIXTURES_API_URL must be set: the provider {settings.provider} has no address of its own "
                "(see .env.example)."
            )
        if settings.source.key_in_path and settings.api_key_header:
            raise SettingsError(
                f"FIXTURES_API_KEY_HEADER cannot be used: {settings.source.title} takes the key in the path."
            )
        if settings.source.key_header and settings.api_key is None:
            raise SettingsError(
                f"FIXTURES_API_KEY must be set: {settings.source.title} wants the key of an account (see .env.example)."
            )
        return settings

    @field_validator("provider")
    @classmethod
    def _known_provider(cls, value: str) -> str:
        if value not in PROVIDERS:
            raise ValueError(f"there is no provider {value!r}, only {', '.join(PROVIDERS)}")
        return value

    @field_validator("sport")
    @classmethod
    def _known_sport(cls, value: str, info: ValidationInfo) -> str:
        provider = info.data.get("provider")
        known = [sport for name, sport in SOURCES if name == provider]
        if known and value not in known:
            raise ValueError(f"the provider {provider} has no {value!r}, only {', '.join(known)}")
        return value

    @field_validator("leagues")
    @classmethod
    def _known_leagues(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        # They become part of an address.
        if not re.fullmatch(r"[\s,]*[A-Za-z0-9_-]{1,40}([\s,]+[A-Za-z0-9_-]{1,40})*[\s,]*", value):
            raise ValueError("leagues are named by their shortcuts, such as bl1,pl: letters, digits, hyphens")
        source = SOURCES.get((info.data.get("provider", ""), info.data.get("sport", "")))
        if source is not None and source.seasons is None:
            raise ValueError(f"{source.title} is not asked by league")
        return value

    @field_validator("api_url")
    @classmethod
    def _plain_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            parts.port  # noqa: B018 - raises for a port that is no number
        except ValueError:
            raise ValueError("it is not a URL such as https://example.org") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("it must be an http or https URL such as https://example.org")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("it must be a plain base URL; a key belongs in FIXTURES_API_KEY")
        return value.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _sendable_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]{4,}", value.get_secret_value()):
            raise ValueError("a key is at least four printable ASCII characters without spaces")
        return value

    @field_validator("api_key_header")
    @classmethod
    def _header_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9-]+", value):
            raise ValueError("a header's name has only letters, digits and hyphens")
        return value

    @field_validator("notify")
    @classmethod
    def _urls(cls, value: SecretStr | None) -> SecretStr | None:
        # Whether Apprise knows the service is found out when a message is sent: importing it takes its time.
        for position, url in enumerate(_split_secret(value), 1):
            if not re.match(r"[A-Za-z][A-Za-z0-9+._-]*://", url):
                # The entry itself may hold a token.
                raise ValueError(
                    f"entry {position} is not a URL such as ntfy://topic; entries are separated by spaces or commas, "
                    "and a comma within one is written %2C"
                )
        return value

    @field_validator("db", mode="before")
    @classmethod
    def _file_or_address(cls, value: object) -> object:
        # A path would lose a slash of an address; one of another kind is refused, and never a file of that name.
        return Path(value) if isinstance(value, str) and not _ANY_ADDRESS.match(value) else value

    @field_validator("db")
    @classmethod
    def _plain_address(cls, value: Path | str | None) -> Path | str | None:
        if not isinstance(value, str):
            return value
        try:
            parts = urlsplit(value)
            parts.port  # noqa: B018 - raises for a port that is no number
        except ValueError:
            raise ValueError(f"it is not an address such as {_EXAMPLE}") from None
        if not _ADDRESS.match(value):
            raise ValueError(f"an address begins with postgresql://, as in {_EXAMPLE}")
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.password is not None or "password" in given:
            raise ValueError(
                "a password in the address would show in Dagster's metadata: leave it to PGPASSWORD, or to the file "
                "that PGPASSFILE names"
            )
        if not (parts.hostname or "host" in given) or not re.fullmatch("/[^/]+", parts.path) or parts.fragment:
            raise ValueError(f"an address names a host and a database, as {_EXAMPLE} does")
        if unknown := sorted(set(given) - _PARAMETERS):
            raise ValueError(f"{unknown[0]} cannot be set in the address, only {', '.join(sorted(_PARAMETERS))}")
        try:
            importlib.import_module("psycopg")
        except ImportError:
            raise ValueError(
                "an address takes psycopg, which is not installed here: install this project with its extra postgres, "
                "or .venv/bin/pip install 'psycopg[binary,pool]'"
            ) from None
        return value

    @field_validator("snapshot")
    @classmethod
    def _no_database(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        db = info.data.get("db")
        if value is not None and isinstance(db, str):
            raise ValueError(
                "readers of a shared database keep nobody from writing and need no copy; to have one as a file, "
                "python -m fixtures_pipeline copy makes it"
            )
        databases = {_in_project(_name_database(source)) for source in SOURCES.values()}
        if isinstance(db, Path):
            databases.add(_in_project(db))
        if value is not None and _in_project(value) in databases:
            raise ValueError("days are loaded into that file; a copy needs another name")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"there is no time zone {value!r}; names look like Europe/Istanbul")
        return value

    @field_validator("start_date")
    @classmethod
    def _past_start(cls, value: date) -> date:
        if not date(1900, 1, 1) <= value <= date.today() + timedelta(days=1):  # noqa: DTZ011 - a coarse bound
            raise ValueError("the first day must lie between 1900-01-01 and today")
        return value

    @property
    def source(self) -> Provider:
        """What `provider` names of `sport`, asked for `leagues`, with the plan of this key."""
        source = SOURCES[self.provider, self.sport]
        if self.leagues and source.seasons:
            chosen: dict[str, str] = {}
            for name in _split(self.leagues):
                # The case of a shortcut does not matter, and a league is asked for once.
                chosen.setdefault(name.casefold(), name)
            source = replace(source, seasons=replace(source.seasons, leagues=tuple(chosen.values())))
        if self.api_key and source.own_key_plan:
            source = replace(source, plan=source.own_key_plan)
        return source

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which days begin and end."""
        return ZoneInfo(self.timezone)

    @property
    def address(self) -> str | None:
        """Address of the Postgres database that is shared with other machines; None if days are loaded into a file."""
        return self.db if isinstance(self.db, str) else None

    @property
    def database(self) -> Path:
        """Path of the DuckDB file: one per provider and sport unless `db` says otherwise, so that none ever mix.

        Where the days are in Postgres, there is no such file, and its name is that of the files beside it.
        """
        if self.address:
            # Whoever loads into it, and however they get there, it is the same.
            parts = urlsplit(self.address)
            host = dict(parse_qsl(parts.query)).get("host", parts.hostname)
            place = hashlib.sha256(f"{host}:{parts.port or 5432}{parts.path}".encode()).hexdigest()[:6]
            return _in_project(Path("data") / f"{SOURCES[self.provider, self.sport].identity}-on-{place}.duckdb")
        return _in_project(Path(self.db) if self.db else _name_database(SOURCES[self.provider, self.sport]))

    @property
    def requests_file(self) -> Path:
        """Path of the file beside the database where requests are counted."""
        return self._name_beside("requests.sqlite")

    @property
    def report_file(self) -> Path:
        """Path of the coverage report beside the database."""
        return self._name_beside("coverage.html")

    def _name_beside(self, ending: str) -> Path:
        """Return the path of a file beside the database, one for each database."""
        if self.database.suffix == ".duckdb":
            return self.database.with_suffix(f".{ending}")
        # With a hyphen, as `season` would otherwise share it with `season.duckdb`.
        return self.database.with_name(f"{self.database.name}-{ending}")

    @property
    def snapshot_file(self) -> Path | None:
        """Path of the copy that every run leaves for readers; None if there is none."""
        return _in_project(self.snapshot) if self.snapshot else None

    @property
    def receivers(self) -> list[str]:
        """The URLs in `notify`, tokens and all."""
        return _split_secret(self.notify)


def freeze_environment() -> dict[str, str]:
    """Return this process's environment with all settings in it.

    A process that is started with it has the settings that this one has, whatever is written into `.env` later.
    """
    # An empty value in the environment is none, as in `Settings`.
    given = {name: value for name, value in os.environ.items() if value or not name.startswith(_PREFIX)}
    written = {name: value for name, value in _read(_find_env_file()).items() if value and name.startswith(_PREFIX)}
    return {**written, **given, _FROZEN: "1"}


def _find_env_file() -> Any:  # noqa: ANN401 - whatever pydantic-settings takes for one
    return None if _FROZEN in os.environ else Settings.model_config.get("env_file")


def _read(env_file: Any) -> dict[str, str | None]:  # noqa: ANN401
    """Return what a `.env` file sets; nothing if there is no such file."""
    try:
        return dict(dotenv_values(env_file)) if env_file else {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{env_file} cannot be read: {error}. It must be a text file in UTF-8.") from None


def _name_database(source: Provider) -> Path:
    return Path("data") / f"{source.identity}.duckdb"


def _in_project(path: Path) -> Path:
    return (PROJECT_ROOT / path.expanduser()).resolve()


def _split(value: str) -> list[str]:
    return re.findall(r"[^\s,]+", value)


def _split_secret(value: SecretStr | None) -> list[str]:
    return _split(value.get_secret_value()) if value else []
