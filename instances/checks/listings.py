"""Container lists: one for each host, as far as its engine answers and can be believed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

from instances.checks import trust
from instances.containers.identity import Listing, identify
from instances.engine.pool import EngineAddress, Engines
from instances.errors import AnotherEngine, DockmgrError
from instances.models import Host, Instance
from instances.outside import engine_address, learn_engine

logger = logging.getLogger(__name__)

LISTING_THREADS = 16
LISTED_SOON = 0.2  # seconds in which an engine that is well has listed its containers


@dataclass(frozen=True)
class Untrusted:
    """In the place of a host's list that is not to be believed, with the sentence that says why."""

    sentence: str


# None for a host whose engine does not answer.
Seen = Listing | Untrusted | None


def list_hosts(addresses: Iterable[EngineAddress], engines: Engines) -> dict[EngineAddress, Seen]:
    """The lists of all hosts, when the last engine has answered or failed."""
    todo = list(addresses)
    if len(todo) == 1:
        return {todo[0]: _list_host(todo[0], engines)}
    with ThreadPoolExecutor(LISTING_THREADS) as pool:
        return dict(zip(todo, pool.map(lambda address: _list_host(address, engines), todo), strict=True))


def as_listed(
    addresses: Iterable[EngineAddress], engines: Engines, patience: float = float("inf")
) -> Iterator[dict[EngineAddress, Seen]]:
    """The lists of engines that answer soon, some hosts' at a time, and each of the others when it has.

    No more of them are asked for, or kept, than are asked beside each other. An engine that takes longer
    than `patience` (seconds) is as one that does not answer.
    """
    left, asked = iter(addresses), dict[Future[Seen], tuple[EngineAddress, float]]()
    pool = ThreadPoolExecutor(LISTING_THREADS, thread_name_prefix="list-host")
    try:
        while True:
            for address in islice(left, LISTING_THREADS - len(asked)):
                asked[pool.submit(_list_host, address, engines)] = address, time.monotonic() + patience
            if not asked:
                return
            yield {asked.pop(future)[0]: seen for future, seen in _next_listed(asked).items()}
    finally:
        pool.shutdown(wait=False)


def _next_listed(asked: Mapping[Future[Seen], tuple[EngineAddress, float]]) -> dict[Future[Seen], Seen]:
    """What has been listed soon, else what is first, else None for those that nobody waits for any longer."""
    done, _ = wait(asked, LISTED_SOON)
    if not done:
        until = min(until for _, until in asked.values())
        seconds = None if until == float("inf") else max(0.0, until - time.monotonic())
        done, _ = wait(asked, seconds, return_when=FIRST_COMPLETED)
    late = {future for future, (_, until) in asked.items() if until <= time.monotonic()} - done
    return {future: future.result() for future in done} | dict.fromkeys(late)


def _list_host(address: EngineAddress, engines: Engines) -> Seen:
    try:
        return Listing.of(engines.look(address, lambda engine: engine.list_containers()))
    except AnotherEngine as error:
        return Untrusted(str(error))
    except DockmgrError:
        return None  # The instances' own probes say what that means for each of them.


def recognised(host: Host, listing: Seen, engines: Engines) -> Seen:
    """The list, unless it is of an engine that is another host's already.

    Who a host's engine is is written down here where that is not known yet: it has just answered, so that
    no host waits for another one's.
    """
    if host.engine_id or not isinstance(listing, Listing):
        return listing
    try:
        learn_engine(host, engines)
    except AnotherEngine as error:
        return Untrusted(str(error))
    except DockmgrError as error:
        logger.info("Who the engine of host %s is has to be learnt another time: %s", host.name, error)
    return listing


def believed(instances: Sequence[Instance], listing: Seen, engines: Engines) -> Seen:
    """The list for these instances of one host, unless it lacks so much that it is not to be believed."""
    if not isinstance(listing, Listing):
        return listing
    if all(identify(instance.wanted, listing).container for instance in instances):
        return listing
    return _doubted(instances[0].host, listing, engines)


def _doubted(host: Host, listing: Listing, engines: Engines) -> Seen:
    stakes = trust.stakes_on(host.pk)
    try:
        lost = engines.look(engine_address(host), lambda engine: trust.what_is_lost(stakes, listing, engine))
    except DockmgrError:
        return None
    return Untrusted(lost) if lost else listing
