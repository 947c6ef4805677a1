"""While the database takes no writes, or is away: what only reads goes on, the rest says why it can't."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.test import Client

from instances.admin import dashboard
from instances.errors import OutOfReachError
from instances.models import Instance, Operation
from tests.desk import INSTANCE
from tests.factories import World
from tests.web.callers import Caller

pytestmark = [
    pytest.mark.django_db(transaction=True),  # what is refused would end the test's own
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
READ_ONLY = "The database takes no writes: it is read-only (DATABASE_URL)."


@pytest.fixture
def desk(world: World, admin_client: Client) -> Client:
    world.instance("c1")
    admin_client.raise_request_exception = False
    return admin_client


@pytest.fixture
def read_only(desk: Client, caller: Caller) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = 1")
        yield
        cursor.execute("PRAGMA query_only = 0")


READS = ["/instances", "/instances/c1", "/instances/c1/history", "/operations", "/incidents", "/usage"]


@pytest.mark.parametrize("path", READS)
def test_a_token_reads_while_its_use_cannot_be_noted(
    caller: Caller, read_only: None, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    assert caller.get(path).status == 200
    assert f"The use of token admin is not noted: {READ_ONLY}" in caplog.text


def test_a_change_is_refused_with_the_reason(caller: Caller, read_only: None) -> None:
    answer = caller.post("/instances/c1/restart")
    assert (answer.status, answer.kind, answer.document["detail"]) == (503, "out-of-reach", READ_ONLY)


def test_the_desk_shows_what_is_known(world: World, desk: Client, read_only: None) -> None:
    assert desk.get(INSTANCE).status_code == 200


@pytest.mark.parametrize("verb", ["restart", "pause", "check"])
def test_a_button_says_why_nothing_was_done(desk: Client, read_only: None, verb: str) -> None:
    page = desk.post(f"{INSTANCE}{Instance.objects.get().pk}/do/{verb}/", {"reason": "because"})
    assert (page.status_code, page.headers["Retry-After"]) == (503, "10")
    assert READ_ONLY in unescape(page.content.decode())
    assert not Operation.objects.exists()


AWAY = [
    (OperationalError("connection refused"), 503, "The database can't be reached: nothing listens there"),
    (OutOfReachError("The broker can't be reached."), 503, "The broker can't be reached."),
    (IntegrityError("NOT NULL constraint failed"), 500, "dockmgr itself failed"),
    (ValueError("s3ntinel"), 500, "dockmgr itself failed"),
]


@pytest.mark.parametrize(("error", "status", "words"), AWAY)
def test_a_page_that_cannot_be_made_tells_an_outage_from_a_defect(
    desk: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, words: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(dashboard, "figures", fail)
    page = desk.get(f"{INSTANCE}dashboard/live/")
    assert page.status_code == status
    assert words in unescape(page.content.decode()) and "s3ntinel" not in page.content.decode()
