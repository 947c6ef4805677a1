"""What engines say that lack something: Docker 20.10 and 28.5, Podman 5.8, runc and crun."""

from __future__ import annotations

import pytest

from instances.engine.lacking import lacks

RUNC = "OCI runtime create failed: runc create failed: unable to start container process: "


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("container-init binary not found on the host: faccessat /x/catatonit: no such file", "init: false"),
        (
            f'{RUNC}error mounting "/x/docker-init" to rootfs: stat /x/docker-init: no such file',
            "init: false",
        ),
        ('exec: "docker-init": executable file not found in $PATH', "init: false"),
        (
            f"{RUNC}failed to fulfil mount request: open /x/docker-init: no such file or directory",
            "init: false",
        ),
        ("configured logging driver does not support reading", "see the plan's logging"),
        ("NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler", "(cgroup)"),
        ("the requested cgroup controller `pids` is not available", "(cgroup)"),
        ("cgroups: cgroup mountpoint does not exist: unknown", "(cgroup)"),
        ("cannot set memory limit: container could not join or create cgroup", "(cgroup)"),
        ("opening file `memory.max` for writing: /sys/fs/cgroup/x/memory.max: no such file", "(cgroup)"),
        ('could not select device driver "" with capabilities: [[gpu]]', "GPUs"),
        (
            'error gathering device information while adding custom device "/dev/fuse": no such file',
            "/dev/fuse:",
        ),
        ("container create: stat /dev/kvm: no such file or directory", "/dev/kvm:"),
        ("running container create option: invalid log driver: invalid argument", "logging"),
        (
            "failed to initialize logging driver: invalid size: 'abc'",
            "(invalid size: 'abc'): see the plan's logging",
        ),
        ("failed to initialize logging driver: read tcp 10.0.0.9:24224: connection reset by peer", ""),
        (f"{RUNC}open sysctl net.core.x file: unsafe procfs detected: no such file or directory", "sysctls"),
        (f"{RUNC}open /proc/sys/net/core/x: no such file or directory: unknown", "sysctls"),
        ('apparmor profile "x" specified, but Apparmor is not enabled on this system', "AppArmor"),
        ("Decoding seccomp profile failed: invalid character '/'", "security_opt"),
        (f"{RUNC}error setting rlimits for ready process: error setting rlimit type 7", "ulimits"),
        ("Minimum memory limit allowed is 6MB", "memory"),
        (f"{RUNC}unable to set memory limit to 1048576 (current usage: 2990080)", "memory"),
        ("unable to find user app: no matching entries in passwd file", "no user app:"),
        ('invalid CapAdd: unknown capability: "CAP_CHECKPOINT_RESTORE"', "CHECKPOINT_RESTORE:"),
        ('could not find "netavark" in one of [/usr/libexec/podman]', "the program netavark:"),
        ('unable to execute: exec: "nft": executable file not found in $PATH', "the program nft:"),
        ("unknown or invalid runtime name: kata", "runc or crun"),
        (f'{RUNC}exec: "/start": stat /start: no such file or directory', ""),
        ('exec: "start": executable file not found in $PATH', ""),
        ("Address already in use", "has the address it is to have"),
        ("failed to set up container networking: Address already in use", "has the address it is to have"),
        ("no available IPv4 addresses on this network's address pools: x (1f9)", "no free address"),
        (
            "could not find an available, non-overlapping IPv4 address pool among the defaults",
            "address-pools",
        ),
        ("all predefined address pools have been fully subnetted", "address-pools"),
        ("endpoint with name dockmgr-c1 already exists in network dockmgr", "network dockmgr still"),
        ("listen tcp4 127.0.0.1:80: bind: address already in use", ""),
        ("port is already allocated", ""),
        ("stat /data: no such file or directory", ""),
    ],
)
def test_what_is_lacking_is_said_in_words(text: str, words: str) -> None:
    found = lacks(text)
    assert words in found
    assert bool(words) == bool(found) and not found.endswith(".")


@pytest.mark.parametrize("text", ["", "cgroup " * 5000, "controller " + "x" * 30000, "/dev/" * 20000])
def test_any_text_is_read_quickly(text: str) -> None:
    assert lacks(text) == ""
