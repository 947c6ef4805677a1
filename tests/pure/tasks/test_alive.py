"""The file that shows life: touched with each turn, and one line where it can't be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.alive import show_alive


def test_a_file_that_can_t_be_touched_is_told_once_until_it_can(
    settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    settings.ALIVE_FILE = folder / "alive"
    for _ in range(3):
        show_alive()
    said = "Showing life failed: DOCKMGR_ALIVE_FILE can't be touched: No such file or directory."
    assert caplog.messages == [said]
    folder.mkdir()
    show_alive()
    assert settings.ALIVE_FILE.exists()
    settings.ALIVE_FILE.unlink()
    folder.rmdir()
    show_alive()
    assert caplog.messages == [said, said]


def test_without_a_file_nothing_is_touched(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.ALIVE_FILE = None
    show_alive()
    assert not caplog.messages
