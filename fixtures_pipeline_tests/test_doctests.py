"""The examples in the docstrings."""

import doctest
from importlib import import_module

import pytest

from fixtures_pipeline_tests.processes import ROOT

PATHS = [path for path in (ROOT / "fixtures_pipeline").rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")]
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(PATHS)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
