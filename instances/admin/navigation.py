"""The menu, in the order of a day's work."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

PAGES = (
    ("Watch", (
        ("Dashboard", "dashboard", "index", ""),
        ("Instances", "deployed_code", "instances_instance", "instances.view_instance"),
        ("Incidents", "warning", "instances_incident", "instances.view_incident"),
        ("Operations", "construction", "instances_operation", "instances.view_operation"),
        ("Selections", "checklist", "instances_bulk", "instances.view_bulk"),
    )),
    ("Fleet", (
        ("Hosts", "dns", "instances_host", "instances.view_host"),
        ("Plans", "tune", "instances_plan", "instances.view_plan"),
        ("Registries", "inventory_2", "instances_registry", "instances.view_registry"),
        ("Channels", "campaign", "instances_channel", "instances.view_channel"),
        ("Data to be removed", "delete_sweep", "instances_pendingpurge", "instances.view_instance"),
        ("Mutes", "notifications_off", "instances_mute", "instances.view_mute"),
    )),
    ("Records", (
        ("Sweeps", "radar", "instances_sweep", "instances.view_sweep"),
        ("Health checks", "monitor_heart", "instances_healthcheck", "instances.view_healthcheck"),
        ("Notifications", "outgoing_mail", "instances_notification", "instances.view_notification"),
        ("Audit log", "policy", "instances_auditentry", "instances.view_auditentry"),
    )),
    ("Access", (
        ("Periodic tasks", "schedule", "django_celery_beat_periodictask",
         "django_celery_beat.view_periodictask"),
        ("API tokens", "key", "instances_apitoken", "instances.view_apitoken"),
        ("Users", "person", "auth_user", "auth.view_user"),
        ("Groups", "group", "auth_group", "auth.view_group"),
    )),
)  # fmt: skip


def groups(request: HttpRequest) -> list[dict[str, Any]]:
    """What the person may see, by group; groups without such a page are left out."""
    found = [
        {"title": title, "items": [_item(*page) for page in pages if _may_see(request, page[3])]}
        for title, pages in PAGES
    ]
    return [group for group in found if group["items"]]


def _may_see(request: HttpRequest, permission: str) -> bool:
    return not permission or request.user.has_perm(permission)


def _item(title: str, icon: str, page: str, _permission: str) -> dict[str, Any]:
    name = page if page == "index" else f"{page}_changelist"
    return {"title": title, "icon": icon, "link": reverse(f"admin:{name}")}
