"""What an entry of a fleet file lets through fits into the columns of its row, on every database."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models
from pydantic import ValidationError

from instances.fleet.channel_entry import ChannelEntry
from instances.fleet.entry import Entry
from instances.fleet.file import HostEntry, RegistryEntry
from instances.fleet.plan_entry import PlanEntry
from instances.models import Channel, Host, Plan, Registry

ENTRIES: dict[type[Entry], type[models.Model]] = {
    HostEntry: Host,
    RegistryEntry: Registry,
    PlanEntry: Plan,
    ChannelEntry: Channel,
}
TEXTS = [
    (entry, column.name, column.max_length)
    for entry, model in ENTRIES.items()
    for column in model._meta.fields
    if isinstance(column, models.CharField) and column.name in entry.model_fields
]
NUMBERS = [
    (entry, column.name)
    for entry, model in ENTRIES.items()
    for column in model._meta.fields
    if isinstance(column, models.IntegerField) and column.name in entry.model_fields
]
BEGINNINGS = ("", "/", "unix:///", "tcp://", "ssh://", "https://", "r.io/", "1.")


def taken(entry: type[Entry], name: str, value: Any) -> bool:
    """Whether the entry has nothing to say against this field's value."""
    try:
        entry.model_validate({"name": "a", name: value})
    except ValidationError as refused:
        return all(name not in error["loc"] for error in refused.errors())
    return True


@pytest.mark.parametrize(("entry", "name", "most"), TEXTS)
def test_no_text_is_longer_than_its_column(entry: type[Entry], name: str, most: int) -> None:
    texts = [begin + letter * (most + 1 - len(begin)) for begin in BEGINNINGS for letter in "a1"]
    assert [text[:20] for text in texts if taken(entry, name, text)] == []


@pytest.mark.parametrize(("entry", "name"), NUMBERS)
def test_no_number_is_larger_than_its_column(entry: type[Entry], name: str) -> None:
    column = ENTRIES[entry]._meta.get_field(name)
    most = 2**63 - 1 if isinstance(column, models.BigIntegerField) else 2**31 - 1
    assert not taken(entry, name, most + 1) and not taken(entry, name, -most)
