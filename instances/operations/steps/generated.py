"""Secrets that are made once for a customer, because the plan says so."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping

from django.db import transaction

from instances.db.locks import locked
from instances.models import Instance, Operation
from instances.operations.procedure import Work


def made(wanted: Mapping[str, int], given: Collection[str]) -> dict[str, str]:
    """A secret for each name that is not given, in hexadecimal digits; `wanted` are bytes of randomness."""
    return {name: secrets.token_hex(size) for name, size in wanted.items() if name not in given}


def lacking(instance: Instance) -> set[str]:
    """Names of secrets that are to be made for the next container; an adopted one gets none."""
    return set() if instance.adopted is not None else set(instance.plan.generate) - set(instance.env)


def complete(work: Work) -> None:
    """Make what the plan has come to ask for since the last container was made."""
    instance = work.instance
    if not lacking(instance):
        return
    with work.journal.holding():
        env = locked(Instance.objects.filter(pk=instance.pk)).get().env
        instance.env = {**env, **made(instance.plan.generate, env)}
        instance.save(update_fields=["env"])


@transaction.atomic
def shown_once(operation: Operation) -> dict[str, str]:
    """The secrets a provisioning made; nothing when they were shown before."""
    row = locked(Operation.objects.filter(pk=operation.pk)).get()
    names = row.params.pop("generated", [])
    row.save(update_fields=["params"])
    instance = operation.instance
    env = instance.env if instance is not None else {}
    return {name: env[name] for name in names if name in env}
