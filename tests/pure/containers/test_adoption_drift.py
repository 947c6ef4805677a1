"""How an adopted container is told from what is kept of it, where health is asked, and the summary."""

from __future__ import annotations

from typing import Any

import pytest

from instances.containers import adoption, host_sources
from instances.containers.adoption_summary import summary
from tests.pure.container_samples import ID, IMAGE, a_container, a_volume, derived, joined

SECRET = "sk-4f9a-sentinel"


def test_nothing_differs_in_the_container_that_was_adopted() -> None:
    container = a_container(
        config={
            "Entrypoint": None,
            "StopTimeout": 0,
            "Env": ["MODE"],
            "Labels": {"version": "1", "team": "a"},
        },
        networks={"net": joined(Aliases=["gw", ID[:12]])},
        mounts=[a_volume("a1b2", "/data")],
    )
    assert adoption.drift(adoption.derive(container, IMAGE), container) == []


DRIFT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a limit": ({"Memory": 65}, ["HostConfig.Memory"]),
    "a limit that is gone": ({"Memory": 0}, ["HostConfig.Memory"]),
    "nothing said in another way": ({"Init": False, "Binds": []}, []),
    "something new that the document does not know": ({"Novelty": 1}, []),
    "a label that is gone": ({"config": {"Labels": {}}}, ["Config.Labels"]),
    "labels beyond": ({"config": {"Labels": {"team": "a", "dockmgr.managed": "true"}}}, []),
    "a user": ({"config": {"User": "app"}}, ["Config.User"]),
    "a network more": ({"networks": {"net": joined(), "x": joined()}}, ["Networks.x"]),
    "a network less": ({"networks": {}}, ["Networks.net"]),
    "an address": ({"networks": {"net": joined(IPAMConfig={"IPv4Address": "10.0.0.8"})}}, ["Networks.net"]),
    "an address not chosen, said in another way": ({"networks": {"net": joined(IPAMConfig={})}}, []),
    "a volume": ({"mounts": [a_volume("other", "/data")]}, ["HostConfig.Binds"]),
}


@pytest.mark.parametrize(("changes", "fields"), DRIFT.values(), ids=DRIFT)
def test_drift_is_named_field_by_field(changes: dict[str, Any], fields: list[str]) -> None:
    usual: dict[str, Any] = {
        "config": {"User": "root", "Labels": {"team": "a"}},
        "networks": {"net": joined()},
        "NetworkMode": "net",
    }
    changed = {**usual, **changes, "config": {**usual["config"], **changes.get("config", {})}}
    assert adoption.drift(derived(**usual), a_container(**changed)) == fields


def test_what_was_made_with_empty_folders_lists_its_mounts_in_another_order_and_differs_in_nothing() -> None:
    host: dict[str, Any] = {
        "Binds": ["/etc/gateway:/conf:ro"],
        "Mounts": [{"Type": "bind", "Source": "/more", "Target": "/more"}],
    }
    asked = host_sources.making_sources({"HostConfig": host})["HostConfig"]
    assert adoption.drift(derived(**host), a_container(**asked)) == []


OF_ONE_OPERATION = {"dockmgr.managed": "true", "dockmgr.operation": "one", "dockmgr.expires_at": "2026-01-01"}
OF_ANOTHER = {"dockmgr.managed": "true", "dockmgr.operation": "another"}


@pytest.mark.parametrize("kept_by_an_earlier_release", [False, True])
def test_what_dockmgr_made_and_adopted_keeps_no_labels_of_its_former_life(
    *, kept_by_an_earlier_release: bool
) -> None:
    document = derived(config={"Labels": {"team": "a", **OF_ONE_OPERATION}})
    assert document["Config"]["Labels"] == {"team": "a"}
    if kept_by_an_earlier_release:
        document["Config"]["Labels"] |= OF_ONE_OPERATION
    made = adoption.render(document, name="c", image="i:1", labels=OF_ANOTHER, env={})
    assert made["config"]["Labels"] == {"team": "a", **OF_ANOTHER}
    assert adoption.drift(document, a_container(config={"Labels": {"team": "a", **OF_ANOTHER}})) == []


@pytest.mark.parametrize(
    ("published", "port"),
    [([8080], 8080), ([9, 8080, 10], 8080), ([18789], 18789), ([1, 2], None), ([], None)],
)
def test_health_is_asked_at_the_plans_port_or_the_only_one(published: list[int], port: int | None) -> None:
    assert adoption.chosen_port(published, 8080) == port


@pytest.mark.parametrize(
    ("bindings", "changes"),
    [
        ([{"HostIp": "", "HostPort": "20001"}], False),
        ([{"HostIp": "", "HostPort": "0"}], True),
        ([{"HostIp": "", "HostPort": ""}], True),
        ([{"HostIp": "", "HostPort": "8000-8010"}], True),
        ([], True),
        (None, True),
    ],
)
def test_a_port_the_engine_chooses_is_known_as_such(bindings: Any, changes: bool) -> None:
    document = derived(PortBindings={"8080/tcp": bindings})
    assert adoption.port_changes(document, 8080) is changes


def test_the_summary_names_what_is_kept_and_shows_no_secret() -> None:
    document = derived(
        config={"Cmd": ["serve", f"--token={SECRET}"], "Env": ["GONE"], "Labels": {"team": SECRET}},
        networks={"net": joined(Aliases=["gw"], IPAMConfig={"IPv4Address": "10.0.0.9"})},
        NetworkMode="net", Privileged=True, NanoCpus=500_000_000, Memory=64 << 20, Binds=["v:/data"],
        Mounts=[{"Type": "tmpfs", "Target": "/t"}], Tmpfs={"/scratch": ""}, ExtraHosts=["db:10.0.0.1"],
        PortBindings={"8080/tcp": [{"HostIp": "", "HostPort": "20001"}]},
        RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 5},
        Ulimits=[{"Name": "nofile", "Soft": 1, "Hard": 2}],
        LogConfig={"Type": "splunk", "Config": {"splunk-token": SECRET}},
    )  # fmt: skip
    assert dict(summary(document, ["B", "A"])) == {
        "environment": "A, B",
        "without": "GONE",
        "command": "its own",
        "labels": "team",
        "mounts": "v:/data, tmpfs at /t, tmpfs at /scratch",
        "networks": "net as gw 10.0.0.9",
        "ports": "8080/tcp at every address:20001",
        "limits": "0.5 CPUs, 64 MiB",
        "restart policy": "on-failure, at most 5 times",
        "capabilities dropped": "ALL",
        "extra hosts": "db:10.0.0.1",
        "ulimits": "nofile 1:2",
        "log driver": "splunk",
        "note": "it is privileged: it can do anything to its host",
    }


@pytest.mark.parametrize(("asked", "wanted"), [(-1, "any time"), (1800, "1800 s"), (600, ""), (0, "")])
def test_the_summary_names_a_time_to_stop_that_it_is_not_given(asked: int, wanted: str) -> None:
    told = f"it asks for {wanted} to stop: dockmgr gives it 600 s, then kills it"
    rows = summary(derived(config={"StopTimeout": asked}), [])
    assert [text for _, text in rows if text.startswith("it asks for")] == ([told] if wanted else [])
