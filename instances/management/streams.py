"""The standard streams of a command: any of them may be missing, full, or unable to hold every character.

Nothing of that ends the work half-way, or changes the exit code that the work has.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# A missing stream's number goes to the next file that is opened, which then gets what is printed.
_IN_PLACE = (os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)  # reading and printing fail, and errors go nowhere

LARGEST = 16 * 1024**2  # bytes of a file that is given


class Patient(io.FileIO):
    """A descriptor whose first failure to write is kept; writing goes on as if there had been none."""

    trouble: OSError | None = None
    has_begun = False  # whether anything was written

    def write(self, data: ReadableBuffer, /) -> int:
        self.has_begun = True
        if self.trouble is None:
            try:
                return super().write(data)
            except OSError as error:
                self.trouble = error
        return memoryview(data).nbytes


def prepare() -> None:
    """Make the three standard streams such that no use of them fails, but for reading where nothing is.

    Call it first of all, for a process of its own.
    """
    _fill_gaps()
    for name, number in (("stdout", 1), ("stderr", 2)):
        given: TextIO | None = getattr(sys, name)
        setattr(sys, name, output(number, given))
    sys.stdin = sys.stdin or open(0, errors="surrogateescape", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")


def _fill_gaps() -> None:
    for number, mode in enumerate(_IN_PLACE):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free


def output(number: int, like: TextIO | None = None) -> io.TextIOWrapper:
    """A text stream to a descriptor; what it has no character for is written as `\\u2192`."""
    former = like if isinstance(like, io.TextIOWrapper) else None
    return io.TextIOWrapper(
        io.BufferedWriter(Patient(number, "w", closefd=False)),
        encoding=former.encoding if former else "utf-8",
        errors="backslashreplace",
        line_buffering=bool(former and former.line_buffering) or number == 2,
        write_through=bool(former and former.write_through),
    )


def cut() -> bool:
    """Whether standard output takes no more, also because whoever read has seen enough."""
    return _trouble() is not None


def lost() -> str:
    """Why a part of what was printed went nowhere; empty where it did not, or nobody wanted more."""
    error = _trouble()
    if error is None or error.errno == errno.EPIPE:
        return ""
    return "it is closed" if error.errno == errno.EBADF else str(error.strerror)


def complain(sentence: str) -> dict[str, str]:
    """Tell the person in one line, and return the document that tells a program."""
    from instances.lib.log_lines import for_terminal  # slow to load, and this module comes first of all

    line = " ".join(sentence.split())
    sys.stderr.write(f"{for_terminal(line)}\n")
    return {"error": line}


def refuse(sentence: str, words: Sequence[str]) -> None:
    """Tell the person why nothing was done; a program that gave `words` with --json gets its one document."""
    document, raw = complain(sentence), _output()
    if "--json" in words and not (raw and raw.has_begun):
        sys.stdout.write(json.dumps(document) + "\n")


def _trouble() -> OSError | None:
    raw = _output()
    return raw.trouble if raw else None


def _output() -> Patient | None:
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw if isinstance(raw, Patient) else None


def tell() -> None:
    """Say on standard error what could not be written to standard output."""
    why = lost()
    if why:
        sys.stderr.write(f"Not all of the output could be written to standard output: {why}.\n")


def content(name: str) -> bytes:
    """What is in a file, or comes from standard input for `-`. Raises OSError, also for more than LARGEST."""
    if name == "-":
        read = _input()
    else:
        with Path(name).open("rb") as file:  # which may be a device, without an end
            read = file.read(LARGEST + 1)
    if len(read) > LARGEST:
        raise OSError(errno.EFBIG, f"it is larger than {LARGEST // 1024**2} MiB")
    return read


def _input() -> bytes:
    try:
        return sys.stdin.buffer.read(LARGEST + 1)
    except OSError as error:
        raise OSError(error.errno, "there is no standard input") from None
