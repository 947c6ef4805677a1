"""An engine's statistics, of both kinds of cgroups, and what only looks like some."""

from __future__ import annotations

from typing import Any

import pytest

from instances.containers.facts import ContainerUsage
from instances.engine.answers import UnreadableAnswerError
from instances.engine.usage_answer import container_usage

CGROUP1: dict[str, Any] = {
    "read": "2026-11-28T16:10:03.323401007Z",
    "pids_stats": {"current": 3, "limit": 64},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "Read", "value": 4096},
            {"major": 8, "minor": 0, "op": "Write", "value": 512},
            {"major": 8, "minor": 0, "op": "Total", "value": 4608},
        ]
    },
    "cpu_stats": {
        "cpu_usage": {"total_usage": 53165346},
        "online_cpus": 2,
        "throttling_data": {"periods": 8, "throttled_periods": 2, "throttled_time": 5},
    },
    "memory_stats": {"usage": 757760, "stats": {"total_inactive_file": 8192}, "limit": 67108864},
    "networks": {"eth0": {"rx_bytes": 806, "tx_bytes": 1}, "eth1": {"rx_bytes": 4, "tx_bytes": 2}},
}
SEEN = ContainerUsage(
    cpu_ns=53165346, received=810, sent=3, block_read=4096, block_written=512, periods=8, throttled=2,
    memory=749568, memory_limit=67108864, pids=3, pids_limit=64, cpus=2,
)  # fmt: skip


def test_both_kinds_of_cgroups_say_the_same() -> None:
    blocks = [{"op": "read", "value": 4096}, {"op": "write", "value": 512}]
    cgroup2 = {
        **CGROUP1,
        "blkio_stats": {"io_service_bytes_recursive": blocks},
        "memory_stats": {"usage": 757760, "stats": {"inactive_file": 8192}, "limit": 67108864},
    }
    assert container_usage(CGROUP1) == container_usage(cgroup2) == SEEN


def test_no_limit_is_none() -> None:
    answer = {
        **CGROUP1,
        "memory_stats": {"usage": 10, "limit": 2**63 - 4096},
        "pids_stats": {"current": 1, "limit": 2**64 - 1},
    }
    found = container_usage(answer)
    assert found
    assert (found.memory, found.memory_limit, found.pids_limit) == (10, 0, 0)


def test_a_container_that_does_not_run_uses_nothing() -> None:
    stopped = {"read": "0001-01-01T00:00:00Z", "cpu_stats": {"cpu_usage": {"total_usage": 0}}}
    assert container_usage({**stopped, "memory_stats": {}, "blkio_stats": {}}) is None


@pytest.mark.parametrize("answer", [None, [], "no", 5])
def test_what_is_no_answer_is_refused(answer: object) -> None:
    with pytest.raises(UnreadableAnswerError):
        container_usage(answer)


@pytest.mark.parametrize(
    "changes",
    [
        {"networks": {"eth0": None}, "pids_stats": [], "blkio_stats": {"io_service_bytes_recursive": None}},
        {"pids_stats": {"current": 2**62}},
        {"networks": {"eth0": {"rx_bytes": -5}}, "memory_stats": {"usage": 5, "stats": {"inactive_file": 9}}},
        {"blkio_stats": {"io_service_bytes_recursive": [{"op": "read"}, {"value": 3}, "x", {"op": 1}]}},
    ],
)
def test_odd_parts_are_left_out(changes: dict[str, Any]) -> None:
    found = container_usage({**CGROUP1, **changes})
    assert found
    assert found.cpu_ns == SEEN.cpu_ns
    assert min(found.received, found.memory, found.block_read, found.pids) >= 0
    assert found.pids < 2**31
