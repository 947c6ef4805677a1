"""dev/setup.sh tells an environment that was made where it is from one that was moved or copied there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One that needs no packages, with what setup.sh leaves."""
    top = tmp_path / "first"
    (top / "dev").mkdir(parents=True)
    shutil.copy(TOP / "dev" / "setup.sh", top / "dev")
    (top / "requirements.txt").touch()
    venv = top / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / "requirements.stamp").write_text(f"{2**32 - 1} 0\n")  # the checksum of nothing
    (venv / "place.stamp").write_text(f"{venv.resolve()}\n")
    return top


@pytest.fixture
def quick_venv(tmp_path: Path) -> Path:
    """A folder with a module `venv` that makes an environment without waiting for pip."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "venv.py").write_text(VENV)
    return tmp_path / "modules"


VENV = """
import pathlib, shutil, sys
clear, top = sys.argv[1:]
assert clear == "--clear"
shutil.rmtree(top)
program = pathlib.Path(top, "bin", "python")
program.parent.mkdir(parents=True)
program.write_text("#!/bin/sh\\n")
program.chmod(0o755)
"""


def set_up(top: Path, modules: Path) -> str:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(modules)}
    done = subprocess.run([top / "dev/setup.sh"], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_environment_that_was_made_here_is_left_alone(checkout: Path, quick_venv: Path) -> None:
    assert set_up(checkout, quick_venv) == "setup: .venv is up to date\n"
    (checkout.parent / "worktree" / "dev").mkdir(parents=True)
    for name in ("dev/setup.sh", "requirements.txt"):
        shutil.copy(checkout / name, checkout.parent / "worktree" / name)
    (checkout.parent / "worktree" / ".venv").symlink_to(checkout / ".venv")
    assert "up to date" in set_up(checkout.parent / "worktree", quick_venv)


def test_an_environment_that_came_from_elsewhere_is_made_anew(checkout: Path, quick_venv: Path) -> None:
    copy = checkout.parent / "second"
    shutil.copytree(checkout, copy, symlinks=True)
    (copy / ".venv/bin/celery").touch()
    assert "is ready" in set_up(copy, quick_venv)
    assert not (copy / ".venv/bin/celery").exists()
    assert "up to date" in set_up(copy, quick_venv)
