"""The version stands in one place, and the change log agrees with it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import django

import dockmgr

TOP = Path(__file__).resolve().parents[3]
HEADING = re.compile(r"^## (\S+)", re.MULTILINE)


def manage(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=TOP, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_version_has_a_heading_in_the_change_log_or_is_not_released_yet() -> None:
    first, *released = HEADING.findall((TOP / "CHANGELOG.md").read_text())
    assert first == "Unreleased"
    is_released = re.fullmatch(r"\d+\.\d+\.\d+", dockmgr.__version__) is not None
    assert is_released or re.fullmatch(r"\d+\.\d+\.\d+\.dev\d+", dockmgr.__version__)
    assert (dockmgr.__version__ in released[:1]) is is_released


def test_manage_py_says_its_own_version_and_djangos() -> None:
    assert manage("--version") == f"dockmgr {dockmgr.__version__} (Django {django.get_version()})\n"
    assert manage("instances", "--version") == manage("--version")
