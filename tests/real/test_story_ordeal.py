"""Processes, servers, containers and clocks fail at random under real instances, and all is well after it.

`pytest tests/real/test_story_ordeal.py --ordeal 20` is the long form: 20 minutes and 40 instances.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.ordeal import an_ordeal

SHORT = 0.6  # minutes
FEW, MANY = 6, 40


@pytest.mark.thorough
def test_all_is_well_after_random_faults(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    minutes: float | None = pytestconfig.getoption("ordeal")
    customers = FEW if minutes is None else MANY
    with an_ordeal(tmp_path, customers, pytestconfig.getoption("ordeal_seed")) as ordeal:
        ordeal.go_on_for(60 * (minutes or SHORT))
        ordeal.all_comes_to_rest()
        ordeal.all_is_well()
