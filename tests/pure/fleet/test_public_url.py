"""A plan's public address is one that something can be asked at, once the subdomain is filled in."""

from __future__ import annotations

import pytest

from instances.errors import RequestError
from instances.fleet.file import parse


def plan(url: str) -> str:
    return f"plans: [{{name: p, public_url: '{url}'}}]"


@pytest.mark.parametrize(
    "url",
    [
        "https://[{subdomain}]",
        "https://[",
        "https://{subdomain}:99999",
        "https://{subdomain}:8o80",
        "https://{subdomain}:0",
        "https://:443",
        "https:///{subdomain}",
    ],
)
def test_an_address_nobody_can_be_asked_at_is_refused(url: str) -> None:
    with pytest.raises(
        RequestError, match=r"^The fleet file is refused: plans\.0\.public_url: must be an http"
    ):
        parse(plan(url))


@pytest.mark.parametrize("word", ["{customer_id}", "{port}", "{Subdomain}", "{}", "{", "}"])
def test_a_word_in_braces_that_nobody_fills_in_is_refused(word: str) -> None:
    with pytest.raises(RequestError) as refusal:
        parse(plan(f"https://{word}.example.com"))
    assert f"{word} stands for nothing here: there is {{subdomain}} alone." in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    ["", "https://{subdomain}", "http://{subdomain}:8080/in", "https://[2001:db8::1]:443/{subdomain}"],
)
def test_any_other_stays_as_it_is_written(url: str) -> None:
    assert parse(plan(url)).plans[0].public_url == url
