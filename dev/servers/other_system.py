"""Another system's files for commands of this one, in mounts that go away with whoever holds them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.servers.failures import ServerFailed

SHARED = "/tmp"  # noqa: S108 what another system sees as this one does
_MOUNTED = ("proc", "sys", "dev", SHARED.strip("/"))
# What is written goes to memory, so that the next who enters finds the system as it was made. pivot_root
# and not chroot, because an engine unpacks images in roots of its own below it.
_HOLD = """set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/written /mnt/work /mnt/root
mount -t overlay -o lowerdir="$1",upperdir=/mnt/written,workdir=/mnt/work overlay /mnt/root
cd /mnt/root
for each in {shared}; do mkdir -p "./$each"; mount --rbind "/$each" "./$each"; done
mount -t tmpfs -o mode=755 tmpfs ./run
cp /etc/resolv.conf /etc/hosts ./etc/
pivot_root . .
umount --lazy .
echo ready
exec chroot . sleep infinity
"""


@contextmanager
def other_system(root: Path) -> Iterator[list[str]]:
    """Words before a command that let it run in the system below `root`, which stays as it is.

    Processes, devices, network and temporary files are this machine's. `ServerFailed` when there is no way
    into it.
    """
    script = _HOLD.format(shared=" ".join(_MOUNTED))
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(root)]
    with subprocess.Popen(  # noqa: S603 our own command line
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as holder:
        try:
            said = holder.stdout.readline() if holder.stdout else ""
            if said != "ready\n":
                raise ServerFailed(f"The system in {root} can't be entered: {said.strip()}")
            there = f"/proc/{holder.pid}"
            yield ["nsenter", f"--mount={there}/ns/mnt", f"--root={there}/root", "env", "--chdir=/"]
        finally:
            holder.kill()
