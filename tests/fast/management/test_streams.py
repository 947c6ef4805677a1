"""Standard streams that are missing, full or of another encoding: no traceback, and the code of the work."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import call_command

from instances.management import streams
from instances.models import Plan
from tests.factories import World
from tests.fast.conftest import Run

TOP = Path(__file__).resolve().parents[3]
FULL = "Not all of the output could be written to standard output: No space left on device.\n"
READER = """
import os, sys
from instances.management import streams
streams.prepare()
assert os.open("manage.py", os.O_RDONLY) > 2
print("to nobody")
try:
    streams.content("-")
except OSError as error:
    sys.exit(f"{error.strerror}; {streams.lost()}")
"""
ENDS: dict[str, tuple[str, int, str]] = {
    "no stream at all": ("--version <&- >&- 2>&-", 0, ""),
    "a full standard error": ("--version >/dev/full 2>/dev/full", 0, ""),
    "a full standard output": ("--version >/dev/full", 0, FULL),
}


@pytest.mark.parametrize(("words", "code", "said"), ENDS.values(), ids=ENDS)
def test_the_code_is_that_of_the_work_whatever_the_streams_are(
    tmp_path: Path, words: str, code: int, said: str
) -> None:
    environ = {**os.environ, "DOCKMGR_HOME": str(tmp_path)}
    ended = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} manage.py {words}"],
        cwd=TOP, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (code, said)


def test_what_is_read_and_printed_where_no_streams_are_is_no_other_file() -> None:
    words = f"{sys.executable} -c '{READER}' <&- >&-"
    ended = subprocess.run(["/bin/sh", "-c", words], cwd=TOP, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "there is no standard input; it is closed\n")


@pytest.mark.django_db
def test_a_fleet_file_from_nowhere_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.open(os.devnull, os.O_WRONLY)) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        ran = run("apply", "-", "--dry-run")
    said = "The fleet file '-' can't be read: there is no standard input.\n"
    assert (ran.code, ran.err) == (2, said)


@contextmanager
def on_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with Path("/dev/full").open("wb") as file, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", streams.output(file.fileno()))
        yield


@pytest.mark.django_db
def test_a_change_that_was_made_is_done_though_it_can_not_be_told(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("plans: [{name: pro, cpus: 3}]")
    with on_a_full_disk(monkeypatch):
        call_command("apply", str(file))
        assert streams.lost() == "No space left on device"
    assert Plan.objects.get(name="pro").cpus == 3


@pytest.mark.django_db
@pytest.mark.parametrize("words", [("instances", "--json"), ("usage", "--csv")])
def test_a_list_that_nobody_got_is_not_done(
    world: World, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    with on_a_full_disk(monkeypatch), pytest.raises(SystemExit, match="1"):
        call_command(*words)


@pytest.mark.parametrize(("encoding", "written"), [("latin-1", b"\xe4 \\u2192"), ("ascii", b"\\xe4 \\u2192")])
def test_what_a_terminal_can_not_show_is_written_in_other_signs(
    tmp_path: Path, encoding: str, written: bytes
) -> None:
    like = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with (tmp_path / "out").open("wb") as file, streams.output(file.fileno(), like) as out:
        out.write("ä →")
    assert (tmp_path / "out").read_bytes() == written


def test_who_has_read_enough_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(sys, "stdout", streams.output(writing))
    print("a line")
    assert streams.cut()
    streams.tell()
    monkeypatch.undo()
    os.close(writing)
    assert capsys.readouterr().err == ""
