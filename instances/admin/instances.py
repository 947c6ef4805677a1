"""Instances: their list, their pages, and everything that can be done there."""

from __future__ import annotations

from django.contrib import admin

from instances.admin import answers, dashboard, instance_page
from instances.admin.instance_list import InstanceListMixin
from instances.admin.read_only import Page, PageAdmin
from instances.admin.selections import SelectionMixin
from instances.models import Instance


@admin.register(Instance)
class InstanceAdmin(InstanceListMixin, SelectionMixin, PageAdmin):
    """The fleet at a glance. The environment is encrypted; its values are never shown."""

    page_template = "desk/instance.html"
    when_empty = "`manage.py provision` makes one, `manage.py adopt` takes over what runs already."
    live_template = "desk/instance_live.html"
    row = staticmethod(instance_page.known)
    page_context = staticmethod(instance_page.page_context)
    live_context = staticmethod(instance_page.live_context)

    def own_pages(self) -> list[Page]:
        return [
            ("dashboard/live/", dashboard.live_view, "dashboard"),
            ("answers/<str:ticket>/", answers.answer_view, "answer"),
            ("answers/<str:ticket>/log/", answers.download_view, "download"),
            ("<str:object_id>/past/", instance_page.past_view, "past"),
            ("<str:object_id>/do/<slug:name>/", instance_page.act_view, "act"),
            ("<str:object_id>/ask/<slug:what>/", instance_page.ask_view, "ask"),
            ("<str:object_id>/secrets/", instance_page.secrets_view, "secrets"),
            *super().own_pages(),
        ]
