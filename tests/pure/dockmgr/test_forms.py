"""Settings of the wrong form stop the start in one sentence that names them and shows nothing of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from dockmgr import forms
from dockmgr.database import database

NAME = "DOCKMGR_THING"
S = "s3ntinel"

FORMS: dict[str, tuple[Callable[[str, Any], Any], list[Any], list[Any]]] = {
    "hosts": (
        forms.hosts,
        [[], ["dockmgr.example.com", "10.0.0.7", "[::1]", ".example.com", "*", "web", "a_b"]],
        [
            [f"https://{S}"], [f"{S}:8000"], [f"{S}/x"], ["a", f"-{S}"], [f"{S} b"], ["[1.2.3.4]"],
            ["."], [f"..{S}"], [f"*.{S}"],
        ],
    ),
    "origins": (
        forms.origins,
        [["https://a.example", "http://10.0.0.7:8000", "https://*.example.com", "http://[::1]:8000"]],
        [
            [S], [f"{S}:8000"], [f"https://{S}/"], [f"ftp://{S}"], [f"https://{S}:0"], ["https://"], [f"https://{S}:x"],
            [f"https://{S}:{'9' * 5000}"], [f"https://.{S}"], [f"https://u@{S}"], [f"https://[{S}]"], [f"https://{S}:"],
        ],
    ),
    "an address": (
        forms.address,
        [None, "https://m.example/ping?id=1", "http://u:p@10.0.0.7:8080/", "http://[::1]/x"],
        [S, f"ftp://{S}", f"https://{S}:x/", "https://", f"https://{S} b/", f"https://{S}\nb", f"https://[{S}"],
    ),
    "an engine": (
        forms.engine,
        ["unix:///run/docker.sock", "tcp://10.0.0.7:2376", "ssh://ops@host", "ssh://ops@host:2222"],
        [S, f"/run/{S}.sock", "unix://", "tcp://", f"http://{S}", f"tcp://{S}:x", f"tcp://[{S}", f"UNIX:///{S}",
         "tcp://h7", f"tcp://u:{S}@h7:2376", f"ssh://u:{S}@h7", f"unix:///{S} "],
    ),
    "a token": (forms.token, [None, "abc-123+/="], [f"{S} b", f"{S}\nb", f"{S}ü"]),
    "a prefix": (forms.prefix, ["", "staging:"], [f"{S} b", f"{S}{{0}}", f"{S}\n"]),
    "a database": (
        lambda _name, url: (database(url), url)[1],
        ["postgres://u:p%23%2F@h:5432/d", "postgresql:///d?host=/run/postgresql", "sqlite:////tmp/d"],
        [
            f"postgres://u:{S}#x@h/d", f"postgres://u:{S}/x@h/d", f"postgres://u:{S}[x@h/d", f"postgres://u:{S}?x@h/d",
            f"postgres://u:{S}@h", f"postgres://u:{S}@h:x/d", f"postgres://u:{S}@h:0/d", S, "sqlite://", "sqlite:///",
            f"{S}://u:p@h/d",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("read", "good", "bad"), FORMS.values(), ids=FORMS.keys())
def test_a_setting_has_its_form_or_is_refused(
    read: Callable[[str, Any], Any], good: list[Any], bad: list[Any]
) -> None:
    for value in good:
        assert read(NAME, value) == value
    for value in bad:
        with pytest.raises(ImproperlyConfigured, match=rf"^({NAME}|DATABASE_URL) [^\n]*\.$") as refused:
            read(NAME, value)
        assert S not in str(refused.value), value


AS_SENT: dict[str, tuple[Callable[[str, list[str]], list[str]], str, str]] = {
    "a host in capitals": (forms.hosts, "Dockmgr.Example.COM", "dockmgr.example.com"),
    "the dot of the root": (forms.hosts, "dockmgr.example.com.", "dockmgr.example.com"),
    "the same of all below": (forms.hosts, ".Example.com.", ".example.com"),
    "a long address": (forms.hosts, "[2001:DB8:0::7]", "[2001:db8::7]"),
    "an origin in capitals": (forms.origins, "HTTPS://Dockmgr.Example.COM", "https://dockmgr.example.com"),
    "a port of https": (forms.origins, "https://x.example.com:443", "https://x.example.com"),
    "a port of http": (forms.origins, "http://*.example.com:80", "http://*.example.com"),
    "another port": (forms.origins, "http://x.example.com:0443", "http://x.example.com:443"),
    "an origin's address": (forms.origins, "http://[2001:DB8:0::7]:80", "http://[2001:db8::7]"),
}


@pytest.mark.parametrize(("read", "given", "sent"), AS_SENT.values(), ids=AS_SENT)
def test_hosts_and_origins_are_compared_as_browsers_send_them(
    read: Callable[[str, list[str]], list[str]], given: str, sent: str
) -> None:
    assert read(NAME, [given]) == [sent]
