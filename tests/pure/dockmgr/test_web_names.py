"""Host names and origins that are allowed follow from the address where people reach the web."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from dockmgr.web_names import LOOPBACK, web_names
from tasks.broker.connection import redis_at

NAME = "DOCKMGR_PUBLIC_URL"
TOP = Path(__file__).resolve().parents[3]
OWN = [*LOOPBACK]
ADDRESS = "https://dockmgr.example.com"

# address: (host, origin)
ADDRESSES: dict[str, tuple[str, str]] = {
    "https://dockmgr.example.com": ("dockmgr.example.com", "https://dockmgr.example.com"),
    "https://Dockmgr.Example.COM": ("dockmgr.example.com", "https://dockmgr.example.com"),
    "HTTPS://dockmgr.example.com": ("dockmgr.example.com", "https://dockmgr.example.com"),
    "https://dockmgr.example.com:443": ("dockmgr.example.com", "https://dockmgr.example.com"),
    "https://dockmgr.example.com:8443": ("dockmgr.example.com", "https://dockmgr.example.com:8443"),
    "http://dockmgr:80/": ("dockmgr", "http://dockmgr"),
    "http://10.0.0.7:8000": ("10.0.0.7", "http://10.0.0.7:8000"),
    "https://example.com/behind/a/path": ("example.com", "https://example.com"),
    "http://[2001:DB8:0::7]:8000": ("[2001:db8::7]", "http://[2001:db8::7]:8000"),
}


@pytest.mark.parametrize(("address", "expected"), ADDRESSES.items(), ids=ADDRESSES.keys())
def test_host_and_origin_follow_from_the_address(address: str, expected: tuple[str, str]) -> None:
    host, origin = expected
    names = web_names(NAME, address)
    assert (names.hosts, names.origins) == ([host, *OWN], [origin])
    assert names.https is origin.startswith("https:")


def test_a_path_of_the_address_is_what_the_proxy_takes_off() -> None:
    assert web_names(NAME, "https://example.com/behind/a/path/").prefix == "/behind/a/path"
    assert web_names(NAME, "https://example.com/").prefix == ""


def test_without_an_address_only_this_machine_is_answered() -> None:
    names = web_names(NAME, "")
    assert (names.hosts, names.origins) == (OWN, [])


def test_an_address_on_this_machine_is_named_once() -> None:
    names = web_names(NAME, "http://localhost:8000")
    assert (sorted(names.hosts), names.origins) == (sorted(OWN), ["http://localhost:8000"])


@pytest.mark.parametrize(
    "address",
    [
        "dockmgr.example.com",
        "ftp://s3ntinel.example.com",
        "https://",
        "https://dockmgr.example.com/a b",
        "https://*",
        "https://*.s3ntinel.example.com",
        "https://.s3ntinel.example.com",
        "https://s3ntinel example.com",
        "https://s3ntinel:port",
        "https://s3ntinel:0",
        "https://example.com/?s3ntinel=1",
        "https://example.com#s3ntinel",
        "https://[s3ntinel",
        "https://[::s3ntinel]",
    ],
)
def test_what_is_no_address_is_refused_by_name(address: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"^{NAME} is no address; .*\.$") as refused:
        web_names(NAME, address)
    assert "s3ntinel" not in str(refused.value)


def test_an_address_with_a_password_is_refused_as_links_would_show_it() -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"^{NAME} holds a user name, .*\.$") as refused:
        web_names(NAME, "https://ada:s3ntinel@dockmgr.example.com")
    assert "s3ntinel" not in str(refused.value)


GIVEN: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "nothing": ({}, OWN, []),
    "an address": ({NAME: f"{ADDRESS}/"}, ["dockmgr.example.com", *OWN], [ADDRESS]),
    "hosts as well": ({NAME: ADDRESS, "DOCKMGR_ALLOWED_HOSTS": "a.example, b.example"},
                      ["a.example", "b.example"], [ADDRESS]),
    "origins as well": ({NAME: ADDRESS, "DOCKMGR_TRUSTED_ORIGINS": "https://c.example"},
                        ["dockmgr.example.com", *OWN], ["https://c.example"]),
    "empty lists": ({NAME: ADDRESS, "DOCKMGR_ALLOWED_HOSTS": "", "DOCKMGR_TRUSTED_ORIGINS": ""},
                    ["dockmgr.example.com", *OWN], [ADDRESS]),
}  # fmt: skip
SETTINGS = """
import json, os, runpy, sys
bare = dict(os.environ)
for given in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update({**bare, **given})
    settings = runpy.run_module("dockmgr.settings")
    print(json.dumps([settings["ALLOWED_HOSTS"], settings["CSRF_TRUSTED_ORIGINS"],
        str(settings["HOME"]), settings["DATABASES"]["default"]["NAME"], settings["CELERY_BROKER_URL"]]))
"""


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What the settings make of each environment, in a state folder with an odd name."""
    bare = {
        name: value for name, value in os.environ.items() if not name.startswith(("DOCKMGR_", "DATABASE_"))
    }
    env = {**bare, "DOCKMGR_HOME": str(tmp_path_factory.mktemp("home") / "100%41 #?;@&ü")}
    environments = json.dumps([given for given, *_ in GIVEN.values()])
    words = [sys.executable, "-c", SETTINGS]
    done = subprocess.run(
        words, input=environments, env=env, cwd=TOP, capture_output=True, text=True, check=True
    )
    return dict(zip(GIVEN, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("given", GIVEN)
def test_the_settings_take_what_is_given_before_what_follows(taken: dict[str, list[Any]], given: str) -> None:
    _, hosts, origins = GIVEN[given]
    assert taken[given][:2] == [hosts, origins]


def test_all_is_kept_in_the_state_folder_whatever_it_is_called(taken: dict[str, list[Any]]) -> None:
    _, _, home, database, broker = taken["nothing"]
    assert home.endswith("100%41 #?;@&ü") and database == f"{home}/dockmgr.sqlite3"
    assert redis_at(broker, 1).connection_pool.connection_kwargs["path"] == f"{home}/redis.sock"
