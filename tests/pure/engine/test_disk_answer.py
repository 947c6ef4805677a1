"""What an engine says of its disk, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from instances.containers.facts import DiskUse
from instances.engine.answers import UnreadableAnswerError
from instances.engine.disk_answer import disk_use


def volume(name: object, size: object) -> dict[str, Any]:
    return {"Name": name, "Driver": "local", "UsageData": {"RefCount": 1, "Size": size}}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (
            {
                "LayersSize": 5,
                "Images": [{"Id": "sha256:1", "Size": 5}],
                "Containers": [{"Id": "c1", "SizeRw": 4096, "SizeRootFs": 9}, {"Id": "c2"}],
                "Volumes": [volume("v1", 100), volume("v2", 0)],
            },
            DiskUse({"c1": 4096, "c2": 0}, {"v1": 100, "v2": 0}),
        ),
        ({"Containers": None, "Volumes": None}, DiskUse()),
        ({}, DiskUse()),
        (
            {
                "Containers": [{"SizeRw": 1}, 7, {"Id": "c1", "SizeRw": -5}, {"Id": "c2", "SizeRw": "much"}],
                "Volumes": [
                    volume("remote", -1),
                    volume(5, 5),
                    {"Name": "v", "UsageData": None},
                    volume("x", 2**70),
                    volume("y", 2**51),
                ],
            },
            DiskUse({"c2": 0}, {}),
        ),
    ],
)
def test_what_is_measured_is_read_and_the_rest_is_left_out(answer: object, found: DiskUse) -> None:
    assert disk_use(answer) == found


@pytest.mark.parametrize("answer", [None, [], "df"])
def test_what_is_no_answer_is_refused(answer: object) -> None:
    with pytest.raises(UnreadableAnswerError):
        disk_use(answer)
