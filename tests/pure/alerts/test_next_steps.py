"""What a message says is to be done: for each kind of trouble something that can be done then."""

from __future__ import annotations

import uuid

import pytest

from instances.alerts.next_steps import next_step
from instances.incidents.rules import clock_key, container_key, host_key, instance_key, operation_key
from instances.models import Incident

ID = uuid.UUID(int=7)
OWN = instance_key("c1")

# kind, cause, key, words of the next step, and what it must not advise
STEPS = [
    ("instance", "refused", OWN, "manage.py logs --customer-id c1", ""),
    ("instance", "data_missing", OWN, "manage.py restart --customer-id c1 --with-empty-data", "logs"),
    ("instance", "image_missing", OWN, "Bring exactly that image back", "logs"),
    ("instance", "replaced", OWN, "manage.py validate --customer-id c1", "restart"),
    ("container", "replaced", container_key("c1"), "manage.py validate --customer-id c1", ""),
    ("operation", "stuck", operation_key(ID), f"manage.py operations --abandon {ID} --reason", "/readyz"),
    ("self", "clock", clock_key("m1"), "Set the clock of m1 right", "/readyz"),
    ("self", "beat", "self", "/readyz", "clock"),
    ("host", "engine", host_key("h1"), "whether the Docker Engine of host h1 runs", ""),
    ("host", "wave", host_key("h1"), "what they have in common", "Docker Engine"),
    ("host", "data_lost", host_key("h1"), "manage.py restart --customer-id ID --with-empty-data", ""),
]


@pytest.mark.parametrize(("kind", "cause", "key", "words", "without"), STEPS)
def test_what_is_advised_can_be_done(kind: str, cause: str, key: str, words: str, without: str) -> None:
    incident = Incident(key=key, kind=kind, cause=cause, customer_id="c1")
    step = next_step(incident, "opened", "h1", by_hand=False)
    assert words in step
    assert not without or without not in step
