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
from tests.factories import IMAGE, World
from tests.fakes.outside import fails, passes

pytestmark = pytest.mark.django_db
EVERY = timedelta(minutes=3)


def turns(world: World, strange: ProbeResult | Exception, *urls: str) -> dict[str, str]:
    """What is known when each had his turn: a good one, and those with these addresses."""
    Plan.objects.update(public_url="https://{subdomain}")
    world.instance("good")
    for number, url in enumerate(urls):
        instance = world.instance(f"bad{number}")
        instance.plan = Plan.objects.create(name=f"strange{number}", image=IMAGE, public_url=url)
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


def test_an_address_nobody_can_read_is_written_down_beside_the_others(world: World) -> None:
    zones = {
        "https://[{subdomain}]": "",
        "https://[": "",
        "https://{subdomain}:99999": "example.com",
        "https://" + ".".join(["{subdomain}"] * 20): ".".join(["bad3.example.com"] * 20)[-253:],
    }
    seen = turns(world, fails("refused"), *zones)
    assert seen == {"good": "ok", **dict.fromkeys(("bad0", "bad1", "bad2", "bad3"), "fail")}
    strange = OutsideCheck.objects.exclude(instance__customer_id="good").order_by("instance__customer_id")
    assert list(strange.values_list("zone", flat=True)) == list(zones.values())


def test_a_look_that_fails_for_a_defect_says_nothing_and_costs_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    seen = turns(world, TypeError("a defect"), "https://{subdomain}")
    assert seen == {"good": "ok", "bad0": "unknown"}
    assert "Asking the public address of bad0 failed: TypeError" in caplog.text


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
