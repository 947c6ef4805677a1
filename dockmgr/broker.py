"""The broker's URL, read once and rendered so that everything that reads it understands the same."""

from __future__ import annotations

import os
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from django.core.exceptions import ImproperlyConfigured

from dockmgr.environment import SPECIAL_CHARACTERS

NAME = "DOCKMGR_BROKER_URL"
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TLS_OPTIONS = (*TLS_FILES, "ssl_cert_reqs")
VERIFIED = {"required": "required", "none": "none", "CERT_REQUIRED": "required", "CERT_NONE": "none"}
LONGEST_NUMBER = 4  # characters


def broker(url: str) -> str:
    """The URL as Celery, its results and our own clients take it, when it is that of one Redis.

    `rediss://` verifies the server unless `?ssl_cert_reqs=none` says otherwise; the other options name
    files. Raises ImproperlyConfigured, in a sentence that shows nothing of the URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # the port is no number, or brackets that hold no address
        raise _refused() from None
    if parts.scheme not in ("redis", "rediss", "redis+socket") or port == 0 or ";" in url:
        raise _refused()
    if parts.fragment or "@" in parts.path:
        raise ImproperlyConfigured(f"{NAME} can't be read. {SPECIAL_CHARACTERS}")
    return _at_socket(parts) if parts.scheme == "redis+socket" else _at_host(parts)


def _refused() -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{NAME} is no Redis'; it looks like redis://user:password@host:6379/0, rediss:// or "
        f"redis+socket:///path, and names one server. {SPECIAL_CHARACTERS}"
    )


def _at_socket(parts: SplitResult) -> str:
    if parts.hostname or not parts.path.strip("/"):
        raise _refused()
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    # Celery and its results read the number of a socket's database in different places.
    if given.keys() - {"virtual_host", "db"} or set(given.values()) - {"", "0"}:
        raise ImproperlyConfigured(f"{NAME} takes no option after the path of a socket: its database is 0.")
    return f"redis+socket://{parts.netloc}{parts.path}"


def _at_host(parts: SplitResult) -> str:
    number = parts.path.strip("/")
    if not parts.hostname:
        raise _refused()
    if number and not (number.isascii() and number.isdigit() and len(number) <= LONGEST_NUMBER):
        raise ImproperlyConfigured(f"{NAME} ends with a database that is no number; it looks like /0.")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    query = _tls(given) if parts.scheme == "rediss" else _no_options(given)
    return parts._replace(path=f"/{number or 0}", query=query).geturl()


def _no_options(given: dict[str, str]) -> str:
    if given:
        raise ImproperlyConfigured(f"{NAME} has an option that only rediss:// takes, or that nothing takes.")
    return ""


def _tls(given: dict[str, str]) -> str:
    given = {"ssl_cert_reqs": "required", **given}
    if unknown := sorted(given.keys() - set(TLS_OPTIONS)):
        allowed = ", ".join(TLS_OPTIONS)
        raise ImproperlyConfigured(f"{NAME} has {len(unknown)} unknown options; allowed are {allowed}.")
    if given["ssl_cert_reqs"] not in VERIFIED:
        raise ImproperlyConfigured(f"{NAME} has an ssl_cert_reqs that is neither required nor none.")
    given["ssl_cert_reqs"] = VERIFIED[given["ssl_cert_reqs"]]
    for option in TLS_FILES:
        if option in given and not os.path.isfile(given[option]):
            raise ImproperlyConfigured(f"{NAME} names a file as {option} that is not there.")
    return urlencode(given)
