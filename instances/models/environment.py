"""The environment of containers, with the values it held before as long as a container may have them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.db import models

from instances.errors import UnreadableSecret
from instances.lib.redact import is_secret
from instances.models.encrypted import Encrypted, Sealed

SEALED = Sealed("")
MOST_VALUES = 200
MOST_CHARACTERS = 64 * 1024


class WithEnvironment(models.Model):
    """A row with an environment; `former_values` are its replaced and removed ones, the newest first.

    They are kept whoever saves the row: a container has the values it was made with until it is made
    anew, and its log must not show them. The oldest go where they are too many.
    """

    env = Encrypted(default=dict)
    former_values = Encrypted(null=True, default=None)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        fields = kwargs.get("update_fields")
        if not self._state.adding and (fields is None or "env" in fields) and self._was_read():
            self._keep_replaced()
            if fields is not None:
                kwargs["update_fields"] = {*fields, "former_values"}
        super().save(*args, **kwargs)

    @property
    def own_secret_values(self) -> list[str]:
        """Every value containers made from this row may have."""
        return [*self.env.values(), *(self.former_values or [])]

    def _was_read(self) -> bool:
        """An environment nobody has read is written back as it is."""
        return not isinstance(self.__dict__.get("env", SEALED), Sealed)

    def _keep_replaced(self) -> None:
        before, former = self._stored()
        current = set(self.env.values())
        self.former_values = _bounded([*before.values(), *former], current) or None

    def _stored(self) -> tuple[dict[str, str], list[str]]:
        """What the row holds now; nothing where no key reads it any more."""
        row = type(self)._default_manager.filter(pk=self.pk).only("env", "former_values").first()
        try:
            return (row.env, row.former_values or []) if row is not None else ({}, [])
        except UnreadableSecret:
            return {}, []


def _bounded(values: Iterable[str], current: Collection[str]) -> list[str]:
    kept = list(dict.fromkeys(value for value in values if value not in current and is_secret(value)))
    return list(_newest(kept[:MOST_VALUES]))


def _newest(values: Iterable[str]) -> Iterator[str]:
    left = MOST_CHARACTERS
    for value in values:
        left -= len(value)
        if left < 0:
            return
        yield value
