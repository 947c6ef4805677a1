"""What to ask of each instance: requests that a worker carries out without reading the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Any, Self

from instances.checks.asking import ask_of
from instances.checks.listings import Seen, Untrusted, as_listed, believed, list_hosts
from instances.containers.facts import ContainerSummary
from instances.containers.identity import Listing, Wanted, identify
from instances.containers.published import located
from instances.engine.pool import EngineAddress, Engines
from instances.health.response import VERSION_LENGTH
from instances.models import Instance
from instances.outside import engine_address

MISSING = "missing"
VERSION_LABEL = "org.opencontainers.image.version"


@dataclass(frozen=True)
class CheckRequest:
    """All a worker needs to look at one instance without reading the database. Holds no secret.

    `container` is what to inspect, `name` what the instance's container should be called; without a
    name only the container itself is looked at. `listed` is the container's state in its host's list,
    `missing` when the list lacks it, None when there is no list because the engine was out of reach.
    `finding` and `finding_text` are what is odd about its identity, None where the row says so already.
    `leads` marks the one instance by which a host is judged whose engine is known to be out of reach.
    `distrust` says why nothing the host shows can be believed. `volumes` are those the data is in. `ask`
    is what the plan asks beyond address and expectation, `reported` what the list says of the image's own
    health check. A `look` is a check between sweeps, which leaves no history when it finds nothing new.
    """

    instance_id: int
    customer_id: str
    container: str
    container_id: str
    url: str
    expect: str
    engine_url: str
    name: str = ""
    engine_tls: tuple[str, str, str] | None = None
    engine_id: str = ""
    engine_ssh: tuple[str, str] | None = None
    engine_insecure: bool | None = None
    volumes: tuple[str, ...] = ()
    distrust: str | None = None
    ask: dict[str, Any] | None = None
    reported: str | None = None
    listed: str | None = None
    version: str | None = None
    sweep_id: str | None = None
    leads: bool | None = None
    look: bool | None = None
    finding: str | None = None
    finding_text: str | None = None

    def message(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Self:
        """What a message says; words of a newer release are left out."""
        tls, ssh = message.get("engine_tls"), message.get("engine_ssh")
        ways = {"engine_tls": tuple(tls) if tls else None, "engine_ssh": tuple(ssh) if ssh else None}
        volumes = tuple(message.get("volumes") or ())
        known = {name: value for name, value in message.items() if name in cls.__dataclass_fields__}
        return cls(**{**known, **ways, "volumes": volumes})

    @property
    def engine(self) -> EngineAddress:
        insecure = bool(self.engine_insecure)
        return EngineAddress(self.engine_url, self.engine_tls, self.engine_id, self.engine_ssh, insecure)

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.customer_id, self.container_id, self.name)

    def of_container(self, container: str) -> Self:
        """The same question about this very container, whatever it is called."""
        return replace(self, container=container, container_id=container, name="")

    def located(self, address: str) -> Self:
        """The same question at the container's own address, where that is where it is asked."""
        return replace(self, url=located(self.url, address))


def requests_for(
    instances: Sequence[Instance], engines: Engines, sweep_id: str | None = None
) -> list[CheckRequest]:
    """One request per instance, in their order, informed by one container list per host."""
    of_host = _by_host(instances)
    listings = {
        address: believed(of_host[address], listing, engines)
        for address, listing in list_hosts(of_host, engines).items()
    }
    return [_informed(instance, listings[engine_address(instance.host)], sweep_id) for instance in instances]


def requests_in_turn(
    instances: Sequence[Instance], engines: Engines, sweep_id: str | None = None
) -> Iterator[list[CheckRequest]]:
    """`requests_for`, first of all hosts that list at once, then of each that does when it has.

    Within a list hosts take turns, so that none has to wait until another one is through.
    """
    of_host = _by_host(instances)
    for listings in as_listed(of_host, engines):
        yield interleaved(
            _of_one_host(of_host[address], believed(of_host[address], listing, engines), sweep_id)
            for address, listing in listings.items()
        )


def listed_in_turn(
    instances: Sequence[Instance], engines: Engines
) -> Iterator[list[tuple[CheckRequest, str]]]:
    """Requests with what the image's own health check says, of each host whose list can be believed."""
    of_host = _by_host(instances)
    for listings in as_listed(of_host, engines):
        for address, seen in listings.items():
            listing = believed(of_host[address], seen, engines)
            if isinstance(listing, Listing):
                yield [
                    (_informed(row, listing, None), _image_health(row, listing)) for row in of_host[address]
                ]


def _image_health(instance: Instance, listing: Listing) -> str:
    container = identify(instance.wanted, listing).serves
    return container.health if container else ""


def _by_host(instances: Iterable[Instance]) -> dict[EngineAddress, list[Instance]]:
    of_host: dict[EngineAddress, list[Instance]] = defaultdict(list)
    for instance in instances:
        of_host[engine_address(instance.host)].append(instance)
    return of_host


def _of_one_host(instances: Iterable[Instance], listing: Seen, sweep_id: str | None) -> list[CheckRequest]:
    return [_informed(instance, listing, sweep_id) for instance in instances]


def interleaved(of_hosts: Iterable[list[CheckRequest]]) -> list[CheckRequest]:
    """One of each host, then the next of each. Pure."""
    rounds = chain.from_iterable(zip_longest(*of_hosts))
    return [request for request in rounds if request is not None]


def _informed(instance: Instance, listing: Seen, sweep_id: str | None) -> CheckRequest:
    if isinstance(listing, Untrusted):
        return replace(request_for(instance, None), distrust=listing.sentence, sweep_id=sweep_id)
    if listing is None:
        return replace(request_for(instance, None), version=_version(instance, None), sweep_id=sweep_id)
    found = identify(instance.wanted, listing)
    container = found.serves
    request = request_for(instance, container.state if container else MISSING)
    request = request.located(container.address if container else "")
    known = found.finding == instance.finding
    return replace(
        request,
        container=found.container.id if found.container else request.container,
        version=_version(instance, container),
        reported=container.health if container and container is found.container and request.ask else None,
        sweep_id=sweep_id,
        finding=None if known else found.finding,
        finding_text=None if known else found.sentence,
    )


def _version(instance: Instance, container: ContainerSummary | None) -> str | None:
    label = container.labels.get(VERSION_LABEL) if container else None
    return (label or _tag(instance.image_ref) or "")[:VERSION_LENGTH] or None


def request_for(instance: Instance, listed: str | None) -> CheckRequest:
    """What to ask of one instance whose container is known, or believed, to be in a state."""
    address = engine_address(instance.host)
    return CheckRequest(
        instance_id=instance.pk,
        customer_id=instance.customer_id,
        container=instance.container_id or instance.container_name,
        container_id=instance.container_id,
        name=instance.container_name,
        url=instance.health_url,
        expect=instance.plan.health_expect,
        ask=ask_of(instance.plan),
        engine_url=address.url,
        engine_tls=address.tls,
        engine_id=address.engine_id,
        engine_ssh=address.ssh,
        engine_insecure=address.insecure or None,
        volumes=tuple(instance.held_volumes),
        listed=listed,
    )


def _tag(image: str) -> str | None:
    """The tag of a reference, unless it is none that tells a version."""
    name, _, tag = image.partition("@")[0].rpartition(":")
    return tag if name and name != "sha256" and "/" not in tag and tag != "latest" else None
