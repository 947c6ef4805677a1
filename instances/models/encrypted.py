"""Model fields whose values are encrypted at rest with the keys of DOCKMGR_ENCRYPTION_KEYS."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from instances.errors import PermanentError

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


class Encrypted(TextField):
    """A JSON value stored as one encrypted token; it can't be searched, and forms don't show it."""

    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        return cipher().encrypt(json.dumps(value).encode()).decode()

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> Any:
        if value is None:
            return None
        try:
            return json.loads(cipher().decrypt(value.encode()))
        except InvalidToken:
            raise PermanentError(
                "A stored secret can't be decrypted: DOCKMGR_ENCRYPTION_KEYS lacks its key."
            ) from None

    def to_python(self, value: Any) -> Any:
        return value
