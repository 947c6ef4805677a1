"""Certificates that end soon: one warning for each host, over when they were renewed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

from instances.engine.certificates import CertificateEnd
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import CERTIFICATE, Severity, certificate_key
from instances.models import Host
from instances.monitoring.alarms import end_alarm, raise_alarm


def judge_certificates(host: Host, found: Sequence[CertificateEnd], now: datetime) -> None:
    """Warn of what ends within DOCKMGR_CERTIFICATE_DAYS; what could not be seen keeps what is known."""
    key = certificate_key(host.name)
    ending = [each for each in found if each.at - now <= timedelta(days=settings.CERTIFICATE_DAYS)]
    if ending:
        cause = ",".join(sorted(each.side for each in ending))
        told = message(host.name, ending, now)
        raise_alarm(Alarm(key, CERTIFICATE, cause, told, Severity.WARNING, host=host), now)
    elif found:
        end_alarm(key, f"the certificates of host {host.name} were renewed", now)


def message(host: str, ending: Sequence[CertificateEnd], now: datetime) -> str:
    """Which certificates end when, or have ended, as a sentence."""
    over = any(end.at <= now for end in ending)
    each = " and ".join(
        f"{end.whose} {'expired' if end.at <= now else 'ends'} on {end.at:%Y-%m-%d at %H:%M} UTC"
        for end in ending
    )
    return (
        f"Host {host}: {each}; without new ones its engine can't be reached{'' if over else ' after that'}."
    )
