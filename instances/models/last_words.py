"""What containers wrote before their end, as long as it may help to understand it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from django.db import models

from instances.containers.facts import short_id
from instances.lib import storable
from instances.models.incident import Incident
from instances.models.operation import Operation
from instances.models.storable import CharField


class LastWords(models.Model):
    """The end of a container's log: before an operation stopped or removed it, or when it was found dead.
    Of the incident of a log alert it is the last lines that it is about.

    Redacted and compressed; `truncated` where a line was cut short, or lines asked for are missing.
    """

    customer_id = CharField(max_length=63)
    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, null=True, related_name="last_words")
    incident = models.ForeignKey(Incident, on_delete=models.SET_NULL, null=True, related_name="last_words")
    container_id = CharField(max_length=64)
    at = models.DateTimeField()
    truncated = models.BooleanField(default=False)
    packed = models.BinaryField()

    class Meta:
        ordering = ("at", "pk")
        verbose_name_plural = "last words"
        indexes = [models.Index(fields=["at"], name="last_words_by_time")]

    def __str__(self) -> str:
        return f"{self.customer_id} {short_id(self.container_id)} {self.at:%Y-%m-%d %H:%M:%S}"

    @staticmethod
    def pack(lines: Sequence[str]) -> bytes:
        """The lines as they are stored."""
        return zlib.compress("\n".join(map(storable.text, lines)).encode())

    @property
    def lines(self) -> list[str]:
        """The lines, oldest first."""
        return zlib.decompress(bytes(self.packed)).decode().split("\n")
