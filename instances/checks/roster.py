"""Who is to be looked at: the numbers of instances by host. Their rows are read a page at a time."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Self, TypeVar

from django.db.models import QuerySet
from msgspec import Struct

from instances.db.among import among
from instances.models import Host, Instance, Plan
from instances.models.check_subject import CheckSubject
from instances.models.instance import InstanceQuerySet

PAGE = 1000
OTHERS_BETWEEN = 9
T = TypeVar("T")


@dataclass(frozen=True)
class Roster:
    """Keys of instances in the order they are to be looked at, by the keys of their hosts.

    A fleet's numbers fit into a process' memory where its rows would not.
    """

    of_host: dict[int, Sequence[int]]

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> Self:
        """From pairs of host and instance."""
        found = _numbers()
        for host, instance in pairs:
            found[host].append(instance)
        return cls(dict(found))

    @classmethod
    def of_active(cls, among: InstanceQuerySet | None = None) -> Self:
        """All that a sweep looks at: who failed before comes early, as an answer may take its whole time."""
        active = Instance.objects.active() if among is None else among.active()
        failing, well = _numbers(), _numbers()
        rows = active.order_by("pk").values_list("host_id", "pk", "health__failures")
        for host, pk, failures in rows.iterator(PAGE):  # as a list, a large fleet's would take 10 MB
            (failing if failures else well)[host].append(pk)
        return cls({host: array("q", early(failing[host], well[host])) for host in {**well, **failing}})

    @classmethod
    def of_rows(cls, rows: Iterable[Instance]) -> Self:
        return cls.of((row.host_id, row.pk) for row in rows)

    def at(self, host: int) -> Sequence[int]:
        return self.of_host.get(host, ())

    def __len__(self) -> int:
        return sum(map(len, self.of_host.values()))

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self.of_host.values())

    def without(self, hosts: Collection[int]) -> Self:
        return type(self)({host: ids for host, ids in self.of_host.items() if host not in hosts})


def _numbers() -> defaultdict[int, array[int]]:
    return defaultdict(lambda: array("q"))


def early(some: Iterable[T], others: Iterable[T]) -> Iterator[T]:
    """Some in each ten of the others while there are any: more at once would look like a busy host. Pure."""
    left = iter(some)
    for place, one in enumerate(others):
        if place % OTHERS_BETWEEN == 0:
            yield from islice(left, 1)
        yield one
    yield from left


def pages(ids: Iterable[int]) -> Iterator[list[int]]:
    """The numbers in lists of at most a thousand, as one statement takes them."""
    left = iter(ids)
    while page := list(islice(left, PAGE)):
        yield page


class SubjectRow(Struct, CheckSubject, eq=False):
    """The columns a check's request is made of, without a model's row around them: that takes longer to build
    than the request.
    """

    pk: int
    customer_id: str
    image: str
    port: int | None
    further_ports: dict[str, int]
    made_with: dict[str, Any] | None
    container: str
    container_id: str
    volumes: dict[str, str] | None
    finding: str
    host_id: int
    plan: Plan
    host: Host

    @property
    def adopted(self) -> Any:
        """What was kept of a container that somebody else had made: read when it is asked for."""
        return Instance.objects.only("adopted").get(pk=self.pk).adopted


_COLUMNS = SubjectRow.__struct_fields__[:-2]


def rows_of(ids: Iterable[int]) -> Iterator[SubjectRow]:
    """Their rows in this order, with all a check's request is made of; what is gone by now is left out.

    One object stands for each plan and host of many rows.
    """
    plans, hosts = _Known(Plan.objects.defer("env", "former_values")), _Known(Host.objects.all())
    for page in pages(ids):
        rows: list[Any] = list(Instance.objects.filter(among("pk", page)).values_list("plan", *_COLUMNS))
        plans.learn({row[0] for row in rows})
        hosts.learn({row[-1] for row in rows})
        found = {row[1]: SubjectRow(*row[1:], plans[row[0]], hosts[row[-1]]) for row in rows}  # type: ignore[call-arg]
        yield from (found[pk] for pk in page if pk in found)


def rows_by_host(roster: Roster, hosts: Sequence[int]) -> list[list[SubjectRow]]:
    """The rows of each of these hosts, read together."""
    rows = {row.pk: row for row in rows_of(chain.from_iterable(map(roster.at, hosts)))}
    return [[rows[pk] for pk in roster.at(host) if pk in rows] for host in hosts]


class _Known(dict[int, Any]):
    """Rows of a model by their keys, each read once."""

    def __init__(self, rows: QuerySet[Any]) -> None:
        self._rows = rows

    def learn(self, keys: Set[int]) -> None:
        self.update(self._rows.in_bulk(keys - self.keys()))
