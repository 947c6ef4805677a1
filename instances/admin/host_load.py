"""How full hosts are: their instances, and the memory and CPUs promised to them, against the host's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from instances.admin.instance_list import UNHEALTHY
from instances.incidents.hosts import OUT_OF_REACH, open_on_hosts, trouble_shown
from instances.models import Host, Plan
from instances.models.counting import Numbers, count_by

GB = 1024**3


@dataclass
class HostLoad:
    """One host; CPUs and memory (GB) are what the plans of its instances allow them together."""

    host: Host
    instances: int = 0
    unwell: int = 0
    unknown: int = 0
    cpus: float = 0.0
    memory: float = 0.0
    trouble: str = ""  # what its open incident says, as a state

    @property
    def out_of_reach(self) -> bool:
        return self.trouble == OUT_OF_REACH

    @property
    def percent(self) -> int | None:
        """Of the instances it may have; None without a limit."""
        most = self.host.max_instances
        return round(100 * self.instances / most) if most else None

    @property
    def words(self) -> str:
        room = f" of {self.host.max_instances}" if self.host.max_instances else ""
        unknown = f", {self.unknown} of unknown health" if self.unknown else ""
        cordoned = ", cordoned" if self.host.cordoned else ""
        last = " when last seen" if self.out_of_reach else ""
        return f"{self.instances}{room} instances, {self.unwell} unwell{unknown}{cordoned}{last}"

    @property
    def may_promise(self) -> float | None:
        """GB of memory; None without a limit."""
        most = self.host.max_memory
        return None if most is None else most * self.host.overcommit / GB

    @property
    def rank(self) -> tuple[Any, ...]:
        """Hosts in trouble first, then the fullest."""
        return (
            not self.out_of_reach,
            not self.trouble,
            -self.unwell,
            -(self.percent or 0),
            -self.instances,
            self.host.name,
        )


def loads(counted: Numbers | None = None) -> list[HostLoad]:
    """All hosts, those that need a look first; those `counted` by host and plan, if known already."""
    found = {host.pk: HostLoad(host) for host in Host.objects.all()}
    _count_instances(found, count_by("host_id", "plan_id") if counted is None else counted)
    for incident in sorted(open_on_hosts(), key=lambda incident: incident.resolve_at is None):
        if load := found.get(incident.host_id or 0):
            load.trouble = trouble_shown(incident)
    return sorted(found.values(), key=lambda load: load.rank)


def _count_instances(found: dict[int, HostLoad], counted: Numbers) -> None:
    plans = {plan.pk: plan for plan in Plan.objects.defer("env")}
    for (host_id, plan_id, status), count in counted.items():
        load, plan = found.get(host_id), plans.get(plan_id)
        if load is None or plan is None:  # added since they were read
            continue
        load.instances += count
        load.cpus += count * plan.cpus
        load.memory += count * plan.memory / GB
        load.unwell += count if status in UNHEALTHY else 0
        load.unknown += count if status == "unknown" else 0
