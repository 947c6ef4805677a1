"""Small words for templates: lengths of time, states, text that a customer controls."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.conf import settings
from django.utils.html import format_html, format_html_join

from instances.lib.durations import span
from instances.lib.sizes import shown
from instances.models import Incident

register = template.Library()


@register.simple_tag
def version() -> str:
    """Which dockmgr this is."""
    return str(settings.VERSION)


@register.filter
def words(value: object) -> str:
    """`rolled_back` as people write it."""
    return str(value).replace("_", " ")


@register.filter
def with_code(text: str) -> str:
    """A sentence with commands between backticks, as a page shows them."""
    parts = enumerate(text.split("`"))
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if at % 2 else part,) for at, part in parts)
    )


@register.filter
def seconds(value: float | None) -> str:
    """A length of time: `2 min 5 s`."""
    return span(value) if value is not None else "-"


@register.filter(name="bytes")
def in_bytes(value: float | None) -> str:
    """A size: `512 MB`."""
    return shown(value) if value is not None else "-"


@register.filter
def about(incident: Incident) -> str:
    """Whom or what an incident is about. Its host must have been read with it."""
    return incident.customer_id or (incident.host.name if incident.host else str(incident.kind))


@register.filter
def ago(moment: datetime | None, now: datetime) -> str:
    """How long before `now` it was."""
    return f"{span(max(0.0, (now - moment).total_seconds()))} ago" if moment else "never"
