"""What never arrived is not taken for known: it is told anew, and not again and again."""

from __future__ import annotations

import pytest

from instances.alerts.delivery_rules import SENT, DeliveryOutcome, DeliveryResult
from instances.alerts.notify import requeue
from instances.alerts.outbox import Send, deliver
from instances.documents import Document
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import CERTIFICATE, Severity, certificate_key
from instances.models import Incident, Notification
from instances.monitoring.alarms import raise_alarm
from tests.factories import World
from tests.fast.delivering import BROKEN, Script
from tests.fast.telling import HOUR, a_channel, change, resolve, told_after

pytestmark = pytest.mark.django_db(transaction=True)
DAY = 24 * HOUR
BAD = DeliveryResult(DeliveryOutcome.MESSAGE_REFUSED, "400.")
CERTIFICATE_ENDS = ["ops opened warning certificate:local"]


@pytest.fixture
def script() -> Script:
    return Script()


def a_certificate(world: World) -> None:
    """Ends soon: a warning without reminders."""
    key, warning = certificate_key(world.host.name), Severity.WARNING
    raise_alarm(Alarm(key, CERTIFICATE, "client", "It ends soon.", warning, host=world.host), world.now)


def gives_up(world: World, script: Script) -> None:
    """The receiver is away for so long that what waits is given up."""
    script.does = lambda url: BROKEN
    world.clock.advance(DAY + 1)
    deliver(world.clock, script)
    script.does = lambda url: SENT
    world.clock.advance(600)


def picky(kind: str, script: Script) -> Send:
    """A receiver that refuses messages of this kind, and is whom `script` sends to."""

    def send(url: str, document: Document, timeout: float) -> DeliveryResult:
        script.does = lambda url: BAD if document["kind"] == kind else SENT
        return script(url, document, timeout)

    return send


def test_a_warning_without_reminders_is_told_anew_when_it_was_given_up(world: World, script: Script) -> None:
    a_channel()
    a_certificate(world)
    assert told_after(world, 0) == CERTIFICATE_ENDS
    gives_up(world, script)
    assert told_after(world, 0) == CERTIFICATE_ENDS
    assert told_after(world, HOUR) == []
    assert deliver(world.clock, script) == 1
    assert told_after(world, DAY) == []


def test_an_end_that_was_given_up_is_told_anew_where_the_beginning_had_arrived(
    world: World, script: Script
) -> None:
    a_channel()
    known, unknown = [world.incident(world.instance(name)) for name in ("known", "unknown")]
    Incident.objects.filter(pk=unknown.pk).update(notify_at=None)
    assert told_after(world, 30) == ["ops opened warning known"]
    Notification.objects.update(sent_at=world.now)
    change(unknown, world.now)
    assert told_after(world, 0) == ["ops opened warning unknown"]
    for incident in (known, unknown):
        resolve(incident, world.now)
    told_after(world, 0)
    gives_up(world, script)
    assert told_after(world, 0) == ["ops resolved info known"]
    deliver(world.clock, script)
    assert script.titles == ["known on local: resolved"]
    assert told_after(world, DAY) == []


def test_a_warning_without_reminders_that_is_refused_is_told_again_a_day_later(
    world: World, script: Script
) -> None:
    a_channel()
    a_certificate(world)
    told_after(world, 0)
    deliver(world.clock, picky("opened", script))
    requeue(Incident.objects.all(), world.now)
    assert told_after(world, DAY - 1) == []
    assert told_after(world, 1) == CERTIFICATE_ENDS
    assert deliver(world.clock, Script()) == 1
    assert told_after(world, DAY) == []


def test_an_end_that_is_refused_is_told_again_a_day_later(world: World, script: Script) -> None:
    a_channel()
    incident = world.incident(world.instance())
    told_after(world, 30)
    Notification.objects.update(sent_at=world.now)
    send = picky("resolved", script)
    resolve(incident, world.now)
    assert told_after(world, 0) == ["ops resolved info c1"]
    deliver(world.clock, send)
    assert told_after(world, DAY - 1) == []
    assert told_after(world, 1) == ["ops resolved info c1"]
    assert deliver(world.clock, Script()) == 1
    assert told_after(world, DAY) == []


def test_trouble_that_is_refused_is_reminded_of_as_ever(world: World, script: Script) -> None:
    a_channel()
    world.incident(world.instance())
    told_after(world, 30)
    deliver(world.clock, picky("opened", script))
    assert told_after(world, 4 * HOUR - 1) == []
    assert told_after(world, 1) == ["ops reminder warning c1"]
