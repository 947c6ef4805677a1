"""The short way of reading a plain address says what the usual one says."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from instances.http.exchange import _PLAIN, _parts, _plain_parts

USUAL = {
    "http://127.0.0.1:20001/health": ("http", "127.0.0.1", 20001, "/health"),
    "http://10.0.0.7": ("http", "10.0.0.7", None, "/"),
    "https://10.0.0.7:64999/a/b.c~d/": ("https", "10.0.0.7", 64999, "/a/b.c~d/"),
    "tcp://10.0.0.7:5432": ("tcp", "10.0.0.7", 5432, "/"),
}
LEFT_TO_THE_USUAL_WAY = (
    "http://10.0.0.7:65536/", "http://10.0.0.7/?a=b", "http://10.0.0.7/a b", "http://10.0.0.7/%2f",
    "HTTP://10.0.0.7/", "http://u@10.0.0.7/", "http://example.com/", "http://[::1]/", "http://10.0.0.7/#a",
    "http://10.0.0.7/a\n", "ftp://10.0.0.7/",
)  # fmt: skip


@pytest.mark.parametrize("url", USUAL)
def test_a_plain_address_is_read_the_short_way(url: str) -> None:
    assert _plain_parts(url) == _parts(url) == USUAL[url]


@pytest.mark.parametrize("url", LEFT_TO_THE_USUAL_WAY)
def test_any_other_is_left_to_the_usual_way(url: str) -> None:
    assert _plain_parts(url) is None


@given(st.from_regex(_PLAIN, fullmatch=True))
@example("http://0.0.0.0:0080//")
@example("http://999.999.999.999:64999/..")
def test_both_ways_say_the_same(url: str) -> None:
    assert _plain_parts(url) == _parts(url)
