"""Registries that want a login."""

from __future__ import annotations

from django.db import models

from instances.models.encrypted import Encrypted
from instances.models.storable import CharField


class Registry(models.Model):
    """Who to be at a registry. `name` is a host, or a host and a path on it; the longest match wins.

    The login is `username` and `password`, what stands in `token_file`, or what the program
    `docker-credential-HELPER` says. `ca` is a PEM file of who vouches for the registry.
    """

    name = CharField(max_length=255, unique=True)
    username = CharField(max_length=255, blank=True)
    password = Encrypted(null=True, default=None)
    token_file = CharField(max_length=255, blank=True)
    helper = CharField(max_length=64, blank=True)
    ca = CharField(max_length=255, blank=True)

    class Meta:
        verbose_name_plural = "registries"

    def __str__(self) -> str:
        return self.name
