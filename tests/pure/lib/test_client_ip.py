"""Where a request came from, whatever it claims."""

from __future__ import annotations

import pytest

from instances.lib import client_ip

PEER = "192.0.2.1"
SOURCES: list[tuple[int, str, str, str | None]] = [
    (0, "", PEER, PEER),
    (0, "198.51.100.9", PEER, PEER),
    (1, "198.51.100.9", PEER, "198.51.100.9"),
    (1, "6.6.6.6, 198.51.100.9", PEER, "198.51.100.9"),
    (2, "6.6.6.6, 198.51.100.9, 10.0.0.1", PEER, "198.51.100.9"),
    (5, "198.51.100.9, 10.0.0.1", PEER, "198.51.100.9"),
    (1, "198.51.100.9:4711", PEER, "198.51.100.9"),
    (1, "[2001:db8::9]:4711", PEER, "2001:db8::9"),
    (1, "2001:DB8::9", PEER, "2001:db8::9"),
    (0, "", "::ffff:203.0.113.7", "203.0.113.7"),
    (1, "[::FFFF:cb00:7107]:4711", PEER, "203.0.113.7"),
    (1, "unknown", PEER, PEER),
    (1, "<script>", PEER, PEER),
    (1, " , ", PEER, PEER),
    (1, "", "", None),
    (0, "", "/run/web.sock", None),
]


@pytest.mark.parametrize(("proxies", "forwarded", "peer", "expected"), SOURCES)
def test_the_source_is_what_the_outermost_trusted_proxy_saw(
    proxies: int, forwarded: str, peer: str, expected: str | None
) -> None:
    meta = {"REMOTE_ADDR": peer, **({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {})}
    assert client_ip.source(meta, proxies) == expected


NETWORKS = [
    ("192.0.2.1", "192.0.2.1"),
    ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    (None, "unknown"),
]


@pytest.mark.parametrize(("address", "expected"), NETWORKS)
def test_those_who_can_change_their_address_at_will_are_counted_together(
    address: str | None, expected: str
) -> None:
    assert client_ip.network(address) == expected
