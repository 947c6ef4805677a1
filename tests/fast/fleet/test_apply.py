"""A fleet file brings hosts, plans and channels to what it says, all of it or nothing."""

from __future__ import annotations

import json
from datetime import time
from urllib.parse import quote

import pytest
from django.db import IntegrityError

from instances.errors import RequestError
from instances.fleet.apply import apply
from instances.fleet.file import parse
from instances.models import Channel, Host, Incident, Plan
from tests.factories import SECRET, World

pytestmark = pytest.mark.django_db
IN_URL = quote(SECRET, safe="")
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
    disk: 10g
    log_alerts: [{{match: "ERROR .* quota exceeded", more_than: 5, within: 10m}}]
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
  - {{name: ops, url: "json://user:{IN_URL}@127.0.0.1:9000/hook", min_level: warning}}
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
    assert plan.disk == 10 * 1024**3
    assert plan.log_alerts == [
        {"match": "ERROR .* quota exceeded", "more_than": 5, "within": 600, "level": "warning"}
    ]
    assert (plan.env, plan.required_env) == ({"TZ": "UTC", "API_KEY": SECRET}, ["API_KEY", "GATEWAY_TOKEN"])
    assert (plan.public_url, plan.update_strategy) == ("https://{subdomain}", "recreate")
    assert far.tls == {"ca": "a", "cert": "b", "key": "c"}
    assert Channel.objects.get().url == f"json://user:{IN_URL}@127.0.0.1:9000/hook"


def test_applying_twice_changes_nothing(world: World) -> None:
    apply(parse(FLEET))
    assert apply(parse(FLEET)) == []


def test_a_change_shows_before_and_after_but_no_secret(world: World) -> None:
    apply(parse(FLEET))
    edited = (
        FLEET.replace("cpus: 2", "cpus: 3")
        .replace(SECRET, "another-secret")
        .replace(IN_URL, "another-secret")
    )
    changes = {change.name: change.document() for change in apply(parse(edited))}
    assert changes["pro"]["fields"]["cpus"] == {"before": 2, "after": 3}
    assert changes["pro"]["fields"]["env"] == {"before": "(secret)", "after": "(secret)"}
    assert SECRET not in repr(changes)
    assert IN_URL not in repr(changes)
    assert "another-secret" not in repr(changes)


def test_what_an_entry_leaves_out_keeps_its_value(world: World) -> None:
    apply(parse(FLEET))
    assert apply(parse("plans: [{name: pro, cpus: 2}]")) == []
    assert Plan.objects.get(name="pro").image == "registry.example.com/agent:latest"


def test_what_a_file_does_not_name_is_left_alone(world: World) -> None:
    apply(parse(FLEET))
    assert apply(parse("{}")) == []
    assert Channel.objects.count() == 1


def test_alerts_of_a_log_that_nobody_keeps_are_refused(world: World) -> None:
    apply(parse("plans: [{name: pro, log_alerts: [{match: panic}]}]"))
    with pytest.raises(
        RequestError, match="plan pro: log_alerts need a log, and logging has the driver none"
    ):
        apply(parse("plans: [{name: pro, logging: {driver: none}}]"))
    apply(parse("plans: [{name: pro, log_alerts: null, logging: {driver: none}}]"))
    assert Plan.objects.get(name="pro").log_alerts == []


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


@pytest.mark.parametrize(
    "url", ["tcp://h7:99999", "tcp://[::1", "tcp://h7", "tcp://u:s3ntinel@h7:2376", "ssh://u@h7:99999"]
)
def test_an_engine_s_address_that_can_t_be_read_is_refused(world: World, url: str) -> None:
    with pytest.raises(
        RequestError, match=r"^The fleet file is refused: host h7: its address must read "
    ) as refused:
        apply(parse(f"hosts: [{{name: h7, docker_url: '{url}', insecure: true}}]"))
    assert "s3ntinel" not in str(refused.value)
    assert not Host.objects.filter(name="h7").exists()


def test_files_of_tls_that_a_host_keeps_on_its_way_to_ssh_are_refused(world: World) -> None:
    apply(parse(FLEET))
    with pytest.raises(RequestError, match="host far: tls files go with an address by tcp:// alone"):
        apply(parse("hosts: [{name: far, docker_url: 'ssh://ops@far'}]"))
    apply(parse("hosts: [{name: far, docker_url: 'ssh://ops@far', tls: null}]"))
    assert Host.objects.get(name="far").tls is None


def test_a_range_of_ports_that_only_the_database_can_refuse_is_one_sentence(world: World) -> None:
    apply(parse("hosts: [{name: local, first_port: 25000}]"))
    with pytest.raises(RequestError, match="last_port must not be below first_port"):
        apply(parse("hosts: [{name: local, last_port: 24000}]"))


CHANNEL = "channels: [{name: ops, url: 'json://127.0.0.1:9000/hook'}]"
ROUND_THE_CLOCK = """
channels:
  - name: ops
    url: "json://127.0.0.1:9000/hook"
    hosts: [local]
    plans: [pro]
    customers: [c1, c2]
    quiet_hours: {from: "22:00", to: "07:00", timezone: Europe/Berlin}
    escalate_after: 15m
"""


def test_a_channel_knows_whom_it_is_for_and_when_it_is_quiet(world: World) -> None:
    apply(parse(ROUND_THE_CLOCK))
    ops = Channel.objects.get()
    assert (ops.hosts, ops.plans, ops.customers) == (["local"], ["pro"], ["c1", "c2"])
    assert (ops.quiet_from, ops.quiet_to, ops.timezone) == (time(22), time(7), "Europe/Berlin")
    assert (ops.escalate_after, ops.enabled, ops.min_level) == (900, True, "info")
    assert apply(parse(ROUND_THE_CLOCK)) == []


def test_changed_quiet_hours_can_be_printed_as_json(world: World) -> None:
    apply(parse(ROUND_THE_CLOCK))
    [change] = apply(parse(ROUND_THE_CLOCK.replace("22:00", "23:30")))
    fields = json.loads(json.dumps(change.document()))["fields"]
    assert fields == {"quiet_from": {"before": "22:00", "after": "23:30"}}


def test_null_gives_up_quiet_hours_and_escalation(world: World) -> None:
    apply(parse(ROUND_THE_CLOCK))
    apply(parse(CHANNEL.replace("}", ", quiet_hours: null, escalate_after: null}")))
    ops = Channel.objects.get()
    assert (ops.quiet_from, ops.quiet_to, ops.escalate_after) == (None, None, None)
    assert ops.hosts == ["local"]


def test_a_disabled_channel_comes_back_only_when_the_file_says_so(world: World) -> None:
    apply(parse(CHANNEL))
    Channel.objects.update(enabled=False, disabled_reason="The receiver answered with HTTP status 410.")
    assert apply(parse(CHANNEL)) == []
    [change] = apply(parse(CHANNEL.replace("}", ", enabled: true}")))
    assert set(change.fields) == {"enabled", "disabled_reason"}
    ops = Channel.objects.get()
    assert (ops.enabled, ops.disabled_reason) == (True, "")
    apply(parse(CHANNEL.replace("}", ", enabled: false}")))
    assert not Channel.objects.get().enabled


@pytest.mark.parametrize(
    ("rest", "named"),
    [
        ("hosts: [local, mars]", "host named mars; known are local"),
        ("plans: [gold]", "plan named gold; known are"),
    ],
)
def test_a_channel_for_what_does_not_exist_is_refused(world: World, rest: str, named: str) -> None:
    with pytest.raises(RequestError, match=rf"^The fleet file is refused: channel ops: There is no {named}"):
        apply(parse(CHANNEL.replace("}", f", {rest}}}")))
    assert not Channel.objects.exists()


def test_a_channel_may_be_for_a_host_of_the_same_file(world: World) -> None:
    apply(parse("hosts: [{name: mars}]\n" + CHANNEL.replace("}", ", hosts: [mars]}")))
    assert Channel.objects.get().hosts == ["mars"]


@pytest.mark.parametrize("known", [False, True])
def test_a_url_that_nothing_can_be_sent_to_is_refused_without_showing_it(world: World, known: bool) -> None:
    if known:
        apply(parse(CHANNEL))
    with pytest.raises(RequestError) as refused:
        apply(parse(f"channels: [{{name: ops, url: 'nothing://{SECRET}'}}]"))
    assert str(refused.value) == (
        "The fleet file is refused: channel ops: nothing can be sent to a URL of that form."
    )
    assert Channel.objects.count() == known


def test_a_new_or_changed_channel_is_told_of_what_is_wrong(world: World) -> None:
    row = world.host_incident(notify_at=None)
    for text in (CHANNEL, CHANNEL.replace("}", ", min_level: critical}")):
        apply(parse(text), world.clock)
        row.refresh_from_db()
        assert row.notify_at == world.now
        Incident.objects.update(notify_at=None)
        apply(parse(text), world.clock)
        row.refresh_from_db()
        assert row.notify_at is None
