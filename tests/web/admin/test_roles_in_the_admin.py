"""Who may do what at the desk: every address and every action, for every kind of person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.backends import ModelBackend
from pytest_django.plugin import DjangoDbBlocker

from instances.models import AuditEntry
from tests.web.desk_actions import ACTIONS, Action
from tests.web.desk_pages import PAGES
from tests.web.roles import LOOKERS, OUTSIDE, Fleet, a_fleet

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]


@pytest.fixture(scope="module")
def fleet(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Fleet]:
    """One fleet for all: whatever a test changes it takes back, so that nobody's permissions change."""
    read: dict[Any, Any] = {}

    def get_user(backend: ModelBackend, key: Any) -> Any:
        """Somebody with the permissions that were read when they were first asked for."""
        return read.get(key) or read.setdefault(key, from_database(backend, key))

    from_database = ModelBackend.get_user
    with a_fleet(django_db_blocker) as fleet, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelBackend, "get_user", get_user)
        yield fleet


def is_shut(who: str, response: Any, *codes: int) -> bool:
    """Strangers are asked to log in, others are told that they may not."""
    if who in OUTSIDE:
        return response.status_code == 302 and not leads_on(response)
    return response.status_code in (codes or (403, 404))


def leads_on(response: Any) -> bool:
    """Whether it sends somebody to another page than that for logging in."""
    return response.status_code in (301, 302) and not response.headers["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_an_action_is_for_those_who_may(fleet: Fleet, action: Action) -> None:
    address, fields = action.at(fleet.ids)
    fleet.messages()
    for who in action.people:
        if who not in action.allowed:
            response = fleet.clients[who].post(address, fields)
            assert is_shut(who, response, *((200, 302, 403) if action.ignored else (403,))), who
    assert fleet.is_untouched()
    for who in sorted(action.allowed & set(action.people)):
        with fleet.undone(who) as client:
            AuditEntry.objects.all().delete()
            response = client.post(address, fields)
            assert response.status_code in (200, 202, 302), (who, response.status_code)
            is_done(fleet, action, f"admin:{who}")
    assert fleet.is_untouched()


def is_done(fleet: Fleet, action: Action, by: str) -> None:
    """What the action leaves behind, and by whom."""
    assert action.effect is None or action.effect(by, fleet.ids), by
    assert fleet.messages() == ([action.message] if action.message else [])
    if action.audit is not None:
        word, target = action.audit
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor) == (word, by)
        assert target in entry.target and entry.outcome != "denied"


def part(page: str) -> str:
    """What of the desk a page belongs to: the pages of one kind of row, most often."""
    return "/".join(page.split("/")[:2])


@pytest.mark.parametrize("of", sorted({part(page) for page in PAGES}))
def test_a_page_is_for_those_who_may_see_it(fleet: Fleet, of: str) -> None:
    for page in (page for page in PAGES if part(page) == of):
        for who in LOOKERS:
            response = fleet.clients[who].get(f"/admin/{page.format(**fleet.ids)}")
            if who in PAGES[page]:
                assert response.status_code == 200 or leads_on(response), (page, who, response.status_code)
            else:
                assert is_shut(who, response), (page, who, response.status_code)
    assert fleet.is_untouched()
