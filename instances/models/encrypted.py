"""Model fields whose values are encrypted at rest with the keys of DOCKMGR_ENCRYPTION_KEYS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models
from django.db.models.query_utils import DeferredAttribute

from instances.errors import UnreadableSecret

if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField


@lru_cache(maxsize=4)
def _cipher(keys: tuple[bytes, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def cipher() -> MultiFernet:
    """Encrypts with the first key and decrypts with any."""
    return _cipher(tuple(settings.ENCRYPTION_KEYS))


@dataclass(frozen=True)
class Sealed:
    """A token as the database holds it, not yet decrypted."""

    token: str

    def open(self) -> Any:
        """The value. Raises UnreadableSecret when none of the keys fits."""
        try:
            return json.loads(cipher().decrypt(self.token.encode()))
        except InvalidToken:
            raise UnreadableSecret from None


def sealed(row: models.Model, name: str) -> str | None:
    """The token of a row's encrypted column, not opened; None where it holds nothing."""
    held = row.__dict__.get(name)
    column: Any = row._meta.get_field(name)
    token: str | None = column.get_prep_value(held) if held else None
    return token


class OpenedWhenUsed(DeferredAttribute):
    """Decrypts when the attribute is read, so that a row whose secret nobody needs costs nothing.

    A value that can't be decrypted fails whoever reads it, and not the query that fetched its row.
    """

    def __get__(self, instance: models.Model | None, cls: type[models.Model] | None = None) -> Any:
        value = super().__get__(instance, cls)
        if isinstance(value, Sealed) and instance is not None:
            value = value.open()
            instance.__dict__[self.field.attname] = value
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class Encrypted(TextField):
    """A JSON value stored as one encrypted token; it can't be searched, and forms don't show it.

    Reading the attribute may raise UnreadableSecret. A row saved with a value nobody read keeps the token.
    """

    descriptor_class = OpenedWhenUsed

    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        if isinstance(value, Sealed):
            return value.token
        return cipher().encrypt(json.dumps(value).encode()).decode()

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        held = model_instance.__dict__
        return held[self.attname] if self.attname in held else super().pre_save(model_instance, add)

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> Any:
        return None if value is None else Sealed(value)

    def to_python(self, value: Any) -> Any:
        return value
