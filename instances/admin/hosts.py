"""Hosts: whether they answer, how full they are, and a test of the connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST
from unfold.decorators import display

from instances.admin import answers, muting, trail
from instances.admin.deleting import instances_among
from instances.admin.forms import HostForm
from instances.admin.host_load import HostLoad, loads
from instances.admin.instance_list import muted
from instances.admin.lists import DeskChangeList
from instances.admin.orders import require
from instances.admin.read_only import DeskAdmin, Page, said
from instances.admin.verbs import OPERATE
from instances.db.clock import SYSTEM
from instances.incidents import mutes
from instances.lib import sizes
from instances.models import Host, Instance, PendingPurge
from instances.templatetags.desk import words
from tasks import inspection

IN_DOUBT = "did not answer, asked again"
REACHABILITY = {
    "answers": "success", "not asked yet": "info", IN_DOUBT: "warning", "is back": "warning",
    "answers but many fail": "warning", "out of reach": "danger", "another engine answers": "danger",
    "has lost its data": "danger", "in trouble": "danger",
}  # fmt: skip


class HostChangeList(DeskChangeList):
    """Adds each host's load, counted once for all of them."""

    def add_to(self, rows: Sequence[Any]) -> None:
        found = {load.host.pk: load for load in loads()}
        ends = mutes.host_ends([host.pk for host in rows], SYSTEM.now())
        for host in rows:
            host.load = found.get(host.pk) or HostLoad(host)
            host.muted_until = ends.get(host.pk)


@admin.register(Host)
class HostAdmin(DeskAdmin):
    """Engines and the room they have."""

    form = HostForm
    when_empty = "Instances need a Docker Engine to run on."
    change_list = HostChangeList
    list_display = ("name", "reachability", "muted", "load", "unwell", "address", "engine")
    list_select_related = ("watch",)
    search_fields = ("name", "address")
    ordering = ("name",)
    change_form_outer_before_template = "desk/host_before.html"
    shown_instead = {"tls": "tls_shown", "ssh": "ssh_shown", "max_memory": "max_memory_shown"}
    muted = muted
    engine = said("Docker URL", lambda host: host.docker_url, "docker_url")
    max_memory_shown = said(
        "Memory to promise", lambda host: sizes.shortest(host.max_memory) if host.max_memory else ""
    )
    tls_shown = said("TLS", lambda host: "with a client certificate" if host.tls else "")
    ssh_shown = said("SSH", lambda host: "with files of its own" if host.ssh else "")
    fieldsets = (
        ("Engine", {"fields": ("name", "docker_url", "tls", "ssh", "insecure")}),
        ("Addresses and room", {"fields": (
            ("address", "bind"), ("max_instances", "cordoned"), ("max_memory", "overcommit"),
            ("first_port", "last_port"), "network", "reason",
        )}),
    )  # fmt: skip

    @display(label=REACHABILITY)
    def reachability(self, host: Any) -> str:
        if host.load.trouble:
            return words(host.load.trouble)
        watch = getattr(host, "watch", None)
        if watch is not None and watch.failures > 0:
            return IN_DOUBT
        return "answers" if watch is not None and watch.answered_at is not None else "not asked yet"

    @admin.display(description="instances")
    def load(self, host: Any) -> str:
        most = f" of {host.max_instances}" if host.max_instances else ""
        return f"{host.load.instances}{most}{', cordoned' if host.cordoned else ''}"

    @admin.display(description="unwell")
    def unwell(self, host: Any) -> int:
        return int(host.load.unwell)

    def users_of(self, row: Host) -> Iterator[str]:
        yield from instances_among(Instance.objects.filter(host=row))
        waiting = PendingPurge.objects.filter(host=row).count()
        if waiting:
            yield f"data is still to be removed there from {waiting} volume{'s' if waiting > 1 else ''}"

    def form_context(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        found = {str(load.host.pk): load for load in loads()}.get(object_id)
        mute = {} if found is None else muting.context(request, "host", found.host)
        return {"load": found, "may_operate": request.user.has_perm(OPERATE), **mute}

    def own_pages(self) -> list[Page]:
        return [("<int:host_id>/test/", test_view, "test"), *muting.pages("host")]


@require_POST
def test_view(request: HttpRequest, host_id: int) -> JsonResponse:
    """Ask a worker whether the host's engine answers."""
    host = get_object_or_404(Host, pk=host_id)
    require(request, OPERATE, "test host", host.name)
    trail.record(request, "test host", host.name, "asked")
    return answers.ask(request, answers.WorkerQuestion(inspection.test_host, {"name": host.name}, OPERATE))
