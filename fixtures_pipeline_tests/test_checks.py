"""Check results as Dagster shows them. Which rows break which rule is in `test_rules`."""

from datetime import timedelta

import pytest
from dagster import AssetCheckEvaluation, AssetCheckResult, DagsterInstance

from fixtures_pipeline.dagster.checks import check_provider, check_rule
from fixtures_pipeline.loading import open_store
from fixtures_pipeline.settings import Settings
from fixtures_pipeline.store.rules import ROWS_SHOWN, RULES, Rule
from fixtures_pipeline_tests.runs import FIRST, RangeRun, check_alone, evaluations, plain
from fixtures_pipeline_tests.stores import fail

RULE_NAMES = [rule.name for rule in RULES]


def test_each_rule_gives_one_result_per_run(six_days: RangeRun) -> None:
    for name in RULE_NAMES:
        assert list(evaluations(six_days.result, name)) == [None], name


def test_open_errors_are_a_table_with_the_next_retry(six_days: RangeRun) -> None:
    found = plain(evaluations(six_days.result, "no_open_errors")[None].metadata)
    assert (found["offending_rows"], found["JSON_DECODE_ERROR"], found["DEFAULT_DATA_ERROR"]) == (2, 1, 1)
    rows = [record.data for record in found["rows"].records]
    assert [record["day"] for record in rows] == ["2025-03-02", "2025-03-05"]
    assert all(record["attempts"] == 1 and "UTC" in str(record["next_retry"]) for record in rows)


@pytest.mark.parametrize("rule", RULES, ids=RULE_NAMES)
def test_before_anything_is_loaded_a_check_says_so(rule: Rule, settings: Settings) -> None:
    result = check_rule(rule, open_store(settings), None)
    assert (result.passed, result.severity.value) == (False, "WARN")
    assert result.description == "Nothing has been loaded yet: materialize some days first. See docs/checks.md."


def test_a_red_check_says_what_to_do_and_names_the_page(settings: Settings, six_days: RangeRun) -> None:
    red: list[AssetCheckResult | AssetCheckEvaluation] = [check_provider()]
    red += [one for one in six_days.result.get_asset_check_evaluations() if not one.passed]
    assert {one.check_name for one in red} >= {"real_provider", "day_loaded", "no_open_errors"}
    for one in red:
        page = "docs/errors.md" if one.check_name == "day_loaded" else "docs/checks.md"
        assert str(one.description).endswith(f" See {page}."), one.check_name


def test_a_red_check_counts_all_rows_and_shows_the_first(settings: Settings) -> None:
    days = [FIRST + timedelta(days=n) for n in range(ROWS_SHOWN + 2)]
    fail(settings, *days)
    [rule] = [rule for rule in RULES if rule.name == "no_open_errors"]
    result = check_rule(rule, open_store(settings), None)
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


def test_sample_data_say_that_they_are_not_real_fixtures(settings: Settings, instance: DagsterInstance) -> None:
    result = check_alone(Settings.load(db=settings.database), instance, "real_provider")
    warning = evaluations(result, "real_provider")[None]
    assert (warning.passed, warning.severity.value) == (False, "WARN")
    assert "invented" in str(warning.description)
