"""Where a host is reached and ports are published: what is no address there would open them to everybody."""

from __future__ import annotations

import json

import pytest

from instances.errors import RequestError
from instances.fleet.file import parse
from instances.models import Host


def host(**said: str) -> str:
    return json.dumps({"hosts": [{"name": "h", **said}]})


@pytest.mark.parametrize("bind", ["1.2.3", "10.0.0.256", "172.017.0.1", "::::", ".", "abc", "10.0.0.1:80"])
def test_what_is_no_ip_address_publishes_nothing(bind: str) -> None:
    with pytest.raises(
        RequestError, match=r"^The fleet file is refused: hosts\.0\.bind: must be an IP address"
    ):
        parse(host(bind=bind))
    assert Host(address="10.0.0.1", bind=bind).bind_address == "127.0.0.1"


@pytest.mark.parametrize(
    "address", ["10.0.0.256", "1.2.3", "10", "::::", "a..b", ".", "..", "-", "a" * 64, "1:2", "10.0.0.1:80"]
)
def test_what_is_neither_an_ip_address_nor_a_name_is_refused(address: str) -> None:
    with pytest.raises(
        RequestError, match=r"^The fleet file is refused: hosts\.0\.address: must be a machine's"
    ):
        parse(host(address=address))


@pytest.mark.parametrize(
    ("said", "published_on"),
    [
        ({}, "127.0.0.1"),
        ({"address": "localhost"}, "127.0.0.1"),
        ({"address": "10.0.0.7"}, "10.0.0.7"),
        ({"address": "::1"}, "::1"),
        ({"address": "node-7.example.com."}, "0.0.0.0"),
        ({"address": "node_7"}, "0.0.0.0"),
        ({"address": "7.node"}, "0.0.0.0"),
        ({"address": "node-7", "bind": "fd00::7"}, "fd00::7"),
        ({"address": "node-7", "bind": ""}, "0.0.0.0"),
    ],
    ids=str,
)
def test_any_other_is_taken_as_it_is(said: dict[str, str], published_on: str) -> None:
    [entry] = parse(host(**said)).hosts
    assert (entry.model_dump(include=set(said)), Host(**said).bind_address) == (said, published_on)
