"""Everything outside the database, faked: engines in memory, probes that see them, and the time."""

from __future__ import annotations

import threading
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from instances.containers.facts import ContainerFacts
from instances.engine.pool import EngineAddress, Engines
from instances.engine.port import Engine
from instances.errors import EngineUnreachable
from instances.health.response import Outcome, sentence
from instances.http.probe import Address, ProbeResult
from instances.lib.clock import Clock
from instances.monitoring.fleet import SELF_TEST_PATH
from instances.outside import Outside
from tests.fakes.engine import FakeEngine

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
Answer = ProbeResult | Callable[[], ProbeResult]


class Killed(BaseException):
    """The process ended here: nothing in it runs any more."""


class FakeClock(Clock):
    """Sleeping makes the time pass at once. `at` says what happens elsewhere meanwhile.

    `coarse` is the least number of seconds a sleep takes, so that long waits need few rounds.
    """

    def __init__(self, start: datetime = START, coarse: float = 0.0) -> None:
        self.coarse = coarse
        self.slept: list[float] = []
        self._now = start
        self._elapsed = 0.0
        self._later: list[tuple[datetime, Callable[[], object]]] = []
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._now

    def elapsed(self) -> float:
        """Seconds that have passed, whatever the clock showed."""
        return self._elapsed

    def step(self, seconds: float) -> None:
        """The clock is set to another time; none passes."""
        self._now += timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(max(seconds, self.coarse))

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += timedelta(seconds=seconds)
            self._elapsed += seconds
            due = [call for moment, call in self._later if moment <= self._now]
            self._later = [(moment, call) for moment, call in self._later if moment > self._now]
        for call in due:
            call()

    def at(self, seconds: float, call: Callable[[], object]) -> None:
        """Once `seconds` more have passed, `call` happens."""
        self._later.append((self._now + timedelta(seconds=seconds), call))


def passes(version: str | None = None) -> ProbeResult:
    return ProbeResult(Outcome.OK, "", 200, 3, version, "")


def starts() -> ProbeResult:
    return ProbeResult(Outcome.STARTING, "", 200, 3, None, "")


def fails(reason: str = "http_503") -> ProbeResult:
    status = int(reason.removeprefix("http_")) if reason.startswith("http_") else None
    return ProbeResult(Outcome.FAIL, reason, status, 3, None, sentence(reason))


class HostEngine(FakeEngine):
    """A fake engine that a fake probe can look at."""

    def listens(self, host: str, port: int) -> bool:
        """Whether a container publishes the port, or has this very address."""
        return any(
            facts.address == host or port in (number for _, number in facts.ports.values())
            for facts in self._held.values()
            if facts.state == "running"
        )

    def inspect_here(self, container: str) -> ContainerFacts | None:
        """`inspect`, also while nobody can reach it."""
        return self._find(container)

    @property
    def containers(self) -> list[str]:
        return sorted(facts.name for facts in self._held.values())


class FakeProbe:
    """Answers per port or URL as `answers` says, a callable being asked each time.

    What has no entry is well. A port nothing listens on refuses, whatever its entry says. `of_itself`
    is what dockmgr sees when it looks at a server of its own.
    """

    def __init__(self, engines: dict[str, HostEngine]) -> None:
        self.answers: dict[int | str, Answer] = {}
        self.of_itself = passes()
        self._engines = engines

    def __call__(self, address: Address, timeout: float) -> ProbeResult:
        if address.url in self.answers:
            return _told(self.answers[address.url])
        if urlsplit(address.url).path == SELF_TEST_PATH:
            return self.of_itself
        place = urlsplit(address.url)
        port = place.port or 0
        if not any(engine.listens(place.hostname or "", port) for engine in self._engines.values()):
            return fails("refused")
        return _told(self.answers.get(port, passes()))


def _told(answer: Answer) -> ProbeResult:
    return answer() if callable(answer) else answer


class Fate:
    """Counts the moments at which a process can be killed, and kills it at the one it is told."""

    def __init__(self) -> None:
        self.moment: int | None = None
        self.passed = 0
        self.line = BadLine()

    def strikes_at(self, moment: int) -> None:
        self.moment, self.passed = moment, 0

    def spares(self) -> None:
        self.moment = None

    def point(self) -> None:
        self.passed += 1
        if self.passed - 1 == self.moment:
            self.moment = None
            raise Killed

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, with a moment to be killed right before and one right after it."""

        def mortal(*args: Any, **kwargs: Any) -> Any:
            self.point()
            result = call(*args, **kwargs)
            self.point()
            return result

        return mortal


class BadLine:
    """Which calls of an engine are lost on their way there, and whose answers on the way back.

    `percent` of each. The same calls are in every run, whatever threads they come from.
    """

    def __init__(self) -> None:
        self.percent = 0
        self._calls: Counter[str] = Counter()

    def loses(self, what: str) -> bool:
        if not self.percent:
            return False
        self._calls[what] += 1
        return zlib.crc32(f"{what} {self._calls[what]}".encode()) % 100 < self.percent

    def over(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def sent(*args: Any, **kwargs: Any) -> Any:
            if self.loses(f"{name} there {args}"):
                raise EngineUnreachable("The Docker Engine is out of reach: the line was cut.")
            answer = call(*args, **kwargs)
            if self.loses(f"{name} back {args}"):
                raise EngineUnreachable("The Docker Engine is out of reach: it did not answer in time.")
            return answer

        return sent


class MortalEngine:
    """Passes every call on to an engine; the process can be killed around each of them."""

    def __init__(self, engine: FakeEngine, fate: Fate) -> None:
        self._engine, self._fate = engine, fate

    def __getattr__(self, name: str) -> Any:
        return self._fate.around(self._fate.line.over(name, getattr(self._engine, name)))


@dataclass(frozen=True, kw_only=True)
class FakeOutside(Outside):
    """`hosts` are the engines by URL, made when first asked for; `fate` may kill around their calls."""

    clock: FakeClock
    probe: FakeProbe
    hosts: defaultdict[str, HostEngine]
    fate: Fate


def fake_outside() -> FakeOutside:
    """A fresh outside whose parts belong together: the probe sees what runs on the engines."""
    clock, fate = FakeClock(), Fate()
    hosts: defaultdict[str, HostEngine] = defaultdict(lambda: HostEngine(clock.now))

    def make(address: EngineAddress) -> Engine:
        engine: Any = MortalEngine(hosts[address.url], fate)
        return engine  # type: ignore[no-any-return]

    engines = Engines(make, clock.elapsed)
    return FakeOutside(engines=engines, clock=clock, probe=FakeProbe(hosts), hosts=hosts, fate=fate)
