"""Words before a command that let it see another system's files, in mounts that go away with it."""

from __future__ import annotations

from pathlib import Path

SHARED = "/tmp"  # noqa: S108 what another system sees as this one does
_MOUNTED = ("proc", "sys", "dev", SHARED.strip("/"))
# pivot_root and not chroot, because an engine unpacks images in roots of its own below it.
_ENTER = """
root=$1; shift
mount --bind "$root" "$root"
for each in {shared}; do mkdir -p "$root/$each"; mount --rbind "/$each" "$root/$each"; done
mount -t tmpfs -o mode=755 tmpfs "$root/run"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cd "$root"
pivot_root . .
umount --lazy .
exec chroot . "$@"
"""


def within(root: Path) -> list[str]:
    """Words before a command that let it run in the system below `root`, as this process itself.

    Processes, devices, network and temporary files are this machine's; so are what it mounts below /tmp.
    """
    script = "set -e" + _ENTER.format(shared=" ".join(_MOUNTED))
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(root)]
