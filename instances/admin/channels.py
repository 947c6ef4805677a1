"""Channels: who is told what, where. Their URLs are set and never shown."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from instances.admin import answers, trail
from instances.admin.deleting import Deleted
from instances.admin.forms import ChannelForm
from instances.admin.orders import require
from instances.admin.read_only import DeskAdmin, Page, ReadOnlyAdmin, said
from instances.admin.verbs import OPERATE
from instances.alerts.switching import channels_changed, gone_by_hand
from instances.db.clock import SYSTEM
from instances.models import Channel, Notification
from tasks import inspection


@admin.register(Channel)
class ChannelAdmin(DeskAdmin):
    """A place notifications go to, and whom it is for."""

    form = ChannelForm
    when_empty = "Nobody is told of incidents until there is one."
    list_display = ("name", "least", "enabled", "disabled_reason", "failures")
    search_fields = ("name",)
    change_form_outer_before_template = "desk/channel_before.html"
    readonly_fields = ("disabled_reason", "failures")
    shown_instead = {"hosts": "hosts_shown", "plans": "plans_shown", "customers": "customers_shown"}
    least = said("least level", lambda channel: channel.min_level, "min_level")
    new_url = said("URL", lambda _: "is set; it is never shown")
    hosts_shown = said("Hosts", lambda channel: ", ".join(channel.hosts))
    plans_shown = said("Plans", lambda channel: ", ".join(channel.plans))
    customers_shown = said("Customers", lambda channel: ", ".join(channel.customers))
    fieldsets = (
        ("Where and what", {"fields": (
            "name", "new_url", ("incidents", "operations"), ("min_level", "escalate_after"), "enabled",
            ("disabled_reason", "failures"),
        )}),
        ("For whom", {"fields": ("hosts", "plans", "customers")}),
        ("Quiet hours", {"fields": (("quiet_from", "quiet_to"), "timezone", "reason")}),
    )  # fmt: skip

    def form_context(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        return {"may_operate": request.user.has_perm(OPERATE)}

    def own_pages(self) -> list[Page]:
        return [("<int:channel_id>/test/", test_view, "test")]

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        changed = ["url" if name == "new_url" else name for name in form.changed_data]
        channels_changed({obj.name: changed if change else ()}, SYSTEM.now())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Deleted:
        """What it was told goes with it; that can be too much to list."""
        told = Notification.objects.filter(channel__in=objs).count()
        return [str(channel) for channel in objs], {"channels": len(objs), "notifications": told}, set(), []

    def delete_model(self, request: HttpRequest, obj: Channel) -> None:
        self.delete_queryset(request, Channel.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        was_told = queryset.told_of_incidents().exists()
        super().delete_queryset(request, queryset)
        if was_told:  # last, as by who switches one off: else two would wait for each other in a circle
            gone_by_hand(SYSTEM.now())


@require_POST
def test_view(request: HttpRequest, channel_id: int) -> JsonResponse:
    """Have a worker send a test message."""
    channel = get_object_or_404(Channel, pk=channel_id)
    require(request, OPERATE, "test channel", channel.name)
    trail.record(request, "test channel", channel.name, "asked")
    kwargs = {"name": channel.name, "by": trail.actor(request)}
    return answers.ask(request, answers.WorkerQuestion(inspection.try_channel, kwargs, OPERATE))


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """What was sent, what waits, and what could not be sent."""

    list_display = ("created_at", "channel", "kind", "level", "sent_at", "tries", "error")
    list_select_related = ("channel",)
    ordering = ("-created_at",)
    exclude = ("payload",)
    readonly_fields = ("document",)

    @admin.display(description="document")
    def document(self, sent: Notification) -> str:
        """Without colours: they would be styles in the page, which its policy refuses."""
        text = json.dumps(sent.payload, indent=2, ensure_ascii=False)
        return format_html('<pre class="desk-document">{}</pre>', text)
