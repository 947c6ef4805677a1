"""What carries our labels and belongs to nobody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from instances.containers.facts import ContainerSummary
from instances.containers.orphans import (
    KEPT,
    NO_INSTANCE,
    NOT_ITS_DATA,
    NOT_ITS_OWN,
    PURGED_LATER,
    THROWAWAY,
    Holding,
    Known,
    is_over,
    nobody_meant,
    orphaned,
)
from instances.containers.spec import labels_for

HELD = {
    "c1": Holding("own", frozenset({"dockmgr-c1-data"})),
    "c2": Holding("own", frozenset(), changing=True),
}


def container(identity: str, customer_id: str, expires: str | None = None) -> ContainerSummary:
    name, labels = f"dockmgr-{customer_id}-{identity}", labels_for(customer_id, "pro", expires)
    return ContainerSummary(identity, name, "running", "sha256:1", labels)


def test_what_no_instance_has_is_named_with_the_reason() -> None:
    containers = [
        container("own", "c1"),
        container("left", "c1"),
        container("next", "c2"),
        container("new", "c3"),
        container("trial", "c4", "2026-01-01"),
        ContainerSummary("x", "a-stranger", "running", "sha256:1", {}),
    ]
    volumes = {
        "dockmgr-c1-data": labels_for("c1", "pro"),
        "dockmgr-c1-old": labels_for("c1", "pro"),
        "dockmgr-c3-data": labels_for("c3", "pro"),
        "dockmgr-c4-data": labels_for("c4", "pro", "2026-01-01"),
        "dockmgr-c5-data": labels_for("c5", "pro"),
        "dockmgr-c5-held": labels_for("c5", "pro"),
        "a-strangers": {},
    }
    found = orphaned(
        containers, volumes, Known(HELD, left={"c5"}, purged={"dockmgr-c5-held", "dockmgr-c1-data"})
    )
    assert [(each.name, each.customer_id, each.why) for each in found] == [
        ("dockmgr-c1-left", "c1", NOT_ITS_OWN),
        ("dockmgr-c3-new", "c3", NO_INSTANCE),
        ("dockmgr-c4-trial", "c4", THROWAWAY),
        ("dockmgr-c1-old", "c1", NOT_ITS_DATA),
        ("dockmgr-c3-data", "c3", NO_INSTANCE),
        ("dockmgr-c4-data", "c4", THROWAWAY),
        ("dockmgr-c5-data", "c5", KEPT),
        ("dockmgr-c5-held", "c5", PURGED_LATER),
    ]
    assert [each.customer_id for each in nobody_meant(found)] == ["c1", "c3", "c1", "c3"]


NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expires", "over"),
    [
        ("2026-01-01T00:00:00+00:00", True),
        ("2026-01-03T00:00:00+00:00", False),
        (None, False),
        ("soon", False),
        ("2026-01-01", False),  # of which zone is not said
    ],
)
def test_what_was_made_for_a_while_is_over_once_its_time_has_come(expires: str | None, over: bool) -> None:
    labels = labels_for("c3", "pro", expires)
    assert is_over(labels, NOW) is over
    assert not is_over({**labels, "dockmgr.managed": "no"}, NOW)
