"""The broker's URL is refused where settings are read, before an operation is written down for it."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from dockmgr.settings import broker


@pytest.mark.parametrize(
    "url", ["redis://:p@host:6380/2", "rediss://host/1", "redis+socket:///run/r.sock", "redis://[::1]:6379/0"]
)
def test_a_redis_of_any_form_is_taken_as_it_is(url: str) -> None:
    assert broker(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "nonsense://s3ntinel",
        "amqp://u:s3ntinel@h//",
        "somewhere:6379",
        "redis://u:s3ntinel@h:abc/0",
        "redis://h:0/0",
    ],
)
def test_anything_else_is_refused_in_one_sentence_that_does_not_show_it(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^DOCKMGR_BROKER_URL is no Redis'.*\.$") as refused:
        broker(url)
    assert url not in str(refused.value) and "s3ntinel" not in str(refused.value)
