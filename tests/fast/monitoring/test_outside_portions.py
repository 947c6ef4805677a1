"""What one plan has for its public address costs no other customer his turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from instances.http.probe import Address, ProbeResult
from instances.models import OutsideCheck, Plan
from instances.monitoring import outside
from instances.monitoring.outside import Rota
from tests.factories import World
from tests.fakes.outside import fails, passes

pytestmark = pytest.mark.django_db
EVERY = timedelta(minutes=3)


def turns(world: World, url: str, strange: ProbeResult | Exception) -> dict[str, str]:
    """What is known of two customers when each had his turn; `bad` has this address and this answer."""
    Plan.objects.update(public_url="https://{subdomain}")
    world.instance("good")
    instance = world.instance("bad")
    instance.plan = Plan.objects.create(name="strange", image=world.plan.image, public_url=url)
    instance.save()

    def probe(address: Address, timeout: float) -> ProbeResult:
        if address.url == "https://good.example.com/healthz":
            return passes()
        if isinstance(strange, Exception):
            raise strange
        return strange

    rota = Rota(replace(world.outside, probe=probe), EVERY)  # type: ignore[arg-type]
    for _ in range(2):
        rota.turn()
        world.clock.advance(EVERY.total_seconds())
    rota.turn()
    return dict(OutsideCheck.objects.values_list("instance__customer_id", "outcome"))


@pytest.mark.parametrize(
    ("url", "zone"),
    [
        ("https://[{subdomain}]", ""),
        ("https://[", ""),
        ("https://{subdomain}:99999", "example.com"),
        ("https://" + ".".join(["{subdomain}"] * 20), ".".join(["bad.example.com"] * 20)[-253:]),
    ],
)
def test_an_address_nobody_can_read_is_written_down_beside_the_others(
    world: World, url: str, zone: str
) -> None:
    assert turns(world, url, fails("refused")) == {"good": "ok", "bad": "fail"}
    assert OutsideCheck.objects.get(instance__customer_id="bad").zone == zone


def test_a_look_that_fails_for_a_defect_says_nothing_and_costs_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    assert turns(world, "https://{subdomain}", TypeError("a defect")) == {"good": "ok", "bad": "unknown"}
    assert "Asking the public address of bad failed: TypeError" in caplog.text


def test_an_address_that_may_be_silent_for_long_is_asked_by_one_process(
    world: World, settings: Settings
) -> None:
    settings.OUTSIDE_INTERVAL, settings.PROBE_TIMEOUT = 60, 30
    Plan.objects.update(public_url="https://{subdomain}")
    instance = world.instance()
    outside.add_rows(world.now, EVERY)
    assert outside.take_due(world.now) == [instance]
    assert outside.take_due(world.now + timedelta(seconds=40)) == []


def test_a_look_that_is_written_after_a_newer_one_says_nothing(world: World) -> None:
    """A process, or its machine, stood still between looking and writing."""
    Plan.objects.update(public_url="https://{subdomain}")
    world.instance()
    began, address = world.now, "https://c1.example.com/healthz"
    outside.add_rows(began, EVERY)
    world.probe.answers[address] = fails("refused")
    looks = [outside.look_at(instance, world.outside) for instance in outside.take_due(began)]
    world.clock.advance(60)
    world.probe.answers[address] = passes()
    Rota(world.outside, EVERY).turn()
    outside.write(looks, world.now, EVERY, asked_at=began)
    [seen] = OutsideCheck.objects.all()
    assert (seen.outcome, seen.failures) == ("ok", 0)
