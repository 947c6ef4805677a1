"""Which customers, plans and hosts an API token is limited to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q

from instances import lookup
from instances.lib import validators
from instances.models import ApiToken, Instance


@dataclass(frozen=True)
class Reach:
    """What a token may see and change: an empty set stands for all, several limits hold together."""

    customers: frozenset[str] = frozenset()
    plans: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether the token is not limited at all."""
        return not (self.customers or self.plans or self.hosts)

    def covers(self, customer_id: str, plan: str, host: str) -> bool:
        """Whether an instance of this customer, plan and host is within it."""
        wanted = ((self.customers, customer_id), (self.plans, plan), (self.hosts, host))
        return all(not limit or name in limit for limit, name in wanted)

    def includes(self, instance: Instance) -> bool:
        """The same of an instance whose plan and host are at hand."""
        return self.covers(instance.customer_id, instance.plan.name, instance.host.name)

    def rows(self, instance: str = "") -> Q:
        """The condition on rows of instances, or on rows with a customer id that name one by `instance`."""
        to = f"{instance}__" if instance else ""
        limits = (
            ("customer_id", self.customers),
            (f"{to}plan__name", self.plans),
            (f"{to}host__name", self.hosts),
        )
        return Q(*(Q((f"{column}__in", sorted(names))) for column, names in limits if names))

    def __str__(self) -> str:
        limits = (("customers", self.customers), ("plans", self.plans), ("hosts", self.hosts))
        return " and ".join(f"the {what} {', '.join(sorted(names))}" for what, names in limits if names)


def reach_of(token: ApiToken) -> Reach:
    """What the token is limited to."""
    return Reach(frozenset(token.customers), frozenset(token.plans), frozenset(token.hosts))


def reach(customers: Iterable[str] = (), plans: Iterable[str] = (), hosts: Iterable[str] = ()) -> Reach:
    """A limit somebody asked for. Raises RequestError for a malformed customer, an unknown plan or host.

    Customers need not be there yet.
    """
    return Reach(
        frozenset(validators.customer_id(each) for each in customers),
        frozenset(lookup.plan(each).name for each in plans),
        frozenset(lookup.host(each).name for each in hosts),
    )
