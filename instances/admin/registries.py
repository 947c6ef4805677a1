"""Registries: who dockmgr is there. Passwords are set and never shown."""

from __future__ import annotations

from django.contrib import admin

from instances.admin.forms import RegistryForm
from instances.admin.read_only import DeskAdmin, said
from instances.models import Registry


@admin.register(Registry)
class RegistryAdmin(DeskAdmin):
    """A registry that wants a login; `test_registry` tries it."""

    form = RegistryForm
    when_empty = "Only a registry that wants a login needs to be here."
    list_display = ("name", "username", "token_file", "helper", "ca")
    search_fields = ("name",)
    new_password = said("Password", lambda _: "is never shown")
    fieldsets = (
        ("Registry", {"fields": ("name", "ca")}),
        ("Login", {"fields": (("username", "new_password"), "token_file", "helper", "reason")}),
    )
