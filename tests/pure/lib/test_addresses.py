"""Which texts are the address of a machine, of its interface and of an engine."""

from __future__ import annotations

import pytest

from instances.lib.addresses import LONGEST_SOCKET, SOCKET, SSH, TCP, TLS, engine_fault, is_ip, is_machine

MACHINES = [
    "h7", "h7.example.com", "h7.example.com.", "host.docker.internal", "H_7", "10.0.0.7", "::1",
    "2001:db8::7", "7up",
]  # fmt: skip
NO_MACHINES = [
    "", "-x", "x-", "..", "a..b", ".a", "a:b", "http:", "10.0.0.7:80", "[::1]", "10.0.0.999", "127.1", "a b",
    "a/b", "fe80::1%eth0", "1::2::3", "a" * 64, ".".join(["a" * 50] * 6), "ü",
]  # fmt: skip


@pytest.mark.parametrize("text", MACHINES)
def test_a_machine_is_known_by_its_name_or_address(text: str) -> None:
    assert is_machine(text)


@pytest.mark.parametrize("text", NO_MACHINES)
def test_what_names_no_machine_is_told_from_one(text: str) -> None:
    assert not is_machine(text)


@pytest.mark.parametrize("text", ["1.2.3", "10.0.0.300", ":", "h7", "", "[::1]", "fe80::1%eth0"])
def test_what_is_no_address_of_an_interface_is_told_from_one(text: str) -> None:
    assert not is_ip(text)
    assert is_ip("0.0.0.0") and is_ip("::")


@pytest.mark.parametrize(
    "url",
    [
        "unix:///var/run/docker.sock", "unix:///srv/with blank/docker.sock", "tcp://10.0.0.7:2376", "tcp://h7:2376/",
        "tcp://[2001:db8::7]:2376", "ssh://h7", "ssh://ops@h7.example.com:2222", "ssh://ops@[::1]/",
    ],
)  # fmt: skip
def test_an_engine_may_be_there(url: str) -> None:
    assert engine_fault(url) == ""


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("unix://", SOCKET), ("unix:///", SOCKET), ("unix:///run/docker.sock ", SOCKET), ("tcp://h7", TCP),
        ("tcp://:2376", TCP), ("tcp://h7:0", TCP), ("tcp://h7:99999", TCP), ("tcp://h7:abc", TCP),
        ("tcp://[::1", TCP), ("tcp://[h7]:2376", TCP), ("tcp://::1:2376", TCP), ("tcp://h7:2376 ", TCP),
        ("tcp://ops:secret@h7:2376", TCP), ("tcp://h7:2376?a=b", TCP), ("tcp://10.0.0.999:2376", TCP),
        ("ssh://ops:secret@h7", SSH), ("ssh://ops@h7:99999", SSH), ("ssh://ops@h7:0", SSH),
        ("ssh://ops@h7/path", SSH), ("ssh://-oProxyCommand=x", SSH), ("ssh://-x@h7", SSH), ("ssh://", SSH),
        ("ssh://ops@h7#x", SSH), ("ssh://[", SSH),
    ],
)  # fmt: skip
def test_where_no_engine_can_be_the_form_is_told_and_nothing_of_the_address(url: str, why: str) -> None:
    assert engine_fault(url) == why


def test_a_socket_s_path_is_no_longer_than_the_system_takes() -> None:
    path = "/" + "a" * (LONGEST_SOCKET - 1)
    assert (engine_fault(f"unix://{path}"), engine_fault(f"unix://{path}a")) == ("", SOCKET)


@pytest.mark.parametrize("url", ["unix:///var/run/docker.sock", "ssh://ops@h7"])
def test_files_of_tls_go_with_tcp_alone(url: str) -> None:
    assert engine_fault(url, tls=True) == TLS
    assert engine_fault("tcp://h7:2376", tls=True) == ""
