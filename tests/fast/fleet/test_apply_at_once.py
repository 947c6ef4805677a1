"""Fleet files that are applied at the same moment: none fails, and all is as one of them says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import IntegrityError

from instances.errors import BusyError
from instances.fleet import apply as applying
from instances.fleet.apply import FleetChange, apply, rehearse
from instances.fleet.file import parse
from instances.models import Plan
from tests.factories import World
from tests.fast.side_by_side import side_by_side

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = [f"new{number:02}" for number in range(10)]


def plans(names: Sequence[str], cpus: float) -> Callable[[], list[FleetChange]]:
    text = "plans: [" + ", ".join(f"{{name: {name}, cpus: {cpus}}}" for name in names) + "]"
    return lambda: apply(parse(text))


@pytest.mark.parametrize("are_there", [False, True], ids=["new plans", "plans that are there"])
def test_the_same_plans_in_opposite_order_do_not_wait_in_a_circle(world: World, are_there: bool) -> None:
    if are_there:
        plans(NAMES, 9)()
    for round_ in range(3):
        cpus = [round_ * 2 + 1.0, round_ * 2 + 2.0]
        assert side_by_side(plans(NAMES, cpus[0]), plans(NAMES[::-1], cpus[1])) == []
        [left] = set(Plan.objects.filter(name__in=NAMES).values_list("cpus", flat=True))
        assert left in cpus


def test_what_changed_is_told_in_the_order_of_the_file(world: World) -> None:
    assert [change.name for change in plans(["b", "c", "a"], 1)()] == ["b", "c", "a"]


def others_first(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """As on PostgreSQL, where a row that another transaction makes shows first when it is to be made."""
    left, one = [times], applying._create_or_update

    def met(*given: Any) -> FleetChange | None:
        if left[0]:
            left[0] -= 1
            raise IntegrityError("UNIQUE constraint failed: instances_plan.name")
        return one(*given)

    monkeypatch.setattr(applying, "_create_or_update", met)


def test_who_comes_second_with_a_new_plan_works_with_what_is_there_now(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    others_first(monkeypatch, 1)
    assert [change.name for change in plans(["new"], 1)()] == ["new"]
    others_first(monkeypatch, 1)
    assert rehearse(parse("plans: [{name: new, cpus: 2}]")).changes[0].action == "updated"


def test_who_always_comes_second_is_told_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    others_first(monkeypatch, 9)
    with pytest.raises(BusyError, match="Somebody else changes plan new at the same moment"):
        plans(["new"], 1)()
