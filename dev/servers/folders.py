"""Folders of private servers: one where the caller wants the bytes, one short enough for sockets."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET_PATH_LIMIT = 100  # bytes; the kernel takes 107
_LONGEST_PARENT = 40


@contextmanager
def short_folder() -> Iterator[Path]:
    """A new folder whose path leaves 50 bytes for a socket below it; removed at exit."""
    usual = tempfile.gettempdir()
    parent = usual if len(usual.encode()) <= _LONGEST_PARENT else "/tmp"  # noqa: S108 mkdtemp makes it safe
    folder = Path(tempfile.mkdtemp(prefix="dm-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def work_folder(parent: Path, name: str, *, persist: bool = False) -> Iterator[Path]:
    """A folder for a server's data below `parent`: new and removed at exit, or kept under its plain name."""
    parent.mkdir(parents=True, exist_ok=True)
    if persist:
        kept = parent / name
        kept.mkdir(exist_ok=True)
        yield kept
        return
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
