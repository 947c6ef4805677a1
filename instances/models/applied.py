"""What all processes find in the database: which settings were last copied there, and whose it is."""

from django.db import models

from instances.models.storable import CharField


class Applied(models.Model):
    """A setting that lives in the database and may be edited there; and `models.installation`.

    The environment's value is copied again only when it differs from the one remembered here, so
    the latest edit wins, whichever side it was made on.
    """

    name = CharField(max_length=64, primary_key=True)
    value = CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.name}={self.value}"
