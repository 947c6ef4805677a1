"""A page says what its scripts do only once they do it."""

from __future__ import annotations

import re

import pytest

from tests.desk import INSTANCE, at_desk
from tests.factories import World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]


@pytest.mark.parametrize("own", [False, True], ids=["dashboard", "instance"])
def test_a_page_whose_scripts_do_not_run_says_of_when_it_is(world: World, own: bool) -> None:
    instance = world.instance("c1")
    page = at_desk("operator").get(f"{INSTANCE}{instance.pk}/change/" if own else "/admin/").content.decode()
    [said] = re.findall("<p[^>]* data-fresh>([^<]*)</p>", page)
    assert re.fullmatch(r"As it was at \d\d:\d\d:\d\d UTC: nothing here refreshes itself before .*\.", said)
    assert re.search("<noscript>.*need JavaScript.*</noscript>", page)
