"""A fleet file brings hosts, plans and channels to what it says, all of it or nothing."""

from __future__ import annotations

import pytest
from django.db import IntegrityError

from instances.errors import RequestError
from instances.fleet_file import parse
from instances.models import Channel, Host, Plan
from instances.operations.applying import apply
from tests.factories import SECRET, World

pytestmark = pytest.mark.django_db
FLEET = f"""
hosts:
  - {{name: local, docker_url: "unix:///var/run/docker.sock", address: 127.0.0.1, max_instances: 30}}
  - {{name: far, docker_url: "tcp://far:2376", tls: {{ca: a, cert: b, key: c}}}}
plans:
  - name: pro
    image: registry.example.com/agent:latest
    cpus: 2
    memory: 2g
    pids: 512
    container_port: 8080
    health_path: /healthz
    health_expect: auto
    start_grace: 60
    stop_timeout: 10
    data_path: /data
    env: {{TZ: UTC, API_KEY: "{SECRET}"}}
    required_env: [API_KEY, GATEWAY_TOKEN]
    public_url: "https://{{subdomain}}"
    update_strategy: recreate
channels:
  - {{name: ops, url: "json://user:{SECRET}@127.0.0.1:9000/hook", min_level: warning}}
"""


def test_everything_a_file_names_is_created_or_updated(world: World) -> None:
    changes = {(c.kind, c.name): c.action for c in apply(parse(FLEET))}
    assert changes == {
        ("host", "local"): "updated",
        ("host", "far"): "created",
        ("plan", "pro"): "updated",
        ("channel", "ops"): "created",
    }
    plan, far = Plan.objects.get(name="pro"), Host.objects.get(name="far")
    assert (plan.cpus, plan.memory, plan.pids, plan.start_grace) == (2, 2 * 1024**3, 512, 60)
    assert (plan.env, plan.required_env) == ({"TZ": "UTC", "API_KEY": SECRET}, ["API_KEY", "GATEWAY_TOKEN"])
    assert (plan.public_url, plan.update_strategy) == ("https://{subdomain}", "recreate")
    assert far.tls == {"ca": "a", "cert": "b", "key": "c"}
    assert Channel.objects.get().url == f"json://user:{SECRET}@127.0.0.1:9000/hook"


def test_applying_twice_changes_nothing(world: World) -> None:
    apply(parse(FLEET))
    assert apply(parse(FLEET)) == []


def test_a_change_shows_before_and_after_but_no_secret(world: World) -> None:
    apply(parse(FLEET))
    edited = FLEET.replace("cpus: 2", "cpus: 3").replace(SECRET, "another-secret")
    changes = {change.name: change.document() for change in apply(parse(edited))}
    assert changes["pro"]["fields"]["cpus"] == {"before": 2, "after": 3}
    assert changes["pro"]["fields"]["env"] == {"before": "(secret)", "after": "(secret)"}
    assert SECRET not in repr(changes)
    assert "another-secret" not in repr(changes)


def test_what_an_entry_leaves_out_keeps_its_value(world: World) -> None:
    apply(parse(FLEET))
    assert apply(parse("plans: [{name: pro, cpus: 2}]")) == []
    assert Plan.objects.get(name="pro").image == "registry.example.com/agent:latest"


def test_what_a_file_does_not_name_is_left_alone(world: World) -> None:
    apply(parse(FLEET))
    assert apply(parse("{}")) == []
    assert Channel.objects.count() == 1


def test_null_gives_up_the_data_folder(world: World) -> None:
    apply(parse("plans: [{name: pro, data_path: null}]"))
    assert Plan.objects.get(name="pro").data_path is None


def test_a_file_is_applied_as_a_whole_or_not_at_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise IntegrityError("no")

    monkeypatch.setattr(Channel.objects, "create", refused)
    with pytest.raises(IntegrityError):
        apply(parse(FLEET))
    assert not Host.objects.filter(name="far").exists()
    assert Plan.objects.get(name="pro").image != "registry.example.com/agent:latest"


def test_a_range_of_ports_that_only_the_database_can_refuse_is_one_sentence(world: World) -> None:
    apply(parse("hosts: [{name: local, first_port: 25000}]"))
    with pytest.raises(RequestError, match="last_port must not be below first_port"):
        apply(parse("hosts: [{name: local, last_port: 24000}]"))
