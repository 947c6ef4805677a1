"""What dockmgr touches beyond its database, and where each engine is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from instances.db.clock import SYSTEM
from instances.db.sessions import release_session
from instances.engine.pool import EngineAddress, Engines
from instances.http.probe import Address, ProbeResult, probe
from instances.lib.clock import Clock
from instances.models import Host


@dataclass(frozen=True)
class Outside:
    """What dockmgr touches beyond its database: engines, instances' HTTP, the clock."""

    engines: Engines
    clock: Clock = SYSTEM
    probe: Callable[[Address, float], ProbeResult] = probe

    def wait(self, seconds: float) -> None:
        """Sleep, without a session of the database unless a transaction is open."""
        release_session()
        self.clock.sleep(seconds)


def engine_address(host: Host) -> EngineAddress:
    tls = host.tls or {}
    files = (tls.get("ca", ""), tls.get("cert", ""), tls.get("key", "")) if tls else None
    return EngineAddress(host.engine_url, files)
