"""What comes between a person and a command: said in a sentence, and in a document to a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
NO_START = {
    "no settings": (
        "instances --settings nosuch", {},
        "There is no module nosuch of settings (--settings, DJANGO_SETTINGS_MODULE).",
    ),
    "a bad setting": (
        "instances --settings dockmgr.settings", {"DOCKMGR_SWEEP_INTERVAL": "x"},
        "DOCKMGR_SWEEP_INTERVAL has 1 letters that don't fit; allowed is a whole number, 1 to 315360000.",
    ),
    "a misspelt command": ("instance", {}, "There is no command 'instance'; did you mean instances?"),
    "no command": ("", {}, "There is no command '--json'."),
}  # fmt: skip


@pytest.mark.parametrize(("words", "environ", "said"), NO_START.values(), ids=NO_START)
def test_what_keeps_a_command_from_beginning_is_a_sentence_and_a_document(
    words: str, environ: dict[str, str], said: str
) -> None:
    program = [sys.executable, "manage.py", *words.split(), "--json"]
    done = subprocess.run(program, cwd=TOP, env={**os.environ, **environ}, capture_output=True, text=True)
    assert (done.returncode, done.stderr, json.loads(done.stdout)) == (2, f"{said}\n", {"error": said})


@pytest.mark.parametrize("module", ["django", "dockmgr.settings", "instances.management.commands.instances"])
def test_who_interrupts_the_start_gets_a_sentence_and_a_document(tmp_path: Path, module: str) -> None:
    impatient = f"""
import importlib.abc, runpy, signal, sys
class Impatient(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Impatient())
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_path("manage.py", run_name="__main__")
"""
    environ = {**os.environ, "DOCKMGR_HOME": str(tmp_path)}
    program = [sys.executable, "-c", impatient, "instances", "--json"]
    done = subprocess.run(program, cwd=TOP, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")
    assert json.loads(done.stdout) == {"error": "Interrupted."}
