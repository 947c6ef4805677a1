"""No way around who may do what at the desk: nothing is left out of the table, nothing works by a trick."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client, RequestFactory
from django.urls import URLPattern, get_resolver, resolve
from pytest_django.plugin import DjangoDbBlocker

from instances.admin import answers, instance_page, verbs
from instances.models import Instance
from tests.web.desk_actions import ACTIONS
from tests.web.desk_pages import ELSEWHERE, PAGES, ROWS
from tests.web.roles import OWN, PEOPLE, Fleet, a_fleet, undone

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
TICKETS = {"instances_instance_answer", "instances_instance_download"}  # have tests of their own below
ALL_ACTIONS = {name for action in ACTIONS if (name := action.fields.get("action"))}
OVERRIDES = dict.fromkeys(("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"), "POST")
POSTED = {"reason": "because", "post": "yes", "lasts": "2h", "confirmed": "c1", "_save": "Save"}


@pytest.fixture(scope="module")
def fleet(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Fleet]:
    """One fleet for all: whatever a test changes it takes back."""
    with a_fleet(django_db_blocker) as fleet:
        yield fleet


def addresses(of: Any, begin: str = "") -> Iterator[tuple[str, str | None]]:
    """Every route below a resolver, with its name."""
    for pattern in of.url_patterns:
        route = begin + str(pattern.pattern).removeprefix("^")
        if isinstance(pattern, URLPattern):
            yield route, pattern.name
        else:
            yield from addresses(pattern, route)


def test_every_address_of_the_desk_is_in_the_table(fleet: Fleet) -> None:
    known = [*(action.address for action in ACTIONS), *(page.partition("?")[0] for page in PAGES), *ELSEWHERE]
    reached = {resolve(f"/admin/{address.format(**fleet.ids)}").route for address in known}
    there = {route: name for route, name in addresses(get_resolver()) if route.startswith("admin/")}
    assert len(there) > 130
    assert {route for route, name in there.items() if name not in TICKETS} == reached


def test_nothing_is_served_beside_the_desk_the_api_and_what_monitors_ask() -> None:
    tops = {route.partition("/")[0] for route, _ in addresses(get_resolver())}
    assert tops == {"admin", "api", "healthz", "readyz", "metrics", ""}


def test_every_action_verb_question_and_permission_is_in_the_table(fleet: Fleet) -> None:
    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(username="superuser")
    posted = {(action.address, action.fields.get("action")) for action in ACTIONS}
    for model, desk in admin.site._registry.items():
        path = f"{model._meta.app_label}/{model._meta.model_name}/"
        assert {(path, name) for name in desk.get_actions(request)} <= posted
    for way, names in (("do", verbs.VERBS), ("ask", instance_page.QUESTIONS)):
        assert set(names) == {
            action.address.split("/")[-2] for action in ACTIONS if f"}}/{way}/" in action.address
        }
    assert {name for name, _ in Instance._meta.permissions} <= set(OWN)
    assert not any(desk.list_editable or desk.inlines for desk in admin.site._registry.values())


def test_looking_does_nothing_however_it_is_worded(fleet: Fleet) -> None:
    client = fleet.clients["superuser"]
    for action in ACTIONS:
        address, fields = action.at(fleet.ids)
        answer = client.get(address, fields | {"_method": "POST"}, headers=OVERRIDES)
        assert answer.status_code in (200, 302, 400, 405), address
    assert fleet.is_untouched()


def test_a_form_from_elsewhere_is_refused(fleet: Fleet) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="superuser"))
    for action in ACTIONS:
        address, fields = action.at(fleet.ids)
        assert client.post(address, fields).status_code == 403, address
        forged = {**fields, "csrfmiddlewaretoken": "0" * 64}
        assert (
            client.post(address, forged, headers={"origin": "https://elsewhere.example"}).status_code == 403
        )
    assert fleet.is_untouched()


@pytest.mark.parametrize("method", ["put", "delete"])
def test_other_methods_change_nothing(fleet: Fleet, method: str) -> None:
    for action in ACTIONS:
        address, _ = action.at(fleet.ids)
        getattr(fleet.clients["superuser"], method)(address)
    assert fleet.is_untouched()


def test_an_address_with_the_wrong_id_does_nothing(fleet: Fleet) -> None:
    """Ids of what is gone, of another kind of thing, and what is no id."""
    others = (fleet.ids["operation"], 2**70, "..%2f1", "%C2%B2")
    for action in ACTIONS:
        named = re.search(r"{(\w+)}", action.address)
        if named is not None:
            _, fields = action.at(fleet.ids)
            gone = (fleet.ids["gone"],) if named[1] in ("instance", "paused") else (999_999,)
            for other in (*gone, *others):
                address = f"/admin/{action.address.format(**{**fleet.ids, named[1]: other})}"
                assert fleet.clients["superuser"].post(address, fields).status_code in (302, 404), address
    assert fleet.is_untouched()


@pytest.mark.parametrize("rows", ROWS, ids=lambda rows: rows.path)
def test_a_list_takes_no_action_that_is_not_its_own(fleet: Fleet, rows: Any) -> None:
    own = {action.fields.get("action") for action in ACTIONS if action.address == rows.path}
    for name in ALL_ACTIONS - own:
        fields = {
            "action": name,
            "_selected_action": fleet.ids[rows.which],
            "select_across": "1",
            "index": "0",
        }
        fleet.clients["superuser"].post(f"/admin/{rows.path}", {**POSTED, **fields})
    assert fleet.is_untouched()


@pytest.mark.parametrize("rows", ROWS, ids=lambda rows: rows.path)
def test_what_nobody_may_write_is_written_by_no_form(fleet: Fleet, rows: Any) -> None:
    one = f"{rows.path}{{{rows.which}}}/"
    shut = ["add/"] * (not rows.add) + [f"{one}delete/", f"{one}change/"] * (not rows.edit)
    for page in [f"{rows.path}add/" if page == "add/" else page for page in shut] + [f"{one}history/"]:
        fleet.clients["superuser"].post(f"/admin/{page.format(**fleet.ids)}", POSTED)
    assert fleet.is_untouched()


def test_an_answer_is_given_to_nobody_but_who_asked(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "task_result", lambda _: None)
    asker = fleet.clients["operator"]
    ticket = asker.post(f"/admin/instances/instance/{fleet.ids['instance']}/ask/logs/").json()["ticket"]
    fleet.messages()
    mine = User.objects.get(username="viewer").pk
    forged = signing.dumps([str(fleet.ids["operation"]), mine, "instances.view_instance"], salt="mine")
    unsalted = signing.dumps([str(fleet.ids["operation"]), mine, answers.SALT])
    for end in ("", "log/"):
        for who in PEOPLE:
            code = fleet.clients[who].get(f"/admin/instances/instance/answers/{ticket}/{end}").status_code
            assert (code in (302, 403)) is (who != "operator"), who
        for made_up in (forged, unsalted, "x"):
            address = f"/admin/instances/instance/answers/{made_up}/{end}"
            assert fleet.clients["viewer"].get(address).status_code == 404
    with undone():
        User.objects.get(username="operator").groups.clear()
        assert asker.get(f"/admin/instances/instance/answers/{ticket}/").status_code == 403


def test_a_password_is_changed_by_its_owner_alone(fleet: Fleet) -> None:
    fields = {"old_password": "x", "new_password1": "pw-Of-a-new-1", "new_password2": "pw-Of-a-new-1"}
    fleet.clients["viewer"].post("/admin/password_change/", fields)
    assert fleet.is_untouched()
    assert fleet.clients["viewer"].get("/admin/logout/").status_code == 405
    for page in ELSEWHERE[2:]:
        assert fleet.clients["superuser"].get(f"/admin/{page}").status_code == 404
