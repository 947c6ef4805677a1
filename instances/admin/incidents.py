"""Incidents: what is wrong, since when, what happened; acknowledged and muted from here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.decorators import display

from instances.admin import trail
from instances.admin.instance_list import COLOURS, ChoiceFilter
from instances.admin.orders import carry_out, page_of, require
from instances.admin.read_only import Page, PageAdmin, ReadOnlyAdmin, known
from instances.admin.signed_out import typed_reason
from instances.admin.verbs import OPERATE, MuteForm, OptionalReasonForm, mute_as_asked, shown_last_words
from instances.alerts import mute as muting
from instances.alerts.context import not_restarted
from instances.alerts.next_steps import next_step
from instances.db.clock import SYSTEM
from instances.errors import RequestError
from instances.incidents import mutes
from instances.incidents.acknowledge import acknowledge
from instances.models import Channel, Host, Incident, Instance, Mute, Plan
from instances.templatetags.desk import about

ACKNOWLEDGE = "instances.change_incident"
EVENTS_SHOWN = 200
NOTIFICATIONS_SHOWN = 50


class OpenFilter(ChoiceFilter):
    """Open incidents are found by an index of their own."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("told", "open and worth telling"), ("open", "open"), ("resolved", "resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        if self.value() is None:
            return queryset
        if self.value() == "told":
            return queryset.filter(resolved_at=None, confirmed_at__isnull=False)
        return queryset.filter(resolved_at__isnull=self.value() == "open")


@admin.register(Incident)
class IncidentAdmin(PageAdmin):
    """What is or was wrong, newest first."""

    page_template = "desk/incident.html"
    when_empty = "Nothing has been wrong."
    live_template = "desk/incident_live.html"
    list_display = ("opened_at", "level", "subject", "message", "acknowledged_by", "resolved_at")
    list_select_related = ("host",)
    list_filter = (OpenFilter,)
    ordering = ("-opened_at",)
    sortable_by = ()
    search_fields = ("customer_id",)
    search_help_text = "Beginning of a customer id"
    found_by = ("instance__customer_id__startswith",)

    @display(description="level", label=COLOURS)
    def level(self, incident: Incident) -> str:
        return str(incident.severity)

    @admin.display(description="about")
    def subject(self, incident: Incident) -> str:
        return about(incident)

    def row(self, object_id: str) -> Incident:
        return _known(object_id)

    def page_context(self, request: HttpRequest, row: Incident, /) -> dict[str, Any]:
        return {"title": row.key, "desk_title": about(row)}

    def live_context(self, request: HttpRequest, row: Incident, /) -> dict[str, Any]:
        return _details(request, row)

    def own_pages(self) -> list[Page]:
        return [
            *super().own_pages(),
            ("<str:object_id>/acknowledge/", acknowledge_view, "acknowledge"),
            ("<str:object_id>/mute/", mute_view, "mute"),
        ]


def _known(object_id: str) -> Incident:
    return known(Incident.objects.select_related("instance", "host"), object_id)


def _details(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    now = SYSTEM.now()
    sent = incident.notifications.select_related("channel").order_by("-created_at")[: NOTIFICATIONS_SHOWN + 1]
    events = incident.events.order_by("-at", "-pk")[: EVENTS_SHOWN + 1]
    told, happened = list(sent), list(events)
    for event in happened:
        event.at = event.shown_at(now)
    return {
        "incident": incident,
        "downtime": incident.downtime_until(now),
        "events": happened[EVENTS_SHOWN - 1 :: -1],
        "events_left_out": EVENTS_SHOWN if len(happened) > EVENTS_SHOWN else 0,
        "last_words": shown_last_words(request, incident.last_words.all()),
        "notifications": told[:NOTIFICATIONS_SHOWN],
        "notifications_left_out": NOTIFICATIONS_SHOWN if len(told) > NOTIFICATIONS_SHOWN else 0,
        "nobody_is_told": incident.is_open and not Channel.objects.told_of_incidents().exists(),
        "what_to_do": _what_to_do(incident) if incident.is_open else "",
        "may_acknowledge": request.user.has_perm(ACKNOWLEDGE)
        and incident.is_open
        and incident.acknowledged_at is None,
        "muted_until": mutes.incident_ends([incident], now).get(incident.pk),
        "may_mute": request.user.has_perm(OPERATE) and _is_muted_here(incident),
        "mute_warning": _mute_warning(incident),
        "muted_elsewhere": incident.is_open and incident.host is not None and not _is_muted_here(incident),
        "acknowledge_form": OptionalReasonForm(auto_id="acknowledge_%s", initial=typed_reason(request)),
        "mute_form": MuteForm(auto_id="mute_%s", initial=typed_reason(request)),
    }


def _what_to_do(incident: Incident) -> str:
    """The end of every message about it."""
    extents = not_restarted([incident.instance_id] if incident.instance_id else [])
    host = incident.host.name if incident.host else ""
    return next_step(incident, "opened", host, by_hand=any(extent.by_hand for extent in extents.values()))


@require_POST
def acknowledge_view(request: HttpRequest, object_id: str) -> HttpResponse:
    """Somebody has seen it: reminders end."""
    incident = _known(object_id)
    require(request, ACKNOWLEDGE, "acknowledge", incident.key)

    def work(fields: dict[str, Any]) -> str:
        seen = acknowledge(incident.pk, trail.actor(request), SYSTEM.now(), fields["reason"])
        return f"The incident is acknowledged by {seen.acknowledged_by}."

    form = OptionalReasonForm(request.POST)
    carry_out(request, form, action="acknowledge", target=incident.key, work=work)
    return page_of(incident)


@require_POST
def mute_view(request: HttpRequest, object_id: str) -> HttpResponse:
    """Nothing is sent for the incident's instance or host for a while."""
    incident = _known(object_id)
    require(request, OPERATE, "mute", incident.key)

    def work(fields: dict[str, Any]) -> str:
        return f"Muted {mute_as_asked(_scope(incident), fields, trail.actor(request))}."

    carry_out(request, MuteForm(request.POST), action="mute", target=incident.key, work=work)
    return page_of(incident)


def _is_muted_here(incident: Incident) -> bool:
    """A mute holds healing as well: nobody does that to a host's customers for the sake of a certificate."""
    return incident.instance is not None or (incident.kind == "host" and incident.host is not None)


def _mute_warning(incident: Incident) -> str:
    if incident.instance is not None:
        return f"Nothing is sent for {incident.customer_id}, and it is not healed."
    return f"Nothing is sent for host {incident.host} and its instances, and nothing is healed there."


def _scope(incident: Incident) -> muting.Scope:
    if incident.instance is not None:
        return muting.Scope("instance", incident.instance)
    if incident.host is not None and _is_muted_here(incident):
        return muting.Scope("host", incident.host)
    raise RequestError(
        "Here only incidents of an instance, or of a host's engine, can be muted: "
        "a mute of the host, on its page, holds the healing of its instances as well."
    )


@admin.register(Mute)
class MuteAdmin(ReadOnlyAdmin):
    """Who is or was muted; a mute is ended on the page of its instance, host or plan."""

    when_empty = "The pages of instances, hosts and plans have a button that mutes them for a while."

    list_display = ("subject", "state", "starts_at", "until", "by", "reason", "ended_at")
    list_select_related = ("instance", "host", "plan")
    ordering = ("-until",)

    @admin.display(description="what")
    def subject(self, mute: Mute) -> str:
        return f"{_muted(mute)[0]} {_muted(mute)[1]}"

    @display(description="state", label={"in force": "warning", "over": "info"})
    def state(self, mute: Mute) -> str:
        return "in force" if mute.until > SYSTEM.now() else "over"

    @admin.display(description="page")
    def ended_at(self, mute: Mute) -> str:
        """Where it can be ended."""
        kind, row = _muted(mute)
        address = reverse(f"admin:instances_{kind}_change", args=[row.pk])
        return format_html('<a href="{}" class="text-link">{} {}</a>', address, kind, row)


def _muted(mute: Mute) -> tuple[str, Instance | Host | Plan]:
    rows = {"instance": mute.instance, "host": mute.host, "plan": mute.plan}
    return next((kind, row) for kind, row in rows.items() if row is not None)
