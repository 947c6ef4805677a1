"""Django's `migrate`, whose statements may take as long as they need."""

from typing import Any

from django.core.management.commands import migrate

from instances.db.patience import unlimited


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with unlimited():
            super().handle(*args, **options)
