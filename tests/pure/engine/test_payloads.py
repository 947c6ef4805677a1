"""What the engine is told, by equality, and what its answers mean."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from instances.containers.options import NO_OPTIONS
from instances.containers.spec import ContainerSpec
from instances.engine.image_payloads import engine_facts, image_facts, pull_progress
from instances.engine.payloads import container_facts, container_summary, create_arguments, parse_time
from instances.errors import DockmgrError, TransientError

SPEC = ContainerSpec(
    name="dockmgr-user1",
    image="agent@sha256:ab",
    labels={"dockmgr.managed": "true", "dockmgr.customer_id": "user1"},
    env={"TZ": "UTC", "KEY": "a=b c"},
    nano_cpus=500_000_000,
    memory=512 << 20,
    pids_limit=256,
    container_port=18789,
    bind_address="10.0.0.5",
    host_port=20001,
    volumes={"dockmgr-user1-data": "/data"},
    options=NO_OPTIONS,
    stop_timeout=25,
)
CREATED = {
    "name": "dockmgr-user1",
    "config": {
        "Image": "agent@sha256:ab",
        "Env": ["KEY=a=b c", "TZ=UTC"],
        "Labels": {"dockmgr.managed": "true", "dockmgr.customer_id": "user1"},
        "ExposedPorts": {"18789/tcp": {}},
        "StopTimeout": 25,
        "HostConfig": {
            "NanoCpus": 500_000_000,
            "Memory": 536_870_912,
            "MemorySwap": 536_870_912,
            "PidsLimit": 256,
            "PortBindings": {"18789/tcp": [{"HostIp": "10.0.0.5", "HostPort": "20001"}]},
            "Mounts": [{"Type": "volume", "Source": "dockmgr-user1-data", "Target": "/data"}],
            "RestartPolicy": {"Name": "unless-stopped"},
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "Init": True,
            "ShmSize": 64 << 20,
        },
    },
}
INSPECTED: dict[str, Any] = {
    "Id": "c0ffee",
    "Name": "/dockmgr-user1",
    "Image": "sha256:ab",
    "RestartCount": 43,
    "State": {
        "Status": "restarting",
        "ExitCode": 137,
        "OOMKilled": True,
        "StartedAt": "2026-02-19T10:11:12.123456789Z",
    },
    "Config": {"Image": "agent:1", "Env": ["A=b=c", "EMPTY=", "BARE"], "Labels": {"x": "y"}},
    "HostConfig": {
        "NanoCpus": 1,
        "Memory": 2,
        "PidsLimit": 3,
        "RestartPolicy": {"Name": "always"},
        "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}], "53/udp": None},
        "Privileged": True,
        "SecurityOpt": ["no-new-privileges"],
        "CapAdd": ["NET_ADMIN"],
        "NetworkMode": "host",
    },
    "Mounts": [
        {"Type": "volume", "Name": "v", "Destination": "/data"},
        {"Type": "bind", "Source": "/etc", "Destination": "/host"},
    ],
    "NetworkSettings": {"Ports": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}], "9/tcp": None}},
}


def inspected(**state: Any) -> dict[str, Any]:
    answer = copy.deepcopy(INSPECTED)
    answer["State"] |= state
    return answer


def test_a_spec_becomes_the_whole_configuration() -> None:
    assert create_arguments(SPEC) == CREATED


def test_a_spec_without_a_volume_mounts_nothing() -> None:
    assert create_arguments(replace(SPEC, volumes={}))["config"]["HostConfig"]["Mounts"] == []


def test_inspecting_tells_everything_dockmgr_decides_on() -> None:
    facts = container_facts(INSPECTED)
    assert (facts.id, facts.name, facts.state) == ("c0ffee", "dockmgr-user1", "restarting")
    assert (facts.exit_code, facts.oom_killed, facts.restart_count) == (137, True, 43)
    assert facts.started_at == datetime(2026, 2, 19, 10, 11, 12, 123456, tzinfo=UTC)
    assert (facts.image_id, facts.image_ref, facts.labels) == ("sha256:ab", "agent:1", {"x": "y"})
    assert facts.env == {"A": "b=c", "EMPTY": "", "BARE": ""}
    assert (facts.nano_cpus, facts.memory, facts.pids_limit) == (1, 2, 3)
    assert facts.volumes == {"v": "/data"}
    assert facts.ports == {8080: ("127.0.0.1", 32768)}
    assert (facts.restart_policy, facts.privileged) == ("always", True)
    assert facts.security_opt == ("no-new-privileges",)
    assert (facts.cap_add, facts.network_mode, facts.binds) == (("NET_ADMIN",), "host", ("/host",))


@pytest.mark.parametrize(
    ("mount", "volumes"),
    [
        ({"Source": "/var/lib/docker/volumes/0a1b/_data"}, {"0a1b": "/data"}),  # as Docker 28 tells it
        ({"Source": "/var/lib/docker/volumes/0a1b/_data", "Name": ""}, {"0a1b": "/data"}),
        ({"Source": "/srv/volumes/x/volumes/0a1b/_data", "Name": "named"}, {"named": "/data"}),
        ({"Source": "/mnt/by-a-plugin"}, {}),
        ({"Source": ""}, {}),
        ({}, {}),
        ({"Type": "bind", "Source": "/var/lib/docker/volumes/0a1b/_data"}, {}),
    ],
)
def test_a_volume_without_a_name_is_named_by_its_folder(
    mount: dict[str, Any], volumes: dict[str, str]
) -> None:
    answer = inspected() | {"Mounts": [{"Type": "volume", "Destination": "/data", **mount}]}
    assert container_facts(answer).volumes == volumes


def test_a_stopped_container_still_tells_the_port_it_asked_for() -> None:
    answer = inspected(Status="exited")
    answer["NetworkSettings"]["Ports"] = {}
    assert container_facts(answer).ports == {8080: ("127.0.0.1", 0)}


@pytest.mark.parametrize("status", ["created", "running", "paused"])
def test_a_container_that_has_not_ended_has_no_exit_code(status: str) -> None:
    assert container_facts(inspected(Status=status, ExitCode=0)).exit_code is None


def test_absent_limits_are_zero_or_none() -> None:
    answer = inspected()
    answer["HostConfig"] = {"PidsLimit": -1}
    answer["Config"] = {"Image": "agent:1", "Env": None, "Labels": None}
    answer["Mounts"] = None
    facts = container_facts(answer)
    assert (facts.nano_cpus, facts.memory, facts.pids_limit) == (0, 0, None)
    assert (facts.restart_policy, facts.security_opt, facts.privileged) == ("no", (), False)
    assert (facts.env, facts.labels, facts.volumes) == ({}, {}, {})
    assert (facts.cap_add, facts.network_mode, facts.binds) == ((), "default", ())


@pytest.mark.parametrize(
    ("names", "name"),
    [(["/a"], "a"), (["/other/alias", "/a"], "a"), ([], ""), (None, "")],
)
def test_a_listed_container_goes_by_its_own_name(names: list[str] | None, name: str) -> None:
    row = {"Id": "1", "Names": names, "State": "dead", "ImageID": "sha256:1", "Labels": None}
    assert container_summary(row).name == name


def test_a_listed_container_tells_which_of_its_volumes_it_only_reads() -> None:
    mounts = [{"Name": "a", "RW": True}, {"Name": "b", "RW": False}, {"Name": "", "RW": False}, {"Name": "c"}]
    twice = {"Name": "a", "RW": False}  # at a second path
    row = container_summary({"Id": "1", "State": "running", "Mounts": [*mounts, twice]})
    assert (row.volumes, row.read_only) == (("a", "b", "c", "a"), ("b",))


def test_an_image_without_configuration_declares_nothing() -> None:
    facts = image_facts({"Id": "sha256:1", "Config": None})
    assert (facts.labels, facts.volumes, facts.exposed_ports, facts.env) == ({}, (), (), {})


def test_an_image_tells_labels_environment_volumes_and_tcp_ports() -> None:
    config: dict[str, Any] = {
        "Labels": {"v": "1"},
        "Env": ["PATH=/bin", "BARE"],
        "Volumes": {"/data": {}},
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
    }
    facts = image_facts({"Id": "sha256:1", "Config": config, "Architecture": "arm64"})
    assert (facts.labels, facts.env) == ({"v": "1"}, {"PATH": "/bin", "BARE": ""})
    assert (facts.volumes, facts.exposed_ports, facts.architecture) == (("/data",), (80,), "arm64")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        ("2026-02-19T10:11:12Z", datetime(2026, 2, 19, 10, 11, 12, tzinfo=UTC)),
        ("2026-02-19T10:11:12.5Z", datetime(2026, 2, 19, 10, 11, 12, 500_000, tzinfo=UTC)),
        ("2026-02-19T12:11:12.000000001+02:00", datetime(2026, 2, 19, 10, 11, 12, tzinfo=UTC)),
    ],
)
def test_times_are_aware_and_the_zero_time_is_none(text: str, time: datetime | None) -> None:
    assert parse_time(text) == time


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [
        ("x86_64", "amd64"),
        ("armv6l", "arm"),
        ("armv8l", "arm"),
        ("i386", "386"),
        ("loongarch64", "loong64"),
        ("riscv64", "riscv64"),
    ],
)
def test_a_machine_is_called_as_images_call_it(machine: str, architecture: str) -> None:
    assert engine_facts({"Architecture": machine}).architecture == architecture


def test_progress_speaks_once_per_stage_of_a_layer() -> None:
    events = [
        {"status": "Pulling from agent", "id": "1"},
        {"status": "Downloading", "id": "a", "progress": "[=>"},
        {"status": "Downloading", "id": "b", "progress": "[=>"},
        {"status": "Downloading", "id": "a", "progress": "[==>"},
        {"status": "Pull complete", "id": "a"},
        {"status": "Status: Downloaded newer image"},
    ]
    assert list(pull_progress(events, TransientError)) == [
        "1 Pulling from agent",
        "a Downloading",
        "b Downloading",
        "a Pull complete",
        "Status: Downloaded newer image",
    ]


def test_an_error_inside_the_stream_ends_the_pull() -> None:
    heard: list[str] = []
    with pytest.raises(DockmgrError, match="no space"):
        heard.extend(pull_progress([{"status": "a"}, {"error": "no space"}, {"status": "b"}], TransientError))
