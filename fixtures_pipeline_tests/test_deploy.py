"""The files in deploy/: Dagster and Compose take them, they say the same, and nothing secret is in them."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRunStatus
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import should_retry
from dagster_docker import DockerRunLauncher
from dagster_k8s import K8sRunLauncher
from dagster_shared.yaml_utils import dump_run_config_yaml, load_yaml_from_path

from fixtures_pipeline.dagster.workers import WorkersRunLauncher
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline_tests.fault_server import FaultServer
from fixtures_pipeline_tests.oracle import assert_rules
from fixtures_pipeline_tests.pooled_postgres import configure_home
from fixtures_pipeline_tests.postgres_server import PostgresServer, find_program
from fixtures_pipeline_tests.processes import ROOT
from fixtures_pipeline_tests.runs import FIRST, run
from fixtures_pipeline_tests.stores import TABLES, tables

DEPLOY = ROOT / "deploy"
HOMES = ["machines", "compose"]
SETTINGS = {f"FIXTURES_{name.upper()}" for name in Settings.model_fields}


def read(name: str) -> Any:
    return load_yaml_from_path(str(DEPLOY / name))


def problems(launcher: Any, config: Any) -> list[str]:
    """Return what Dagster says is wrong with a launcher's configuration."""
    found = process_config(resolve_to_config_type(launcher.config_type()), config)
    return [error.message for error in found.errors or []]


@pytest.mark.parametrize("home", HOMES)
def test_dagster_takes_each_home(home: str) -> None:
    config, _ = dagster_instance_config(str(DEPLOY / home))
    assert config["run_retries"] == {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    ref = InstanceRef.from_dir(str(DEPLOY / home))
    assert type(ref.run_launcher) in {WorkersRunLauncher, DockerRunLauncher}
    assert type(ref.compute_log_manager).__name__ == "NoOpComputeLogManager"
    assert type(ref.run_coordinator).__name__ == "QueuedRunCoordinator"


@pytest.mark.parametrize("home", HOMES)
def test_dagsters_tables_are_reached_through_the_pool_with_the_driver_that_works(home: str) -> None:
    config = read(f"{home}/dagster.yaml")["storage"]["postgres"]["postgres_db"]
    assert config["scheme"] == "postgresql+psycopg2"
    assert config["port"] == 6432
    assert "password" not in config
    values = read("kubernetes/values.yaml")["postgresql"]
    assert values["postgresqlScheme"] == config["scheme"]
    assert values["service"]["port"] == config["port"]


def test_kubernetes_gets_the_settings_that_the_others_have(tmp_path: Path) -> None:
    given = read("kubernetes/values.yaml")["additionalInstanceConfig"]
    for home in HOMES:
        config = read(f"{home}/dagster.yaml")
        assert given == {name: config[name] for name in given}
    (tmp_path / "dagster.yaml").write_text(dump_run_config_yaml(given))
    assert dagster_instance_config(str(tmp_path))


def test_the_launcher_of_kubernetes_takes_its_values() -> None:
    values = read("kubernetes/values.yaml")
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    # As the chart's template passes them on (helm/dagster/templates/helpers/instance/_run-launcher.tpl).
    config = {
        "service_account_name": "dagster",
        "dagster_home": "/opt/dagster/dagster_home",
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": values["global"]["postgresqlSecretName"],
        "image_pull_policy": launcher["imagePullPolicy"],
        "resources": launcher["resources"],
    }
    assert problems(K8sRunLauncher, config) == []
    assert problems(K8sRunLauncher, {**config, "imagePullPolicy": "Always"}) != []


def test_compose_takes_its_file() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_compose_publishes_on_loopback_only() -> None:
    ports = [port for service in read("compose.yaml")["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_a_run_in_a_container_gets_every_setting_that_the_code_server_has() -> None:
    # A copy for readers is what a file needs; people read Postgres itself.
    needed = SETTINGS - {"FIXTURES_SNAPSHOT"}
    service = read("compose.yaml")["services"]["daemon"]
    assert {name for name in service["environment"] if name.startswith("FIXTURES_")} == needed
    handed_on = read("compose/dagster.yaml")["run_launcher"]["config"]["env_vars"]
    assert set(handed_on) == needed | {"PGPASSWORD"}


def test_compose_and_its_home_name_the_same_things() -> None:
    compose, home = read("compose.yaml"), read("compose/dagster.yaml")
    assert home["run_launcher"]["config"]["network"] == compose["networks"]["default"]["name"]
    assert home["storage"]["postgres"]["postgres_db"]["hostname"] in compose["services"]
    [server] = read("compose/workspace.yaml")["load_from"]
    assert server["grpc_server"]["host"] in compose["services"]
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert compose["services"]["daemon"]["environment"]["DAGSTER_HOME"] in dockerfile
    assert {build["target"] for service in compose["services"].values() if (build := service.get("build"))} == set(
        re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.MULTILINE)
    )


def test_the_image_has_the_versions_that_one_machine_has() -> None:
    one_machine, image = (
        set(re.findall(r"^[\w.\[\]-]+==[^\s;]+", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-deploy.lock")
    )
    assert one_machine < image


def test_the_image_has_what_is_locked_and_does_not_run_as_root() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    copied = [
        name for line in re.findall(r"^COPY (?:--\S+ )*(.+)$", dockerfile, re.MULTILINE) for name in line.split()[:-1]
    ]
    assert all((ROOT / name).exists() for name in copied)
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert set(allowed) == {*copied, "deploy/Dockerfile"}
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["postgres", "1000"]
    assert not re.search(r"^(?:ARG|ENV) .*(?:PASSWORD|KEY|TOKEN)", dockerfile, re.MULTILINE)


@pytest.mark.parametrize("home", HOMES)
def test_a_run_whose_days_failed_is_not_run_again_and_one_that_was_cut_off_is(
    settings: Settings, api: FaultServer, tmp_path: Path, home: str
) -> None:
    config = read(f"{home}/dagster.yaml")
    (tmp_path / "dagster.yaml").write_text(dump_run_config_yaml({"run_retries": config["run_retries"]}))
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        api.plan(FIRST, b'{"events": []}')
        failed = run(settings, instance, FIRST).run_id
        cut_off = create_run_for_test(instance, status=DagsterRunStatus.STARTED)
        # As run monitoring does.
        instance.report_run_failed(cut_off, "Its worker is gone.")
        assert [will_retry(instance, run_id) for run_id in (failed, cut_off.run_id)] == [False, True]


def will_retry(instance: DagsterInstance, run_id: str) -> bool:
    """Say whether Dagster's daemon runs a failed run again."""
    failed = instance.get_run_by_id(run_id)
    assert failed is not None
    return should_retry(failed, instance)


def test_a_dump_of_the_database_restores_fixtures_and_runs(
    settings: Settings, postgres: PostgresServer, tmp_path: Path
) -> None:
    """The commands of docs/deployment.md, into an empty database, while another load is under way."""
    lost, found = (postgres.create(name) for name in ("lost", "found"))
    settings = settings.model_copy(update={"db": lost})
    with instance_at(tmp_path / "lost", postgres, "lost") as instance:
        assert run(settings, instance, FIRST, FIRST + timedelta(days=4)).success
        kept = tables(open_store(settings), *TABLES)
        with postgres.connect("lost") as under_way:
            under_way.autocommit = False
            under_way.execute("DELETE FROM sofascore.fixtures")
            server = ("-h", "127.0.0.1", "-p", str(postgres.port), "-U", "postgres")
            with (tmp_path / "fixtures.dump").open("wb") as file:
                subprocess.run([str(find_program("pg_dump")), *server, "-Fc", "lost"], check=True, stdout=file)
            under_way.rollback()
        shown = instance.get_materialized_partitions(AssetKey("fixture_days"))
    restore = [str(find_program("pg_restore")), *server, "--no-owner", "--exit-on-error", "-d", "found"]
    subprocess.run([*restore, str(tmp_path / "fixtures.dump")], check=True)
    settings = settings.model_copy(update={"db": found})
    assert tables(open_store(settings), *TABLES) == kept
    with instance_at(tmp_path / "found", postgres, "found") as instance:
        assert instance.get_materialized_partitions(AssetKey("fixture_days")) == shown
        assert run(settings, instance, FIRST + timedelta(days=3), FIRST + timedelta(days=6)).success
    assert_rules(open_store(settings))


def instance_at(home: Path, postgres: PostgresServer, database: str) -> DagsterInstance:
    """Return an instance whose tables are in a database of the tests' server."""
    home.mkdir()
    address = postgres.address(database).replace("postgresql:", "postgresql+psycopg2:")
    configure_home(home, postgres.port, storage={"postgres": {"postgres_url": address}})
    return DagsterInstance.from_config(str(home))


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: path.name)
def test_nothing_secret_is_in_a_file(path: Path) -> None:
    for name, value in re.findall(
        r"^\s*(\w*(?:PASSWORD|KEY|TOKEN|password)\w*): *(.+)$", path.read_text(), re.MULTILINE
    ):
        assert re.fullmatch(r"\$\{\w+:-\}|/run/secrets/\w+|\{file: secrets/\w+\}", value), name
