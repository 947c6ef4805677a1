"""Messages that are published many at a time are those that Celery would send one by one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from instances.checks.check_requests import request_as_listed
from tasks import checks
from tests.factories import World
from tests.fast.tasks.test_tasks import Sent

pytestmark = pytest.mark.django_db
OF_EACH = {"id", "root_id", "expires"}
EVERY = timedelta(seconds=60)


def shared(headers: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if name not in OF_EACH}


def test_they_are_what_celery_would_send(world: World, sent: Sent) -> None:
    requests = [request_as_listed(world.instance(name), world.outside.engines) for name in ("c1", "c2")]
    checks.publish(requests, EVERY)
    many = sent("health")
    for request in requests:
        kwargs = {"customer_id": request.customer_id, "request": request.message()}
        checks.check_health.apply_async(  # type: ignore[call-arg]
            kwargs=kwargs, expires=EVERY.total_seconds(), ignore_result=True, argsrepr="", kwargsrepr=""
        )
    alone = sent("health")
    assert [m.kwargs for m in many] == [m.kwargs for m in alone]
    assert [shared(m.headers) for m in many] == [shared(m.headers) for m in alone]
    assert all(m.headers["id"] == m.headers["root_id"] for m in many)
    assert len({m.headers["id"] for m in many}) == 2
    moments = [datetime.fromisoformat(m.headers["expires"]) for m in (many[0], alone[0])]
    assert abs(moments[0] - moments[1]) < EVERY / 2
