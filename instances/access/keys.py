"""Whether the encryption keys are those of this database."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.db.models import Model

from instances.errors import WrongKeys
from instances.models.encrypted import Encrypted, Sealed

SAMPLE = 20  # rows of a column


def stored_secrets() -> Iterator[tuple[str, type[Model], tuple[str, ...]]]:
    """Whatever is stored encrypted: the word for it, its rows, its columns."""
    for model in apps.get_app_config("instances").get_models():
        columns = tuple(
            column.name for column in model._meta.concrete_fields if isinstance(column, Encrypted)
        )
        if columns:
            yield str(model._meta.verbose_name), model, columns


def require_keys() -> None:
    """Have the keys open at least one of the stored secrets, if there are any.

    One row that they don't open costs its customer; all of them mean that somebody else's keys are
    given. Raises WrongKeys.
    """
    found = False
    for sealed in _sample():
        found = True
        if sealed.is_readable():
            return
    if found:
        raise WrongKeys


def _sample() -> Iterator[Sealed]:
    for _, model, columns in stored_secrets():
        for column in columns:
            rows = model._default_manager.exclude(**{column: None}).order_by("-pk")
            yield from rows.values_list(column, flat=True)[:SAMPLE]
