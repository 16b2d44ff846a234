"""The examples in the docstrings."""

import doctest
from types import ModuleType

import pytest

from fixtures_pipeline import days, notify, retries


@pytest.mark.parametrize("module", [days, notify, retries])
def test_examples(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
