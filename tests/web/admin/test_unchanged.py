"""A form that is sent as it came leaves the row as it was, however odd its values are."""

from __future__ import annotations

from datetime import time
from html.parser import HTMLParser
from typing import Any

import pytest
from django.forms import model_to_dict
from django.test import Client

from instances.fleet.apply import Rehearsal, apply, rehearse
from instances.fleet.file import parse
from instances.models import Channel, Host, Plan, Registry
from tests.desk import at_desk, audited, said
from tests.factories import World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
LONG = 3600.25
ODD_PLAN = """
plans:
  - name: odd
    image: registry.example.com/agent:1
    images: [registry.example.com/agent, "registry.example.com/other:2"]
    cpus: 0.333
    memory: 65000k
    pids: 77
    disk: 1234567891
    start_grace: 12.5
    stop_timeout: 7
    container_port: 8081
    data_path: null
    command: [run, "a: b", "", "1:30", "two  spaces", "Größe"]
    tmpfs: {/run: 65537k}
    shm_size: 1048577
    logging: {driver: json-file, options: {max-size: 1500k, max-file: "3"}}
    ulimits: {nofile: 65537}
    labels: {on: "off", number: "010"}
    health: {kind: http, path: /odd, port: 8081, status: 204}
    required_env: [A, B]
    log_alerts: [{match: "a: 'b' #c", more_than: 3, within: 90}]
"""


class Fields(HTMLParser):
    """What a browser sends back from the page's form of a row."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, str] = {}
        self._select = self._area = self._form = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        name = has.get("name") or ""
        if tag == "form":
            self._form = has.get("id") or ""
        elif not self._form.endswith("_form"):  # of a button of the page
            return
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in has:
            self.sent[self._select] = has.get("value") or ""
        elif tag == "textarea":
            self._area = name
            self.sent[name] = ""
        elif tag == "input" and (has.get("type") != "checkbox" or "checked" in has):
            self.sent[name] = has.get("value") or ("on" if has.get("type") == "checkbox" else "")

    def handle_endtag(self, tag: str) -> None:
        self._area = "" if tag == "textarea" else self._area
        self._select = "" if tag == "select" else self._select

    def handle_data(self, data: str) -> None:
        if self._area:
            self.sent[self._area] += data if self.sent[self._area] else data.removeprefix("\n")


def opened(client: Client, page: str) -> dict[str, str]:
    response = client.get(page)
    fields = Fields()
    fields.feed(response.content.decode())
    known = response.context["adminform"].form.fields
    assert set(known) - set(fields.sent) <= {name for name in known if known[name].required is False}
    # A browser ends lines of a text area so.
    return {name: "\r\n".join(text.split("\n")) for name, text in fields.sent.items() if name in known}


def an_odd_plan(_: World) -> Plan:
    apply(parse(ODD_PLAN))
    return Plan.objects.get(name="odd")


def an_odd_host(_: World) -> Host:
    return Host.objects.create(
        name="odd", docker_url="ssh://root@odd", ssh={"key": "/k", "known_hosts": None}, max_instances=0,
        max_memory=1234567891, overcommit=1.1, first_port=1, last_port=1,
    )  # fmt: skip


def an_odd_channel(_: World) -> Channel:
    return Channel.objects.create(
        name="odd", url="json://127.0.0.1:9/", hosts=["local"], customers=["c1", "c2"],
        quiet_from=time(22, 1), quiet_to=time(7, 59), timezone="Europe/Berlin", escalate_after=LONG,
        operations=True,
    )  # fmt: skip


def an_odd_registry(_: World) -> Registry:
    return Registry.objects.create(name="odd.example.com:5000/a", username="a+b", password=" p ")


ODD = [an_odd_plan, an_odd_host, an_odd_channel, an_odd_registry]


def values(row: Any) -> dict[str, Any]:
    row = type(row).objects.get(pk=row.pk)
    return {field.name: getattr(row, field.name) for field in row._meta.fields} | model_to_dict(row)


@pytest.mark.parametrize("make", ODD)
def test_a_form_that_is_sent_as_it_came_changes_nothing(
    admin_client: Client, world: World, make: Any
) -> None:
    row = make(world)
    page = f"/admin/instances/{row._meta.model_name}/{row.pk}/change/"
    before = values(row)
    response = admin_client.post(page, opened(admin_client, page))
    assert response.status_code == 302, response.context["adminform"].form.errors
    assert values(row) == before
    assert audited(f"change {row._meta.verbose_name}").outcome == "changed: nothing"


def test_a_plan_saved_at_the_desk_is_still_what_its_file_says(admin_client: Client, world: World) -> None:
    plan = an_odd_plan(world)
    page = f"/admin/instances/plan/{plan.pk}/change/"
    sent = {**opened(admin_client, page), "public_url": "https://{subdomain}"}
    assert admin_client.post(page, sent).status_code == 302
    assert Plan.objects.get(pk=plan.pk).public_url == "https://{subdomain}"
    assert rehearse(parse(ODD_PLAN)) == Rehearsal([], [], [])
    refused = admin_client.post(page, {**sent, "public_url": "https://[{subdomain}]"})
    assert "public_url" in refused.context["adminform"].form.errors


def test_another_memory_is_a_change_that_containers_are_behind_of(admin_client: Client, world: World) -> None:
    world.instance()
    page = f"/admin/instances/plan/{world.plan.pk}/change/"
    done = admin_client.post(page, {**opened(admin_client, page), "memory": "65000k"})
    assert "1 instances run as the plan was before" in said(done)  # type: ignore[arg-type]
    assert Plan.objects.get(pk=world.plan.pk).memory == 65000 * 1024
    refused = admin_client.post(page, {**opened(admin_client, page), "memory": "512"})
    assert "memory" in refused.context["adminform"].form.errors, "a number alone is bytes, as in the file"


def test_who_may_only_look_sees_sizes_as_they_are(world: World) -> None:
    client = at_desk("operator")
    for row, shown in ((an_odd_plan(world), ("65000k", "1234567891")), (an_odd_host(world), ("1234567891",))):
        page = client.get(f"/admin/instances/{row._meta.model_name}/{row.pk}/change/").content.decode()
        assert all(f">{text}<" in "".join(page.split()) for text in shown)
    assert "65000k" in client.get("/admin/instances/plan/").content.decode()
