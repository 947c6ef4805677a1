"""Looks for secrets in everything that dockmgr shows, keeps, sends and says."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client

from dockmgr.logs.format import JsonFormatter
from instances.lib.redact import RedactingFilter
from instances.models import Incident, Instance, LastWords, Operation
from tests.web.callers import Caller

GETS = (
    "/instances", "/operations?limit=200", "/incidents", "/sweeps/latest", "/openapi.json",
)  # fmt: skip
OF_AN_INSTANCE = ("", "/history", "/history/sums", "/logs?lines=100")
MONITORS = ("/metrics", "/healthz", "/readyz")


@dataclass
class Seen:
    """Texts by the place they were found in."""

    texts: dict[str, list[str]] = field(default_factory=dict)

    def add(self, place: str, *texts: object) -> None:
        self.texts.setdefault(place, []).extend(map(str, texts))

    def leaks(self, secrets: Iterable[str]) -> dict[str, str]:
        """The places that show a secret, each with what stands around it."""
        forms = [form for secret in secrets for form in written(secret)]
        found = {}
        for place, texts in self.texts.items():
            text = "\n".join(texts)
            shown = [text.find(form) for form in forms if form in text]
            if shown:
                found[place] = text[max(0, shown[0] - 120) :][:160]
        return found


def written(secret: str) -> set[str]:
    """The forms a text travels in: raw, JSON once and twice, Python, HTML, URLs, base64 at any place."""
    forms = {secret, repr(secret)[1:-1], html.escape(secret)}
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        forms |= {once, json.dumps(once, ensure_ascii=ascii_only)[1:-1], html.escape(once)}
    forms |= {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    for text in (secret, json.dumps(secret)[1:-1]):
        for shift in range(3):  # the first and the last characters depend on what stands beside it
            encoded = base64.b64encode(b"\0" * shift + text.encode()).decode().rstrip("=")
            forms.add(encoded[4:-4])
    return forms


def rows() -> Iterator[tuple[str, str]]:
    """Every column of every table as the database has it, and what sessions hold."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            yield f"table {table}", "\n".join(str(value) for row in cursor for value in row)
    for session in Session.objects.all():
        yield "sessions", json.dumps(session.get_decoded())
    for kept in LastWords.objects.all():
        yield "last words", "\n".join(kept.lines)


def models_without_table() -> set[str]:
    """Models whose rows `rows` would not find."""
    tables = set(connection.introspection.table_names())
    return {model._meta.label for model in apps.get_models() if model._meta.db_table not in tables}


def addresses() -> Iterator[str]:
    """Every page of the desk about what there is."""
    yield "/admin/"
    yield "/admin/instances/instance/dashboard/live/"
    yield "/admin/search/?s=c1"
    for model in admin.site._registry:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        yield from (path, f"{path}add/")
        keys = list(model._default_manager.order_by("-pk").values_list("pk", flat=True))
        yield from (f"{path}{key}/{page}/" for key in keys[:1] for page in ("history", "delete"))
        for key in dict.fromkeys([*keys[:1], *keys[-1:]]):  # the newest and the oldest
            yield f"{path}{key}/change/"
            if model in (Instance, Operation, Incident):
                yield f"{path}{key}/live/"


def look_everywhere(
    seen: Seen, desk: Client, caller: Caller, places: tuple[str, ...] = ("page ", "API ")
) -> None:
    """Read pages and answers whose place begins so, what monitors get, the state file and the database."""
    for address in addresses():
        if f"page {address}".startswith(places):
            page = desk.get(address)
            if page.status_code == 200:
                seen.add(f"page {address}", page.content.decode())
    present = Instance.objects.present().values_list("customer_id", flat=True)
    asked = [f"/instances/{customer}{end}" for customer in present for end in OF_AN_INSTANCE]
    ended = {(row.kind, row.status): row.pk for row in Operation.objects.all()}
    shown = [f"/operations/{key}{end}" for key in ended.values() for end in ("", "/log")]
    for path in (*GETS, *asked, *shown):
        if f"API {path}".startswith(places):
            answer = caller.get(path)
            seen.add(f"API {path}", answer.text, answer.headers)
    for path in MONITORS:
        told = desk.get(path)
        seen.add(path, told.content.decode(), told.headers)
    state = Path(settings.STATE_FILE)
    seen.add("state file", state.read_text() if state.exists() else "")
    for place, text in rows():
        seen.add(place, text)


def listening(seen: Seen) -> logging.Handler:
    """A handler that keeps each record as it was made and as the JSON log writes it."""

    class Keeping(logging.StreamHandler[io.StringIO]):
        def emit(self, record: logging.LogRecord) -> None:
            seen.add("log records", logging.Formatter().format(record), record.args)
            if filtering.filter(record):
                seen.add("JSON log", formatter.format(record))

    filtering, formatter = RedactingFilter(), JsonFormatter()
    return Keeping(io.StringIO())


def recorded(seen: Seen, place: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, with what it gets and returns, or raises, kept."""

    def keeping(*args: Any, **kwargs: Any) -> Any:
        seen.add(place, args, kwargs)
        result = call(*args, **kwargs)
        for one in result if isinstance(result, list) else [result]:
            seen.add(place, getattr(one, "everything", one))
        return result

    return keeping
