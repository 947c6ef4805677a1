"""What looks at public addresses mean: when to look again, and which certificates end soon. Pure."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from instances.health.diagnosis import ProbeView
from instances.health.response import Outcome
from instances.health.state import Status

SOON = timedelta(seconds=60)
PATIENT = 3  # failures in a row after which it is asked less often
LAST_PART = 3  # a certificate that is renewed at all is renewed before the last third of its life


def next_look(failures: int, every: timedelta) -> timedelta:
    """How long to wait: a minute after each of the first failures, then twice as long each time."""
    if not failures:
        return every
    doubled: int = 2 ** min(max(0, failures - PATIENT), 16)
    return min(every, SOON * doubled)


def host_of(url: str) -> str:
    """The host name in an address; empty where it has none or can't be read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


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
