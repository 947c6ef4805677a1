"""Where a person is told."""

from django.db import models

from instances.fields import Encrypted


class Channel(models.Model):
    """A place notifications go to. The URL holds credentials and is encrypted."""

    LEVELS = (("info", "info"), ("warning", "warning"), ("critical", "critical"))

    name = models.CharField(max_length=64, unique=True)
    url = Encrypted()
    min_level = models.CharField(max_length=8, choices=LEVELS, default="warning")

    def __str__(self) -> str:
        return self.name
