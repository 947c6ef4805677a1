"""What can go wrong before customers, for `bench.rota`: how each fault is made and how it is mended."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.proxies import LIFE, NOBODY, ZONES, Authority, Names, Proxy, Site


@dataclass
class Trial:
    """All that can be broken."""

    sites: list[Site]
    proxies: list[Proxy]
    names: Names
    good: Authority
    strange: Authority = field(default_factory=lambda: Authority("Nobody's Authority"))

    def upstreams(self, *, lost: set[str]) -> None:
        """Where the proxies lead: nowhere for the names that are lost."""
        for proxy in self.proxies:
            proxy.upstreams = {
                site.name: NOBODY if site.name in lost else site.upstream for site in proxy.sites
            }
            proxy.reload()

    def certify(self, zone: str, by: Authority, days: float = LIFE) -> None:
        """The same certificate of a zone at all proxies."""
        first, *others = self.proxies
        first.certify(zone, by, days)
        for proxy in others:
            proxy.copy_of(first, zone)
        for proxy in self.proxies:
            proxy.reload()


Change = Callable[[Trial], None]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, how it is mended, and what there should be messages of."""

    name: str
    breaks: Change
    mends: Change
    wanted: int = 1


def _of_proxy(number: int, change: Callable[[Proxy], None]) -> Change:
    return lambda trial: change(trial.proxies[number])


def _certificates(by: Callable[[Trial], Authority], *names: str) -> Change:
    def change(trial: Trial) -> None:
        for zone in ZONES:
            trial.proxies[-1].certify(zone, by(trial), LIFE, names)
        trial.proxies[-1].reload()

    return change


def _loops(proxy: Proxy, names: set[str]) -> None:
    proxy.loops = names
    proxy.reload()


def _four(trial: Trial) -> None:
    """Four customers, each with a trouble of his own."""
    first, second, third, fourth = (trial.sites[number] for number in (7, 33, 158, 222))
    trial.upstreams(lost={first.name})
    [proxy] = [proxy for proxy in trial.proxies if proxy.place == second.place]
    _loops(proxy, {second.name})
    trial.names.say(
        gone=[third.name],
        names={**trial.names.known["names"], fourth.name: "192.168.7.7"},  # type: ignore[dict-item]
    )


def _four_mended(trial: Trial) -> None:
    trial.upstreams(lost=set())
    for proxy in trial.proxies:
        _loops(proxy, set())
    trial.names.say()


def _stopped_all(trial: Trial) -> None:
    for proxy in trial.proxies:
        proxy.stop()


def _started_all(trial: Trial) -> None:
    for proxy in trial.proxies:
        proxy.start()


FAULTS = (
    Fault("four customers, each by himself", _four, _four_mended, 4),
    Fault(
        "certificate of a zone expired",
        lambda trial: trial.certify(ZONES[0], trial.good, -1),
        lambda trial: trial.certify(ZONES[0], trial.good),
    ),
    Fault(
        "certificates of another name at a proxy",
        _certificates(lambda trial: trial.good, "elsewhere.example"),
        _certificates(lambda trial: trial.good),
    ),
    Fault(
        "certificates of an unknown authority at a proxy",
        _certificates(lambda trial: trial.strange),
        _certificates(lambda trial: trial.good),
    ),
    Fault(
        "redirect loop at a proxy",
        _of_proxy(-1, lambda proxy: _loops(proxy, {site.name for site in proxy.sites})),
        _of_proxy(-1, lambda proxy: _loops(proxy, set())),
    ),
    Fault("zone gone", lambda trial: trial.names.say(gone=[ZONES[1]]), lambda trial: trial.names.say()),
    Fault(
        "zone's name servers away",
        lambda trial: trial.names.say(away=[ZONES[0]]),
        lambda trial: trial.names.say(),
    ),
    Fault("proxy stopped", _of_proxy(0, Proxy.stop), _of_proxy(0, Proxy.start)),
    Fault(
        "proxy hangs",
        _of_proxy(-1, lambda proxy: proxy.signal(signal.SIGSTOP)),
        _of_proxy(-1, lambda proxy: proxy.signal(signal.SIGCONT)),
    ),
    Fault(
        "way to one host gone",
        lambda trial: trial.upstreams(lost={site.name for site in trial.sites if site.host == 0}),
        lambda trial: trial.upstreams(lost=set()),
    ),
    Fault(
        "certificate ends in 10 days",
        lambda trial: trial.certify(ZONES[1], trial.good, 10),
        lambda trial: trial.certify(ZONES[1], trial.good),
    ),
    Fault("all proxies stopped", _stopped_all, _started_all),
    Fault(
        "our name server silent", lambda trial: trial.names.say(silent=True), lambda trial: trial.names.say()
    ),
)
