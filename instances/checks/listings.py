"""Container lists: one for each host, as far as its engine answers and can be believed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeAlias

from instances.checks import trust
from instances.checks.engine_answers import EngineAnswers
from instances.containers.identity import Listing, Wanted, identify
from instances.engine.pool import EngineAddress, Engines
from instances.errors import AnotherEngine, DockmgrError
from instances.models import Host
from instances.models.check_subject import CheckSubject
from instances.outside import engine_address, keep_engine_id

logger = logging.getLogger(__name__)

LISTED_AT_ONCE = 20  # with those whose engines take their time
KEPT_AT_ONCE = 5  # what a worker has memory for: the lists of so many hosts, and the rows of their instances


@dataclass(frozen=True)
class Untrusted:
    """In the place of a host's list that is not to be believed, with the sentence that says why."""

    sentence: str


# None for a host whose engine does not answer.
Seen: TypeAlias = Listing | Untrusted | None
Doubt: TypeAlias = Callable[[], Seen]


class Listed(NamedTuple):
    """What an engine listed, and who it says it is where nobody knew that yet."""

    seen: Seen
    engine_id: str = ""


UNLISTED = Listed(None)


def as_listed(
    addresses: Iterable[EngineAddress],
    engines: Engines,
    patience: float = float("inf"),
    *,
    installation: str = "",
) -> Iterator[dict[EngineAddress, Listed]]:
    """The lists of engines that answer soon, some hosts' at a time, and each of the others when it has.

    Few are asked for until the ones before are used, so that few are kept; one that is slow holds up none. An
    engine that takes longer than `patience` (seconds) is as one that does not answer.
    """
    left = iter(addresses)
    with EngineAnswers[EngineAddress, Listed](patience) as answers:
        while True:
            for address in islice(left, min(KEPT_AT_ONCE, LISTED_AT_ONCE - len(answers))):
                answers.ask(address, partial(_listed_with_id, address, engines, installation))
            if not answers:
                return
            yield {address: listed or UNLISTED for address, listed in answers.following().items()}


def _listed_with_id(address: EngineAddress, engines: Engines, installation: str) -> Listed:
    """The list, and who has made it where that is not known yet: it has just answered."""
    seen = list_host(address, engines, installation)
    if address.engine_id or not isinstance(seen, Listing):
        return Listed(seen)
    try:
        return Listed(seen, engines.at(address).facts().id)
    except DockmgrError as error:
        logger.info("Who answers at %s has to be learnt another time: %s", address.url, error)
        return Listed(seen)


def list_host(address: EngineAddress, engines: Engines, installation: str) -> Seen:
    """What the engine lists, as this installation knows it; None if it does not answer."""
    try:
        return Listing.of(engines.look(address, lambda engine: engine.list_containers()), installation)
    except AnotherEngine as error:
        return Untrusted(str(error))
    except DockmgrError:
        return None  # The instances' own probes say what that means for each of them.


def recognised(host: Host, listed: Listed) -> Seen:
    """The list, unless it is of an engine that is another host's; who the engine is is written down."""
    try:
        keep_engine_id(host, listed.engine_id)
    except AnotherEngine as error:
        return Untrusted(str(error))
    return listed.seen


def believed(instances: Sequence[CheckSubject], listing: Seen, engines: Engines) -> Seen:
    """The list for these instances of one host, unless it lacks so much that it is not to be believed."""
    doubt = doubt_of(instances, listing, engines)
    return doubt() if doubt else listing


def doubt_of(instances: Sequence[CheckSubject], listing: Seen, engines: Engines) -> Doubt | None:
    """What asks the engine whether a list can be believed, if it lacks many containers; else None."""
    if not isinstance(listing, Listing):
        return None
    if all(identify(instance.wanted, listing).container for instance in instances):
        return None
    stakes = trust.stakes_on(instances[0].host_id)
    if not trust.lacks_many(stakes, listing):
        return None
    return partial(_resolved, engine_address(instances[0].host), stakes, listing, engines)


def _resolved(address: EngineAddress, stakes: Sequence[Wanted], listing: Listing, engines: Engines) -> Seen:
    try:
        lost = engines.look(address, lambda engine: trust.what_is_lost(stakes, listing, engine))
    except DockmgrError:
        return None
    return Untrusted(lost) if lost else listing
