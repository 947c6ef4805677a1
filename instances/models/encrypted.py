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

from instances.errors import MisplacedSecret, UnreadableSecret

if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField

BOUND = "bound:"  # how tokens begin that say where they are at home


@lru_cache(maxsize=4)
def _cipher(keys: tuple[bytes, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def cipher() -> MultiFernet:
    """Encrypts with the first key and decrypts with any."""
    return _cipher(tuple(settings.ENCRYPTION_KEYS))


def seal(value: Any, place: str) -> str:
    """The JSON value as a text that opens at this place alone: whoever moves it can't have it read there."""
    said = f"{place}\0{json.dumps(value)}"
    return BOUND + cipher().encrypt(said.encode()).decode()


def unseal(text: str, place: str) -> Any:
    """The value sealed for this place. Raises UnreadableSecret; MisplacedSecret for another place's."""
    whose, found, said = _decrypted(text.removeprefix(BOUND)).partition("\0")
    if not (text.startswith(BOUND) and found):
        raise UnreadableSecret
    if whose != place:
        raise MisplacedSecret
    return json.loads(said)


def place_of(row: models.Model, column: str) -> str:
    """Where in the database a value is at home."""
    return column_place(type(row), column, row.pk)


def column_place(model: type[models.Model], column: str, key: object) -> str:
    """As `place_of`, for a row that is known by its key alone."""
    return f"{model._meta.label_lower}.{column}:{key}"


def _decrypted(token: str) -> str:
    try:
        return cipher().decrypt(token.encode()).decode()
    except (InvalidToken, UnicodeDecodeError):
        raise UnreadableSecret from None


@dataclass(frozen=True)
class Sealed:
    """A token as the database holds it, not yet decrypted."""

    token: str

    def open(self, place: str, *, strict: bool = False) -> Any:
        """The value. Raises UnreadableSecret when none of the keys fits, or the value is another place's.

        One from before values were bound to their places opens everywhere, unless it must be bound.
        """
        if strict or self.token.startswith(BOUND):
            return unseal(self.token, place)
        try:
            return json.loads(_decrypted(self.token))
        except ValueError:
            raise UnreadableSecret from None

    def is_readable(self) -> bool:
        """Whether one of the keys fits."""
        try:
            _decrypted(self.token.removeprefix(BOUND))
        except UnreadableSecret:
            return False
        return True


def sealed(row: models.Model, name: str) -> str | None:
    """The token of a row's encrypted column, not opened; None where it holds nothing."""
    held = row.__dict__.get(name)
    if not held:
        return None
    return held.token if isinstance(held, Sealed) else seal(held, place_of(row, name))


def _opened(value: Sealed, row: models.Model, column: Encrypted) -> Any:
    try:
        return value.open(place_of(row, column.attname), strict=column.strict)
    except UnreadableSecret as error:
        raise type(error)(f"The {column.verbose_name} of {row._meta.verbose_name} {row}") from None


class OpenedWhenUsed(DeferredAttribute):
    """Decrypts when the attribute is read, so that a row whose secret nobody needs costs nothing.

    A value that can't be decrypted fails whoever reads it, and not the query that fetched its row.
    """

    def __get__(self, instance: models.Model | None, cls: type[models.Model] | None = None) -> Any:
        value = super().__get__(instance, cls)
        if isinstance(value, Sealed) and instance is not None:
            column: Any = self.field
            value = _opened(value, instance, column)
            instance.__dict__[column.attname] = value
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class Encrypted(TextField):
    """A JSON value stored as one encrypted token; it can't be searched, and forms don't show it.

    The token is bound to its row and column: copied to another one it opens no more. A row gets its key
    when it is inserted, so it is written once more then. A `strict` column holds nothing but bound tokens:
    what it says can only have been said by a process that has the keys, of this very row.

    Reading the attribute may raise UnreadableSecret. A row saved with a value nobody read keeps the token.
    """

    descriptor_class = OpenedWhenUsed

    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def __init__(self, *args: Any, strict: bool = False, **kwargs: Any) -> None:
        self.strict = strict
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, **({"strict": True} if self.strict else {})}

    def contribute_to_class(self, cls: type[models.Model], name: str, *args: Any, **kwargs: Any) -> None:
        super().contribute_to_class(cls, name, *args, **kwargs)
        models.signals.post_save.connect(_bind, sender=cls, dispatch_uid="bind encrypted columns")

    def get_prep_value(self, value: Any) -> str | None:
        """The token of a value; one that comes without its row is bound by the row's next writing."""
        if value is None or (self.strict and not isinstance(value, Sealed)):
            return None
        if isinstance(value, Sealed):
            return value.token
        return cipher().encrypt(json.dumps(value).encode()).decode()

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        held = model_instance.__dict__
        value = held[self.attname] if self.attname in held else super().pre_save(model_instance, add)
        return value if model_instance.pk is None else self.bound(model_instance, value)

    def bound(self, row: models.Model, value: Any) -> Any:
        """A value as it is written into a row; a token nobody opened is kept as it is."""
        if value is None or isinstance(value, Sealed):
            return value
        return Sealed(seal(value, place_of(row, self.attname)))

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> Any:
        return None if value is None else Sealed(value)

    def to_python(self, value: Any) -> Any:
        return value


def _bind(sender: type[models.Model], instance: models.Model, created: bool, **_: Any) -> None:
    """Write a new row's encrypted columns again, bound to the key it has now."""
    if not created:
        return
    columns = [column for column in sender._meta.concrete_fields if isinstance(column, Encrypted)]
    bound = {
        column.attname: column.bound(instance, instance.__dict__.get(column.attname)) for column in columns
    }
    sender._base_manager.filter(pk=instance.pk).update(**bound)
