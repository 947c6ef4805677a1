"""Addresses that lead back into one's own network are known, however they are written."""

from __future__ import annotations

import pytest

from instances.lib.reserved import is_public


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"],
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.9.9", "192.168.0.1"),
        *("169.254.169.254", "100.64.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255", "192.0.2.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1", "2002:7f00:1::"),
        *("", "localhost", "127.1", "1.2.3"),
    ],
)
def test_all_others_are_not(address: str) -> None:
    assert not is_public(address)
