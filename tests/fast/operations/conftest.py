"""What no test of an operation looks at, and each would pay for."""

from __future__ import annotations

import pytest

from instances import state_file


@pytest.fixture(autouse=True)
def no_state_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """That every operation rewrites it is shown beside the rest of the state file's tests."""
    monkeypatch.setattr(state_file, "write", lambda: None)
