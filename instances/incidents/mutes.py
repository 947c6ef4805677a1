"""Who is muted, and until when: nothing is sent for them, and nothing is healed there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Max, OuterRef, Q, QuerySet, Subquery

from instances.models import Incident, Instance, Mute


def active(now: datetime) -> QuerySet[Mute]:
    """Mutes in force at `now`."""
    return Mute.objects.filter(starts_at__lte=now, until__gt=now)


def end_for(instance: Instance, now: datetime) -> datetime | None:
    """When the last mute that covers the instance now will end; None when there is none."""
    return ends([instance.pk], now).get(instance.pk)


def covering(instance: Instance, now: datetime) -> list[Mute]:
    """The mutes in force of the instance, its host and its plan, the one that ends last first."""
    own = Q(instance=instance) | Q(host=instance.host_id) | Q(plan=instance.plan_id)
    return list(active(now).filter(own).order_by("-until"))


def end_of_plan(now: datetime) -> Subquery:
    """A column of plans: when the mute of the plan itself ends, null without one."""
    own = active(now).filter(plan=OuterRef("pk")).order_by("-until")
    return Subquery(own.values("until")[:1])


def ends(instance_ids: Iterable[int], now: datetime) -> dict[int, datetime]:
    """The same for many instances, in one query; instances without a mute are left out."""
    covering = active(now).filter(
        Q(instance=OuterRef("pk")) | Q(host=OuterRef("host_id")) | Q(plan=OuterRef("plan_id"))
    )
    last = Subquery(covering.order_by("-until").values("until")[:1])
    rows = Instance.objects.filter(pk__in=set(instance_ids)).values_list("pk", last)
    return {pk: until for pk, until in rows if until is not None}


def incident_ends(incidents: Iterable[Incident], now: datetime) -> dict[int, datetime]:
    """Until when incidents are muted, by their ids, in two queries; incidents without a mute are left out.

    The mute of a host covers all that is told of the host itself: its engine, certificates, orphans.
    """
    rows = list(incidents)
    instances = ends([row.instance_id for row in rows if row.instance_id], now)
    hosts = host_ends([row.host_id for row in rows if row.host_id and not row.instance_id], now)
    found = {
        row.pk: instances.get(row.instance_id) if row.instance_id else hosts.get(row.host_id or 0)
        for row in rows
    }
    return {pk: until for pk, until in found.items() if until is not None}


def host_ends(host_ids: Iterable[int], now: datetime) -> dict[int, datetime]:
    """When the mutes of the hosts themselves end, in one query; hosts without one are left out."""
    rows = active(now).filter(host__in=set(host_ids)).order_by().values_list("host_id")
    return dict(rows.annotate(end=Max("until")))
