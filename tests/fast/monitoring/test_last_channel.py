"""The last channel that is told of incidents: an alarm where it refused, none where somebody took it away."""

from __future__ import annotations

import pytest
from django.test import Client

from instances.alerts.outbox import deliver
from instances.fleet.apply import apply
from instances.fleet.file import parse
from instances.models import Channel
from instances.monitoring.self_check import nobody_is_told
from instances.observability import readings
from tests.factories import World
from tests.fast.delivering import REFUSED, Script, a_row
from tests.fast.telling import NOBODY, a_channel

pytestmark = pytest.mark.django_db(transaction=True)


def refuse(world: World, channel: Channel) -> None:
    script = Script()
    script.does = lambda url: REFUSED
    a_row(channel, world.now)
    deliver(world.clock, script)
    channel.refresh_from_db()
    assert not channel.enabled
    world.clock.advance(60)


def switch(world: World, channel: Channel, on: bool) -> None:
    entry = f"{{name: {channel.name}, url: '{channel.url}', enabled: {str(on).lower()}}}"
    apply(parse(f"channels: [{entry}]"), world.clock)
    world.clock.advance(60)


def test_a_refusal_before_the_last_channel_was_switched_off_is_no_alarm(world: World) -> None:
    refused, last = a_channel("refused", url=f"{NOBODY}/1"), a_channel("last")
    Channel.objects.filter(pk=last.pk).update(enabled=False)
    refuse(world, refused)
    assert nobody_is_told(), "it was the last one"
    switch(world, last, True)
    assert not nobody_is_told()
    switch(world, last, False)
    assert not nobody_is_told()


def test_a_refusal_after_the_others_were_switched_off_is_an_alarm(world: World) -> None:
    other, last = a_channel("other"), a_channel("last", url=f"{NOBODY}/1")
    switch(world, other, False)
    assert not nobody_is_told()
    refuse(world, last)
    assert nobody_is_told()
    switch(world, last, True)
    switch(world, last, False)
    assert not nobody_is_told()
    assert not readings.read().pulses, "it is no part that lives"


def test_channels_that_are_not_told_of_incidents_are_not_missed(world: World) -> None:
    refuse(world, a_channel(incidents=False, operations=True))
    assert not nobody_is_told()


@pytest.mark.filterwarnings("ignore:No directory at:UserWarning")  # nobody collected static files here
def test_who_deletes_the_last_channel_knows_it(world: World, admin_client: Client) -> None:
    refused, last = a_channel("refused", url=f"{NOBODY}/1"), a_channel("last")
    refuse(world, refused)
    admin_client.post(f"/admin/instances/channel/{last.pk}/delete/", {"post": "yes"})
    assert [channel.name for channel in Channel.objects.all()] == ["refused"]
    assert not nobody_is_told()
