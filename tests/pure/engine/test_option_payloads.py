"""Options as an engine is told them, and read back as what they were."""

from __future__ import annotations

from typing import Any

import pytest

from instances.containers import option_drift
from instances.containers.options import Options
from instances.containers.spec import ContainerSpec, InstanceSpec, PlanSpec, build
from instances.engine.option_payloads import told_by_image
from instances.engine.payloads import container_facts, create_arguments

GIB = 1024**3
FULL: dict[str, Any] = {
    "command": ["serve", "{port}"],
    "entrypoint": ["/bin/tini", "--"],
    "user": "1000:1000",
    "working_dir": "/srv",
    "hostname": "{customer_id}",
    "init": False,
    "stop_signal": "SIGINT",
    "volumes": {"browsers": "/browsers"},
    "tmpfs": {"/run": "64m"},
    "shm_size": "2g",
    "ulimits": {"nofile": 65536},
    "sysctls": {"net.core.somaxconn": "1024"},
    "labels": {"traefik.rule": "Host({subdomain})"},
    "extra_hosts": ["db:10.0.0.7"],
    "dns": ["1.1.1.1"],
    "ports": [9090, "53/udp"],
    "cap_add": ["NET_ADMIN"],
    "cap_drop": ["ALL"],
    "read_only": True,
    "security_opt": ["seccomp=unconfined"],
    "devices": ["/dev/fuse"],
    "gpus": 2,
    "logging": {"driver": "local", "options": {"max-size": "1m"}},
}
IMAGE: dict[str, Any] = {
    "Cmd": ["start"], "Entrypoint": ["/init"], "User": "app", "WorkingDir": "/app", "StopSignal": "SIGQUIT",
}  # fmt: skip


def spec_of(**options: Any) -> ContainerSpec:
    wanted = Options.model_validate(options)
    plan = PlanSpec("pro", "agent:1", 1, GIB, 8080, options=wanted, env={"U": "{host}"})
    further = {"9090/tcp": 20002, "53/udp": 20003}
    return build(
        plan, InstanceSpec("c1", "127.0.0.1", 20001, subdomain="c1.io", host="h1", further_ports=further)
    )


def created(spec: ContainerSpec) -> dict[str, Any]:
    """What an engine answers about a container that it was told to make of an image that says all."""
    config = create_arguments(spec)["config"]
    host = config.pop("HostConfig")
    inherited = {key: value for key, value in IMAGE.items() if key != "Cmd" or "Entrypoint" not in config}
    volumes = [{"Type": "volume", "Name": m["Source"], "Destination": m["Target"]} for m in host["Mounts"]]
    return {
        "Id": "c0ffee123456789", "Name": "/c1", "Image": "sha256:1", "State": {"Status": "running"},
        "Config": {"Hostname": "c0ffee123456", **inherited, **config}, "HostConfig": host,
        "Mounts": [*volumes, *({"Type": "tmpfs", "Destination": path} for path in host.get("Tmpfs", {}))],
    }  # fmt: skip


def test_everything_is_told_to_the_engine() -> None:
    config = create_arguments(spec_of(**FULL))["config"]
    host = config.pop("HostConfig")
    own = ("Cmd", "Entrypoint", "User", "WorkingDir", "Hostname", "StopSignal", "Env")
    assert {key: config[key] for key in own} == {
        "Cmd": ["serve", "20001"], "Entrypoint": ["/bin/tini", "--"], "User": "1000:1000",
        "WorkingDir": "/srv", "Hostname": "c1", "StopSignal": "SIGINT", "Env": ["U=h1"],
    }  # fmt: skip
    assert config["Labels"]["traefik.rule"] == "Host(c1.io)"
    assert set(config["ExposedPorts"]) == {"8080/tcp", "9090/tcp", "53/udp"}
    for usual in ("NanoCpus", "Memory", "MemorySwap", "PidsLimit", "RestartPolicy"):
        del host[usual]
    assert host == {
        "PortBindings": {
            "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20001"}],
            "9090/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20002"}],
            "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "20003"}],
        },
        "Mounts": [
            {"Type": "volume", "Source": "dockmgr-c1-data", "Target": "/data"},
            {"Type": "volume", "Source": "dockmgr-c1-browsers", "Target": "/browsers"},
        ],
        "Tmpfs": {"/run": "size=67108864"},
        "ShmSize": 2 * GIB,
        "Ulimits": [{"Name": "nofile", "Soft": 65536, "Hard": 65536}],
        "Sysctls": {"net.core.somaxconn": "1024"},
        "ExtraHosts": ["db:10.0.0.7"],
        "Dns": ["1.1.1.1"],
        "CapAdd": ["NET_ADMIN"],
        "CapDrop": ["ALL"],
        "ReadonlyRootfs": True,
        "SecurityOpt": ["no-new-privileges", "seccomp=unconfined"],
        "Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}],
        "DeviceRequests": [{"Count": 2, "Capabilities": [["gpu"]]}],
        "Init": False,
        "LogConfig": {"Type": "local", "Config": {"max-size": "1m"}},
    }


# None, all of them, and one at a time.
CASES: list[dict[str, Any]] = [{}, FULL, *({word: value} for word, value in FULL.items()), {"entrypoint": []}]


@pytest.mark.parametrize("said", CASES, ids=lambda said: ",".join(said)[:40] or "none")
def test_what_an_engine_made_is_no_drift(said: dict[str, Any]) -> None:
    spec = spec_of(**said)
    facts = container_facts(created(spec))
    differing = option_drift.differing(spec, facts.options, told_by_image(IMAGE))
    assert [word for word, same in differing if not same] == []
    assert (facts.volumes, facts.binds) == (spec.volumes, ())


def test_podman_names_limits_as_the_kernel_does_and_tells_no_options_of_logs() -> None:
    spec = spec_of(ulimits={"nofile": 4096}, logging=FULL["logging"])
    described = created(spec)
    told = {
        "Ulimits": [{"Name": "RLIMIT_NOFILE", "Soft": 4096, "Hard": 4096}],
        "LogConfig": {"Type": "local"},
    }
    described["HostConfig"] |= told
    assert [w for w, same in compared(spec, described) if not same] == []
    described["HostConfig"] |= {"LogConfig": {"Type": "json-file", "Config": None}}
    assert [w for w, same in compared(spec, described) if not same] == ["logging"]


def compared(spec: ContainerSpec, described: dict[str, Any]) -> list[tuple[str, bool]]:
    return list(option_drift.differing(spec, container_facts(described).options, told_by_image(IMAGE)))


@pytest.mark.parametrize("said", ["SIGTERM", "TERM", "15"])
def test_the_usual_signal_goes_by_several_names(said: str) -> None:
    spec = spec_of(stop_signal=said)
    has = container_facts(created(spec)).options
    assert ("stop_signal", True) in list(option_drift.differing(spec, has, told_by_image(IMAGE)))
    bare = option_drift.differing(spec_of(), {**has, "stop_signal": ""}, told_by_image({}))
    assert ("stop_signal", True) in list(bare)


@pytest.mark.parametrize("word", [word for word in option_drift.COMPARED if word in FULL])
def test_an_option_that_is_new_in_the_plan_or_gone_from_it_is_drift(word: str) -> None:
    bare, full = spec_of(), spec_of(**{word: FULL[word]})
    has, lacks = (container_facts(created(spec)).options for spec in (full, bare))
    image = told_by_image(IMAGE)
    assert (word, False) in list(option_drift.differing(full, lacks, image))
    if word != "ulimits":  # an engine may add some of its own
        assert (word, False) in list(option_drift.differing(bare, has, image))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ([], ("no-new-privileges",)),
        (["no-new-privileges:false"], ()),
        (["no-new-privileges"], ("no-new-privileges",)),
        (["apparmor=unconfined"], ("no-new-privileges", "apparmor=unconfined")),
    ],
)
def test_a_container_gains_no_privileges_unless_its_plan_says_so(
    said: list[str], kept: tuple[str, ...]
) -> None:
    assert spec_of(security_opt=said).security_opt == kept
