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

TOP = Path(__file__).resolve().parents[3]
FULL = "Not all of the output could be written to standard output: No space left on device.\n"
NO_INPUT = "there is no standard input."
ENDS: dict[str, tuple[str, int, str]] = {
    "a fleet file from nowhere, and nowhere to print to": (
        "apply - --dry-run <&- >&-",
        2,
        f"The fleet file '-' can't be read: {NO_INPUT}\n",
    ),
    "no stream at all": ("--version <&- >&- 2>&-", 0, ""),
    "a full standard error": ("--version >/dev/full 2>/dev/full", 0, ""),
    "a full standard output": ("--version >/dev/full", 0, FULL),
    "a closed standard output": ("--version >&-", 0, FULL.replace("No space left on device", "it is closed")),
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
