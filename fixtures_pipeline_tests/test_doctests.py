"""The examples in the docstrings."""

import doctest
from types import ModuleType

import pytest

from fixtures_pipeline import judge, notify, outcome, retries


@pytest.mark.parametrize("module", [judge, notify, outcome, retries])
def test_examples(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
