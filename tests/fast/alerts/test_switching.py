"""A channel that is switched off and on, or moved: told what is wrong then, and the end of what it knew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from instances.alerts.delivery_rules import SENT, DeliveryOutcome, DeliveryResult
from instances.alerts.outbox import deliver
from instances.alerts.switching import SWITCHED_OFF, channels_changed
from instances.fleet.apply import apply
from instances.fleet.file import parse
from instances.incidents.acknowledge import acknowledge
from instances.models import Channel, Incident, Notification, NotifiedState, Tally
from tests.factories import World
from tests.fast.delivering import BROKEN, REFUSED, Script
from tests.fast.telling import NOBODY, a_channel, change, resolve, told_after

pytestmark = pytest.mark.django_db(transaction=True)
Switch = Callable[[bool], None]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def switch(world: World) -> Switch:
    """Switches the channel, and lets two minutes pass."""

    def switched(on: bool) -> None:
        Channel.objects.update(enabled=on)
        channels_changed({"ops": ["enabled"]}, world.now)
        world.clock.advance(120)

    return switched


def opened(world: World, customer_id: str = "c1") -> Incident:
    """An incident of which the channel was told."""
    incident = world.incident(world.instance(customer_id))
    assert told_after(world, 30) == [f"ops opened warning {customer_id}"]
    Notification.objects.update(sent_at=world.now)
    return incident


def test_the_end_is_told_to_a_channel_that_was_off_when_it_came(world: World, switch: Switch) -> None:
    a_channel()
    incident = opened(world)
    switch(False)
    resolve(incident, world.now)
    assert told_after(world, 60) == []
    switch(True)
    assert told_after(world, 0) == ["ops resolved info c1"]
    Notification.objects.update(sent_at=world.now)
    switch(False)
    switch(True)
    assert told_after(world, 0) == []


def test_what_is_wrong_when_it_is_on_again_is_told_whoever_has_seen_it(world: World, switch: Switch) -> None:
    a_channel()
    incident = opened(world)
    acknowledge(incident.pk, "ann", world.now)
    told_after(world, 0)
    switch(False)
    change(incident, world.now, severity="critical")
    told_after(world, 0)
    switch(True)
    assert told_after(world, 0) == ["ops opened critical c1"]
    assert told_after(world, 0) == []


def test_what_the_channel_is_not_for_any_more_is_not_told_anew_but_its_end_is(
    world: World, switch: Switch
) -> None:
    a_channel()
    incident = opened(world)
    switch(False)
    Channel.objects.update(hosts=["elsewhere"])
    switch(True)
    assert told_after(world, 0) == []
    resolve(incident, world.now)
    assert told_after(world, 0) == ["ops resolved info c1"]


def test_a_channel_that_hears_of_incidents_again_is_told_as_one_that_is_on_again(world: World) -> None:
    a_channel()
    first, _ = opened(world), opened(world, "c2")
    Channel.objects.update(incidents=False, operations=True)
    channels_changed({"ops": ["incidents", "operations"]}, world.now)
    resolve(first, world.now)
    assert told_after(world, 0) == []
    Channel.objects.update(incidents=True)
    channels_changed({"ops": ["incidents"]}, world.now)
    assert told_after(world, 0) == ["ops resolved info c1", "ops opened warning c2"]


def test_of_what_waited_only_that_is_told_which_still_goes_on(
    world: World, script: Script, switch: Switch
) -> None:
    a_channel()
    first = opened(world)
    script.does = lambda url: BROKEN
    world.incident(world.instance("c2"))
    over = world.incident(world.instance("c3"))
    assert told_after(world, 30) == ["ops opened warning c2", "ops opened warning c3"]
    deliver(world.clock, script)
    switch(False)
    waited = Notification.objects.filter(sent_at=None)
    assert list(waited.values_list("error", flat=True)) == [SWITCHED_OFF] * 2
    assert not waited.filter(given_up_at=None).exists()
    assert Tally.objects.get(key="notification:given_up:warning").value == 2
    resolve(first, world.now)
    resolve(over, world.now)
    switch(True)
    assert Channel.objects.get().retry_at is None, "a wait for the former receiver is over"
    assert told_after(world, 0) == ["ops resolved info c1", "ops opened warning c2"]
    assert not NotifiedState.objects.filter(incident=over).exists()


ELSEWHERE = "json://127.0.0.1:9/other"


def moves(world: World, url: str = ELSEWHERE, **more: object) -> None:
    """The fleet file gives the channel another URL."""
    fields = "".join(f", {name}: {value}" for name, value in more.items())
    apply(parse(f"channels: [{{name: ops, url: '{url}'{fields}}}]"), world.clock)


def test_a_channel_with_another_url_is_told_there_what_is_wrong(world: World, script: Script) -> None:
    a_channel()
    opened(world)
    Channel.objects.update(failures=3, refusals=2, retry_at=world.now + timedelta(hours=1))
    moves(world)
    assert told_after(world, 0) == ["ops opened warning c1"]
    assert deliver(world.clock, script) == 1
    assert script.tried == [ELSEWHERE]
    moves(world, min_level="warning")
    assert told_after(world, 60) == [], "whom it is for is no other place"


def test_what_waits_when_the_url_changes_goes_to_the_new_one_once(world: World, script: Script) -> None:
    a_channel()
    incident = world.incident(world.instance())
    told_after(world, 30)
    moves(world)
    assert told_after(world, 0) == []
    assert deliver(world.clock, script) == 1
    resolve(incident, world.now)
    assert told_after(world, 0) == ["ops resolved info c1"]


def test_the_end_of_what_the_former_place_was_told_is_told_at_the_new_one(world: World) -> None:
    """It may be the same service with another key, where an incident stands open."""
    a_channel()
    incident = opened(world)
    resolve(incident, world.now)
    moves(world)
    assert told_after(world, 0) == ["ops resolved info c1"]


def test_what_the_former_receiver_answers_does_not_count_for_the_new_one(
    world: World, script: Script
) -> None:
    def refuse_after_the_change(url: str) -> DeliveryResult:
        if url == NOBODY:
            moves(world)
            return REFUSED
        return SENT

    a_channel()
    world.incident(world.instance())
    told_after(world, 30)
    script.does = refuse_after_the_change
    assert deliver(world.clock, script) == 0
    assert (Channel.objects.get().enabled, Channel.objects.get().retry_at) == (True, None)
    assert deliver(world.clock, script) == 1


def test_what_the_former_receiver_refuses_goes_to_the_new_one(world: World, script: Script) -> None:
    a_channel(url="json://former")
    world.incident(world.instance())
    assert told_after(world, 30) == ["ops opened warning c1"]

    def move_and_refuse(url: str) -> DeliveryResult:
        if url == "json://former":
            moves(world, "json://new")
            return DeliveryResult(DeliveryOutcome.MESSAGE_REFUSED, "400")
        return SENT

    script.does = move_and_refuse
    assert deliver(world.clock, script) == 0
    assert Notification.objects.filter(given_up_at=None).count() == 1
    assert deliver(world.clock, script) == 1
    assert script.tried[-1] == "json://new"
