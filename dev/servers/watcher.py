"""Runs beside a private server and ends and removes it when the process that wanted it is gone.

Started as a plain file with the standard library only, so that it costs next to nothing.
"""

from __future__ import annotations

import select
import shutil
import signal
import sys

PATIENCE = 10_000  # milliseconds between asking and KILL


def ended(descriptors: list[int], milliseconds: int | None = None) -> set[int]:
    """Those pidfds whose process has ended, once there is one or the time is over."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(milliseconds)}


def main(owner: int, server: int, how: signal.Signals, *folders: str) -> None:
    if server in ended([owner, server]):
        return
    signal.pidfd_send_signal(server, how)
    if not ended([server], PATIENCE):
        signal.pidfd_send_signal(server, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), signal.Signals(int(sys.argv[3])), *sys.argv[4:])
