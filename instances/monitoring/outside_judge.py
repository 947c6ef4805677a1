"""Telling of public addresses that fail: one incident for what many share, and of certificates that end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Max, QuerySet

from instances.health.response import Outcome
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import (
    CERTIFICATE,
    OUTSIDE,
    TOGETHER,
    Availability,
    Severity,
    at_fault,
    certificate_key,
    outside_key,
    outside_place,
)
from instances.models import Host, Incident, Instance, OutsideCheck, OutsideTransition
from instances.monitoring.alarms import end_alarm, raise_alarm
from instances.monitoring.outside_groups import EVERYWHERE, Group, Seen, grouped, to_hurry
from instances.monitoring.outside_rules import is_worrying

PART_OF_MORE, AGAIN = "it is part of a larger trouble", "customers get through again"
UNASKED, LEFT = "it is not asked any more", "what is left of it is told by itself"
LONGEST_NAME = 100  # characters of what is shared: keys of incidents have 128
LONGEST = 255  # characters of an incident's message
FROM_OUTSIDE = f"{OUTSIDE}:"


def judge(asked: QuerySet[Instance], now: datetime) -> list[int]:
    """Open, go on with and end incidents; returns the instances that are to be asked next.

    Those share what is at fault for others, or what is well again.
    """
    looks_of = OutsideCheck.objects.filter(instance__in=asked).exclude(asked_at=None)
    opened = list(Incident.objects.open().filter(kind=OUTSIDE))
    if not opened and not looks_of.filter(failures__gt=0).exists():
        return []
    named = looks_of.annotate(customer=F("instance__customer_id"), host=F("instance__host__name"))
    rows, places = list(named.order_by("pk")), {row.key: outside_place(row.key) for row in opened}
    back = _recovered([row.pk for row in rows]) if any(places.values()) else {}
    looks = [_seen(row, row.customer, row.host, back.get(row.pk)) for row in rows]
    told = {place: at for row in opened if (place := places[row.key]) and (at := _told_at(row, now))}
    every = timedelta(seconds=settings.OUTSIDE_INTERVAL)
    groups, single = grouped(looks, settings.FAILURE_THRESHOLD, every, told)
    by_customer: dict[str, OutsideCheck] = {row.customer: row for row in rows}
    wanted = [_of_group(group, by_customer) for group in groups]
    wanted += [_of_one(by_customer[look.customer_id]) for look in single]
    _settle(wanted, opened, groups, looks, now)
    soon = to_hurry(groups, looks, [place for place in places.values() if place], now)
    return [by_customer[customer].pk for customer in soon]


def _told_at(incident: Incident, now: datetime) -> datetime | None:
    """Since when it stands; None while it is not told, and may give way to what explains it better."""
    stands = incident.confirmed_at is not None and incident.confirmed_at + TOGETHER <= now
    return incident.confirmed_at if stands else None


def _recovered(ids: Sequence[int]) -> dict[int, datetime]:
    """When customers got through again last."""
    back = OutsideTransition.objects.filter(instance__in=ids, availability=Availability.UP)
    return dict(back.order_by().values_list("instance_id").annotate(last=Max("at")))


def _seen(row: OutsideCheck, customer_id: str, host: str, recovered_at: datetime | None) -> Seen:
    return Seen(
        customer_id=customer_id,
        asked_at=row.asked_at or row.next_at,
        is_well=row.outcome == Outcome.OK,
        fault=row.fault,
        failures=row.failures,
        since=row.failing_since,
        proxy=row.proxy[:LONGEST_NAME],
        zone=row.zone[-LONGEST_NAME:],
        host=host,
        recovered_at=recovered_at,
    )


def _of_group(group: Group, rows: dict[str, OutsideCheck]) -> Alarm:
    kind, name = group.place
    number = len(group.customers)
    customers = f"{number} customer{'' if number == 1 else 's'}"
    example = rows[group.customers[0]]
    others = f"; {group.of - number} others get through" if group.of > number else ""
    why = example.error.partition(": ")[2]
    such = f"One of them: {why if example.url in why else f'{example.url}: {why}'}"
    told = f"{at_fault(group.place, group.fault)} is at fault for {customers}{others}. {such}"
    if group.place == EVERYWHERE:
        told = (
            f"No public address gets through, of {customers}. Unless all are down, it is the way out of "
            f"dockmgr's own network. {such}"
        )
    host = Host.objects.filter(name=name).first() if kind == "host" else None
    return Alarm(outside_key(kind, name), OUTSIDE, group.fault, told[:LONGEST], host=host)


def _of_one(row: OutsideCheck) -> Alarm:
    instance = Instance.objects.without_secrets().get(pk=row.pk)
    key = outside_key("customer", instance.customer_id)
    return Alarm(key, OUTSIDE, row.fault, row.error, Severity.WARNING, instance=instance)


def _settle(
    wanted: Sequence[Alarm],
    opened: Sequence[Incident],
    groups: Sequence[Group],
    looks: Sequence[Seen],
    now: datetime,
) -> None:
    covered = {customer for group in groups for customer in group.customers}
    for each in wanted:
        raise_alarm(each, now)
    keys = {each.key for each in wanted}
    for incident in opened:
        if incident.key not in keys:
            is_shared = incident.customer_id in covered
            end_alarm(incident.key, PART_OF_MORE if is_shared else _how_it_ended(incident, looks), now)


def _how_it_ended(incident: Incident, looks: Sequence[Seen]) -> str:
    """Nobody gets through again for being paused, for having no address any more, or for being ill inside."""
    kind, name = outside_place(incident.key) or ("customer_id", incident.customer_id)
    concerned = [look for look in looks if (kind, name) == EVERYWHERE or getattr(look, kind) == name]
    if not concerned:
        return UNASKED
    return AGAIN if any(look.is_well for look in concerned) else LEFT


def judge_certificates(asked: QuerySet[Instance], now: datetime) -> None:
    """Warn of each certificate that ends soon and was not renewed in time; once for all who have it."""
    soon = now + timedelta(days=settings.CERTIFICATE_DAYS)
    rows = OutsideCheck.objects.filter(instance__in=asked, certificate_ends__lt=soon).order_by("pk")
    ending: dict[str, list[OutsideCheck]] = {}
    for row in rows:
        begins, ends = row.certificate_begins, row.certificate_ends
        if begins and ends and is_worrying(begins, ends, now, settings.CERTIFICATE_DAYS):
            ending.setdefault(certificate_key(f"{FROM_OUTSIDE}{row.certificate[:16]}"), []).append(row)
    for key, own in ending.items():
        wait = timedelta(seconds=settings.OUTSIDE_INTERVAL)
        raise_alarm(Alarm(key, CERTIFICATE, "outside", _ends(own), Severity.WARNING, wait=wait), now)
    of_ours = Incident.objects.open().filter(key__startswith=certificate_key(FROM_OUTSIDE))
    for key in of_ours.exclude(key__in=ending).values_list("key", flat=True):
        end_alarm(key, "the certificate was renewed, or nobody is served with it any more", now)


def _ends(rows: Sequence[OutsideCheck]) -> str:
    names = Counter(row.url for row in rows)
    others = f" and {len(names) - 1} other addresses" if len(names) > 2 else ""
    others = " and one other address" if len(names) == 2 else others
    when = f"{rows[0].certificate_ends:%Y-%m-%d at %H:%M} UTC"
    which = f"The certificate of {rows[0].url}{others}"
    return f"{which} ends on {when}, and nobody renewed it in the last third of its life."[:LONGEST]
