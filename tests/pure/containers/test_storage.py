"""Whose a volume is, as far as its labels say."""

from __future__ import annotations

import pytest

from instances.containers.spec import labels_for
from instances.containers.storage import is_foreign, owner

COMPOSE = {"com.docker.compose.project": "shop"}


@pytest.mark.parametrize(
    ("labels", "whose", "foreign", "foreign_to_adopted"),
    [
        ({}, "somebody who left no label of ours on it", False, False),
        ({"made": "by hand"}, "somebody who left no label of ours on it", True, False),
        (COMPOSE, "the compose project shop", True, False),
        (labels_for("c2", "pro"), "customer c2", True, True),
        (labels_for("c1", "pro"), "customer c1", False, False),
    ],
)
def test_what_labels_say_of_a_volume(
    labels: dict[str, str], whose: str, foreign: bool, foreign_to_adopted: bool
) -> None:
    assert owner(labels) == whose
    assert is_foreign(labels, "c1") is foreign
    assert is_foreign(labels, "c1", adopted=True) is foreign_to_adopted
