"""What the engines of hosts say when asked for themselves: who they are, and if they have what is ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from instances.checks import trust
from instances.checks.trust import Stake
from instances.containers.identity import Listing
from instances.engine.certificates import CertificateEnd
from instances.engine.port import Engine
from instances.errors import AnotherEngine, DockmgrError, EngineUnusable, OwnTrouble
from instances.models import Host
from instances.monitoring.host_rules import Trouble
from instances.outside import Outside, engine_address

logger = logging.getLogger(__name__)

AT_ONCE = 16  # engines asked side by side
A = TypeVar("A")


@dataclass(frozen=True)
class Answer:
    """What an engine said: who it is, or why it can't be used, and whether that is for want of trust.

    `unasked` for a reason of ours: it is asked again when an answer would have come. With `lacks_many`
    so many containers are not there that it may be the engine's doing. `certificates` are those that lead
    to it, as far as they can be seen.
    """

    engine_id: str = ""
    error: str = ""
    distrust: Trouble | None = None
    unasked: bool = False
    misconfigured: bool = False
    lacks_many: bool = False
    certificates: Sequence[CertificateEnd] = ()


def ask_engines(hosts: Sequence[Host], outside: Outside) -> list[Answer]:
    """One answer for each host, all asked at once. Reads of each instance only where an engine lacks many."""
    known = [trust.containers_on(host.pk) for host in hosts]
    answers = _at_once(partial(_answer, outside), zip(hosts, known, strict=True))
    doubtful = [place for place, answer in enumerate(answers) if answer.lacks_many]
    stakes = [(hosts[place], trust.stakes_on(hosts[place].pk)) for place in doubtful]
    for place, lost in zip(doubtful, _at_once(partial(_lost, outside), stakes), strict=True):
        if lost:
            answers[place] = replace(answers[place], error=lost, distrust=Trouble.DATA_LOST)
    return answers


def _at_once(ask: Callable[..., A], questions: Iterable[tuple[object, ...]]) -> list[A]:
    """What is asked on a thread must not read the database."""
    asked = list(questions)
    if len(asked) <= 1:
        return [ask(*question) for question in asked]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ask-engine") as pool:
        return list(pool.map(lambda question: ask(*question), asked))


def _answer(outside: Outside, host: Host, containers: Sequence[str]) -> Answer:
    try:
        engine_id = outside.engines.ask(engine_address(host), _who_answers)
    except AnotherEngine as error:
        return Answer(error=str(error), distrust=Trouble.ANOTHER_ENGINE)
    except OwnTrouble as error:
        logger.error("Host %s was not asked: %s", host.name, error)
        return Answer(unasked=True)
    except DockmgrError as error:
        return Answer(error=str(error), misconfigured=isinstance(error, EngineUnusable))
    certificates = outside.certificates(engine_address(host))
    return Answer(engine_id, lacks_many=_lacks_many(outside, host, containers), certificates=certificates)


def _who_answers(engine: Engine) -> str:
    engine.ping()
    return engine.facts().id


def _lacks_many(outside: Outside, host: Host, containers: Sequence[str]) -> bool:
    def look(engine: Engine) -> bool:
        there = {container.id for container in engine.list_containers()}
        return trust.many(sum(each not in there for each in containers), len(containers))

    return trust.many(len(containers), len(containers)) and _looked(outside, host, look, otherwise=False)


def _lost(outside: Outside, host: Host, stakes: Sequence[Stake]) -> str:
    def look(engine: Engine) -> str:
        return trust.what_is_lost(stakes, Listing.of(engine.list_containers()), engine)

    return _looked(outside, host, look, otherwise="")


def _looked(outside: Outside, host: Host, look: Callable[[Engine], A], otherwise: A) -> A:
    try:
        return outside.engines.ask(engine_address(host), look)
    except DockmgrError as error:
        logger.info("What host %s has is not known: %s", host.name, error)
        return otherwise
