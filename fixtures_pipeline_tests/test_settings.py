"""A setting with a bad value stops the start with one sentence that names it."""

import os
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import pytest
from pydantic import SecretStr

from fixtures_pipeline.errors import SettingsError
from fixtures_pipeline.providers import PROVIDERS, SOURCES
from fixtures_pipeline.settings import PROJECT_ROOT, Settings, freeze_environment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FIXTURES_PROVIDER", "fifa"),
        ("FIXTURES_SPORT", "chess"),
        ("FIXTURES_LEAGUES", "bl1"),
        ("FIXTURES_API_URL", "example.org"),
        ("FIXTURES_API_URL", "https://user:secret@example.org"),
        ("FIXTURES_API_URL", "http://example.org:port"),
        ("FIXTURES_API_KEY", "two words"),
        ("FIXTURES_API_KEY", "abc"),
        ("FIXTURES_API_KEY_HEADER", "X Key"),
        ("FIXTURES_START_DATE", "yesterday"),
        ("FIXTURES_START_DATE", "2999-01-01"),
        ("FIXTURES_DAYS_AHEAD", "-1"),
        ("FIXTURES_DAYS_AHEAD", "61"),
        ("FIXTURES_TIMEZONE", "Mars/Olympus"),
        ("FIXTURES_REQUESTS_PER_SECOND", "0"),
        ("FIXTURES_CONCURRENCY", "0"),
        ("FIXTURES_CONCURRENCY", "eight"),
        ("FIXTURES_LOCK_TIMEOUT", "-1"),
        ("FIXTURES_NOTIFY", "example.org/hook"),
        ("FIXTURES_CONCURENCY", "8"),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_the_setting(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_setting_is_told_its_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXTURES_CONCURENCY", "8")
    with pytest.raises(SettingsError, match="did you mean FIXTURES_CONCURRENCY"):
        Settings.load()


def test_a_bad_key_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXTURES_API_KEY", "se cret")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert "se cret" not in str(caught.value)
    # What pydantic raised holds it, and is not shown.
    assert caught.value.__suppress_context__


def test_a_key_does_not_show_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXTURES_API_KEY", "c0ffee-secret")
    assert "c0ffee" not in repr(Settings.load())


def test_without_any_setting_the_sample_provider_is_used() -> None:
    settings = Settings.load()
    assert (settings.provider, settings.timezone, settings.concurrency) == ("sample", "UTC", 8)
    assert settings.database == PROJECT_ROOT / "data" / "sample.duckdb"


def test_each_provider_has_a_database_of_its_own() -> None:
    assert Settings.load(provider="football-data", api_key="c0ffee-secret").database.name == "football-data.duckdb"


@pytest.mark.parametrize("provider", [name for name, provider in PROVIDERS.items() if provider.key_header])
@pytest.mark.parametrize("api_url", [None, "http://127.0.0.1:8000"])
def test_a_provider_that_wants_a_key_does_not_start_without_one(provider: str, api_url: str | None) -> None:
    with pytest.raises(SettingsError, match="FIXTURES_API_KEY must be set: "):
        Settings.load(provider=provider, api_url=api_url)
    assert Settings.load(provider=provider, api_url=api_url, api_key="c0ffee-secret").provider == provider


def test_a_day_in_another_form_is_told_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXTURES_START_DATE", "01.01.2024")
    with pytest.raises(SettingsError, match="FIXTURES_START_DATE cannot be used: a day is written YYYY-MM-DD"):
        Settings.load()


def test_a_frozen_environment_keeps_the_settings_whatever_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process with it has the values of now: of the environment first, then of `.env`, then the defaults."""
    env_file = tmp_path / ".env"
    monkeypatch.setitem(Settings.model_config, "env_file", env_file)
    env_file.write_text(
        "FIXTURES_TIMEZONE=Europe/Istanbul\nFIXTURES_CONCURRENCY=2\nFIXTURES_API_KEY=c0ffee-secret\nOTHER=1\n"
    )
    monkeypatch.setenv("FIXTURES_CONCURRENCY", "3")
    monkeypatch.setenv("FIXTURES_TIMEZONE", "")
    before = Settings.load()
    frozen = freeze_environment()
    assert "OTHER" not in frozen
    env_file.write_text("FIXTURES_TIMEZONE=Asia/Tokyo\nFIXTURES_DAYS_AHEAD=60\nFIXTURES_NONSENSE=1\n")
    for name in [name for name in os.environ if name.startswith("FIXTURES_")]:
        monkeypatch.delenv(name)
    for name, value in frozen.items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == before
    assert (before.timezone, before.concurrency, before.days_ahead) == ("Europe/Istanbul", 3, 7)
    assert freeze_environment() == frozen


def test_a_copy_with_other_values_keeps_nothing_that_followed_from_the_old_ones(tmp_path: Path) -> None:
    names = [name for name, value in vars(Settings).items() if isinstance(value, property | cached_property)]

    def follow(settings: Settings) -> dict[str, object]:
        return {name: getattr(settings, name) for name in names}

    old = Settings.load()
    before = follow(old)
    values = {
        "provider": "football-data",
        "api_key": SecretStr("a-key"),
        "db": tmp_path / "other.duckdb",
        "timezone": "Europe/Istanbul",
        "snapshot": tmp_path / "copy.duckdb",
        "notify": SecretStr("ntfy://topic"),
    }
    after = follow(old.model_copy(update=values))
    assert after == follow(Settings.load(**values))
    assert [name for name in names if after[name] == before[name]] == ["address"]  # None: both are files


def test_settings_are_read_from_a_dotenv_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FIXTURES_TIMEZONE=Europe/Istanbul\nFIXTURES_API_KEY=\n")
    settings = Settings.load(_env_file=tmp_path / ".env")
    assert settings.timezone == "Europe/Istanbul"
    assert settings.api_key is None


def test_a_misspelt_setting_in_a_dotenv_file_is_told_its_right_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTHER=1\nFIXTURES_TIMEZON=Europe/Istanbul\n")
    with pytest.raises(SettingsError, match="did you mean FIXTURES_TIMEZONE"):
        Settings.load(_env_file=tmp_path / ".env")


def test_a_dotenv_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"FIXTURES_TIMEZONE=Europe/\xddstanbul\n")
    with pytest.raises(SettingsError, match=r"\.env cannot be read: .*UTF-8"):
        Settings.load(_env_file=tmp_path / ".env")


def test_a_provider_without_an_address_of_its_own_needs_one() -> None:
    with pytest.raises(SettingsError, match="FIXTURES_API_URL must be set: the provider sofascore"):
        Settings.load(provider="sofascore")
    assert Settings.load(provider="sofascore", api_url="http://127.0.0.1:8000/").api_url == "http://127.0.0.1:8000"


def test_the_code_location_stops_with_the_sentence_and_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import fixtures_pipeline.definitions"],
        env={"FIXTURES_CONCURRENCY": "eight", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "FIXTURES_CONCURRENCY" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


# Sports and leagues


@pytest.mark.parametrize(
    ("values", "name", "said"),
    [
        ({"provider": "sofascore", "sport": "darts"}, "FIXTURES_SPORT", "sofascore has no 'darts', only football"),
        ({"provider": "openligadb", "sport": "hockey"}, "FIXTURES_SPORT", "only football, ice-hockey"),
        ({"provider": "openligadb", "sport": ""}, "FIXTURES_SPORT", "only football, ice-hockey"),
        ({"leagues": "bl1"}, "FIXTURES_LEAGUES", "Sample API (made up) is not asked by league"),
        ({"provider": "thesportsdb", "leagues": "bl1"}, "FIXTURES_LEAGUES", "TheSportsDB is not asked by league"),
        *(
            ({"provider": "openligadb", "leagues": odd}, "FIXTURES_LEAGUES", "leagues are named by their shortcuts")
            for odd in ("bl1/2024", "bl1;pl", "../x", "bl1?a=b", "b%6c1", "{key}", "bl1,\x00", "ß", ",", "x" * 41)
        ),
        (
            {"provider": "thesportsdb", "api_key_header": "X-Key"},
            "FIXTURES_API_KEY_HEADER",
            "TheSportsDB takes the key in the path",
        ),
        ({"provider": "thesportsdb", "api_key": "123"}, "FIXTURES_API_KEY", "at least four"),
    ],
)  # fmt: skip
def test_what_a_provider_does_not_have_is_one_sentence(values: dict[str, str], name: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(api_url="http://127.0.0.1:9", **values)
    assert str(caught.value).startswith(f"{name} cannot be used: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "leagues"),
    [
        ("bl1,pl", ("bl1", "pl")),
        (" bl1 ,, pl\tdfb,", ("bl1", "pl", "dfb")),
        ("pl,BL1,bl1,pl", ("pl", "BL1")),
        ("uefa-em-2020 em_bri", ("uefa-em-2020", "em_bri")),
    ],
)
def test_leagues_are_asked_for_in_the_order_in_which_they_are_named_and_once(
    written: str, leagues: tuple[str, ...]
) -> None:
    seasons = Settings.load(provider="openligadb", leagues=written).source.seasons
    assert seasons is not None
    assert seasons.leagues == leagues


def test_leagues_that_nobody_names_are_those_of_the_sport() -> None:
    football, hockey = (
        Settings.load(provider="openligadb", sport=sport).source.seasons for sport in ("football", "ice-hockey")
    )
    assert football is not None
    assert hockey is not None
    assert football.leagues == ("bl1", "bl2", "bl3", "dfb", "pl", "la1")
    assert hockey.leagues == ("del", "del2", "chl")


def test_each_provider_and_sport_has_a_database_of_its_own() -> None:
    databases = {
        Settings.load(provider=provider, sport=sport, api_url="http://127.0.0.1:9", api_key="c0ffee-secret").database
        for provider, sport in SOURCES
    }
    assert len(databases) == len(SOURCES)
    assert {path.name for path in databases} >= {
        "openligadb.duckdb", "openligadb-ice-hockey.duckdb", "api-football-basketball.duckdb"
    }  # fmt: skip


def test_a_copy_may_not_be_the_database_of_another_sport() -> None:
    with pytest.raises(SettingsError, match="FIXTURES_SNAPSHOT cannot be used"):
        Settings.load(snapshot="data/openligadb-ice-hockey.duckdb")


def test_a_key_of_ones_own_has_a_plan_of_its_own() -> None:
    public, own = (Settings.load(provider="thesportsdb", api_key=key).source.plan for key in (None, "c0ffee-secret"))
    assert (public.most_events, own.most_events) == (3, 1500)
    assert public.requests_per_second < own.requests_per_second


class TestASharedDatabase:
    ADDRESS = "postgresql://fixtures@db.example:5433/sports?sslmode=verify-full"

    def test_is_named_by_its_address(self) -> None:
        settings = Settings.load(db=self.ADDRESS)
        assert settings.address == self.ADDRESS

    def test_has_a_home_and_files_of_its_own_on_each_machine(self) -> None:
        places = [
            self.ADDRESS,
            self.ADDRESS.replace("db.example", "other.example"),
            self.ADDRESS.replace("5433", "5434"),
            self.ADDRESS.replace("/sports", "/games"),
            "postgresql:///sports?host=/run/one",
            "postgresql:///sports?host=/run/other",
        ]
        named = [Settings.load(db=place).database for place in places]
        named.append(Settings.load(db=self.ADDRESS, provider="openligadb").database)
        named.append(Settings.load(db=self.ADDRESS, provider="openligadb", sport="ice-hockey").database)
        assert len(set(named)) == len(named)
        assert {path.parent for path in named} == {PROJECT_ROOT / "data"}
        # Whoever loads into it, and however they get there.
        for same in (self.ADDRESS.replace("fixtures@", ""), self.ADDRESS.partition("?")[0]):
            assert Settings.load(db=same).database == named[0]

    @pytest.mark.parametrize(
        "address",
        [
            "postgresql://fixtures:hunter2@db.example/sports",
            "postgresql://fixtures:@db.example/sports",
            "postgresql://db.example/sports?password=hunter2",
        ],
    )
    def test_is_refused_with_a_password_that_is_not_repeated(self, address: str) -> None:
        with pytest.raises(SettingsError) as caught:
            Settings.load(db=address)
        said = str(caught.value)
        assert said.startswith("FIXTURES_DB cannot be used: a password ")
        assert "PGPASSWORD" in said
        assert "PGPASSFILE" in said
        assert "hunter2" not in said

    @pytest.mark.parametrize(
        ("address", "said"),
        [
            ("postgresql://", "names a host and a database, as postgresql://user@host:5432/database does"),
            ("postgresql://db.example", "names a host and a database"),
            ("postgresql://db.example/", "names a host and a database"),
            ("postgresql:///sports", "names a host and a database"),
            ("postgresql://db.example/sports/football", "names a host and a database"),
            ("postgresql://db.example:port/sports", "is not an address such as postgresql://"),
            ("postgresql+psycopg2://db.example/sports", "an address begins with postgresql://"),
            ("POSTGRESQL://db.example/sports", "an address begins with postgresql://"),
            ("mysql://db.example/sports", "an address begins with postgresql://"),
            ("postgresql://db.example/sports?options=-csearch_path=x", "options cannot be set in the address, only "),
        ],
    )
    def test_is_refused_if_it_is_not_named_as_a_whole(self, address: str, said: str) -> None:
        with pytest.raises(SettingsError, match=f"^FIXTURES_DB cannot be used: .*{said}"):
            Settings.load(db=address)

    def test_takes_no_snapshot(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"^FIXTURES_SNAPSHOT .* python -m fixtures_pipeline copy"):
            Settings.load(db=self.ADDRESS, snapshot=tmp_path / "copy.duckdb")

    def test_takes_psycopg(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(SettingsError, match=r"^FIXTURES_DB .* takes psycopg.* extra postgres"):
            Settings.load(db=self.ADDRESS)

    def test_takes_it_only_then(self) -> None:
        code = (
            "import sys, fixtures_pipeline.definitions; from fixtures_pipeline.loading import open_store, Settings;"
            "open_store(Settings.load()); sys.exit('psycopg' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False, cwd=PROJECT_ROOT).returncode == 0
