"""Hosts as a whole: which are under suspicion, what is left down on one, where nothing may be healed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Q, QuerySet, Value, When

from instances.db.locks import lock_in_order
from instances.incidents import mutes
from instances.incidents.rules import FLEET
from instances.models import Host, HostWatch, Incident, Instance

ENGINE = "engine"  # the cause of a host's incident whose engine is out of reach
MISCONFIGURED = "configuration"  # of one that can't be reached in the way it is set up
ANOTHER_ENGINE = "another_engine"  # of one at whose address another engine answers
DATA_LOST = "data_lost"  # of one whose engine has lost its containers and their data
WAVE = "wave"  # the cause of one whose instances began to fail together
HALF_ARE_BAD = "hosts"  # the cause of the fleet's incident while half of all hosts are in trouble
OUT_OF_REACH = "out_of_reach"  # the state a host is shown in while its engine can't be asked
_HALF_WERE_BAD = Q(cause=HALF_ARE_BAD, flapping=True, resolve_at__isnull=False)
_SHOWN = {
    ENGINE: OUT_OF_REACH,
    MISCONFIGURED: OUT_OF_REACH,
    ANOTHER_ENGINE: "another_engine_answers",
    DATA_LOST: "has_lost_its_data",
    WAVE: "answers_but_many_fail",
}


@transaction.atomic(savepoint=False)
def suspect(host_ids: Iterable[int], now: datetime) -> None:
    """Have the engines of these hosts asked soon, because something failed there.

    Hosts that are to be asked soon anyway are left alone, and one that was asked just now is asked an
    interval later. At most three statements, whatever the number.
    """
    ids = sorted(set(host_ids))
    interval = timedelta(seconds=settings.HOST_ASK_INTERVAL)
    soon = now + interval
    calm = lock_in_order(HostWatch.objects.filter(Q(ask_at=None) | Q(ask_at__gt=soon), host__in=ids))
    if calm:
        rows, lately = HostWatch.objects.filter(pk__in=calm), Q(asked_at__gt=now - interval)
        rows.update(ask_at=Case(When(lately, then=Value(soon)), default=Value(now)))
    if len(calm) < len(ids):
        HostWatch.objects.bulk_create(
            [HostWatch(host_id=host_id, ask_at=now) for host_id in ids], ignore_conflicts=True
        )


def watch_all() -> None:
    """Have a row for every host in which is written down what its engine showed."""
    unwatched = Host.objects.filter(watch=None).values_list("pk", flat=True)
    HostWatch.objects.bulk_create([HostWatch(host_id=pk) for pk in unwatched], ignore_conflicts=True)


def host_summary(host_id: int) -> str:
    """How many active instances of the host are down now, as a sentence."""
    name = Host.objects.values_list("name", flat=True).get(pk=host_id)
    active = Instance.objects.active().filter(host=host_id)
    down = active.filter(health__down_since__isnull=False).count()
    still = "is still down" if down == 1 else "are still down"
    return f"{down} of {active.count()} instances of host {name} {still}"


def open_on_hosts() -> QuerySet[Incident]:
    """Incidents of hosts that are open, their grace included."""
    return Incident.objects.open().filter(kind="host")


def fleet_in_trouble() -> QuerySet[Incident]:
    """Incidents of the fleet that go on. One that comes and goes is open for a while after its trouble."""
    return Incident.objects.open().filter(kind=FLEET).exclude(_HALF_WERE_BAD)


def fleet_lingers() -> bool:
    """Whether the fleet's incident is open only because it flaps: fewer hosts are in trouble by now."""
    return Incident.objects.open().filter(_HALF_WERE_BAD, key=FLEET).exists()


def lingers(incident: Incident) -> bool:
    """Whether a host's incident is open only because it flaps: its trouble and the usual grace are over."""
    return incident.flapping and incident.down_since is None and incident.resolve_at is not None


def unsettled_hosts() -> QuerySet[Incident]:
    """Incidents of hosts that are in trouble, or in the grace after it: all but those that only linger."""
    return open_on_hosts().exclude(flapping=True, down_since=None, resolve_at__isnull=False)


def trouble_shown(incident: Incident) -> str:
    """The state in which a host with this open incident is shown."""
    return "is_back" if incident.resolve_at else _SHOWN.get(incident.cause, "in_trouble")


def engines_out_of_reach() -> dict[int, Incident]:
    """Hosts whose engine is out of reach, by the incident that says so; one in its grace is seen again."""
    dark = open_on_hosts().filter(cause__in=(ENGINE, MISCONFIGURED), resolve_at=None, host__isnull=False)
    return {incident.host_id: incident for incident in dark.select_related("host") if incident.host_id}


def healing_held(instance: Instance, now: datetime) -> bool:
    """Whether nothing is restarted automatically there: its host or the fleet is in trouble, or a mute.

    A wave is no such trouble, for customers can cause it; nor is a trouble that has passed, whose
    grace holds messages alone.
    """
    on_host = open_on_hosts().filter(host=instance.host_id, resolve_at=None).exclude(cause=WAVE)
    trouble = on_host.exists() or fleet_in_trouble().exists()
    return trouble or mutes.end_for(instance, now) is not None


def in_wave(host_id: int) -> bool:
    """Whether many instances of the host began to fail at once."""
    return open_on_hosts().filter(host=host_id, cause=WAVE, resolve_at=None).exists()


def left_alone(instance_ids: Collection[int], now: datetime) -> set[int]:
    """Those of the instances for which waiting does not help: nothing is healed there until people act."""
    if instance_ids and fleet_in_trouble().exists():
        return set(instance_ids)
    return set(mutes.ends(instance_ids, now))
