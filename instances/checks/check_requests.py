"""What to ask of each instance: requests that a worker carries out without reading the database."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from typing import Any, Self, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr, replace

from instances.checks.asking import ask_of
from instances.checks.engine_answers import EngineAnswers
from instances.checks.listings import (
    KEPT_AT_ONCE,
    Seen,
    Untrusted,
    as_listed,
    believed,
    doubt_of,
    list_host,
    recognised,
)
from instances.checks.roster import Roster, rows_by_host
from instances.containers.facts import ContainerSummary
from instances.containers.identity import Listing, Wanted, identify
from instances.containers.image_names import LATEST, parts_of
from instances.containers.published import located
from instances.engine.pool import EngineAddress, Engines
from instances.errors import RequestError
from instances.health.response import VERSION_LENGTH
from instances.models import Host
from instances.models.check_subject import CheckSubject
from instances.models.installation import installation_id
from instances.outside import engine_address

MISSING = "missing"
VERSION_LABEL = "org.opencontainers.image.version"


OfHost: TypeAlias = tuple[EngineAddress, Sequence[CheckSubject], Seen]


class CheckRequest(Struct, frozen=True, omit_defaults=True):
    """All a worker needs to look at one instance without reading the database. Holds no secret.

    `container` is what to inspect, `name` what the instance's container should be called; without a
    name only the container itself is looked at. `listed` is the container's state in its host's list,
    `missing` when the list lacks it, None when there is no list because the engine was out of reach.
    `finding` and `finding_text` are what is odd about its identity, None where the row says so already.
    `leads` marks the one instance by which a host is judged whose engine is known to be out of reach.
    `distrust` says why nothing the host shows can be believed. `volumes` are those the data is in. `ask`
    is what the plan asks beyond address and expectation, `reported` what the list says of the image's own
    health check. A `look` is a check between sweeps, which leaves no history when it finds nothing new.
    `installation` is ours, where a container that is not has the instance's name.
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
    installation: str | None = None

    def __post_init__(self) -> None:
        """Keep once what is said often: a worker has many thousands of requests in hand."""
        if self.container_id == self.container:
            force_setattr(self, "container_id", self.container)
        force_setattr(self, "engine_url", sys.intern(self.engine_url))
        force_setattr(self, "engine_id", sys.intern(self.engine_id))
        if self.sweep_id:
            force_setattr(self, "sweep_id", sys.intern(self.sweep_id))

    def message(self) -> dict[str, Any]:
        """What a message says of it: builtin values, without what is as it is by default."""
        said: dict[str, Any] = msgspec.to_builtins(self)
        return said

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Self:
        """What a message says; words of a newer release are left out.

        Raises RequestError for another form.
        """
        try:
            return msgspec.convert(message, cls)
        except (msgspec.ValidationError, UnicodeEncodeError):  # the latter of half a character
            raise RequestError("This check was asked for in another form than a sweep's.") from None

    @property
    def engine(self) -> EngineAddress:
        insecure = bool(self.engine_insecure)
        return EngineAddress(self.engine_url, self.engine_tls, self.engine_id, self.engine_ssh, insecure)

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.customer_id, self.container_id, self.name, self.volumes)

    def of_container(self, container: str) -> Self:
        """The same question about this very container, whatever it is called."""
        return replace(self, container=container, container_id=container, name="")

    def located(self, address: str) -> Self:
        """The same question at the container's own address, where that is where it is asked."""
        return replace(self, url=located(self.url, address))


def request_as_listed(
    instance: CheckSubject, engines: Engines, sweep_id: str | None = None, *, installation: str = ""
) -> CheckRequest:
    """The request of one instance, informed by its host's container list, as an `installation` knows it."""
    address = engine_address(instance.host)
    listing = believed([instance], list_host(address, engines, installation), engines)
    return _informed(instance, address, listing, sweep_id)


def requests_in_turn(
    roster: Roster, engines: Engines, sweep_id: str | None = None, *, patience: float = float("inf")
) -> Iterator[Iterator[CheckRequest]]:
    """One request per instance, made when it is asked for: of some hosts that list soon, then of others.

    Hosts take turns, so that none has to wait until another one is through. An engine that takes longer
    than `patience` (seconds) to list is as one that does not answer.
    """
    for listed in filter(None, _listed(roster, engines, patience)):
        yield interleaved(_of_one_host(address, rows, seen, sweep_id) for address, rows, seen in listed)


def listed_in_turn(roster: Roster, engines: Engines) -> Iterator[list[tuple[CheckRequest, str]]]:
    """Requests with what the image's own health check says, of each host whose list can be believed."""
    for listed in _listed(roster, engines, float("inf")):
        for address, rows, listing in listed:
            if isinstance(listing, Listing):
                yield [(_informed(row, address, listing, None), _image_health(row, listing)) for row in rows]


def _image_health(instance: CheckSubject, listing: Listing) -> str:
    container = identify(instance.wanted, listing).serves
    return container.health if container else ""


def _listed(roster: Roster, engines: Engines, patience: float) -> Iterator[list[OfHost]]:
    """Hosts whose lists came at about the same time, each with its rows and the list as far as believed.

    A host whose list is in doubt comes when its engine has been asked about that.
    """
    hosts: dict[EngineAddress, list[Host]] = defaultdict(list)
    for host in Host.objects.in_bulk(list(roster.of_host)).values():
        hosts[engine_address(host)].append(host)
    with EngineAnswers[int, Seen](patience) as answers:
        doubts = _Doubts(answers, engines)
        for listings in as_listed(hosts, engines, patience, installation=installation_id()):
            left = ((address, host) for address in listings for host in hosts[address])
            while some := list(islice(left, KEPT_AT_ONCE)):
                rows = rows_by_host(roster, [host.pk for _, host in some])
                seen = (recognised(host, listings[address]) for address, host in some)
                found = zip((address for address, _ in some), rows, seen, strict=True)
                yield [each for each in found if not doubts.take(each)]
            yield doubts.resolved(answers.at_hand())
        while answers:
            yield doubts.resolved(answers.following())


class _Doubts:
    """Hosts whose lists are in doubt, until their engines have answered."""

    def __init__(self, answers: EngineAnswers[int, Seen], engines: Engines) -> None:
        self._answers, self._engines = answers, engines
        self._waiting: dict[int, tuple[EngineAddress, Sequence[CheckSubject]]] = {}

    def take(self, found: OfHost) -> bool:
        """Have the engine asked if the list is in doubt; False if it is not."""
        address, rows, seen = found
        doubt = doubt_of(rows, seen, self._engines)
        if doubt is None:
            return False
        host = rows[0].host_id
        self._waiting[host] = address, rows
        self._answers.ask(host, doubt)
        return True

    def resolved(self, answers: dict[int, Seen]) -> list[OfHost]:
        return [(*self._waiting.pop(host), seen) for host, seen in answers.items()]


def _of_one_host(
    address: EngineAddress, instances: Iterable[CheckSubject], listing: Seen, sweep_id: str | None
) -> Iterator[CheckRequest]:
    return (_informed(instance, address, listing, sweep_id) for instance in instances)


def interleaved(of_hosts: Iterable[Iterable[CheckRequest]]) -> Iterator[CheckRequest]:
    """One of each host, then the next of each. Pure."""
    rounds = chain.from_iterable(zip_longest(*of_hosts))
    return (request for request in rounds if request is not None)


def _informed(
    instance: CheckSubject, address: EngineAddress, listing: Seen, sweep_id: str | None
) -> CheckRequest:
    if isinstance(listing, Untrusted):
        return _request(instance, address, sweep_id=sweep_id, distrust=listing.sentence)
    if listing is None:
        return _request(instance, address, sweep_id=sweep_id, version=_version(instance, None))
    found = identify(instance.wanted, listing)
    container, own = found.serves, found.container
    is_known = found.finding == instance.finding
    return _request(
        instance,
        address,
        listed=container.state if container else MISSING,
        url=located(instance.health_url, container.address if container else ""),
        container=own.id if own else "",
        version=_version(instance, container),
        reported=container.health if container and container is own and ask_of(instance.plan) else None,
        sweep_id=sweep_id,
        finding=None if is_known else found.finding,
        finding_text=None if is_known else found.sentence,
        installation=listing.installation or None if found.stranger else None,
    )


def _version(instance: CheckSubject, container: ContainerSummary | None) -> str | None:
    label = container.labels.get(VERSION_LABEL) if container else None
    return (label or _tag(instance.image_ref) or "")[:VERSION_LENGTH] or None


def request_for(instance: CheckSubject, listed: str | None) -> CheckRequest:
    """What to ask of one instance whose container is known, or believed, to be in a state."""
    return _request(instance, engine_address(instance.host), listed=listed)


def _request(
    instance: CheckSubject, address: EngineAddress, *, container: str = "", url: str = "", **found: Any
) -> CheckRequest:
    """The request as the row says, and as was `found` on its host."""
    return CheckRequest(
        instance_id=instance.pk,
        customer_id=instance.customer_id,
        container=container or instance.container_id or instance.container_name,
        container_id=instance.container_id,
        name=instance.container_name,
        url=url or instance.health_url,
        expect=instance.plan.health_expect,
        ask=ask_of(instance.plan),
        engine_url=address.url,
        engine_tls=address.tls,
        engine_id=address.engine_id,
        engine_ssh=address.ssh,
        engine_insecure=address.insecure or None,
        volumes=tuple(instance.held_volumes),
        **found,
    )


def _tag(image: str) -> str | None:
    """The tag of a reference, unless it is none that tells a version."""
    name, tag, _ = parts_of(image)
    return tag if tag and name not in ("", "sha256") and tag != LATEST else None
