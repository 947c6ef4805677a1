"""What comes between a person and a command: said in a sentence, and in a document to a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import django
import pytest

from dockmgr.program import carry_out

TOP = Path(__file__).resolve().parents[3]
NO_SETTINGS = {
    "none": (
        "nosuch", {}, "There is no module nosuch of settings (--settings, DJANGO_SETTINGS_MODULE).",
    ),
    "a bad one": (
        "dockmgr.settings", {"DOCKMGR_SWEEP_INTERVAL": "x"},
        "DOCKMGR_SWEEP_INTERVAL has 1 letters that don't fit; allowed is a whole number, 1 to 315360000.",
    ),
}  # fmt: skip
NO_COMMAND = {
    "misspelt": (["instance"], "There is no command 'instance'; did you mean instances?"),
    "none": ([], "There is no command '--json'."),
}


@pytest.mark.parametrize(("settings", "environ", "said"), NO_SETTINGS.values(), ids=NO_SETTINGS)
def test_what_is_wrong_with_the_settings_is_a_sentence_and_a_document(
    settings: str, environ: dict[str, str], said: str
) -> None:
    program = [sys.executable, "manage.py", "instances", "--settings", settings, "--json"]
    done = subprocess.run(program, cwd=TOP, env={**os.environ, **environ}, capture_output=True, text=True)
    assert (done.returncode, done.stderr, json.loads(done.stdout)) == (2, f"{said}\n", {"error": said})


@pytest.mark.parametrize(("words", "said"), NO_COMMAND.values(), ids=NO_COMMAND)
def test_a_command_there_is_none_of_is_a_sentence_and_a_document(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django, "setup", lambda: None)  # done before, and again it would configure the log
    with pytest.raises(SystemExit) as end:
        carry_out(["manage.py", *words, "--json"])
    out, err = capsys.readouterr()
    assert (end.value.code, err, json.loads(out)) == (2, f"{said}\n", {"error": said})


@pytest.mark.parametrize("module", ["django", "dockmgr.settings"])
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
