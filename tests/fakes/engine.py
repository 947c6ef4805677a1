"""A Docker Engine in memory that keeps the promises of `instances.engine.port`, with switches for tests."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from instances import errors
from instances.containers.facts import (
    Attachment,
    ContainerEvent,
    ContainerFacts,
    ContainerSummary,
    ContainerUsage,
    DiskUse,
    EngineFacts,
    ImageFacts,
    NetworkFacts,
)
from instances.containers.identity import DEAD, REMOVING
from instances.containers.spec import ContainerSpec, is_managed
from instances.engine.dependents import shares_with
from instances.engine.owner_payloads import holder_name
from instances.engine.payloads import container_facts, create_arguments, log_tail, networks_to_join
from instances.engine.port import EventStream, LogStream, RegistryLogin
from tests.fakes.facts import created_facts, image_facts
from tests.fakes.inspected import container_answer, image_answer

ANONYMOUS = "anonymous-"  # how names of volumes begin that nobody named


class FakeEngine:
    """`images` are local, `registry` is what a pull can fetch; both map references to facts.

    `starts` and `stops` count by container name what really happened; `taken_ports` are held by
    something that is no container. Calls about the containers named in `hung` do not come back.
    Of the containers with the ids in `undying` the engine can't remove all; those in `stuck` never start.
    `missing_sources` are paths that the host does not have. `speaks` is what every container writes
    when it starts. `ends` tells the exit code with which a program that was unpacked into a container ends
    at once, if it does. `in_between` happens in the middle of what takes several calls. By name, `uses` is
    what containers use, and `holds` what they and volumes hold on disk, in bytes.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.identity = str(uuid.uuid4())
        self.unreachable = False
        self.times_asked = 0
        self.registry_down = False
        self.hung: set[str] = set()
        self.undying: set[str] = set()
        self.stuck: set[str] = set()
        self.uses: dict[str, ContainerUsage] = {}
        self.holds: dict[str, int] = {}
        self.speaks = b""
        self.unpacked: dict[str, tuple[str, bytes]] = {}
        self.ends: Callable[[bytes], int | None] = lambda archive: None
        self.images: dict[str, ImageFacts] = {}
        self.registry: dict[str, ImageFacts] = {}
        self.volumes: dict[str, dict[str, str]] = {}
        self.owners: dict[str, tuple[int, int]] = {}
        self.networks: dict[str, NetworkFacts] = {}
        self.missing_sources: set[str] = set()
        self.taken_ports: set[tuple[str, int]] = set()
        self.starts: Counter[str] = Counter()
        self.stops: Counter[str] = Counter()
        self.pulls: list[str] = []
        self.logins: list[RegistryLogin | None] = []
        self.in_between: Callable[[], None] = lambda: None
        self._clock = clock
        self._held: dict[str, ContainerFacts] = {}
        self._told: dict[str, dict[str, Any]] = {}
        self._asked: dict[str, dict[int, tuple[str, int]]] = {}
        self._logs: defaultdict[str, bytes] = defaultdict(bytes)
        self._failures: dict[str, list[Exception]] = {}
        self._serial = itertools.count(1)
        self._events: list[ContainerEvent] = []

    def fail_next(self, verb: str, error: Exception) -> None:
        """The next call of the method `verb` raises `error` and does nothing; several queue up."""
        getattr(self, verb)
        self._failures.setdefault(verb, []).append(error)

    def change(self, container: str, **facts: object) -> None:
        """Whatever happens to a container behind our back: `state="exited", oom_killed=True, …`."""
        now = replace(self._get(container), **facts)  # type: ignore[arg-type]
        self._held[now.id] = now
        if "state" in facts:
            self._happens(now.id, "start" if now.state == "running" else "die")

    def reconfigure(self, container: str, **host: object) -> None:
        """Somebody changed the host's side of a container's configuration."""
        identity = self._get(container).id
        told = self._told[identity]
        self._told[identity] = {**told, "HostConfig": {**told["HostConfig"], **host}}

    def lose(self, container: str) -> None:
        """Somebody removed it by hand."""
        identity = self._get(container).id
        del self._held[identity]
        self._happens(identity, "destroy")

    def crash(self, container: str, exit_code: int) -> None:
        """It ends by itself, and the engine starts it again at once."""
        held = self._get(container)
        self._happens(held.id, "die", exit_code)
        self._held[held.id] = replace(held, started_at=self._clock() + timedelta(seconds=0.1))
        self._happens(held.id, "start")

    def kill_child(self, container: str) -> None:
        """The kernel kills one of its processes for want of memory, and not the first one."""
        self._happens(self._get(container).id, "oom")

    def write_log(self, container: str, data: bytes) -> None:
        self._logs[self._get(container).id] += data

    def ping(self) -> None:
        self._enter("ping")

    def facts(self) -> EngineFacts:
        self._enter("facts")
        return EngineFacts(architecture="amd64", cpus=8, memory=16 * 1024**3, root="", id=self.identity)

    def list_containers(self) -> list[ContainerSummary]:
        self._enter("list_containers")
        return [
            ContainerSummary(
                facts.id,
                facts.name,
                facts.state,
                facts.image_id,
                dict(facts.labels),
                facts.health,
                facts.address,
                facts.network_mode,
                tuple(facts.volumes),
            )
            for facts in self._held.values()
        ]

    def inspect(self, container: str) -> ContainerFacts | None:
        self._enter("inspect", container)
        return self._find(container)

    def usage(self, container: str) -> ContainerUsage | None:
        self._enter("usage", container)
        facts = self._find(container)
        if facts is None or facts.state != "running":
            return None
        usual = ContainerUsage(cpu_ns=10**9, memory=10**7, memory_limit=facts.memory, pids=1)
        return self.uses.get(facts.name, usual)

    def disk(self) -> DiskUse:
        self._enter("disk")
        return DiskUse(
            {identity: self.holds.get(facts.name, 0) for identity, facts in self._held.items()},
            {name: self.holds.get(name, 0) for name in self.volumes},
        )

    def describe(self, container: str) -> dict[str, Any] | None:
        self._enter("describe", container)
        facts = self._find(container)
        if facts is None:
            return None
        image = self._image(facts.image_id)
        assert image, "the image is gone"
        return container_answer(facts, self._told[facts.id], image)

    def describe_image(self, ref: str) -> dict[str, Any] | None:
        self._enter("describe_image")
        image = self._image(ref)
        tags = [name for name, held in self.images.items() if image and held.id == image.id]
        return image_answer(image, tags) if image else None

    def image(self, ref: str) -> ImageFacts | None:
        self._enter("image")
        return self._image(ref)

    def pull(
        self, ref: str, progress: Callable[[str], None] | None = None, login: RegistryLogin | None = None
    ) -> ImageFacts:
        self._enter("pull")
        self.logins.append(login)
        if self.registry_down:
            raise errors.OutOfReachError("The registry is out of reach.")
        if ref not in self.registry:
            raise errors.NotFoundOnEngine(f"There is no image {ref}.")
        if progress:
            progress(f"Pulling {ref}")
        self.pulls.append(ref)
        self.images[ref] = self.registry[ref]
        return self.images[ref]

    def remove_image(self, image: str) -> bool:
        self._enter("remove_image")
        found = self._image(image)
        names = [name for name, held in self.images.items() if found and held.id == found.id]
        in_use = any(found and facts.image_id == found.id for facts in self._held.values())
        last = len(names) == 1
        if (in_use and last) or (image not in names and len(names) > 1):
            return False
        for name in names if last else [name for name in names if name == image]:
            del self.images[name]
        return True

    def import_image(self, archive: bytes, reference: str) -> str:
        self._enter("import_image")
        self.images[reference] = image_facts(reference, digests=())
        return self.images[reference].id

    def unpack(self, container: str, folder: str, archive: bytes) -> None:
        self._enter("unpack", container)
        self.unpacked[self._get(container).id] = (folder, archive)

    def create(self, spec: ContainerSpec) -> str:
        self._enter("create")
        image = self._image(spec.image)
        if image is None:
            raise errors.NotFoundOnEngine(f"There is no image {spec.image}.")
        self._free_name(spec.name)
        self._see_sources(create_arguments(spec)["config"]["HostConfig"])
        for name in spec.volumes:
            self.volumes.setdefault(name, {})
        facts = created_facts(f"{next(self._serial):064x}", spec, image)
        if spec.network:
            known = self.networks.get(spec.network)
            place = Attachment(known.id if known else "none yet")
            facts = replace(facts, networks={spec.network: place})
        if spec.raw is None:
            covered = {*spec.volumes.values(), *spec.options.tmpfs}
            uncovered = [path for path in image.volumes if path not in covered]
            nameless = {f"{ANONYMOUS}{facts.id}{path}": path for path in uncovered}
            facts = replace(facts, volumes={**facts.volumes, **nameless})
            self.volumes.update({name: {} for name in nameless})
        told = self._told[facts.id] = create_arguments(spec)["config"]
        for network, endpoint in networks_to_join(spec):
            told["NetworkingConfig"]["EndpointsConfig"][network] = endpoint
        if spec.raw is not None:
            facts = container_facts(container_answer(replace(facts, ports={}), told, image))
            self.volumes.update({name: {} for name in facts.volumes if name not in self.volumes})
            mode = facts.network_mode
            places = {mode: Attachment(self.networks[mode].id)} if mode in self.networks else {}
            facts = replace(facts, networks={**places, **facts.networks})
        self._held[facts.id] = facts
        self._asked[facts.id] = facts.ports
        return facts.id

    def start(self, container: str) -> None:
        self._enter("start", container)
        facts = self._get(container)
        if facts.state in (DEAD, REMOVING):
            raise errors.NotFoundOnEngine(f"{facts.name} is marked for removal and cannot be started.")
        if facts.state == "running":
            return
        if facts.id in self.stuck:
            raise errors.TaskLeftBehind(f"task {facts.id}: already exists.")
        self._see_network(facts)
        self._see_sources(self._told[facts.id]["HostConfig"])
        ports = {inner: self._bind(*binding) for inner, binding in self._asked[facts.id].items()}
        self.starts[facts.name] += 1
        self._logs[facts.id] += self.speaks
        code = self.ends(self.unpacked.get(facts.id, ("", b""))[1])
        self.change(
            container, state="running", exit_code=None, oom_killed=False, restart_count=0,
            started_at=self._clock(), ports=ports, networks=self._addresses(facts),
        )  # fmt: skip
        if code is not None:
            self.change(container, state="exited", exit_code=code, ended_at=self._clock())

    def stop(self, container: str, timeout: int) -> None:
        self._enter("stop", container)
        facts = self._find(container)
        if facts and facts.state in ("running", "restarting", "paused"):
            self.stops[facts.name] += 1
            places = {name: replace(place, address="") for name, place in facts.networks.items()}
            self.change(container, state="exited", exit_code=0, ended_at=self._clock(), networks=places)

    def remove(self, container: str, *, anonymous_volumes: bool = False) -> None:
        self._enter("remove", container)
        facts = self._find(container)
        if facts is None:
            return
        if facts.id in self.undying:
            self.change(container, state=DEAD, exit_code=137)
            raise errors.TransientError(f"The engine did not remove {facts.name}: it is busy.")
        self.lose(container)
        for name in facts.volumes if anonymous_volumes else ():
            if name.startswith(ANONYMOUS):
                del self.volumes[name]

    def rename(self, container: str, name: str) -> None:
        self._enter("rename", container)
        if self._get(container).state == "restarting":
            raise errors.BetweenRuns("sandbox 4f not found")
        self._free_name(name)
        self.change(container, name=name)

    def set_restart_policy(self, container: str, policy: dict[str, Any]) -> None:
        self._enter("set_restart_policy", container)
        self.reconfigure(container, RestartPolicy=policy)
        self.change(container, restart_policy=policy["Name"])

    def create_volume(self, name: str, labels: dict[str, str]) -> bool:
        self._enter("create_volume")
        made = name not in self.volumes
        self.volumes.setdefault(name, dict(labels))
        return made

    def give_volume(self, name: str, owner: tuple[int, int], image: str, labels: dict[str, str]) -> None:
        self._enter("give_volume")
        self._remove_holder(name)
        mounts = {name: "/dockmgr/volume"}
        holder = self.create(ContainerSpec(holder_name(name), image, labels, env={}, volumes=mounts))
        self.in_between()
        self.owners[name] = owner
        self.remove(holder)

    def _remove_holder(self, volume: str) -> None:
        left = self._find(holder_name(volume))
        if left is not None and is_managed(left.labels):
            self.remove(left.id)

    def volume_labels(self, name: str) -> dict[str, str] | None:
        self._enter("volume_labels")
        return self.volumes.get(name)

    def managed_volumes(self) -> dict[str, dict[str, str]]:
        self._enter("managed_volumes")
        return {name: dict(labels) for name, labels in self.volumes.items() if is_managed(labels)}

    def remove_volume(self, name: str) -> None:
        self._enter("remove_volume")
        self._remove_holder(name)
        if any(name in facts.volumes for facts in self._held.values()):
            raise errors.PermanentError(f"The volume {name} is in use.")
        self.volumes.pop(name, None)

    def network(self, name: str) -> NetworkFacts | None:
        self._enter("network")
        return self.networks.get(name)

    def create_network(self, name: str, options: dict[str, str], labels: dict[str, str]) -> None:
        self._enter("create_network")
        if name in self.networks:
            raise errors.PermanentError(f"There is a network {name} already.")
        made = NetworkFacts(f"n{next(self._serial)}", name, "bridge", options, labels, gateway="172.30.0.1")
        self.networks[name] = made

    def join_anew(self, container: str, network: str) -> None:
        self._enter("join_anew", container)
        self.change(container, networks={network: Attachment(self._network(network).id)})
        self._happens(self._get(container).id, "disconnect")

    def _network(self, name: str) -> NetworkFacts:
        if name not in self.networks:
            raise errors.PermanentError(f"network {name} not found")
        return self.networks[name]

    def volume_users(self, name: str) -> list[str]:
        self._enter("volume_users")
        return sorted(facts.name for facts in self._held.values() if name in facts.volumes)

    def dependents(self, container: str) -> list[str]:
        self._enter("dependents", container)
        own = self._find(container)
        names = {own.id, own.name} if own else set()
        told = (
            (self._held[key].name, told["HostConfig"])
            for key, told in self._told.items()
            if key in self._held
        )
        return sorted(name for name, host in told if shares_with(host, names))

    def events(self, since: int | None = None) -> EventStream:
        """What happened since; the stream ends there, as if the engine had gone away."""
        self._enter("events")
        return (event for event in list(self._events) if since is not None and event.at >= since)

    def logs(
        self,
        container: str,
        *,
        lines: int,
        since: datetime | None = None,
        until: datetime | None = None,
        timestamps: bool = False,
        follow: bool = False,
    ) -> LogStream:
        """`since`, `until`, `timestamps` and `follow` change nothing here: the log has no times and ends."""
        self._enter("logs", container)
        last = log_tail(lines)
        tail = b"".join(self._logs[self._get(container).id].splitlines(keepends=True)[-last:])
        return (tail[at : at + 65536] for at in range(0, len(tail), 65536))

    def close(self) -> None:
        """Nothing to give back."""

    def _happens(self, identity: str, action: str, exit_code: int | None = None) -> None:
        at = int(self._clock().timestamp() * 1e9)
        self._events.append(ContainerEvent(identity, action, at, exit_code))

    def _enter(self, verb: str, container: str = "") -> None:
        self.times_asked += 1
        if self.unreachable:
            raise errors.EngineUnreachable("The Docker Engine is out of reach: it did not answer in time.")
        if self._failures.get(verb):
            raise self._failures[verb].pop(0)
        about = self._find(container)
        if about and about.name in self.hung:
            raise errors.ContainerHung(
                "The Docker Engine answers, but its calls about this container do not."
            )

    def _find(self, container: str) -> ContainerFacts | None:
        named = (facts for facts in self._held.values() if facts.name == container)
        return self._held.get(container) or next(named, None)

    def _get(self, container: str) -> ContainerFacts:
        facts = self._find(container)
        if facts is None:
            raise errors.NotFoundOnEngine(f"There is no container {container}.")
        return facts

    def _image(self, ref: str) -> ImageFacts | None:
        return {image.id: image for image in self.images.values()}.get(ref) or self.images.get(ref)

    def _free_name(self, name: str) -> None:
        if any(facts.name == name for facts in self._held.values()):
            raise errors.NameTaken(f"The container name {name} is already in use.")

    def _addresses(self, facts: ContainerFacts) -> dict[str, Attachment]:
        """What a container that starts gets, a new one each time."""
        return {
            name: replace(place, address=f"172.30.{next(self._serial) % 200}.2")
            for name, place in facts.networks.items()
        }

    def _see_network(self, facts: ContainerFacts) -> None:
        """A network that was made anew is another one to a container that was in the old one."""
        place = facts.networks.get(facts.network_mode)
        known = self.networks.get(facts.network_mode)
        if place and place.network_id and place.network_id != (known and known.id):
            raise errors.PermanentError(f"network {place.network_id} not found")

    def _see_sources(self, host: dict[str, Any]) -> None:
        """What is mounted and is not there: refused among `Mounts`, made of `Binds`; starting asks again."""
        for mount in host.get("Mounts") or []:
            if mount["Type"] == "bind" and mount["Source"] in self.missing_sources:
                raise errors.DataMissing(f"bind source path does not exist: {mount['Source']}.")
        self.missing_sources -= {bind.split(":")[0] for bind in host.get("Binds") or []}

    def _bind(self, address: str, port: int) -> tuple[str, int]:
        running = (facts for facts in self._held.values() if facts.state == "running")
        taken = self.taken_ports.union(*(facts.ports.values() for facts in running))
        if port == 0:
            return address, 32768 + next(self._serial)
        for other, number in taken:
            if number == port and (other == address or "0.0.0.0" in (other, address)):
                raise errors.PortTaken(f"Port {port} of {address} is already allocated.")
        return address, port
