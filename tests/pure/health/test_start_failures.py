"""Known last words of containers, and the reason they stand for."""

from __future__ import annotations

from typing import Any

import pytest

from instances.health.start_failures import OUT_OF_MEMORY, Circumstances, likely_reason

DATA = {"volumes": ("/data",)}
HARD = {"drops_capabilities": True, "read_only": True, **DATA}


@pytest.mark.parametrize(
    ("line", "known", "word"),
    [
        ("EACCES: permission denied, open '/data/db.sqlite'", DATA, "data_owner"),
        ("mkdir: can't create directory '/data/x': Permission denied", DATA, "data_owner"),
        ("permission denied while trying to connect", {}, ""),
        ("exec /srv/start.sh: exec format error", {}, "processor"),
        ("sh: can't create /etc/x: Read-only file system", HARD, "tmpfs"),
        ("Error: EROFS: read-only file system, open '/x'", HARD, "read_only: false"),
        ("mount: Read-only file system", {}, ""),
        ('error evaluating symlinks from mount source "/v": lstat /v: no such file or directory', {}, "lost"),
        ("error while mounting volume '/v': failed to mount local volume: no such device", {}, "lost"),
        ('exec: "/x": stat /x: no such file or directory: unknown', {}, "entrypoint"),
        ('exec: "start": executable file not found in $PATH', {}, "entrypoint"),
        ("exec /entrypoint.sh: no such file or directory", {}, "interprets"),
        ("config.json: no such file or directory", {}, ""),
        (
            "Error starting userland proxy: listen tcp4 127.0.0.1:22000: bind: address already in use",
            {},
            "on its host",
        ),
        (
            "Error starting userland proxy: listen tcp4 172.17.0.1:22: bind: cannot assign requested address",
            {},
            "bind and address",
        ),
        (
            "failed to bind host port for 172.17.0.1:22:172.18.0.2:80/tcp: cannot assign requested address",
            {},
            "bind and address",
        ),
        ("dial tcp 10.0.0.7:5432: connect: cannot assign requested address", {}, ""),
        ("Error: listen EADDRINUSE: address already in use :::8080", {}, "one port"),
        ("chown: /data: Operation not permitted", HARD, "cap_add"),
        ("setgroups: Operation not permitted", {"drops_capabilities": True}, "cap_add"),
        ("kill: Operation not permitted", {}, ""),
        ("FATAL ERROR: JavaScript heap out of memory", {}, "more memory"),
        ("sudo: effective uid is not 0, is sudo installed setuid root?", {}, "no-new-privileges:false"),
        ("s6-overlay-suexec: fatal: can only run as pid 1", {}, "init: false"),
        ("write /data/x: no space left on device", {}, "full"),
        ("started in 3 s", HARD, ""),
    ],
)
def test_a_known_line_names_its_reason(line: str, known: dict[str, Any], word: str) -> None:
    circumstances = Circumstances(exit_code=1, **known)
    for found in (
        likely_reason(["first", line, "bye"], "It did not become healthy.", circumstances),
        likely_reason([], line, circumstances),
    ):
        assert word in found
        assert bool(word) == bool(found)


def test_memory_is_told_by_the_engine_and_guessed_from_the_exit_code() -> None:
    assert likely_reason([], "", Circumstances(oom_killed=True)) == OUT_OF_MEMORY
    assert likely_reason([], "", Circumstances(exit_code=137)) == OUT_OF_MEMORY
    assert likely_reason(["exec format error"], "", Circumstances(exit_code=137)) != OUT_OF_MEMORY
    assert likely_reason([], "", Circumstances(exit_code=0)) == ""
