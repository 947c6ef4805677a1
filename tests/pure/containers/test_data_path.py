"""A path is one path however it is written: engines tell where a volume is in the shortest way."""

from __future__ import annotations

import pytest

from instances.containers.options import NO_OPTIONS, conflicts
from instances.containers.spec import InstanceSpec, PlanSpec, build
from instances.containers.storage import dropped
from instances.fleet.file import parse

SPELT = ["/data", "/data/", "//data", "/data/.", "/./data//"]


@pytest.mark.parametrize("path", SPELT)
def test_a_plan_keeps_the_shortest_way_to_write_it(path: str) -> None:
    [plan] = parse(f"plans: [{{name: p, data_path: '{path}', volumes: {{data: /data}}}}]").plans
    assert plan.columns()["data_path"] == "/data"


@pytest.mark.parametrize("path", SPELT)
def test_a_plan_that_has_it_in_another_way_mounts_it_where_the_engine_tells_it(path: str) -> None:
    plan = PlanSpec(name="p", image="a:1", cpus=1, memory=1, container_port=1, data_path=path)
    spec = build(plan, InstanceSpec("c1", "127.0.0.1", 20001))
    assert spec.volumes == {"dockmgr-c1-data": "/data"}
    tmpfs = NO_OPTIONS.model_copy(update={"tmpfs": {"/data": ""}})
    assert list(conflicts(tmpfs, path, 8080)) == [f"{path} is the data_path already"]


@pytest.mark.parametrize("path", SPELT)
def test_data_that_was_noted_in_another_way_is_not_lost(path: str) -> None:
    assert dropped({"v": path}, {"v": "/data"}) == dropped({"v": "/data"}, {"v": path}) == []
    assert dropped({"v": path}, {"v": "/other"}) == [f"v at {path}"]
    assert dropped({"v": path}, {"w": "/data"}) == [f"v at {path}"]
