"""Model fields that every database can store, whatever text comes from outside.

Models use these in place of Django's, which is why no writer has to think of it: rows that are saved,
created in bulk or changed by `update`, and values that are searched for, all pass `get_prep_value`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from django.db import models
from django.db.models.fields.json import KeyTransform

from instances.db.clock import SYSTEM
from instances.lib import storable

if TYPE_CHECKING:
    CharField = Excerpt = models.CharField
    TextField = models.TextField
    JSONField = models.JSONField
    CreatedAt = models.DateTimeField
else:

    class _OfDjango:
        """In migrations the column is Django's own: what differs is only what is written."""

        def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
            name, _path, args, kwargs = super().deconstruct()
            return name, f"django.db.models.{self.get_internal_type()}", args, kwargs

    class _Text(_OfDjango):
        def get_prep_value(self, value: Any) -> Any:
            value = super().get_prep_value(value)
            return storable.text(value) if isinstance(value, str) else value

    class CharField(_Text, models.CharField):
        """A name or another short text that must be kept whole: what is too long is refused."""

    class Excerpt(CharField):
        """A text for people, of which the first `max_length` characters are kept."""

        def get_prep_value(self, value: Any) -> Any:
            value = super().get_prep_value(value)
            return storable.text(value, self.max_length) if isinstance(value, str) else value

        def get_internal_type(self) -> str:
            return "CharField"

    class TextField(_Text, models.TextField):
        """A text of any length."""

    class JSONField(_OfDjango, models.JSONField):
        """Nested JSON; every text in it, names included, is made storable."""

        def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
            """As Django reads it, in a tenth of the time; what only Python's reader takes is left to that."""
            if isinstance(value, str) and self.decoder is None and not isinstance(expression, KeyTransform):
                with suppress(ValueError, RecursionError):
                    return msgspec.json.decode(value)
            return super().from_db_value(value, expression, connection)

        def get_prep_value(self, value: Any) -> Any:
            return storable.nested(super().get_prep_value(value))

    class CreatedAt(_OfDjango, models.DateTimeField):
        """When a row was added, by the clock that all processes share, and not by the machine's."""

        def pre_save(self, model_instance: models.Model, add: bool) -> Any:
            if add:
                setattr(model_instance, self.attname, SYSTEM.now())
            return getattr(model_instance, self.attname)
