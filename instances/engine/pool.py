"""Engines by address, kept for the life of the process, with a rest for those that just failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from django.conf import settings

from instances.engine.certificates import CertificateEnd, TlsFiles, ends
from instances.engine.identity import KnownEngine
from instances.engine.port import Engine
from instances.errors import EngineUnreachable

T = TypeVar("T")
REST_SECONDS = 10.0


@dataclass(frozen=True)
class EngineAddress:
    """How to reach an engine: its URL and paths: (ca, cert, key) over TLS, (key, known_hosts) over SSH.

    With an id, another engine that answers there is as good as out of reach. TCP in clear must be said
    to be `insecure`.
    """

    url: str
    tls: tuple[str, str, str] | None = None
    engine_id: str = ""
    ssh: tuple[str, str] | None = None
    insecure: bool = False


def connect(address: EngineAddress) -> Engine:
    """A Docker Engine at `address`; nothing is contacted before the first call."""
    # The SDK takes a fifth of a second to import, which commands that need no engine would pay.
    from instances.engine.docker_engine import DockerEngine
    from instances.engine.ssh import SshFiles

    return DockerEngine(
        address.url,
        tls=TlsFiles(*address.tls) if address.tls else None,
        keys=SshFiles(*address.ssh) if address.ssh else None,
        insecure=address.insecure,
        timeout=settings.ENGINE_TIMEOUT,
    )


def certificate_ends(address: EngineAddress) -> list[CertificateEnd]:
    """When the certificates of both sides end, as far as that can be seen; none without TLS."""
    return ends(address.url, TlsFiles(*address.tls), settings.ENGINE_TIMEOUT) if address.tls else []


class Engines:
    """Hands out one engine per address. Safe to share between threads."""

    def __init__(
        self,
        make: Callable[[EngineAddress], Engine] = connect,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, self._seconds = make, seconds
        self._engines: dict[EngineAddress, Engine] = {}
        self._known: dict[EngineAddress, Engine] = {}
        self._resting: dict[EngineAddress, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def at(self, address: EngineAddress) -> Engine:
        """The engine at an address. Its calls raise AnotherEngine where the id is not the address's."""
        bare = replace(address, engine_id="")
        with self._lock:
            engine = self._engines.get(bare)
            if engine is None:
                engine = self._engines[bare] = self._make(bare)
            if not address.engine_id:
                return engine
            if address not in self._known:
                known = KnownEngine(engine, address.engine_id, self._seconds)
                self._known[address] = cast(Engine, known)
            return self._known[address]

    def ask(self, address: EngineAddress, call: Callable[[Engine], T]) -> T:
        """Call an engine whether it rests or not; an answer ends its rest."""
        answer = call(self.at(address))
        self._resting.pop(address, None)
        return answer

    def look(self, address: EngineAddress, call: Callable[[Engine], T]) -> T:
        """Read from an engine on behalf of a health check.

        An engine that failed is not asked again for 10 seconds, so that a hung host costs one
        timeout and not one per instance. Raises EngineUnreachable.
        """
        until, sentence = self._resting.get(address, (0.0, ""))
        if self._seconds() < until:
            raise EngineUnreachable(sentence)
        try:
            return call(self.at(address))
        except EngineUnreachable as error:
            self._resting[address] = (self._seconds() + REST_SECONDS, str(error))
            raise
