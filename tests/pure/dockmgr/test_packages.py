"""Files of a package are found without importing it."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from dockmgr import packages
from dockmgr.packages import folder_of

TOP = Path(__file__).resolve().parents[3]


def test_a_folder_is_found_without_an_import() -> None:
    assert (folder_of("pydoc_data") / "topics.py").exists()
    assert "pydoc_data" not in sys.modules


def test_a_package_that_is_absent_is_said_to_be() -> None:
    with pytest.raises(ModuleNotFoundError, match="nosuch_package"):
        folder_of("nosuch_package")


def test_files_that_the_image_has_collected_are_not_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Django warns of a folder that is not there, at the first command of whoever installs dockmgr."""
    monkeypatch.setattr(packages, "folder_of", lambda _: tmp_path)
    assert runpy.run_path(str(TOP / "dockmgr" / "settings.py"))["STATICFILES_DIRS"] == []
