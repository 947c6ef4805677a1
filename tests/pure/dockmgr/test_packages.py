"""Files of a package are found without importing it."""

from __future__ import annotations

import sys

import pytest

from dockmgr.packages import folder_of


def test_a_folder_is_found_without_an_import() -> None:
    assert (folder_of("pydoc_data") / "topics.py").exists()
    assert "pydoc_data" not in sys.modules


def test_a_package_that_is_absent_is_said_to_be() -> None:
    with pytest.raises(ModuleNotFoundError, match="nosuch_package"):
        folder_of("nosuch_package")
