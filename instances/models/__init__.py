"""What dockmgr remembers: the fleet, its health, and every change made to it."""

from instances.models.access import ApiRequest, ApiToken, AuditEntry
from instances.models.applied import Applied
from instances.models.bulk import Bulk
from instances.models.channel import Channel, Notification, Pulse
from instances.models.feed import FeedEvent
from instances.models.fleet import FreedPort, Host, HostWatch, PendingPurge, Plan, Port
from instances.models.health import Health, Transition
from instances.models.history import CheckDay, CheckHour, FormerCheck, HealthCheck, HistoryProgress
from instances.models.incident import Incident, IncidentEvent, Mute, NotifiedState
from instances.models.instance import Instance
from instances.models.last_words import LastWords
from instances.models.operation import Operation
from instances.models.outside import OutsideCheck, OutsideTransition
from instances.models.registry import Registry
from instances.models.sweep import Sweep
from instances.models.tally import Tally
from instances.models.usage import Usage, UsageDay, UsageHour

__all__ = [
    "ApiRequest",
    "ApiToken",
    "Applied",
    "AuditEntry",
    "Bulk",
    "Channel",
    "CheckDay",
    "CheckHour",
    "FeedEvent",
    "FormerCheck",
    "FreedPort",
    "Health",
    "HealthCheck",
    "HistoryProgress",
    "Host",
    "HostWatch",
    "Incident",
    "IncidentEvent",
    "Instance",
    "LastWords",
    "Mute",
    "Notification",
    "NotifiedState",
    "Operation",
    "OutsideCheck",
    "OutsideTransition",
    "PendingPurge",
    "Plan",
    "Port",
    "Pulse",
    "Registry",
    "Sweep",
    "Tally",
    "Transition",
    "Usage",
    "UsageDay",
    "UsageHour",
]
