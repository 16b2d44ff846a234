"""Check results as Dagster shows them. Which rows break which rule is in `test_rules`."""

from datetime import timedelta

import pytest
from dagster import AssetCheckKey, AssetKey, DagsterInstance

from fixtures_pipeline.dagster.automation import LOAD_DAYS_JOB
from fixtures_pipeline.dagster.checks import evaluate_rules
from fixtures_pipeline.definitions import build_definitions
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.rules import ROWS_SHOWN, RULES, Rule
from fixtures_pipeline_tests.runs import FIRST, RangeRun, check_all, check_alone, evaluations, plain, range_of, run
from fixtures_pipeline_tests.stores import fail

RULE_NAMES = [rule.name for rule in RULES]


def test_each_rule_gives_one_result_per_run(six_days: RangeRun) -> None:
    for name in RULE_NAMES:
        assert list(evaluations(six_days.result, name)) == [None], name


def test_the_job_of_schedules_and_commands_evaluates_every_check_and_leaves_no_plan_open(
    settings: Settings, instance_in_files: DagsterInstance
) -> None:
    job = build_definitions(settings).resolve_job_def(LOAD_DAYS_JOB.name)
    days = [FIRST + timedelta(days=n) for n in range(3)]
    result = job.execute_in_process(instance=instance_in_files, tags=range_of(days[0], days[-1]))
    assert sorted(filter(None, evaluations(result, "day_loaded"))) == [day.isoformat() for day in days]
    for rule in RULES:
        assert list(evaluations(result, rule.name)) == [None], rule.name
        [record] = instance_in_files.event_log_storage.get_asset_check_execution_history(
            AssetCheckKey(AssetKey(rule.asset), rule.name), limit=10
        )
        assert record.status.value in {"SUCCEEDED", "FAILED"}


def test_open_errors_are_a_table_with_the_next_retry(six_days: RangeRun) -> None:
    found = plain(evaluations(six_days.result, "no_open_errors")[None].metadata)
    assert (found["offending_rows"], found["JSON_DECODE_ERROR"], found["DEFAULT_DATA_ERROR"]) == (2, 1, 1)
    rows = [record.data for record in found["rows"].records]
    assert [record["day"] for record in rows] == ["2025-03-02", "2025-03-05"]
    off = "none: the sensor retry_failed_days is off; switch it on, or load the day by hand"
    assert [(record["attempts"], record["next_retry"]) for record in rows] == [(1, off)] * 2


def test_the_next_retry_names_who_will_act_while_the_sensor_is_on(
    settings: Settings, instance: DagsterInstance
) -> None:
    fail(settings, FIRST)
    [rule] = [rule for rule in RULES if rule.name == "no_open_errors"]
    [result] = evaluate_rules([rule], open_store(settings), instance, None, retries_on=True)
    [row] = plain(result.metadata)["rows"].records
    assert str(row.data["next_retry"]).endswith(" UTC, by the sensor retry_failed_days")


@pytest.mark.parametrize("rule", RULES, ids=RULE_NAMES)
def test_before_anything_is_loaded_a_check_says_so(rule: Rule, settings: Settings, instance: DagsterInstance) -> None:
    [result] = evaluate_rules([rule], open_store(settings), instance, None, retries_on=False)
    assert (result.passed, result.severity.value) == (False, "WARN")
    assert result.description == "Nothing has been loaded yet: materialize some days first. See docs/checks.md."


def test_a_red_check_says_what_to_do_and_names_the_page(six_days: RangeRun) -> None:
    red = [one for one in six_days.result.get_asset_check_evaluations() if not one.passed]
    assert {one.check_name for one in red} >= {"day_loaded", "no_open_errors"}
    for one in red:
        page = "docs/errors.md" if one.check_name == "day_loaded" else "docs/checks.md"
        assert str(one.description).endswith(f" See {page}."), one.check_name


def test_a_red_check_counts_all_rows_and_shows_the_first(settings: Settings, instance: DagsterInstance) -> None:
    days = [FIRST + timedelta(days=n) for n in range(ROWS_SHOWN + 2)]
    fail(settings, *days)
    [rule] = [rule for rule in RULES if rule.name == "no_open_errors"]
    [result] = evaluate_rules([rule], open_store(settings), instance, None, retries_on=False)
    told = plain(result.metadata)
    assert (told["offending_rows"], len(told["rows"].records)) == (len(days), ROWS_SHOWN)
    assert f"{len(days)} rows break this rule: {rule.sentence} {rule.remedy} The first" in str(result.description)


@pytest.mark.parametrize("name", ["day_loaded", *RULE_NAMES])
def test_a_check_can_be_executed_alone_and_fetches_nothing(name: str, six_days: RangeRun) -> None:
    asked = len(six_days.api.requests)
    result = check_alone(six_days.settings, six_days.instance, name)
    assert result.success
    assert set(evaluations(result, name)) == set(evaluations(six_days.result, name))
    assert len(six_days.api.requests) == asked


def test_before_anything_is_loaded_there_is_no_day_to_check(settings: Settings, instance: DagsterInstance) -> None:
    result = check_alone(settings, instance, "day_loaded")
    assert result.success
    assert evaluations(result, "day_loaded") == {}


def of_asset(asset: str) -> set[str]:
    return {rule.name for rule in RULES if rule.asset == asset} | ({"day_loaded"} if asset == "fixture_days" else set())


@pytest.mark.parametrize("asset", ["fixture_days", "fixtures", "fixture_errors"])
@pytest.mark.parametrize(("first", "last"), [(None, None), (0, 0), (0, 2)], ids=["no days", "a day", "a range"])
def test_all_checks_of_an_asset_can_be_executed_and_only_they_are(
    asset: str, first: int | None, last: int | None, six_days: RangeRun
) -> None:
    days = () if first is None or last is None else (six_days.days[first], six_days.days[last])
    asked = len(six_days.api.requests)
    result = check_all(six_days.settings, six_days.instance, asset, *days)
    assert result.success
    assert {one.check_name for one in result.get_asset_check_evaluations()} == of_asset(asset)
    if asset == "fixture_days":
        among = six_days.days if first is None or last is None else six_days.days[first : last + 1]
        assert set(evaluations(result, "day_loaded")) == {day.isoformat() for day in among}
    assert len(six_days.api.requests) == asked


def test_a_check_that_finds_nothing_loaded_can_be_executed_with_days(
    settings: Settings, instance: DagsterInstance
) -> None:
    result = check_all(settings, instance, "fixture_days", FIRST, FIRST + timedelta(days=1))
    assert result.success
    red = evaluations(result, "day_loaded")
    assert {key: one.passed for key, one in red.items()} == {"2025-03-01": False, "2025-03-02": False}


@pytest.mark.parametrize("asset", ["fixture_days", "fixture_errors"])
def test_every_load_evaluates_every_check_whichever_table_was_selected(
    asset: str, settings: Settings, instance: DagsterInstance
) -> None:
    result = run(settings, instance, FIRST, asset_selection=[AssetKey(asset)])
    assert result.success
    assert {one.check_name for one in result.get_asset_check_evaluations()} == {"day_loaded", *RULE_NAMES}


def test_each_result_is_about_the_latest_materialization_of_its_asset(six_days: RangeRun) -> None:
    for rule in RULES:
        about = evaluations(six_days.result, rule.name)[None].target_materialization_data
        [latest] = six_days.instance.fetch_materializations(AssetKey(rule.asset), limit=1).records
        assert about is not None
        assert (about.storage_id, about.run_id) == (latest.storage_id, six_days.result.run_id), rule.name
