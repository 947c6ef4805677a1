"""What Podman adds to a container's description is nobody's wish: as seen on Podman 4.3 and 5.8."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instances.containers import adoption, drift, left_over, option_drift
from instances.containers.made_anew import must_be
from instances.containers.options import Options
from instances.containers.spec import SPEC_LABEL, ContainerSpec, InstanceSpec, PlanSpec, build
from instances.engine.payloads import container_described, container_facts
from tests.fakes.facts import created_facts, image_facts
from tests.pure.container_samples import IMAGE, a_container

ENV = ["PATH=/bin", "MODE=image", "A=1"]
ITS_OWN = ["container=podman", "HOME=", "HOSTNAME=c0ffee123456", "TERM=xterm"]


def described(**changes: Any) -> dict[str, Any]:
    return container_described({**a_container(**changes), "State": {"Status": "running"}})


def test_its_environment_is_not_the_containers() -> None:
    container = described(config={"Env": [*ENV, *ITS_OWN]})
    assert container["Config"]["Env"] == ENV
    assert adoption.environment(container, IMAGE) == {"A": "1"}
    assert container_facts(container).env == {"PATH": "/bin", "MODE": "image", "A": "1"}


@pytest.mark.parametrize("given", [["HOME=/data"], ["HOSTNAME=gw"], ["container=mine", "HOME=/root"]])
def test_what_somebody_gave_is_kept(given: list[str]) -> None:
    mark = [] if any(line.startswith("container=") for line in given) else ITS_OWN[:1]
    assert described(config={"Env": [*ENV, *given, *mark]})["Config"]["Env"] == [*ENV, *given]


@pytest.mark.parametrize(
    ("asked", "is_there"),
    [
        ({"HOME": "/root"}, True),
        ({"HOSTNAME": "c0ffee123456", "container": "podman"}, True),
        ({"HOME": "/data"}, False),
        ({"LANG": "C"}, False),
        ({}, True),
    ],
)
def test_what_it_adds_counts_where_it_was_asked_for_and_is_nothing_extra_elsewhere(
    asked: dict[str, str], *, is_there: bool
) -> None:
    lines = [*ENV, "container=podman", "HOME=/root", "HOSTNAME=c0ffee123456"]
    facts = container_facts(described(config={"Env": lines}))
    spec = ContainerSpec(name="c", image="i:1", labels={}, env={**asked, "A": "1"})
    assert drift.environment(spec, facts).ok is is_there
    assert left_over.variables(spec, facts, image_facts("i:1", env={"PATH": "/bin", "MODE": "image"})) == []


def test_another_engines_container_stays_as_it_is() -> None:
    assert described(config={"Env": [*ENV, "HOME=/root"]})["Config"]["Env"] == [*ENV, "HOME=/root"]


ASKED: dict[str, Any] = {
    "tmpfs": {"/scratch": "size=67108864"}, "stop_signal": "INT", "devices": ["/dev/null:/dev/nil:r"],
    "sysctls": {"net.core.somaxconn": "128"},
}  # fmt: skip
TOLD: dict[str, Any] = {
    "config": {"Env": [*ENV, *ITS_OWN], "StopSignal": "2"},
    "Tmpfs": {"/scratch": "size=67108864,rw,rprivate,nosuid,nodev,tmpcopyup"},
    "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nil", "CgroupPermissions": ""}],
    "Sysctls": None, "NanoCpus": 123450000,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({}, set()),
        ({"Tmpfs": {"/scratch": "size=1,rw,rprivate,nosuid,nodev,tmpcopyup"}}, {"tmpfs"}),
        ({"Tmpfs": {"/scratch": "size=67108864,noexec,rw,rprivate,nosuid,nodev,tmpcopyup"}}, {"tmpfs"}),
        ({"Tmpfs": {}}, {"tmpfs"}),
        ({"config": {**TOLD["config"], "StopSignal": "3"}}, {"stop_signal"}),
        ({"Devices": [{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/nil"}]}, {"devices"}),
        ({"Devices": []}, {"devices"}),
        ({"NanoCpus": 123_400_000}, {"cpus"}),
    ],
)
def test_what_it_tells_in_its_own_way_is_as_it_was_asked_for(
    changes: dict[str, Any], differing: set[str]
) -> None:
    plan = PlanSpec("p", "i:1", 0.123456, 64 << 20, 8080, options=Options(**ASKED))
    facts = container_facts(described(**{**TOLD, **changes}))
    found = drift.drift(build(plan, InstanceSpec("c", "127.0.0.1", 1)), facts, "", None)
    told = {*ASKED, "cpus"}
    assert {each.name for each in found if each.name in told and not each.ok} == differing


def test_a_container_of_earlier_settings_is_made_anew_as_not_all_of_it_is_told() -> None:
    plan = PlanSpec("p", "i:1", 1, 64 << 20, 8080, data_path=None)
    spec = build(plan, InstanceSpec("c", "", 0))
    told = {"config": {"Env": [*ENV, *ITS_OWN]}, "Sysctls": None}
    as_it_is = option_drift.all_told(container_facts(described(**told)).options)
    on_docker = option_drift.all_told(container_facts(described(Sysctls=None)).options)
    assert (as_it_is, on_docker) == (False, True)
    facts = replace(created_facts("c0ffee", spec, image_facts("i")), state="running")
    earlier = replace(facts, labels={**facts.labels, SPEC_LABEL: "of earlier settings"})
    untold = {word: said for word, said in facts.options.items() if word != "sysctls"}
    assert must_be(spec, replace(earlier, options=untold), facts.image_id, None)
    assert not must_be(spec, replace(facts, options=untold), facts.image_id, None)
    assert not must_be(spec, earlier, facts.image_id, None)


def test_its_annotations_are_no_drift() -> None:
    first = described(Annotations={"io.podman.annotations.privileged": "TRUE", "mine": "1"})
    document = adoption.derive(first, IMAGE)
    assert document["HostConfig"]["Annotations"] == {"mine": "1"}
    second = described(Annotations={"io.podman.annotations.pids-limit": "2048", "mine": "1"})
    assert adoption.drift(document, second) == []


def test_cpus_that_it_tells_twice_are_asked_for_once() -> None:
    twice = {"NanoCpus": 333_000_000, "CpuPeriod": 100_000, "CpuQuota": 33_300}
    host = adoption.derive(described(**twice), IMAGE)["HostConfig"]
    assert (host["NanoCpus"], host.keys() & {"CpuPeriod", "CpuQuota"}) == (333_000_000, set())
    of_docker = {"NanoCpus": 0, "CpuPeriod": 100_000, "CpuQuota": 33_300}
    assert of_docker.items() <= adoption.derive(described(**of_docker), IMAGE)["HostConfig"].items()


def test_a_limit_goes_by_the_name_under_which_it_is_asked_for() -> None:
    limits = [{"Name": "RLIMIT_NOFILE", "Soft": 1, "Hard": 2}, {"Name": "core", "Soft": 0, "Hard": 0}]
    found = described(Ulimits=limits)
    assert [limit["Name"] for limit in found["HostConfig"]["Ulimits"]] == ["nofile", "core"]
    kept = adoption.derive(found, IMAGE)
    earlier = {**kept, "HostConfig": {**kept["HostConfig"], "Ulimits": limits}}  # as it was kept before
    made = adoption.render(earlier, name="c", image="i:1", labels={}, env={})
    assert made["config"]["HostConfig"]["Ulimits"] == found["HostConfig"]["Ulimits"]
    assert adoption.drift(earlier, found) == []


def test_a_device_whose_rights_it_does_not_tell_has_all() -> None:
    device = {"PathOnHost": "/dev/null", "PathInContainer": "/dev/nil", "CgroupPermissions": ""}
    assert described(Devices=[device])["HostConfig"]["Devices"] == [{**device, "CgroupPermissions": "rwm"}]


@pytest.mark.parametrize(
    ("mode", "joined", "expected"),
    [
        ("bridge", ["dockmgr"], "dockmgr"),  # Podman
        ("bridge", ["podman"], "bridge"),
        ("dockmgr", ["dockmgr"], "dockmgr"),  # Docker
        ("bridge", ["bridge", "x"], "bridge"),
        ("default", ["bridge"], "default"),
        ("bridge", [], "bridge"),
        ("host", ["host"], "host"),
    ],
)
def test_a_network_goes_by_its_name(mode: str, joined: list[str], expected: str) -> None:
    container = described(networks={name: {} for name in joined}, NetworkMode=mode)
    assert container_facts(container).network_mode == expected
