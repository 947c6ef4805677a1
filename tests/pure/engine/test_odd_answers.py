"""Answers of another form than promised: one odd entry costs one entry, and nothing is made up for it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from instances.containers import adoption
from instances.engine.answers import UnreadableAnswerError
from instances.engine.image_payloads import api_version, engine_facts, image_facts, pull_progress
from instances.engine.payloads import (
    container_described,
    container_facts,
    container_summaries,
    has_terminal,
    volume_labels,
)
from instances.errors import TransientError
from tests.rows import row

ROW: dict[str, Any] = {"Id": "1", "Names": ["/a"], "State": "running", "ImageID": "sha256:1", "Labels": {}}
CONTAINER: dict[str, Any] = {
    "Id": "c0ffee",
    "Name": "/a",
    "Image": "sha256:1",
    "RestartCount": 0,
    "State": {"Status": "running", "ExitCode": 0, "OOMKilled": False, "StartedAt": "2026-02-19T10:11:12Z"},
    "Config": {"Image": "agent:1", "Env": ["A=b"], "Labels": {"x": "y"}, "Tty": False},
    "HostConfig": {"NanoCpus": 1, "Memory": 2, "PortBindings": {}},
    "Mounts": [{"Type": "volume", "Name": "v", "Destination": "/data"}],
    "NetworkSettings": {"Ports": {}, "Networks": {}},
}
ODD: list[Any] = [None, 5, -1, 1.5, 10**40, True, "x", "", [], [None], [5], {}, {"a": None}, {"a": [1]}]
NO_OBJECTS: list[Any] = [None, 5, "x", [], [1], {}]
PARTS = {
    "State": ["ExitCode", "OOMKilled", "StartedAt"],
    "Config": ["Image", "Env", "Labels", "Volumes", "ExposedPorts", "Hostname", "Entrypoint", "StopTimeout"],
    "HostConfig": [
        *("NanoCpus", "Memory", "PidsLimit", "RestartPolicy", "PortBindings", "Mounts", "Binds", "Tmpfs"),
        *("SecurityOpt", "CapAdd", "NetworkMode", "Privileged", "Devices", "Ulimits", "LogConfig"),
    ],
    "NetworkSettings": ["Ports", "Networks"],
}


def names(rows: Any) -> list[str]:
    return [row.name for row in container_summaries(rows)]


def read(answer: Any) -> None:
    """Everything that is ever asked of an inspected container."""
    facts = container_facts(answer)
    assert (facts.id, facts.state) == ("c0ffee", "running")
    described = container_described(answer)
    document = adoption.derive(described, {})
    adoption.environment(described, {})
    adoption.drift(document, described)
    adoption.port_changes(document, 80)
    adoption.mount_points(document)


@pytest.mark.parametrize("odd", [*ODD, [ROW], {**ROW, "Id": None}, {**ROW, "State": 5}, {"Id": "2"}])
def test_a_row_that_cannot_be_read_costs_that_row_alone(odd: Any) -> None:
    assert names([{**ROW, "Names": ["/before"]}, odd, ROW]) == ["before", "a"]


@pytest.mark.parametrize("key", ["Names", "ImageID", "Labels"])
def test_a_row_with_an_odd_part_is_listed_without_it(key: str) -> None:
    assert len(names([{k: v for k, v in ROW.items() if k != key}])) == 1
    for odd in ODD:
        with row(odd):
            assert len(names([{**ROW, key: odd}, ROW])) == 2


@pytest.mark.parametrize("key", [key for key in CONTAINER if key not in ("Id", "State")])
def test_a_container_with_an_odd_part_is_known_without_it(key: str) -> None:
    read({k: v for k, v in CONTAINER.items() if k != key})
    for odd in ODD:
        with row(odd):
            read({**CONTAINER, key: odd})


@pytest.mark.parametrize(("group", "key"), [(group, key) for group, keys in PARTS.items() for key in keys])
def test_a_setting_of_an_odd_kind_breaks_nothing(group: str, key: str) -> None:
    for odd in ODD:
        with row(odd):
            answer = copy.deepcopy(CONTAINER)
            answer[group][key] = odd
            read(answer)


@pytest.mark.parametrize(
    "started", ["2026-02-19", "now", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59-23:00"]
)
def test_a_time_that_is_none_is_not_known(started: str) -> None:
    answer = copy.deepcopy(CONTAINER)
    answer["State"]["StartedAt"] = started
    assert container_facts(answer).started_at is None


@pytest.mark.parametrize(
    ("ports", "found"),
    [
        ({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}, {80: ("127.0.0.1", 8080)}),
        ({"80/tcp": [{"HostPort": "99999999"}], "x/tcp": [{}], "-1/tcp": [{}], "/tcp": [{}]}, {80: ("", 0)}),
        ({"80/tcp": [None, {"HostIp": "::", "HostPort": "1"}], "81/tcp": [], "82/tcp": [5]}, {80: ("::", 1)}),
        ({"99999/tcp": [{"HostPort": "1"}], "80/sctp": [{"HostPort": "1"}], "0/tcp": [{}]}, {}),
    ],
)
def test_odd_ports_are_left_out(ports: Any, found: dict[int, tuple[str, int]]) -> None:
    assert container_facts({**CONTAINER, "NetworkSettings": {"Ports": ports}}).ports == found


@pytest.mark.parametrize("answer", [*NO_OBJECTS, {**CONTAINER, "Id": 5}, {**CONTAINER, "State": {}}])
def test_what_says_nothing_of_a_container_is_not_read(answer: Any) -> None:
    with pytest.raises(UnreadableAnswerError):
        container_facts(answer)


@pytest.mark.parametrize("key", ["Config", "Architecture", "RepoDigests", "RepoTags"])
def test_an_image_with_an_odd_part_is_known_without_it(key: str) -> None:
    for odd in [*ODD, {"Env": [5, "A=b"], "ExposedPorts": {"x/tcp": {}, "80/tcp": 5}}]:
        with row(odd):
            assert image_facts({"Id": "sha256:1", key: odd}).id == "sha256:1"


@pytest.mark.parametrize("key", ["Architecture", "NCPU", "MemTotal", "DockerRootDir"])
def test_information_of_an_odd_kind_is_left_out(key: str) -> None:
    for odd in ODD:
        with row(odd):
            facts = engine_facts({"NCPU": 4, "MemTotal": 1, key: odd})
            assert isinstance(facts.cpus, int)
            assert isinstance(facts.root + facts.architecture, str)


@pytest.mark.parametrize("labels", ODD)
def test_odd_labels_make_a_volume_nobodys(labels: Any) -> None:
    assert volume_labels({"Name": "v", "Labels": labels}) == {}


@pytest.mark.parametrize("tty", [None, 5, "x", [1]])
def test_a_terminal_of_an_odd_kind_is_none(tty: Any) -> None:
    assert has_terminal({"Config": {"x": 1, "Tty": tty}}) is False


@pytest.mark.parametrize("version", ["", "x", "1", "1.x", "-1.4", "1.41.2.3", "9" * 40, 1.41, None, ["1.41"]])
def test_an_odd_version_is_not_read(version: Any) -> None:
    with pytest.raises(UnreadableAnswerError):
        api_version({"ApiVersion": version})


@pytest.mark.parametrize("parts", ODD)
def test_an_engine_with_odd_parts_is_not_podman(parts: Any) -> None:
    assert api_version({"ApiVersion": "1.41", "Components": parts}) == ("1.41", False)


def test_podman_is_known_by_its_parts_and_has_no_name_that_lasts() -> None:
    assert api_version({"ApiVersion": "1.44", "Components": [{"Name": "Podman Engine"}]}) == ("1.44", True)
    assert engine_facts({"ID": "8efaa69b"}, is_podman=True).id == ""
    assert engine_facts({"ID": "8efaa69b"}).id == "8efaa69b"


@pytest.mark.parametrize(
    "event", [5, None, [], ["error"], "error", {}, {"id": 5, "status": []}, {"error": None}]
)
def test_odd_progress_of_a_pull_is_passed_over(event: Any) -> None:
    assert list(pull_progress([event, {"status": "Done"}], TransientError))[-1] == "Done"


@pytest.mark.parametrize(
    ("named", "state", "is_there"),
    [
        (["/dockmgr-c1"], "removing", True),
        (["/dockmgr-c1"], "dead", True),
        ([], "removing", False),
        ([], "dead", False),
        ([], "running", True),
    ],
)
def test_a_container_that_is_listed_without_a_name_after_its_removal_is_gone(
    named: list[str], state: str, *, is_there: bool
) -> None:
    assert bool(container_summaries([{"Id": "c0ffee", "Names": named, "State": state}])) == is_there
