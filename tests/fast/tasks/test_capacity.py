"""Changes that last minutes leave threads to healing and to reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from celery.exceptions import Retry

from instances.models import Operation
from instances.operations import service
from instances.operations.procedures import restart
from tasks import operations
from tasks.capacity import CHANGES, THREADS, most_changes, most_healing
from tests.factories import ASKED, World
from tests.fast.conftest import Message

Sent = Callable[[str], list[Message]]


@pytest.fixture(autouse=True)
def as_configured() -> Iterator[None]:
    yield
    THREADS.use(None)


@pytest.mark.parametrize(
    ("threads", "changes", "healing"), [(50, 37, 44), (8, 6, 7), (4, 3, 4), (2, 1, 2), (1, 1, 1)]
)
def test_the_threads_of_a_worker_are_shared_out(threads: int, changes: int, healing: int) -> None:
    THREADS.use(threads)
    assert (most_changes(), most_healing()) == (changes, healing)


@pytest.fixture
def full_of_updates() -> Iterator[None]:
    THREADS.use(4)
    with ExitStack() as under_way:
        found = {under_way.enter_context(CHANGES.place(healing=False)) for _ in range(3)}
        assert found == {True}
        yield


@pytest.mark.django_db
@pytest.mark.usefixtures("full_of_updates")
def test_a_worker_full_of_updates_still_heals_and_reads(world: World, sent: Sent) -> None:
    instance = world.instance(status="unhealthy", failures=3, down_since=world.now)
    assert restart.begin_automatic(instance.pk, world.now)
    operations.carry_on.apply(kwargs={"operation_id": str(Operation.objects.get().pk)}, throw=True)
    assert Operation.objects.get().status == "succeeded"
    assert operations.logs.apply(kwargs={"customer_id": "c1"}, throw=True).get()["customer_id"] == "c1"


@pytest.mark.django_db
@pytest.mark.usefixtures("full_of_updates")
def test_one_change_more_comes_back_later_and_holds_no_thread(world: World, sent: Sent) -> None:
    world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    with pytest.raises(Retry):
        operations.carry_on.apply(kwargs={"operation_id": str(operation.pk)}, throw=True)
    operation.refresh_from_db()
    assert (operation.status, operation.tries) == ("queued", 0)


def test_a_place_is_given_back_whatever_happens_in_it() -> None:
    THREADS.use(2)
    for _ in range(3):
        with pytest.raises(ValueError), CHANGES.place(healing=False) as found:
            assert found
            raise ValueError
