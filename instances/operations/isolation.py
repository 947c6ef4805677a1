"""Whether customers' containers are kept apart: tried, by throwaway containers that are gone afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from instances.containers.facts import EngineFacts, NetworkFacts
from instances.containers.image_names import LATEST
from instances.containers.isolation import METADATA, RUNNING, Measured, Reached, outcome
from instances.containers.spec import EXPIRES_LABEL, MANAGED_LABEL, NO_NEW_PRIVILEGES, ContainerSpec
from instances.engine import probe_program as programs
from instances.engine.port import Engine
from instances.errors import DockmgrError, EngineUnreachable
from instances.models.installation import own_label
from instances.outside import Outside

POLL = 0.25  # seconds
ROUNDS = 24  # in 6 s a system has asked three times for a connection, and a busy host has begun to
LIFETIME = timedelta(minutes=10)
HOST = "host"  # the engine's word for the host's own network
ANY = "0.0.0.0"  # noqa: S104 - inside a throwaway container
PORT = 8080
METADATA_PORT = 80
_LIMITS: dict[str, Any] = {
    "CapDrop": ["ALL"],
    "SecurityOpt": [NO_NEW_PRIVILEGES],
    "Memory": 16 * 1024**2,
    "PidsLimit": 8,
    "LogConfig": {"Type": "none", "Config": {}},
}


def measure(engine: Engine, network: NetworkFacts, facts: EngineFacts, outside: Outside) -> Measured:
    """What a container in the network reaches. Raises EngineUnreachable."""
    if not programs.runs_on(facts.architecture):
        return Measured(why=f"there is no program for {facts.architecture or 'an unknown machine'}")
    if not network.gateway:
        return Measured(why=f"the network {network.name} tells no address of its host")
    try:
        with _image(engine) as image:
            return _Trial(engine, network, facts.architecture, image, outside).run()
    except EngineUnreachable:
        raise
    except DockmgrError as error:
        return Measured(why=str(error))


@contextmanager
def _image(engine: Engine) -> Iterator[str]:
    reference = f"dockmgr-probe-{secrets.token_hex(4)}:{LATEST}"  # as Podman 4 tags any
    try:
        yield engine.import_image(programs.empty_archive(), reference)
    finally:
        engine.remove_image(reference)


@dataclass(frozen=True)
class _Trial:
    engine: Engine
    network: NetworkFacts
    architecture: str
    image: str
    outside: Outside

    def run(self) -> Measured:
        port = 49152 + secrets.randbelow(16000)
        with ExitStack() as stack:
            neighbour = self._listens(stack, self.network.name, ANY, PORT)
            host = self._listens(stack, HOST, self.network.gateway, port)
            tried = [
                self._connects(stack, self.network.name, self._address(neighbour), PORT),
                self._connects(stack, self.network.name, self.network.gateway, port),
                self._connects(stack, self.network.name, METADATA, METADATA_PORT),
                self._connects(stack, HOST, METADATA, METADATA_PORT),
            ]
            found = self._outcomes(tried)
            listening = [self._runs(neighbour), self._runs(host), True, True]
        heard = [each if there else Reached.UNKNOWN for each, there in zip(found, listening, strict=True)]
        why = "" if all(listening) else "a throwaway program that was to be reached ended early"
        return replace(Measured(*heard), why=why)

    def _listens(self, stack: ExitStack, network: str, address: str, port: int) -> str:
        return self._started(stack, network, programs.listen(self.architecture, address, port))

    def _connects(self, stack: ExitStack, network: str, address: str, port: int) -> str:
        return self._started(stack, network, programs.connect(self.architecture, address, port))

    def _started(self, stack: ExitStack, network: str, program: bytes) -> str:
        container = self.engine.create(self._spec(network))
        stack.callback(self.engine.remove, container)
        self.engine.unpack(container, "/", programs.archive(program))
        self.engine.start(container)
        return container

    def _spec(self, network: str) -> ContainerSpec:
        """No customer's id has a dot, so no name of theirs is taken."""
        expires = (self.outside.clock.now() + LIFETIME).isoformat()
        host = {**_LIMITS, "NetworkMode": network, **({"UsernsMode": HOST} if network == HOST else {})}
        return ContainerSpec(
            name=f"dockmgr.probe-{secrets.token_hex(6)}",
            image=self.image,
            labels={MANAGED_LABEL: "true", EXPIRES_LABEL: expires, **own_label()},
            env={},
            raw={"Config": {"Cmd": [f"/{programs.PROGRAM}"]}, "HostConfig": host, "Networks": {}},
        )

    def _address(self, container: str) -> str:
        facts = self.engine.inspect(container)
        place = facts.networks.get(self.network.name) if facts else None
        return (place.address if place else "") or ANY

    def _outcomes(self, containers: list[str]) -> list[Reached]:
        """When all have ended, or their time is over."""
        found = [self._outcome(container) for container in containers]
        for _ in range(ROUNDS):
            if Reached.SILENT not in found:
                break
            self.outside.wait(POLL)
            found = [self._outcome(container) for container in containers]
        return found

    def _outcome(self, container: str) -> Reached:
        facts = self.engine.inspect(container)
        return outcome(facts.state, facts.exit_code) if facts else Reached.UNKNOWN

    def _runs(self, container: str) -> bool:
        facts = self.engine.inspect(container)
        return facts is not None and facts.state == RUNNING
