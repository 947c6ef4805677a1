"""The version stands in one place, and the change log agrees with it."""

from __future__ import annotations

import re
from pathlib import Path

import django
import pytest

import dockmgr
from dockmgr.program import carry_out

TOP = Path(__file__).resolve().parents[3]
HEADING = re.compile(r"^## (\S+)", re.MULTILINE)


def test_a_version_has_a_heading_in_the_change_log_or_is_not_released_yet() -> None:
    first, *released = HEADING.findall((TOP / "CHANGELOG.md").read_text())
    assert first == "Unreleased"
    is_released = re.fullmatch(r"\d+\.\d+\.\d+", dockmgr.__version__) is not None
    assert is_released or re.fullmatch(r"\d+\.\d+\.\d+\.dev\d+", dockmgr.__version__)
    assert (dockmgr.__version__ in released[:1]) is is_released


def test_manage_py_says_its_own_version_and_djangos(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django, "setup", lambda: None)  # done before, and again it would configure the log
    carry_out(["manage.py", "--version"])
    with pytest.raises(SystemExit):
        carry_out(["manage.py", "instances", "--version"])
    assert capsys.readouterr().out == f"dockmgr {dockmgr.__version__} (Django {django.get_version()})\n" * 2
