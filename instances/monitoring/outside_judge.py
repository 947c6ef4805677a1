"""Telling of public addresses that fail: one incident for what many share, and of certificates that end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet

from instances.health.diagnosis import Fault
from instances.health.response import Outcome
from instances.incidents.rules import CERTIFICATE, OUTSIDE, Severity, certificate_key, outside_key
from instances.models import Host, Incident, Instance, OutsideCheck
from instances.monitoring.alarms import end_alarm, raise_alarm
from instances.monitoring.outside_rules import EVERYWHERE, Group, Place, Seen, grouped, is_worrying

TOGETHER = timedelta(seconds=60)  # until a group is told: by then most of it has been asked
ALONE = timedelta(seconds=90)  # until one customer's failure is: by then a group has been seen
PART_OF_MORE, AGAIN = "it is part of a larger trouble", "customers get through again"
LONGEST_NAME = 100  # characters of what is shared: keys of incidents have 128
LONGEST = 255  # characters of an incident's message
FROM_OUTSIDE = "outside:"
_CALLED = {Fault.PROXY.value: "The proxy", Fault.TLS.value: "TLS", Fault.DNS.value: "DNS"}


@dataclass(frozen=True)
class _Wanted:
    """An incident there should be."""

    key: str
    cause: str
    message: str
    severity: Severity
    instance: Instance | None = None
    host: Host | None = None


def judge(asked: QuerySet[Instance], now: datetime) -> list[int]:
    """Open, go on with and end incidents; returns the instances that are to be asked next.

    Those share what is at fault for others, or what is well again.
    """
    looks_of = OutsideCheck.objects.filter(instance__in=asked).exclude(asked_at=None)
    opened = list(Incident.objects.open().filter(kind=OUTSIDE))
    if not opened and not looks_of.filter(failures__gt=0).exists():
        return []
    rows = list(looks_of.order_by("pk"))
    facts = dict(_facts([row.pk for row in rows]))
    looks = [_seen(row, *facts[row.pk]) for row in rows if row.pk in facts]
    known = [place for incident in opened if (place := _place(incident.key))]
    groups, single = grouped(looks, settings.FAILURE_THRESHOLD, known)
    by_customer = {facts[row.pk][0]: row for row in rows if row.pk in facts}
    wanted = [_of_group(group, by_customer) for group in groups]
    wanted += [_of_one(by_customer[look.customer_id]) for look in single]
    _settle(wanted, opened, groups, now)
    return _to_hurry(groups, looks, by_customer, known)


def _facts(ids: Sequence[int]) -> Iterable[tuple[int, tuple[str, str]]]:
    rows = Instance.objects.filter(pk__in=ids).values_list("pk", "customer_id", "host__name")
    return ((pk, (customer, host)) for pk, customer, host in rows)


def _seen(row: OutsideCheck, customer_id: str, host: str) -> Seen:
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
    )


def _place(key: str) -> Place | None:
    """What a group's incident is about; None for that of one customer."""
    kind, _, name = key.removeprefix(FROM_OUTSIDE).partition(":")
    return None if kind == "customer" else (kind, name)


def _of_group(group: Group, rows: dict[str, OutsideCheck]) -> _Wanted:
    kind, name = group.place
    number = len(group.customers)
    customers = f"{number} customer{'' if number == 1 else 's'}"
    example = rows[group.customers[0]]
    where = {"proxy": f" at {name}", "zone": f" of {name}", "host": f" before host {name}"}.get(kind, "")
    who = f"{_CALLED[group.fault]}{where}"
    told = f"{who} is at fault for {customers}. Such as {example.url}: {example.error}"
    if group.place == EVERYWHERE:
        told = (
            f"No public address gets through, of {customers}. Unless all are down, it is the way out of "
            f"dockmgr's own network. Such as {example.url}: {example.error}"
        )
    host = Host.objects.filter(name=name).first() if kind == "host" else None
    return _Wanted(outside_key(kind, name), group.fault, told[:LONGEST], Severity.CRITICAL, None, host)


def _of_one(row: OutsideCheck) -> _Wanted:
    instance = Instance.objects.without_secrets().get(pk=row.pk)
    key = outside_key("customer", instance.customer_id)
    return _Wanted(key, row.fault, row.error, Severity.WARNING, instance)


def _settle(
    wanted: Sequence[_Wanted], opened: Sequence[Incident], groups: Sequence[Group], now: datetime
) -> None:
    covered = {customer for group in groups for customer in group.customers}
    for each in wanted:
        _raise(OUTSIDE, each, now, ALONE if each.instance is not None else TOGETHER)
    keys = {each.key for each in wanted}
    for incident in opened:
        if incident.key not in keys:
            is_shared = incident.customer_id in covered
            end_alarm(incident.key, PART_OF_MORE if is_shared else AGAIN, now)


def _raise(kind: str, wanted: _Wanted, now: datetime, wait: timedelta) -> None:
    raise_alarm(
        wanted.key, kind, wanted.cause, wanted.message, now, host=wanted.host, instance=wanted.instance,
        severity=wanted.severity, notify_at=now + wait,
    )  # fmt: skip
    # More are found out while it goes on; that alone is not told anew.
    others = Incident.objects.open().filter(key=wanted.key).exclude(message=wanted.message)
    others.update(message=wanted.message)


def _to_hurry(
    groups: Sequence[Group], looks: Sequence[Seen], rows: dict[str, OutsideCheck], known: Sequence[Place]
) -> list[int]:
    """Who was not asked since a group began to fail; and where one is over, who waits for his next turn."""
    soon: set[str] = set()
    for kind, name in {group.place for group in groups} - {EVERYWHERE}:
        own = [look for look in looks if getattr(look, kind) == name]
        began = min(look.since for look in own if look.since)
        soon |= {look.customer_id for look in own if look.asked_at < began}
        well_at = max((look.asked_at for look in own if look.is_well), default=None)
        if (kind, name) in known and well_at is not None:
            soon |= {look.customer_id for look in own if look.failures and look.asked_at < well_at}
    return [rows[customer].pk for customer in sorted(soon)]


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
        found = _Wanted(key, "outside", _ends(own), Severity.WARNING)
        _raise(CERTIFICATE, found, now, timedelta(seconds=settings.OUTSIDE_INTERVAL))
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
