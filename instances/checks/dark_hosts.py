"""Hosts whose engine is known to be out of reach: one instance is looked at for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from instances.checks.check_requests import CheckRequest, request_for
from instances.checks.observe import Check, unseen
from instances.engine.pool import EngineAddress
from instances.incidents.hosts import engines_out_of_reach
from instances.models import Instance
from instances.outside import engine_address


@dataclass
class Plan:
    """How a number of instances is to be looked at.

    `usual` are on hosts nothing speaks against. `leads` are requests for the one instance each dark
    host is judged by. `unseen` is what is known of all others without looking.
    """

    usual: list[Instance] = field(default_factory=list)
    leads: list[CheckRequest] = field(default_factory=list)
    unseen: list[Check] = field(default_factory=list)


def plan_checks(instances: Sequence[Instance], now: datetime, sweep_id: str | None = None) -> Plan:
    """Tell what must be looked at from what is known. Two statements, whatever the number."""
    dark = engines_out_of_reach()
    plan, led = Plan(), set[int]()
    for instance in instances:
        if instance.host_id not in dark:
            plan.usual.append(instance)
            continue
        request = replace(request_for(instance, None), sweep_id=sweep_id)
        if instance.host_id in led:
            plan.unseen.append(unseen(request, dark[instance.host_id].message, now))
        else:
            led.add(instance.host_id)
            plan.leads.append(replace(request, leads=True))
    return plan


def dark_engines() -> dict[EngineAddress, str]:
    """The engines that are known to be out of reach, each with the sentence that says why."""
    found = engines_out_of_reach().values()
    return {engine_address(incident.host): incident.message for incident in found if incident.host}
