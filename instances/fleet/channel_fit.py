"""What can't be right of a channel beside what else there is, whoever says it: a fleet file or a form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from instances import lookup
from instances.alerts.pagers import pager_of
from instances.alerts.send import check_url
from instances.errors import RequestError

USELESS = "nothing can be sent to a URL of that form"
KEEPS_INCIDENTS = "This service keeps incidents of its own: tell another channel of operations."


def is_useless(url: str) -> bool:
    """Whether nothing can be sent to a URL of that form."""
    try:
        check_url(url)
    except RequestError:
        return True
    return False


def misfits(
    url: str, operations: bool, hosts: Sequence[str], plans: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """The fields that can't be right, each with a sentence. Customers may come later."""
    if operations and pager_of(url):
        yield "operations", KEEPS_INCIDENTS
    yield from (("hosts", words) for words in _strangers(lookup.host, hosts))
    yield from (("plans", words) for words in _strangers(lookup.plan, plans))


def _strangers(look_up: Callable[[object], object], names: Sequence[str]) -> Iterator[str]:
    """A misspelt name would keep the channel silent for ever."""
    for name in names:
        try:
            look_up(name)
        except RequestError as error:
            yield str(error)
