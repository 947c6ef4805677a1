"""The processes between an engine and a container: what is stopped when one can't be handled."""

from __future__ import annotations

from pathlib import Path

from docker.models.containers import Container


def shim_and_programs(container: Container) -> list[int]:
    """Process ids on the host of a running container's shim and of everything in the container."""
    first = int(container.attrs["State"]["Pid"])
    if not first:
        return []
    fields = Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()
    told = container.top(ps_args="-o pid")
    return [int(fields[1]), *(int(row[0]) for row in told["Processes"])]
