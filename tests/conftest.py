"""For all tests: generated cases are the same in every run, and a slow machine is no failure."""

import gc
import random
import sys
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

for checked in ("engine_promises", "exhaustive", "factories", "fakes", "fast", "real", "web"):
    pytest.register_assert_rewrite(f"tests.{checked}")

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--ordeal", type=float, metavar="MINUTES",
        help="test_story_ordeal.py goes on for so long, with 40 instances",
    )  # fmt: skip
    parser.addoption("--ordeal-seed", type=int, default=3, help="other random faults")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Waits are drawn at random; a test that passes by luck tells nothing.

    On real servers many tests draw ports and networks at once, and must not all draw the same.
    """
    if "real" not in item.path.parts:
        random.seed(0)


@pytest.fixture(autouse=True)
def no_session_is_kept() -> Iterator[None]:
    """A database with sessions of somebody who does not need them any more can't be removed in the end."""
    yield
    if sessions := sys.modules.get("instances.db.sessions"):
        sessions.SESSIONS.end()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collecting makes many objects and drops few: looking for garbage meanwhile was a third of it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


# What pytest-django does around each test for the few that ask, by the marker or the fixture they ask with.
# No page here is one of django.contrib.sites, nothing sends mail but Apprise, and no test is one of unittest.
ASKED_FOR_WITH = {
    "_dj_autoclear_mailbox": "mailoutbox",
    "_django_clear_site_cache": "sites",
    "_django_db_marker": "django_db",
    "_django_isolate_apps": "isolate_apps",
    "_django_set_urlconf": "urls",
    "_django_setup_unittest": "unittest",
    "_live_server_helper": "live_server",
    "_template_string_if_invalid_marker": "ignore_template_errors",
}


def pytest_itemcollected(item: pytest.Item) -> None:
    """All of it together takes longer than most tests of a rule."""
    if isinstance(item, pytest.Function):
        asked = {*item.fixturenames, *(mark.name for mark in item.iter_markers())}
        unasked = {name for name, word in ASKED_FOR_WITH.items() if word not in asked}
        item.fixturenames = [name for name in item.fixturenames if name not in unasked]


def pytest_collection_finish() -> None:
    """What is loaded now stays to the end, so the garbage collector need not look at it each time.

    Of the rest it takes a look now and then: tests make many objects and keep few.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
