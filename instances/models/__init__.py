"""What dockmgr remembers: the fleet, its health, and every change made to it."""

from instances.models.applied import Applied
from instances.models.channel import Channel
from instances.models.fleet import Host, Plan, Port
from instances.models.health import Health, HealthCheck
from instances.models.instance import Instance
from instances.models.operation import Operation
from instances.models.sweep import Sweep

__all__ = [
    "Applied",
    "Channel",
    "Health",
    "HealthCheck",
    "Host",
    "Instance",
    "Operation",
    "Plan",
    "Port",
    "Sweep",
]
