"""Who may ask over HTTP, and who did what."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from instances.models.storable import CharField, Excerpt, JSONField


class ApiToken(models.Model):
    """A token other services show; only its SHA-256 is kept, so it can be checked and not read.

    `prefix` is its beginning, by which people tell tokens apart. The lists of names say what it is
    limited to; an empty one stands for all.
    """

    SCOPES = tuple((scope, scope) for scope in ("read", "operate", "admin"))

    name = CharField(max_length=64, unique=True)
    scope = CharField(max_length=8, choices=SCOPES)
    prefix = CharField(max_length=16)
    digest = CharField(max_length=64, unique=True)
    customers = JSONField(default=list, blank=True)
    plans = JSONField(default=list, blank=True)
    hosts = JSONField(default=list, blank=True)
    created_by = Excerpt(max_length=64)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API token"

    def __str__(self) -> str:
        return self.name

    @property
    def actor(self) -> str:
        """Who shows it, as operations, incidents and the audit log name them."""
        return f"api:{self.name}"


class ApiRequest(models.Model):
    """A change asked for over HTTP under an `Idempotency-Key`, and every test deployment.

    `fingerprint` is a keyed hash of all that was asked for: it tells equal requests from others that
    come with the same key, and says nothing of what they held. The id of a test deployment's row is
    that of its task.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="requests")
    key = CharField(max_length=100, null=True)
    fingerprint = CharField(max_length=64)
    action = Excerpt(max_length=64)
    target = Excerpt(max_length=128)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "key"], name="request_once_per_key")]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"


class AuditEntry(models.Model):
    """One action somebody took, on whatever surface, and what came of it. Holds no secret."""

    SURFACES = tuple((surface, surface) for surface in ("admin", "api", "command", "task"))

    at = models.DateTimeField()
    surface = CharField(max_length=8, choices=SURFACES)
    actor = Excerpt(max_length=128)
    address = models.GenericIPAddressField(null=True)
    action = Excerpt(max_length=64)
    target = Excerpt(max_length=128, blank=True)
    reason = Excerpt(max_length=255, blank=True)
    outcome = Excerpt(max_length=255, blank=True)
    request_id = CharField(max_length=128, blank=True)

    class Meta:
        ordering = ("-at", "-pk")
        verbose_name_plural = "audit log entries"
        indexes = [
            models.Index(fields=["-at"], name="audit_by_time"),
            models.Index(fields=["target", "-at"], name="audit_by_target"),
            models.Index(fields=["request_id"], condition=~Q(request_id=""), name="audit_by_request"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.target}"
