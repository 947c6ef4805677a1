"""Which container is an instance's own, whatever others did to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instances.containers.facts import ContainerSummary
from instances.containers.identity import Listing, Wanted, identify, way_on
from instances.containers.spec import OPERATION_LABEL as OPERATION
from instances.containers.spec import labels_for
from instances.engine.dependents import shares_with

WANTED = Wanted("c1", "own-id", "dockmgr-c1")
OURS = labels_for("c1", "pro")


def a(identity: str, name: str = "dockmgr-c1", state: str = "running", **labels: str) -> ContainerSummary:
    return ContainerSummary(identity, name, state, "sha256:1", labels)


def ours(identity: str, name: str = "dockmgr-c1", state: str = "running") -> ContainerSummary:
    return ContainerSummary(identity, name, state, "sha256:1", OURS)


WITH_DATA = Wanted("c1", "own-id", "dockmgr-c1", ("dockmgr-c1-data", "dockmgr-c1-more"))
MOUNTED = ("dockmgr-c1-data", "shared")
OF_ANOTHER = ContainerSummary("other", "dockmgr-c1", "running", "i", labels_for("c2", "pro"))
BY_ANOTHER_OPERATION = replace(ours("new"), labels={**OURS, OPERATION: "op-2"})

# What is on the host; the id of the own container, the finding, who serves, whether it is aside.
CASES = {
    "as it should be": ([ours("own-id")], "own-id", "", "own-id", False),
    "adopted, so without labels": ([a("own-id")], "own-id", "", "own-id", False),
    "nothing": ([], None, "", None, False),
    "renamed": ([ours("own-id", "c0ffee_c1")], "own-id", "renamed", "own-id", False),
    "renamed, stopped": ([ours("own-id", "c0ffee", "exited")], "own-id", "renamed", "own-id", False),
    "renamed beside a stranger": (
        [ours("own-id", "c0ffee"), a("other", state="exited")], "own-id", "renamed", "own-id", False,
    ),
    "put aside for a stranger": (
        [ours("own-id", "c0ffee", "exited"), a("other")], "own-id", "replaced", "other", True,
    ),
    "names changed for each other, stopped": (
        [ours("own-id", "dockmgr-c2", "exited"), OF_ANOTHER], "own-id", "renamed", "own-id", False,
    ),
    "put aside by a tool that copies labels": (
        [ours("own-id", "c0ffee", "exited"), ours("copy")], "own-id", "replaced", "copy", True,
    ),
    "put aside by an update that did not end": (
        [ours("own-id", "dockmgr-c1.previous", "exited"), BY_ANOTHER_OPERATION],
        "own-id", "renamed", "own-id", False,
    ),
    "made anew with its labels": ([ours("copy")], "copy", "replaced", "copy", False),
    "made anew, stopped": ([ours("copy", state="exited")], "copy", "replaced", "copy", False),
    "made anew under another name": ([ours("copy", "c1-new")], "copy", "replaced", "copy", False),
    "a copy that does not run": ([ours("copy", "c1-new", "exited")], None, "", None, False),
    "left behind by an update": ([ours("old", "dockmgr-c1.previous")], None, "", None, False),
    "a stranger in its place": ([a("other")], None, "replaced", "other", False),
    "another customer's labels": (
        [OF_ANOTHER], None, "replaced", "other", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_own_container_is_known_by_id_and_else_by_labels(case: str) -> None:
    there, own, finding, serves, aside = CASES[case]
    found = identify(WANTED, Listing.of(there))
    assert (found.container.id if found.container else None, found.finding) == (own, finding)
    assert (found.serves.id if found.serves else None, found.aside) == (serves, aside)
    assert bool(found.sentence) == bool(finding) == bool(way_on(found, "c1", adopted=False))
    assert not any(container.id in found.sentence for container in there if len(container.id) > 12)


def test_a_replacement_has_the_name_or_mounts_the_data() -> None:
    """An image made of a container has its labels, and so has what somebody runs of it to look into."""

    def found(*there: ContainerSummary) -> tuple[str | None, str | None]:
        it = identify(WITH_DATA, Listing.of(there))
        return (it.container.id if it.container else None, it.stranger.id if it.stranger else None)

    def without(identity: str, *name: str) -> ContainerSummary:
        return replace(ours(identity, *name), volumes=())

    assert found(without("look", "debug")) == (None, None)
    assert found(without("copy")) == ("copy", None)
    assert found(replace(ours("copy", "new"), volumes=MOUNTED), without("look", "debug")) == ("copy", None)
    assert found(without("own-id", "x"), without("look")) == ("own-id", "look")
    assert found(ours("copy", "new")) == ("copy", None), "its list does not tell what it mounts"
    reader = replace(ours("look", "debug"), volumes=MOUNTED, read_only=MOUNTED[:1])
    assert found(reader) == (None, None), "whoever only reads the data does not serve the customer"


def test_an_instance_whose_container_was_never_made_has_none() -> None:
    assert identify(Wanted("c1", "", "dockmgr-c1"), Listing.of([a("other", "x")])).container is None


def test_each_finding_has_one_way_on() -> None:
    def way(there: list[ContainerSummary], adopted: bool = False) -> str:
        return way_on(identify(WANTED, Listing.of(there)), "c1", adopted=adopted)

    assert "takes it over: restart --customer-id c1" in way([ours("copy")])
    assert "its name back: restart --customer-id c1" in way([ours("own-id", "x")])
    assert way([ours("own-id", "x", "exited"), a("other")]).startswith("Remove or rename the other one")
    assert "makes the instance's own anew" in way([a("other")])
    assert "adopt --customer-id c1" in way([a("other")], adopted=True)


@pytest.mark.parametrize(
    ("host_config", "shares"),
    [
        ({"NetworkMode": "container:abc"}, True),
        ({"NetworkMode": "container:dockmgr-c1"}, True),
        ({"PidMode": "container:abc", "NetworkMode": "bridge"}, True),
        ({"IpcMode": "container:abc"}, True),
        ({"NetworkMode": "container:abcdef"}, False),
        ({"NetworkMode": "abc", "PidMode": "", "IpcMode": "private"}, False),
        ({"NetworkMode": None, "PidMode": 3}, False),
        ({}, False),
    ],
)  # fmt: skip
def test_who_shares_a_namespace_depends_on_the_container(
    host_config: dict[str, object], shares: bool
) -> None:
    assert shares_with(host_config, {"abc", "dockmgr-c1"}) is shares
