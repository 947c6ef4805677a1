"""How full hosts are: their instances, and the memory and CPUs promised to them, against the host's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from instances.admin.instance_list import UNHEALTHY
from instances.models import Health, Host, Incident, Instance, Plan

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
    out_of_reach: bool = False

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
        return (not self.out_of_reach, -self.unwell, -(self.percent or 0), -self.instances, self.host.name)


def loads(most: int | None = None) -> list[HostLoad]:
    """The hosts that need a look first; all of them, or the first `most`. Five queries."""
    found = {host.pk: HostLoad(host) for host in Host.objects.all()}
    _count_instances(found)
    _count_unwell(found)
    for host_id in Incident.objects.open().filter(kind="host").values_list("host_id", flat=True):
        if host_id in found:
            found[host_id].out_of_reach = True
    return sorted(found.values(), key=lambda load: load.rank)[:most]


def _count_instances(found: dict[int, HostLoad]) -> None:
    plans = {plan.pk: plan for plan in Plan.objects.defer("env")}
    rows = Instance.objects.present().order_by().values_list("host_id", "plan_id")
    for host_id, plan_id, count in rows.annotate(count=Count("*")):
        load, plan = found[host_id], plans[plan_id]
        load.instances += count
        load.cpus += count * plan.cpus
        load.memory += count * plan.memory / GB


def _count_unwell(found: dict[int, HostLoad]) -> None:
    wanted = Health.objects.filter(status__in=(*UNHEALTHY, "unknown")).order_by()
    rows = wanted.values_list("instance__host_id", "status").annotate(count=Count("*"))
    for host_id, status, count in rows:
        if status == "unknown":
            found[host_id].unknown += count
        else:
            found[host_id].unwell += count
