"""Requests as workers take them from messages."""

from __future__ import annotations

import json
from typing import Any

from instances.checks.check_requests import CheckRequest


def a_request(customer: str, container: str, **said: Any) -> CheckRequest:
    return CheckRequest(
        instance_id=1,
        customer_id=customer,
        container=container,
        container_id=container,
        url="http://127.0.0.1:1/healthz",
        expect="auto",
        engine_url="tcp://engine:2376",
        engine_id="one",
        **said,
    )


def test_what_many_requests_say_is_in_memory_once() -> None:
    messages = [json.dumps(a_request(f"c{n}", f"id-{n}", sweep_id="7").message()) for n in (1, 2)]
    one, other = (CheckRequest.from_message(json.loads(message)) for message in messages)
    assert one.container_id is one.container
    assert one.container != other.container
    for field in ("engine_url", "engine_id", "sweep_id"):
        assert getattr(one, field) is getattr(other, field)
