"""Random interleavings of all that can happen to a fleet break none of its promises."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from pytest_django.fixtures import Settings

from tests.exhaustive.lives import Life
from tests.exhaustive.share import ONE_OF, in_transactions_of_its_own
from tests.fast.conftest import a_world

pytestmark = in_transactions_of_its_own


def test_whatever_happens_in_whatever_order(
    db: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STATE_FILE = tmp_path / "state.json"

    class FreshLife(Life):
        def __init__(self) -> None:
            super().__init__(lambda: a_world(monkeypatch))

    run_state_machine_as_test(FreshLife, settings=hypothesis_settings())


def hypothesis_settings() -> settings:
    return settings(
        max_examples=16 // ONE_OF,
        stateful_step_count=30,
        phases=[Phase.generate],  # shrinking a life takes longer than reading one
        suppress_health_check=list(HealthCheck),
    )
