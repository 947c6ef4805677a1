"""Who is at fault for many public addresses together: what those share that fail. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from instances.health.diagnosis import Fault

LEAST = 3  # customers whose failures are one trouble when they share where it lies
SHARE = 0.5  # of those who were asked since it began, more have to fail
MANY = 10  # so many who begin to fail within an interval are one trouble, whoever else gets through
SUSPECT, SAMPLE = 2, 5  # after so many failures of one, so many of the others who share a place are asked
AT_LEAST = timedelta(minutes=5)  # in which a common cause shows at all, however often they are asked
STEPS = 5  # shares that differ by less than a fifth are alike
AGAIN = timedelta(seconds=30)  # until who still fails is asked once more because others recover
EVERYWHERE = ("all", "")
KINDS = ("proxy", "zone", "host")  # what can be shared, the nearest first
# What those can have in common whose trouble lies there.
SHARED = {Fault.PROXY: KINDS, Fault.TLS: KINDS, Fault.DNS: ("zone",)}
Place = tuple[str, str]  # what is shared, and its name


@dataclass(frozen=True)
class Seen:
    """The last look at one customer's public address; `fault` is empty where it is well or not known.

    `recovered_at` is when it was last found well after a failure.
    """

    customer_id: str
    asked_at: datetime
    is_well: bool = True
    fault: str = ""
    failures: int = 0
    since: datetime | None = None
    proxy: str = ""
    zone: str = ""
    host: str = ""
    recovered_at: datetime | None = None

    @property
    def began(self) -> datetime:
        return self.since or self.asked_at


@dataclass(frozen=True)
class Group:
    """Customers whose failures are one trouble, at what they share; `of` so many who were asked meanwhile."""

    place: Place
    fault: str
    customers: tuple[str, ...]
    of: int


@dataclass(frozen=True)
class _Claim:
    """How well a place explains failures: who fails since it began, of so many who were asked since."""

    place: Place
    found: tuple[Seen, ...]
    asked: int
    known_at: datetime | None

    @property
    def customers(self) -> set[str]:
        return {look.customer_id for look in self.found}

    @property
    def rank(self) -> tuple[int, int, int]:
        """The purest explains best; of those alike the widest, then the nearest. A known one goes first."""
        purity = round(STEPS * len(self.found) / self.asked) + (self.known_at is not None)
        return purity, len(self.found), -KINDS.index(self.place[0])


def grouped(
    looks: Sequence[Seen], needed: int, every: timedelta, known: Mapping[Place, datetime] | None = None
) -> tuple[list[Group], list[Seen]]:
    """Troubles that many have together, and failures of one customer each.

    A customer who failed `needed` times in a row is confirmed; everybody is asked once in `every`. Three who
    are confirmed and share a place are a group in either of two cases: more than half fail of those who
    share it and were asked since that began, or ten began to fail within `every`. Where several places fit,
    the one is at fault where the largest part of those asked fail. A group that was `known` goes on until
    others get through again and, asked after that, fewer than three fail.
    """
    known, every = known or {}, max(every, AT_LEAST)
    failing = [look for look in looks if look.fault in SHARED and look.failures]
    if _nobody_gets_through(looks, failing, needed, EVERYWHERE in known):
        return [_group(EVERYWHERE, failing, len(failing))], []
    groups: list[Group] = []
    taken: set[str] = set()
    places = _places(looks, failing)
    claims = [_claim(place, own, needed, every, known.get(place)) for place, own in places.items()]
    while best := max((claim for claim in claims if claim), key=lambda claim: claim.rank, default=None):
        groups.append(_group(best.place, best.found, best.asked))
        taken |= best.customers
        claims = [
            _without(claim, taken, places[claim.place], needed, every)
            for claim in claims
            if claim and claim is not best
        ]
    single = [look for look in failing if look.failures >= needed and look.customer_id not in taken]
    return groups, single


def _nobody_gets_through(looks: Iterable[Seen], failing: Sequence[Seen], needed: int, is_known: bool) -> bool:
    """Whether nobody did since somebody last did, though they share nothing: it may be our own way out."""
    got_through = max((look.asked_at for look in looks if look.is_well), default=None)
    lately = [look for look in failing if got_through is None or look.began > got_through]
    if not lately or len({(look.proxy, look.zone) for look in lately}) < 2:
        return False
    places = {look.proxy for look in lately if look.proxy}, {look.zone for look in lately}
    confirmed = sum(look.failures >= needed for look in lately)
    return is_known or (confirmed >= LEAST and min(map(len, places)) > 1)


def _places(looks: Iterable[Seen], failing: Iterable[Seen]) -> dict[Place, list[Seen]]:
    """All looks by what they have in common, of places where somebody fails."""
    troubled = {(kind, getattr(look, kind)) for look in failing for kind in SHARED[Fault(look.fault)]}
    found: defaultdict[Place, list[Seen]] = defaultdict(list)
    for look in looks:
        for kind in KINDS:
            place = (kind, getattr(look, kind))
            if place[1] and place in troubled:
                found[place].append(look)
    return dict(sorted(found.items()))


def _counts(look: Seen, kind: str) -> bool:
    """Whether it fails, and that may lie at what is shared of this kind."""
    return bool(look.failures and look.fault) and kind in SHARED.get(Fault(look.fault), ())


def _without(
    claim: _Claim, taken: set[str], own: Sequence[Seen], needed: int, every: timedelta
) -> _Claim | None:
    """The claim when others explain some of its failures."""
    if taken.isdisjoint(claim.customers):
        return claim
    left = [look for look in own if look.customer_id not in taken]
    return _claim(claim.place, left, needed, every, claim.known_at)


def _claim(
    place: Place, own: Sequence[Seen], needed: int, every: timedelta, known_at: datetime | None
) -> _Claim | None:
    """What a place explains, from when on most who were asked there failed; None where that is not enough."""
    failing = sorted((look for look in own if _counts(look, place[0])), key=_began)
    asked = sorted(look.asked_at for look in own if look.is_well or _counts(look, place[0]))
    if known_at is not None and (going_on := _going_on(own, failing, known_at, every)):
        return _Claim(place, tuple(going_on), _since(asked, going_on[0].began), known_at)
    found = _together(failing, every)
    first = _first_of_many(found, asked, needed, every)
    if first is None:
        return None
    return _Claim(place, tuple(found[first:]), _since(asked, found[first].began), known_at)


def _going_on(
    own: Iterable[Seen], failing: Iterable[Seen], known_at: datetime, every: timedelta
) -> Sequence[Seen]:
    """Who fails of a trouble that was known; nobody when it is over."""
    found = [look for look in failing if look.began > known_at - 2 * every]
    back = [look.recovered_at for look in own if look.recovered_at and look.recovered_at > known_at]
    is_over = len(found) < LEAST and back and all(look.asked_at >= max(back) for look in found)
    return [] if is_over else found


def _first_of_many(
    found: Sequence[Seen], asked: Sequence[datetime], needed: int, every: timedelta
) -> int | None:
    """With whose failure a trouble of many began: the earliest beginning that explains about the most."""
    shares = _shares(found, asked, needed, every)
    least = max(shares.values(), default=0.0) - 1 / STEPS / 2
    return next((number for number, share in shares.items() if share > least), None)


def _shares(
    found: Sequence[Seen], asked: Sequence[datetime], needed: int, every: timedelta
) -> dict[int, float]:
    """Which part fails of those asked since each possible beginning, where that makes a trouble of many."""
    confirmed = [look.began for look in found if look.failures >= needed]
    begins = [look.began for look in found]
    shares: dict[int, float] = {}
    for number in sorted({bisect_left(begins, began) for began in confirmed}):
        since = begins[number]
        share = (len(found) - number) / _since(asked, since)
        later = confirmed[bisect_left(confirmed, since) :]
        is_many = len(later) >= MANY and later[MANY - 1] - since <= every
        if len(later) >= LEAST and (share > SHARE or is_many):
            shares[number] = share
    return shares


def _since(asked: Sequence[datetime], moment: datetime) -> int:
    return len(asked) - bisect_left(asked, moment)


def _began(look: Seen) -> datetime:
    return look.began


def _together(found: Sequence[Seen], every: timedelta) -> Sequence[Seen]:
    """Without those who failed long before the others: a common cause shows at all of them within `every`."""
    first = 0
    for number in range(1, len(found)):
        if found[number].began - found[number - 1].began > every:
            if number - first >= LEAST:
                break
            first = number
    return found[first:]


def to_hurry(
    groups: Sequence[Group], looks: Sequence[Seen], opened: Collection[Place], now: datetime
) -> list[str]:
    """Customers to ask next.

    Those are: who shares the place of a group and was not asked since it began, some who share a place with
    one customer who fails, and who still fails where others get through again. The last are asked twice a
    minute while their group lasts.
    """
    soon: set[str] = set()
    going_on = {group.place: set(group.customers) for group in groups}
    for place in going_on.keys() - {EVERYWHERE}:
        own = [look for look in looks if getattr(look, place[0]) == place[1]]
        began = min(look.began for look in own if look.customer_id in going_on[place])
        soon |= {look.customer_id for look in own if look.asked_at < began}
    for kind, name in opened:
        own = [look for look in looks if kind == EVERYWHERE[0] or getattr(look, kind) == name]
        back = max((look.recovered_at for look in own if look.recovered_at), default=None)
        latest = now - AGAIN if (kind, name) in going_on else now
        if back is not None:
            before = min(back, latest)
            soon |= {look.customer_id for look in own if look.failures and look.asked_at < before}
    explained = set().union(*going_on.values())
    return sorted(soon | _sampled([look for look in looks if look.customer_id not in explained]))


def _sampled(looks: Sequence[Seen]) -> set[str]:
    """Some of those who share a place with one who fails again, where few were asked since that began."""
    suspects = [look for look in looks if look.fault in SHARED and look.failures >= SUSPECT]
    soon: set[str] = set()
    for (kind, _), own in _places(looks, suspects).items():
        began = max(look.began for look in own if look.failures >= SUSPECT and _counts(look, kind))
        waiting = sorted((look for look in own if look.asked_at < began), key=lambda look: look.asked_at)
        soon |= {look.customer_id for look in waiting[: max(0, SAMPLE - (len(own) - len(waiting)))]}
    return soon


def _group(place: Place, failing: Sequence[Seen], of: int) -> Group:
    faults = [look.fault for look in failing]
    customers = tuple(sorted(look.customer_id for look in failing))
    return Group(place, max(sorted(set(faults)), key=faults.count), customers, of)
