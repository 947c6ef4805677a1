"""Containers somebody else made, for the tests of adopting and of what was adopted."""

from __future__ import annotations

import copy
from typing import Any

from instances.containers import host_sources
from instances.containers.facts import ContainerFacts
from instances.containers.spec import ContainerSpec
from instances.models import Instance
from tests.factories import IMAGE, SECRET, World
from tests.fast.conftest import Ran, Run

NAME = "gateway"
PORT = 18080
OWN: dict[str, Any] = {
    "Config": {"Labels": {"team": "a"}, "Cmd": [f"--token={SECRET}"], "StopTimeout": 77},
    "HostConfig": {
        "NetworkMode": "customers",
        "Binds": ["gateway-data:/data", "/etc/gateway:/conf:ro"],
        "PortBindings": {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(PORT)}]},
        "Memory": 64 << 20,
        "RestartPolicy": {"Name": "always"},
    },
    "Networks": {
        "customers": {"IPAMConfig": None, "Links": None, "Aliases": ["gw"], "DriverOpts": None},
        "audit": {"IPAMConfig": None, "Links": None, "Aliases": None, "DriverOpts": None},
    },
}


def existing(world: World, name: str = NAME, **host: Any) -> str:
    """A container somebody else made and runs."""
    document = copy.deepcopy(OWN)
    document["HostConfig"] |= host
    identity = world.engine.create(
        ContainerSpec(name=name, image=IMAGE, labels={}, env={"API_KEY": SECRET, "TZ": "UTC"}, raw=document)
    )
    world.engine.start(identity)
    world.engine.starts.clear()
    return identity


def words(**changes: str) -> list[str]:
    options = {"customer-id": "c1", "subdomain": "c1.example.com", "container": NAME, **changes}
    return ["adopt", *(word for key, value in options.items() for word in (f"--{key}", value))]


def adopted(world: World, run: Run, **host: Any) -> Instance:
    existing(world, **host)
    assert run(*words()).code == 0
    return Instance.objects.get()


def facts_of(world: World, container: str = NAME) -> ContainerFacts:
    facts = world.engine.inspect(container)
    assert facts
    return facts


def described(world: World, container: str = NAME) -> dict[str, Any]:
    """What a container is, without what each has of its own, and without our labels.

    What is mounted of the host is told in one of its two ways.
    """
    answer = world.engine.describe(container)
    assert answer
    labels = {k: v for k, v in answer["Config"]["Labels"].items() if not k.startswith("dockmgr.")}
    config = {k: v for k, v in answer["Config"].items() if k not in ("Hostname", "Image", "Env")}
    return {
        "Config": {**config, "Labels": labels},
        "Env": facts_of(world, container).env,
        "HostConfig": host_sources.checking_sources(answer)["HostConfig"],
        "Networks": {
            name: {key: value for key, value in endpoint.items() if key != "IPAddress"}
            for name, endpoint in answer["NetworkSettings"]["Networks"].items()
        },
    }


def refused(ran: Ran, sentence: str) -> None:
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran
    assert ran.err.startswith(sentence)
    assert ran.document == {"error": ran.err.strip()}
