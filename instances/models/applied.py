"""Which of the environment's settings were last copied into the database."""

from django.db import models

from instances.models.storable import CharField


class Applied(models.Model):
    """A setting that lives in the database and may be edited there.

    The environment's value is copied again only when it differs from the one remembered here, so
    the latest edit wins, whichever side it was made on.
    """

    name = CharField(max_length=64, primary_key=True)
    value = CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.name}={self.value}"
