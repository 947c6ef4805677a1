"""Checks many at a time: taken, asked and recorded in bulk, and each acknowledged once it is recorded.

One thread asks all instances, one records what they answered; threads of the worker's pool do what needs
an engine. A check goes to them as soon as the answer alone does not settle it, so what is recorded is the
same as when each check is a task of its own, which DOCKMGR_CHECKS=stock makes of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Container, Sequence
from datetime import timedelta
from functools import cache, partial
from typing import Any, Protocol

import msgspec
from celery import Celery, Task, signals
from celery.concurrency.thread import TaskPool
from celery.worker import strategy as stock
from django.conf import settings
from msgspec import Struct
from msgspec.structs import replace
from redis.exceptions import RedisError

from instances.checks.check_requests import CheckRequest
from instances.checks.observe import Check, FetchedAnswer, asks_first, settled
from instances.checks.record import Recorded
from instances.db.batch_writer import BatchWriter
from instances.db.clock import SYSTEM
from instances.db.installation import INSTALLATION
from instances.db.sessions import SESSIONS
from instances.http.exchange import ProbeResult
from instances.http.many_probes import CAN_ASK_MANY, ManyProbes, NextProbe, ProbeRequest, Then, probe_request
from tasks import checks
from tasks.broker.in_hand import InHand
from tasks.broker.message import Headers, Message, expiry
from tasks.broker.transport import Transport
from tasks.checks import CheckJob
from tasks.outages import SaidOnce, in_words

logger = logging.getLogger(__name__)

MOST_IN_HAND = 1000
MOST_WAITING = 10_000  # in hand, with those at hosts that answer late: what a process has memory for
LINGER = 0.5  # seconds a check waits to be recorded together with others
FINISHING = 1.0  # seconds more than a probe may take, that a worker which ends waits for what it began
Handler = Callable[..., Any]


class _Arguments(msgspec.Struct):
    """The keyword arguments of `dockmgr.check_health`, as far as a check needs them."""

    request: CheckRequest | None = None


_BODY = msgspec.json.Decoder(tuple[list[Any], _Arguments, Any])  # of a message: positional, named, embedded


class Asker(Protocol):
    """Who asks many instances beside each other; `ManyProbes` says how."""

    def line_up(self, host: str, turn: NextProbe) -> None: ...

    def standing(self) -> int: ...


class TakenJob(Struct, frozen=True):
    """A check to be made, and the tag of its message."""

    job: CheckJob
    tag: str

    def joined(self, coming: TakenJob) -> tuple[TakenJob, str]:
        """One that serves both, by the message of a sweep where one is, and the tag that is left over."""
        is_kept = bool(self.job.request.sweep_id and not coming.job.request.sweep_id)
        kept, spare = (self.tag, coming.tag) if is_kept else (coming.tag, self.tag)
        return TakenJob(checks.join(self.job, coming.job), kept), spare


class ManyChecks:
    """The checks of this process. `asker` asks many at once; `pool`, which a worker sets, has the threads."""

    queue = "health"

    def __init__(self, in_hand: InHand, asker: Asker, pool: Any = None, most: int = MOST_IN_HAND) -> None:
        self.in_hand = in_hand
        self.pool = pool
        self.revoked: Container[str] = ()
        self._asker = asker
        self._most = most
        self._once = SaidOnce(logger)
        self.writer: BatchWriter[tuple[TakenJob, Check], Recorded] = BatchWriter(
            self.write, linger=LINGER, patient=True, failed=self._not_recorded
        )
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[TakenJob, ProbeRequest]] = {}  # by instance, for the turn of its host
        self._is_over = False

    def room(self) -> int:
        """How many more messages are wanted. Those that wait for a slow host take no room from others."""
        if self._is_over:
            return 0
        at_work = self.in_hand.number() - self._asker.standing()
        return max(0, min(self._most - at_work, MOST_WAITING - self.in_hand.number(with_aside=True)))

    def takes(self, message: Message) -> bool:
        """Begin the check that a message in hand asks for; False when it has to be a task like any other."""
        job = job_of(message, self.revoked)
        if job is not None:
            self.begin(TakenJob(job, message.properties.delivery_tag))
        return job is not None

    def begin(self, taken: TakenJob) -> None:
        """Have a check made and recorded; returns at once. One that can't be begun comes again later."""
        try:
            self._begin(taken)
        except Exception as error:  # others were taken with it, and are begun after it
            self._failed(taken, "Beginning a check", error)

    def _failed(self, taken: TakenJob, what: str, error: Exception) -> None:
        """A defect of ours: held on to, its message would never come again, and take room for ever."""
        self._once.failed(what, error)
        self.in_hand.let_go([taken.tag])

    def _begin(self, taken: TakenJob) -> None:
        if not self._is_wanted(taken):
            return
        address = asks_first(taken.job.request)
        asked = address and probe_request(address)
        if asked:
            self._line_up(taken, asked)
        else:
            self._set_aside(taken)

    def _is_wanted(self, taken: TakenJob) -> bool:
        """Whether the instance has to be looked at; if not, all that is to be done has been."""
        if taken.job.is_over(SYSTEM.now()):
            self.in_hand.done([taken.tag])
        elif check := checks.known_dark(taken.job.request):
            self._record(taken, check)
        else:
            return True
        return False

    def _line_up(self, taken: TakenJob, asked: ProbeRequest) -> None:
        """Have it asked when its host may be; a look and a sweep's check that wait are one."""
        key, spare = taken.job.request.instance_id, None
        with self._lock:
            earlier = self._waiting.get(key)
            if earlier is not None:
                taken, spare = earlier[0].joined(taken)
            self._waiting[key] = (taken, asked)
        if spare is None:
            self._asker.line_up(asked.target.host, partial(self._turn, key))
        elif spare != taken.tag:
            self.in_hand.done([spare])

    def _turn(self, key: int) -> tuple[ProbeRequest, Then] | None:
        """What to ask now, unless that is too late or is known by now."""
        with self._lock:
            taken, asked = self._waiting.pop(key, (None, None))
        if taken is None or asked is None:
            return None
        try:
            return (asked, partial(self._answered, taken)) if self._is_wanted(taken) else None
        except Exception as error:
            self._failed(taken, "Asking for a check", error)
            return None

    def _answered(self, taken: TakenJob, result: ProbeResult, seconds: float) -> None:
        try:
            self._settle(taken, result, seconds)
        except Exception as error:
            self._failed(taken, "Settling a check", error)

    def _settle(self, taken: TakenJob, result: ProbeResult, seconds: float) -> None:
        now = SYSTEM.now()
        fetched = FetchedAnswer(result, now - timedelta(seconds=seconds))
        if check := settled(taken.job.request, fetched, now):
            self._record(taken, check)
        else:
            self._set_aside(replace(taken, job=replace(taken.job, fetched=fetched)))

    def _record(self, taken: TakenJob, check: Check) -> None:
        made = replace(check, again=True) if taken.job.again else check
        self.writer.hand_in((taken, made))

    def _not_recorded(self, lost: tuple[TakenJob, Check], error: Exception) -> None:
        self._ended(lost[0].tag, True)
        self._once.failed("Recording a check", error)

    def write(self, many: Sequence[tuple[TakenJob, Check]]) -> Sequence[Recorded]:
        """Record checks together, and acknowledge their messages."""
        recorded = checks.commit([check for _, check in many])
        self.in_hand.done([taken.tag for taken, _ in many])
        self._once.worked()
        for one in recorded:
            if checks.calls_for_more(one):
                self._on_a_thread(checks.follow, one)
        return recorded

    def _set_aside(self, taken: TakenJob) -> None:
        """Leave it to a thread, as one of those that may be at its host."""
        self.in_hand.set_aside([taken.tag])
        job = replace(taken.job, ended=(partial(self._ended, taken.tag),))
        self._on_a_thread(checks.LANES.run, job.request.engine, job.request.instance_id, job)

    def _ended(self, tag: str, is_lost: bool) -> None:
        """What could not be recorded is handed out again later, unless that is too late by then."""
        if is_lost:
            self.in_hand.let_go([tag])
        else:
            self.in_hand.done([tag])

    def _on_a_thread(self, work: Callable[..., object], *what: object) -> None:
        try:
            self.pool.apply_async(self._quietly, (work, *what), callback=lambda _: None)
        except RuntimeError:  # the pool has ended, and with it the process will
            logger.info("A worker that ends leaves a check to others.")

    def _quietly(self, work: Callable[..., object], *what: object) -> None:
        """On a thread of the pool, where nobody looks at what went wrong and sessions would stay open."""
        try:
            with SESSIONS.turn():
                work(*what)
        except Exception as error:
            self._once.failed("A check", error)

    def finish(self, **_: Any) -> None:
        """Take no more, wait a little for what was begun, and give back the rest for others to do."""
        with self._lock:
            self._is_over, waiting = True, [taken.tag for taken, _ in self._waiting.values()]
            self._waiting.clear()
        self.in_hand.set_aside(waiting)
        until = time.monotonic() + settings.PROBE_TIMEOUT + FINISHING
        while self.in_hand.number() > 0 and time.monotonic() < until:
            time.sleep(0.05)
        try:
            self.in_hand.release()
        except RedisError as error:
            logger.warning("Checks in hand come back after a minute: %s", in_words(error))


@cache
def many_checks() -> ManyChecks:
    """Those of this process, made when it is known to work for them. They end with its worker."""
    options: Any = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    in_hand = InHand.at(settings.CELERY_BROKER_URL, settings.BROKER_PREFIX, options["visibility_timeout"])
    many = ManyChecks(in_hand, ManyProbes(settings.PROBE_TIMEOUT))
    signals.worker_shutdown.connect(many.finish, weak=False)
    return many


def strategy(task: Task[..., Any], app: Celery, consumer: Any) -> Handler:
    """How a worker handles messages of `dockmgr.check_health`; Celery asks whenever it has connected.

    The transport hands a request of a sweep or a look to those that are made in bulk. What is not one comes
    here and is handled as any other task: a check that is asked for by hand, a message of another
    installation, one that was revoked.
    """
    one_by_one: Handler = stock.default(task, app, consumer)
    transport = consumer.connection.transport
    has_means = consumer.hub is not None and isinstance(consumer.pool, TaskPool) and CAN_ASK_MANY
    if settings.CHECKS != "stock" and has_means and isinstance(transport, Transport):
        many = many_checks()
        INSTALLATION.id()  # `takes` only looks whether it is known
        many.pool, many.revoked, transport.taker = consumer.pool, consumer.controller.state.revoked, many
    return one_by_one


def job_of(message: Message, revoked: Container[str]) -> CheckJob | None:
    """The check a message asks for, if it asks for one that needs nothing of a task's."""
    headers = message.headers
    if message.content_type != "application/json" or not _is_plain(headers, revoked):
        return None
    try:
        _, asked, _ = _BODY.decode(message.content())
        until = expiry(headers.expires)
    except (ValueError, RecursionError):
        return None  # As a task it fails, and is told.
    return CheckJob(asked.request, until, again=bool(headers.redelivered)) if asked.request else None


def _is_plain(headers: Headers, revoked: Container[str]) -> bool:
    is_own = not headers.installation or headers.installation == INSTALLATION.known()
    is_check = headers.task == "dockmgr.check_health" and bool(headers.ignore_result)
    return is_own and is_check and not headers.eta and headers.id not in revoked
