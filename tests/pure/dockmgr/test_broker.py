"""The broker's URL is read once, where settings are read, and refused there if not everybody could use it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from kombu import Connection

from dockmgr.broker import broker
from dockmgr.results import LookedUpResults
from tasks.app import app
from tasks.broker.connection import redis_at

NAMES = ("host", "path", "port", "db", "username", "password", "ssl_ca_certs", "ssl_cert_reqs")
USUAL = {"port": "6379", "db": "0"}
# What is given, and what everybody reads.
GOOD = {
    "redis://:p@host:6380/2": "redis://:p@host:6380/2",
    "redis://dockmgr:p%2F%23@host": "redis://dockmgr:p%2F%23@host/0",
    "redis://[::1]:6379/": "redis://[::1]:6379/0",
    "redis+socket:///run/r.sock": "redis+socket:///run/r.sock",
    "redis+socket:///run/100%25%23%3F%3B%40/r.sock": "redis+socket:///run/100%25%23%3F%3B%40/r.sock",
    "redis+socket://u:p@/run/r.sock?virtual_host=0": "redis+socket://u:p@/run/r.sock",
    "rediss://host/1": "rediss://host/1?ssl_cert_reqs=required",
    f"rediss://host?ssl_ca_certs={__file__}": f"rediss://host/0?ssl_cert_reqs=required&ssl_ca_certs={__file__}",
    "rediss://host/0?ssl_cert_reqs=CERT_NONE": "rediss://host/0?ssl_cert_reqs=none",
}


@pytest.mark.parametrize(("url", "read"), GOOD.items())
def test_a_url_means_the_same_to_everybody_who_reads_it(url: str, read: str) -> None:
    read = read.replace(__file__, __file__.replace("/", "%2F"))
    assert broker(url) == broker(read) == read
    ours = redis_at(read, 1).connection_pool.connection_kwargs
    results: Any = LookedUpResults(app=app, url=read.replace("redis+socket", "socket"))  # as Celery does
    assert shown(ours) == shown(results.connparams)
    with Connection(read) as connection:
        tls: Any = connection.ssl or {}
        sent = {**connection.info(), **tls}
    names = {"username": "userid", "host": "hostname", "db": "virtual_host"}
    if "path" not in ours:
        assert shown({name: sent.get(names.get(name, name)) for name in NAMES}) == shown(ours)


def shown(options: Mapping[str, Any]) -> list[str]:
    """What a client was told, in one form."""
    told = dict(options)
    if isinstance(required := told.get("ssl_cert_reqs"), int):
        told["ssl_cert_reqs"] = {ssl.CERT_REQUIRED: "required", ssl.CERT_NONE: "none"}[
            ssl.VerifyMode(required)
        ]
    return [str(told.get(name) or USUAL.get(name)) for name in NAMES]


@pytest.mark.parametrize(
    "url",
    [
        "nonsense://s3ntinel", "amqp://u:s3ntinel@h//", "s3ntinel:6379", "redis://u:s3ntinel@h:abc/0",
        "redis://h:0/0", "redis://s3ntinel/0;redis://b/0", "sentinel://s3ntinel", "redis:///0",
        "redis://u:s3ntinel#x@h/0", "redis://u:s3ntinel/x@h/0", "redis://h/s3ntinel", "redis://h/0?s3ntinel=1",
        "rediss://h/0?s3ntinel=1", "rediss://h/0?ssl_cert_reqs=s3ntinel", "rediss://h?ssl_ca_certs=/s3ntinel",
        "redis+socket:///s3ntinel?virtual_host=3", "redis+socket:///s3ntinel?db=1", "redis+socket://s3ntinel/a",
        "redis://[s3ntinel/0", f"redis://h/{'9' * 5000}",
        f"rediss://h?ssl_ca_certs=/{'s3ntinel' * 50}",
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_sentence_that_does_not_show_it(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^DOCKMGR_BROKER_URL .*\.$") as refused:
        broker(url)
    assert "s3ntinel" not in str(refused.value)
