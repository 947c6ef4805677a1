"""What an instance's changing health means for its incident: pure decisions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from instances.containers.identity import PAUSED
from instances.health.outages import is_flapping
from instances.health.state import Policy, State, Status

FLEET = "fleet"  # the key of the incident of all hosts together, and its kind
BLIND = "fleet:self_test"  # that of dockmgr's test of itself, where the one of all hosts is open in vain
SELF = "self"  # the key of the incident of dockmgr itself, and its kind
OPERATION = "operation"  # the kind of the incident of an operation that does not come to its end
CONTAINER = "container"  # the kind of the incident of a container that others renamed or replaced
CERTIFICATE = "certificate"  # the kind of the incident of a host whose certificates end soon
ORPHANS = "orphans"  # the kind of the incident of what belongs to no instance on a host
RESOURCES = "resources"  # the kind of the incident of a container that is near one of its limits
OUTSIDE = "outside"  # the kind of the incident of public addresses through which customers do not get
CRASHING = "crashing"  # the cause of one of a container that dies, and that its engine starts again
LOG = "log"  # the kind of the incident of what a plan wants to be told of from logs
USUAL_PAUSE = timedelta(minutes=10)  # of a container: long enough for a backup; nobody is told of less
TOGETHER = timedelta(seconds=60)  # until many public addresses are told of: by then most have been asked
ALONE = timedelta(seconds=120)  # until one of them is: by then it is seen whether there are many
_HOST = "host:"
_WAVE = "wave:"
_OF_PLACE = {"proxy": "at", "zone": "of", "host": "before host"}
_CLOCK = "clock:"
KEY_LENGTH = 128


# What incidents are known by: at most one is open per key.


def instance_key(customer_id: str) -> str:
    return f"health:{customer_id}"


def host_key(host_name: str) -> str:
    return f"{_HOST}{host_name}"


def wave_key(host_name: str) -> str:
    """What a wave is known by that begins while the host's own incident is open only because it flaps."""
    return f"{_WAVE}{host_name}"


def is_wave_key(key: str) -> bool:
    """Whether it is that of a wave with an incident of its own."""
    return key.startswith(_WAVE)


def operation_key(operation_id: UUID) -> str:
    return f"{OPERATION}:{operation_id}"


def operation_in(key: str) -> str:
    """The operation's id in the key of an operation's incident."""
    return key.removeprefix(f"{OPERATION}:")


def clock_key(machine: str) -> str:
    """What the incident of a machine's clock is known by, shortened to what a key may be."""
    return f"{_CLOCK}{machine}"[:KEY_LENGTH]


def clock_in(key: str) -> str:
    """The machine in the key of a clock's incident; empty for any other key."""
    return key.removeprefix(_CLOCK) if key.startswith(_CLOCK) else ""


def container_key(customer_id: str) -> str:
    return f"{CONTAINER}:{customer_id}"


def crashes_key(customer_id: str) -> str:
    """What the incident of crashes is known by that the engine of a customer's container made good."""
    return f"{CONTAINER}:{CRASHING}:{customer_id}"


def certificate_key(host_name: str) -> str:
    return f"{CERTIFICATE}:{host_name}"


def orphans_key(host_name: str) -> str:
    return f"{ORPHANS}:{host_name}"


def resources_key(customer_id: str, what: str) -> str:
    """What the incident of a customer's container that is near a limit is known by."""
    return f"{RESOURCES}:{what}:{customer_id}"


def log_key(customer_id: str, alert: str) -> str:
    """What the incident of a customer's log is known by for one of the alerts of his plan."""
    return f"{LOG}:{alert}:{customer_id}"


def outside_key(shared: str, name: str) -> str:
    """What the incident of public addresses is known by that share where the trouble lies."""
    return f"{OUTSIDE}:{shared}:{name}"


def outside_place(key: str) -> tuple[str, str] | None:
    """What is shared, and its name, in the key of many public addresses' incident; None for that of one."""
    kind, _, name = key.removeprefix(f"{OUTSIDE}:").partition(":")
    return None if kind == "customer" else (kind, name)


def first_told_after(kind: str, cause: str, key: str) -> timedelta:
    """How long trouble has to last until anybody is told, where that lies in its kind."""
    if kind == OUTSIDE:
        return TOGETHER if outside_place(key) else ALONE
    return USUAL_PAUSE if kind == CONTAINER and cause == PAUSED else timedelta(0)


def at_fault(place: tuple[str, str], cause: str) -> str:
    """What is at fault for many public addresses, as the subject of a sentence."""
    kind, name = place
    if kind == "all":
        return "The way to all public addresses"
    if kind == "host" and cause == "proxy":
        return f"The way from the proxy to host {name}"
    called = {"proxy": "The proxy", "tls": "TLS", "dns": "DNS"}.get(cause, "The way")
    return f"{called} {_OF_PLACE.get(kind, 'of')} {name}"


def host_in(key: str) -> str:
    """The host's name in the key of a host's incident; empty for any other key."""
    of_host, _, name = key.partition(":")
    return name if f"{of_host}:" in (_HOST, _WAVE) else ""


class Severity(StrEnum):
    """How bad it is, in rising order."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


# What a channel may know of an incident, beside that it is over.
NOTHING = ""  # as good as never told; after a refusal it is told at the moment the state is of
TROUBLE = (Severity.WARNING.value, Severity.CRITICAL.value)
AGAIN = "again"  # was told of trouble; is told anew, at once or at the moment the state is of, and of the end
KNOWS_TROUBLE = (*TROUBLE, AGAIN)
LOGGED = "logged"  # a line of the timeline: what was told in the log alone, for want of a channel


def worse(one: str, other: str) -> Severity:
    """The worse of two severities: within an incident severity only rises."""
    return max(Severity(one), Severity(other), key=lambda severity: severity.rank)


class Availability(StrEnum):
    """What a customer had at a moment; only up and down count for uptime."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"
    UNWATCHED = "unwatched"


def availability(state: State) -> Availability:
    """Down from the first failure on, until as many successes in a row as end an outage."""
    if state.status is Status.PAUSED:
        return Availability.UNWATCHED
    if state.status is Status.UNKNOWN:
        return Availability.UNKNOWN
    if state.down_since is not None:
        return Availability.DOWN
    if state.status is Status.HEALTHY:
        return Availability.UP
    return Availability.UNKNOWN  # it starts, or is restarted by hand: nobody called it down


def severity_of(state: State, policy: Policy) -> Severity:
    """Warning at `failure_threshold` failures in a row, critical when dockmgr has given up.

    The third reason to be critical, being down for too long, is a deadline and not a state:
    `escalate_due` of `incidents/deadlines.py`.
    """
    if state.status is Status.FAILED:
        return Severity.CRITICAL
    return Severity.WARNING if state.failures >= policy.failure_threshold else Severity.INFO


@dataclass(frozen=True)
class Effect:
    """What a change of health does to the incident of the instance.

    `begins` starts a stretch of being down, in a new incident or, when `again`, in the last one.
    `raises` is the severity now called for. `ends` finishes the stretch; with `abandoned` nobody
    looks any more, so the incident is closed whatever the instance does. A `flapping` incident is
    not over when a stretch ends, but when it has stayed clean.
    """

    begins: bool = False
    again: bool = False
    raises: Severity | None = None
    restart: bool = False
    ends: bool = False
    abandoned: bool = False
    moved: bool = False
    flapping: bool = False


def effect(before: State, after: State, policy: Policy) -> Effect | None:
    """What follows from `before` having become `after`, or None when no incident is concerned."""
    was_down, is_down = before.down_since is not None, after.down_since is not None
    if not was_down and not is_down:
        return None
    begins = is_down and not was_down
    called_for = severity_of(after, policy)
    rises = (
        is_down and called_for is not Severity.INFO and (begins or called_for != severity_of(before, policy))
    )
    found = Effect(
        begins=begins,
        again=begins and after.flaps > 0,
        raises=called_for if rises else None,
        restart=after.status is Status.RESTARTING and before.status is not Status.RESTARTING,
        ends=was_down and not is_down,
        abandoned=after.status is Status.PAUSED,
        moved=before.status is not after.status,
    )
    return replace(found, flapping=is_flapping(after, policy)) if found != Effect() else None
