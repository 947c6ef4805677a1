"""What looks at public addresses mean: when to look again, and who is at fault for many together. Pure."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from instances.health.diagnosis import Fault, ProbeView
from instances.health.response import Outcome
from instances.health.state import Status

SOON = timedelta(seconds=60)
LEAST = 3  # customers whose failures are one trouble when they share where it lies
SHARE = 0.5  # of those who were asked since, so many have to fail
LAST_PART = 3  # a certificate that is renewed at all is renewed before the last third of its life
EVERYWHERE = ("all", "")
# What those can have in common whose trouble lies there, the nearest first.
SHARED = {
    Fault.PROXY: ("proxy", "zone", "host"),
    Fault.TLS: ("proxy", "zone", "host"),
    Fault.DNS: ("zone",),
}
Place = tuple[str, str]  # what is shared, and its name


@dataclass(frozen=True)
class Seen:
    """The last look at one customer's public address; `fault` is empty where it is well or not known."""

    customer_id: str
    asked_at: datetime
    is_well: bool = True
    fault: str = ""
    failures: int = 0
    since: datetime | None = None
    proxy: str = ""
    zone: str = ""
    host: str = ""


@dataclass(frozen=True)
class Group:
    """Customers whose failures are one trouble, at what they share."""

    place: Place
    fault: str
    customers: tuple[str, ...]


def next_look(failures: int, every: timedelta) -> timedelta:
    """How long to wait: a minute after each of the first failures, then twice as long each time."""
    if not failures:
        return every
    doubled: int = 2 ** min(max(0, failures - LEAST), 16)
    return min(every, SOON * doubled)


def zone_of(host: str) -> str:
    """The domain above a host name; empty for an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        above = host.rstrip(".").partition(".")[2]
        return above if "." in above else host.rstrip(".")
    return ""


def inside_view(status: str, reason: str, error: str) -> ProbeView:
    """What is known from inside, as the last check left it."""
    if status == Status.HEALTHY:
        return ProbeView(Outcome.OK)
    if status in (Status.STARTING, Status.RESTARTING):
        return ProbeView(Outcome.STARTING)
    if status in (Status.SUSPECT, Status.UNHEALTHY, Status.FAILED):
        return ProbeView(Outcome.FAIL, reason, None, error)
    return ProbeView(Outcome.UNKNOWN, reason, None, error)


def is_worrying(begins: datetime, ends: datetime, now: datetime, days: int) -> bool:
    """Whether a certificate ends soon and nobody renewed it when it was time."""
    left = ends - now
    return left < timedelta(days=days) and left < (ends - begins) / LAST_PART


def grouped(
    looks: Sequence[Seen], needed: int, known: Collection[Place] = ()
) -> tuple[list[Group], list[Seen]]:
    """Troubles that many have together, and failures of one customer each.

    `needed` failures in a row confirm one. A group takes three who are confirmed, and that more than half
    of those who share the place and were asked since then fail; one that is `known` goes on until nobody in
    it fails any more.
    """
    failing = [look for look in looks if look.fault in SHARED and look.failures]
    if _nobody_gets_through(looks, failing, needed, EVERYWHERE in known):
        return [_group(EVERYWHERE, failing)], []
    groups: list[Group] = []
    taken: set[str] = set()
    for kind in ("proxy", "zone", "host"):
        for name, own in _by(kind, looks).items():
            found = [look for look in own if _counts(look, kind) and look.customer_id not in taken]
            if _is_group(own, found, needed, (kind, name) in known):
                groups.append(_group((kind, name), found))
                taken |= {look.customer_id for look in found}
    single = [look for look in failing if look.failures >= needed and look.customer_id not in taken]
    return groups, single


def _nobody_gets_through(looks: Iterable[Seen], failing: Sequence[Seen], needed: int, is_known: bool) -> bool:
    """Whether all fail who were asked lately, though they share nothing: it may be our own way out."""
    if not failing or len({(look.proxy, look.zone) for look in failing}) < 2:
        return False
    began = min(look.since or look.asked_at for look in failing)
    if any(look.is_well and look.asked_at >= began for look in looks):
        return False
    places = {look.proxy for look in failing if look.proxy}, {look.zone for look in failing}
    confirmed = sum(look.failures >= needed for look in failing)
    return is_known or (confirmed >= LEAST and min(map(len, places)) > 1)


def _by(kind: str, looks: Iterable[Seen]) -> dict[str, list[Seen]]:
    found: defaultdict[str, list[Seen]] = defaultdict(list)
    for look in looks:
        name = getattr(look, kind)
        if name:
            found[name].append(look)
    return dict(sorted(found.items()))


def _counts(look: Seen, kind: str) -> bool:
    return bool(look.failures) and kind in SHARED.get(Fault(look.fault), ())


def _is_group(own: Sequence[Seen], failing: Sequence[Seen], needed: int, is_known: bool) -> bool:
    if is_known or not failing:
        return bool(failing)
    began = min(look.since or look.asked_at for look in failing)
    asked = [look for look in own if look.asked_at >= began and (look.is_well or look.fault)]
    confirmed = [look for look in failing if look.failures >= needed]
    return len(confirmed) >= LEAST and len(failing) > SHARE * len(asked)


def _group(place: Place, failing: Sequence[Seen]) -> Group:
    faults = [look.fault for look in failing]
    customers = tuple(sorted(look.customer_id for look in failing))
    return Group(place, max(sorted(set(faults)), key=faults.count), customers)
