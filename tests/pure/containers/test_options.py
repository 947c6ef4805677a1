"""Options in Compose's words: every form is brought to one, and reads back as what it was."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from instances.containers.options import NO_OPTIONS, WORDS, Options, conflicts

# word, what is said, what is kept
FORMS: list[tuple[str, Any, Any]] = [
    ("command", "gateway --bind 'the lan'", ["gateway", "--bind", "the lan"]),
    ("command", ["run", 8080, True], ["run", "8080", "true"]),
    ("entrypoint", [], []),
    ("ulimits", {"nofile": "9"}, {"nofile": [9, 9]}),
    ("user", 1000, "1000"),
    ("user", "app:staff", "app:staff"),
    ("working_dir", "/srv//app/", "/srv/app"),
    ("hostname", "{customer_id}", "{customer_id}"),
    ("init", False, False),
    ("stop_signal", "SIGINT", "SIGINT"),
    ("stop_signal", "TERM", "TERM"),
    ("volumes", {"browsers": "/browsers/"}, {"browsers": "/browsers"}),
    ("volumes", ["a:/a", "b_2:/b"], {"a": "/a", "b_2": "/b"}),
    ("tmpfs", "/run", {"/run": ""}),
    ("tmpfs", {"/run": "64m", "/tmp": None}, {"/run": "size=67108864", "/tmp": ""}),
    ("tmpfs", ["/tmp:size=1g,mode=1777,noexec"], {"/tmp": "size=1g,mode=1777,noexec"}),
    ("shm_size", "2gb", 2 * 1024**3),
    ("ulimits", {"nofile": 9, "nproc": {"soft": 1, "hard": -1}}, {"nofile": [9, 9], "nproc": [1, -1]}),
    ("sysctls", ["net.core.somaxconn=1024"], {"net.core.somaxconn": "1024"}),
    ("labels", {"traefik.enable": True, "n": 5, "e": None}, {"traefik.enable": "true", "n": "5", "e": ""}),
    ("labels", ["a=b=c"], {"a": "b=c"}),
    ("extra_hosts", {"db": "10.0.0.7", "h": "host-gateway"}, ["db:10.0.0.7", "h:host-gateway"]),
    ("extra_hosts", ["a:::1", "b=[::2]"], ["a:::1", "b:::2"]),
    ("dns", "1.1.1.1", ["1.1.1.1"]),
    ("ports", [{"container": 9090}, 22, "53/udp"], ["9090/tcp", "22/tcp", "53/udp"]),
    ("ports", [{"container": 9, "protocol": "udp"}], ["9/udp"]),
    ("cap_add", ["CAP_SYS_PTRACE", "net_admin"], ["NET_ADMIN", "SYS_PTRACE"]),
    ("cap_drop", ["ALL"], ["ALL"]),
    ("read_only", True, True),
    ("read_only", False, False),
    ("hardening", "baseline", "baseline"),
    ("data_owner", "1000:1000", "1000:1000"),
    ("security_opt", ["seccomp:unconfined", "no-new-privileges:false"], [
        "no-new-privileges=false", "seccomp=unconfined",
    ]),
    ("devices", ["/dev/fuse", "/dev/a:/dev/b:r", "/dev/c:/dev/d"], [
        "/dev/fuse:/dev/fuse:rwm", "/dev/a:/dev/b:r", "/dev/c:/dev/d:rwm",
    ]),
    ("gpus", "all", -1),
    ("logging", {"driver": "journald"}, {"driver": "journald"}),
    ("logging", {"options": {"max-file": 5}}, {"options": {"max-file": "5"}}),
]  # fmt: skip


@pytest.mark.parametrize(("word", "said", "kept"), FORMS, ids=[f"{w} {s}" for w, s, _ in FORMS])
def test_each_form_is_brought_to_one_that_reads_back_as_the_same(word: str, said: Any, kept: Any) -> None:
    options = Options.model_validate({word: said})
    assert options.document() == {word: kept}
    assert Options.model_validate(options.document()) == options


def test_every_word_is_tried() -> None:
    assert {word for word, _, _ in FORMS} == WORDS


@pytest.mark.parametrize("word", sorted(WORDS))
def test_a_word_without_a_value_says_nothing(word: str) -> None:
    assert Options.model_validate({word: None}) == NO_OPTIONS


REFUSED: list[tuple[str, Any, str]] = [
    ("command", "an 'open quote", "can be split"),
    ("command", {"a": 1}, "must be a list"),
    ("command", ["{owner_id}"], "{owner_id} stands for nothing"),
    ("user", "a b", "must be a user"),
    ("working_dir", "srv", "absolute path"),
    ("working_dir", "/srv/../etc", "absolute path"),
    ("hostname", "a b", "host name"),
    ("init", "yes please", "boolean"),
    ("stop_signal", "TERM NOW", "signal"),
    ("volumes", ["/etc:/host"], "a folder of the host can't be mounted"),
    ("volumes", ["./data:/data"], "a folder of the host can't be mounted"),
    ("volumes", ["data:/data:ro"], "without options"),
    ("volumes", ["/data"], "named volumes"),
    ("volumes", {"b-data": "/b"}, "without hyphens"),
    ("volumes", {"a": "/x", "b": "/x/"}, "once"),
    ("volumes", {"a": "/"}, "root"),
    ("tmpfs", {"/run": "64 apples"}, "size"),
    ("tmpfs", 5, "must be a list"),
    ("shm_size", "much", "size such as"),
    ("shm_size", 1, "greater than"),
    ("ulimits", {"files": 1}, "there are core"),
    ("ulimits", {"nofile": "many"}, "must be numbers"),
    ("ulimits", {"nofile": {"soft": 2, "hard": 1}}, "above the hard"),
    ("sysctls", {"vm.max_map_count": 1}, "container's own"),
    ("labels", {"dockmgr.customer_id": "other"}, "dockmgr's own"),
    ("labels", {"a": {"b": 1}}, "must be texts"),
    ("extra_hosts", ["db"], "addresses"),
    ("extra_hosts", ["db:other"], "IP addresses"),
    ("dns", ["resolver"], "IP addresses"),
    ("ports", ["8080:80"], "host ports are allotted"),
    ("ports", [{"target": 80, "published": 8080}], "host ports are allotted"),
    ("ports", [0], "ports of the container"),
    ("ports", ["80/sctp"], "tcp or udp"),
    ("ports", [80, "80/tcp"], "once"),
    ("cap_add", ["not-one"], "capabilities"),
    ("read_only", "x", "boolean"),
    ("security_opt", ["seccomp=/etc/profile.json"], "files can't be named"),
    ("devices", ["/etc/passwd"], "must be devices"),
    ("gpus", "some", "number of GPUs"),
    ("logging", {"driver": "paper"}, "one of"),
    ("logging", {"options": {"splunk-token": "x"}}, "no secret"),
    ("privileged", True, "Extra inputs"),
]


@pytest.mark.parametrize(("word", "said", "words"), REFUSED, ids=[f"{w} {s}" for w, s, _ in REFUSED])
def test_what_cannot_be_is_refused_in_words_at_its_word(word: str, said: Any, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Options.model_validate({word: said})
    [error] = refused.value.errors(include_url=False)
    assert error["loc"][0] == word
    assert words in error["msg"]


@pytest.mark.parametrize("said", ["", []])
def test_an_empty_command_says_nothing(said: Any) -> None:
    assert Options.model_validate({"command": said}) == NO_OPTIONS


def test_a_path_is_one_thing() -> None:
    with pytest.raises(ValidationError, match="/a can't be a volume and tmpfs at once"):
        Options.model_validate({"volumes": {"a": "/a"}, "tmpfs": "/a"})


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"volumes": {"a": "/data"}}, ["/data is the data_path already"]),
        ({"tmpfs": "/data"}, ["/data is the data_path already"]),
        ({"volumes": {"data": "/b"}}, ["the volume data is the data_path already"]),
        ({"ports": [8080]}, ["ports has 8080, which is the container_port"]),
        ({"ports": ["8080/udp"], "volumes": {"b": "/b"}}, []),
    ],
)
def test_nothing_is_given_twice(said: dict[str, Any], words: list[str]) -> None:
    assert list(conflicts(Options.model_validate(said), "/data", 8080)) == words
