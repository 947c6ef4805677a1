"""One row by what people call it, or one sentence that says there is none."""

from __future__ import annotations

import re
import uuid
from typing import TypeVar

from django.db.models import Model, QuerySet

from instances.errors import RequestError
from instances.lib import validators
from instances.lib.redact import GENERAL
from instances.models import (
    ApiToken,
    Channel,
    Host,
    Incident,
    Instance,
    Operation,
    Plan,
    Registry,
)

Row = TypeVar("Row", bound=Model)
_TELLABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LARGEST_KEY = 2**63 - 1


def instance(customer_id: object) -> Instance:
    """The present instance of a customer, with its plan, host and health.

    Raises RequestError for a malformed or unknown id.
    """
    asked = validators.customer_id(customer_id)
    return _only(_present().filter(customer_id=asked), f"instance of customer {asked}")


def known_customer(customer_id: object) -> str:
    """The id of a customer who has an instance, had or was to get one. Raises RequestError for others."""
    asked = validators.customer_id(customer_id)
    if not Operation.objects.filter(customer_id=asked).exists():
        _only(Instance.objects.without_secrets().filter(customer_id=asked), f"instance of customer {asked}")
    return asked


def instance_of_subdomain(subdomain: object) -> Instance:
    """The same by subdomain. Raises RequestError for a malformed or unknown one."""
    asked = validators.subdomain(subdomain)
    return _only(_present().filter(subdomain=asked), f"instance with the subdomain {asked}")


def host(name: object) -> Host:
    """The host of that name. Raises RequestError that tells the known ones."""
    return _named("host", name, Host.objects.all())


def plan(name: object) -> Plan:
    """The plan of that name. Raises RequestError that tells the known ones."""
    return _named("plan", name, Plan.objects.all())


def channel(name: object) -> Channel:
    """The channel of that name. Raises RequestError that tells the known ones."""
    return _named("channel", name, Channel.objects.all())


def registry(name: object) -> Registry:
    """The registry of that name. Raises RequestError that tells the known ones."""
    return _named("registry", name, Registry.objects.all())


def token(name: object) -> ApiToken:
    """The API token of that name. Raises RequestError, which tells of no other token."""
    asked = validators.name(name)
    return _only(ApiToken.objects.filter(name=asked), _called("token", asked))


def operation(operation_id: object, rows: QuerySet[Operation] | None = None) -> Operation:
    """The operation of that id, a UUID or its text, out of `rows` if they are given. Raises RequestError."""
    try:
        asked = uuid.UUID(str(operation_id))
    except ValueError:
        raise RequestError("There is no operation of that id.") from None
    return _only((Operation.objects.all() if rows is None else rows).filter(pk=asked), f"operation {asked}")


def incident(number: object, rows: QuerySet[Incident] | None = None) -> Incident:
    """The incident of that number or its text, out of `rows` if they are given. Raises RequestError."""
    key = str(number)
    if not (key.isascii() and key.isdecimal() and len(key) < 20 and int(key) <= _LARGEST_KEY):
        raise RequestError("There is no incident of that number.")
    return _only((Incident.objects.all() if rows is None else rows).filter(pk=key), f"incident {int(key)}")


def _present() -> QuerySet[Instance]:
    return Instance.objects.present().select_related("plan", "host", "health")


def _named(what: str, name: object, rows: QuerySet[Row]) -> Row:
    """There are few of these, so the answer to a misspelt name lists them all."""
    asked = validators.name(name)
    found = rows.filter(name=asked).first()
    if found is None:
        known = ", ".join(rows.order_by("name").values_list("name", flat=True))
        raise _unknown(_called(what, asked), f"; known are {known}" if known else "; none is known")
    return found


def _only(rows: QuerySet[Row], what: str) -> Row:
    found = rows.first()
    if found is None:
        raise _unknown(what)
    return found


def _called(what: str, name: str) -> str:
    """With the name, unless it has no name's form: somebody may have pasted a secret."""
    tellable = _TELLABLE.fullmatch(name) and GENERAL.text(name) == name
    return f"{what} named {name}" if tellable else f"{what} of that name"


def _unknown(what: str, known: str = "") -> RequestError:
    return RequestError(f"There is no {what}{known}.")
