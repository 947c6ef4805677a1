"""Django's `migrate`, whose statements may take as long as they need, and of which one runs at a time."""

import sys
from typing import Any

from django.core.management.commands import migrate
from django.db import Error as DatabaseFailure

from instances.db.alone import alone
from instances.db.errors import database_sentence
from instances.db.patience import unlimited
from instances.management.base import OUT_OF_REACH


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with unlimited(), alone(self._wait):
                super().handle(*args, **options)
        except DatabaseFailure as error:
            if options.get("traceback"):
                raise
            self.stderr.write(database_sentence(error))
            sys.exit(OUT_OF_REACH)

    def _wait(self) -> None:
        self.stderr.write("Another process migrates this database; waiting for its end.")
