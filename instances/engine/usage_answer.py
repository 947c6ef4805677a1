"""An engine's statistics of a container, reduced to what it uses; read as hostile. Pure."""

from __future__ import annotations

from typing import Any

from instances.containers.facts import ContainerUsage
from instances.engine.answers import EntriesOf, ListOf, readable

ONCE = {"stream": "false", "one-shot": "true"}  # engines before 1.41 take two samples all the same
NO_LIMIT = 2**62  # what kernels say of memory and processes that are not limited
_LARGEST = 2**63 - 1
_MOST_PIDS = 2**31 - 1  # what the column holds
_USAGE: dict[str, Any] = {
    "read": str,
    "cpu_stats": {
        "cpu_usage": {"total_usage": int},
        "online_cpus": int,
        "throttling_data": {"periods": int, "throttled_periods": int},
    },
    "memory_stats": {
        "usage": int,
        "limit": int,
        "stats": {"total_inactive_file": int, "inactive_file": int},
    },
    "networks": EntriesOf({"rx_bytes": int, "tx_bytes": int}),
    "blkio_stats": {"io_service_bytes_recursive": ListOf({"op": str, "value": int}, ("op", "value"))},
    "pids_stats": {"current": int, "limit": int},
}


def container_usage(answer: object) -> ContainerUsage | None:
    """What a container uses; None when it does not run. Raises UnreadableAnswerError."""
    told = readable(answer, _USAGE)
    cpu, memory = told.get("cpu_stats") or {}, told.get("memory_stats") or {}
    pids, throttling = told.get("pids_stats") or {}, cpu.get("throttling_data") or {}
    total = (cpu.get("cpu_usage") or {}).get("total_usage") or 0
    if not total and not memory.get("usage"):
        return None
    networks = (told.get("networks") or {}).values()
    return ContainerUsage(
        cpu_ns=_counter(total),
        received=_counter(sum(each.get("rx_bytes") or 0 for each in networks)),
        sent=_counter(sum(each.get("tx_bytes") or 0 for each in networks)),
        block_read=_blocks(told, "read"),
        block_written=_blocks(told, "write"),
        periods=_counter(throttling.get("periods") or 0),
        throttled=_counter(throttling.get("throttled_periods") or 0),
        memory=_held(memory),
        memory_limit=_limit(memory.get("limit") or 0),
        pids=min(_counter(pids.get("current") or 0), _MOST_PIDS),
        pids_limit=_limit(pids.get("limit") or 0),
        cpus=_counter(cpu.get("online_cpus") or 0),
    )


def _held(memory: dict[str, Any]) -> int:
    """Without the pages of files that nobody uses, as `docker stats` has it."""
    stats, usage = memory.get("stats") or {}, memory.get("usage") or 0
    cache = stats.get("total_inactive_file") or stats.get("inactive_file") or 0
    return _counter(usage - cache if 0 <= cache <= usage else usage)


def _blocks(told: dict[str, Any], verb: str) -> int:
    entries = (told.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    return _counter(sum(each["value"] for each in entries if each["op"].lower() == verb))


def _limit(value: int) -> int:
    return 0 if value >= NO_LIMIT else _counter(value)


def _counter(value: int) -> int:
    return min(max(value, 0), _LARGEST)
