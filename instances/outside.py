"""What dockmgr touches beyond its database, and where each engine is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from django.db import IntegrityError, transaction

from instances.db.clock import SYSTEM
from instances.db.sessions import release_session
from instances.engine.certificates import CertificateEnd
from instances.engine.pool import EngineAddress, Engines, certificate_ends
from instances.engine.port import Engine
from instances.errors import AnotherEngine, DockmgrError
from instances.http.probe import Address, ProbeResult, probe
from instances.lib.clock import Clock
from instances.models import Host

ENGINES_AT_ONCE = 20
T = TypeVar("T")


@dataclass(frozen=True)
class Outside:
    """What dockmgr touches beyond its database: engines, certificates, instances' HTTP, the clock."""

    engines: Engines
    clock: Clock = SYSTEM
    probe: Callable[[Address, float], ProbeResult] = probe
    certificates: Callable[[EngineAddress], list[CertificateEnd]] = certificate_ends

    def wait(self, seconds: float) -> None:
        """Sleep, without a session of the database unless a transaction is open."""
        release_session()
        self.clock.sleep(seconds)


def engine_address(host: Host) -> EngineAddress:
    """How to reach a host's engine, and no other."""
    return replace(bare_address(host), engine_id=host.engine_id)


def bare_address(host: Host) -> EngineAddress:
    """How to reach whatever engine answers for a host."""
    tls, ssh = host.tls or {}, host.ssh or {}
    return EngineAddress(
        host.engine_url,
        (tls.get("ca", ""), tls.get("cert", ""), tls.get("key", "")) if tls else None,
        ssh=(ssh.get("key") or "", ssh.get("known_hosts") or "") if ssh else None,
        insecure=host.insecure,
    )


def ask_all(
    hosts: Sequence[Host], engines: Engines, ask: Callable[[Engine, Host], T]
) -> list[T | DockmgrError]:
    """What the engine of each host answers, in their order, or why it does not.

    Many are asked at once, so that those which hang cost one timeout and not one each. `ask` reads no
    database: it runs in other threads.
    """

    def answer(host: Host) -> T | DockmgrError:
        try:
            return ask(engines.at(engine_address(host)), host)
        except DockmgrError as error:
            return error

    if len(hosts) <= 1:
        return [answer(host) for host in hosts]
    with ThreadPoolExecutor(min(len(hosts), ENGINES_AT_ONCE), thread_name_prefix="ask-all") as pool:
        return list(pool.map(answer, hosts))


def learn_engine(host: Host, engines: Engines) -> None:
    """Write down who a host's engine is, at the first contact. Raises AnotherEngine, EngineUnreachable."""
    if not host.engine_id:
        keep_engine_id(host, engines.at(engine_address(host)).facts().id)


def keep_engine_id(host: Host, engine_id: str) -> None:
    """The id of a host's engine, if none is known yet. Raises AnotherEngine when it is another host's."""
    if not engine_id or host.engine_id:
        return
    try:
        with transaction.atomic():
            here = Host.objects.filter(pk=host.pk, docker_url=host.docker_url)  # where it was asked
            here.filter(engine_id="").update(engine_id=engine_id)
    except IntegrityError:
        other = Host.objects.filter(engine_id=engine_id).values_list("name", flat=True).first()
        raise AnotherEngine(
            f"The Docker Engine of host {host.name} is that of host {other} already, and two hosts on one "
            "engine would get into each other's way: give each host an engine of its own."
        ) from None
    host.refresh_from_db(fields=["engine_id"])
