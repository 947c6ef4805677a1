"""Django's `migrate`, whose statements may take as long as they need, and of which one runs at a time."""

import sys
from typing import Any

from django.core.management.commands import migrate
from django.db import Error as DatabaseFailure
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from instances.db.alone import alone
from instances.db.errors import database_sentence
from instances.db.letters import encoding_sentence, narrow_encoding
from instances.db.numbering import catch_up
from instances.db.patience import unlimited
from instances.db.private_file import make_private
from instances.management.codes import OUT_OF_REACH, WRONG

POOLED = (
    "A pooler would hand on what migrate locks and sets to others, and the next migrate would wait for ever: "
    "give migrate the URL of the server itself, without ?pgbouncer=1 (DATABASE_URL)."
)


class Command(migrate.Command):
    def execute(self, *args: Any, **options: Any) -> str | None:
        make_private()  # before Django's checks, which make the file
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        if connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"]:  # which `?pgbouncer=1` does
            self.stderr.write(POOLED)
            sys.exit(WRONG)
        try:
            with unlimited(), alone(self._wait):
                self._refuse_to_begin_narrow()
                if not (options["plan"] or options["check_unapplied"]):
                    self._number_on()
                super().handle(*args, **options)
        except DatabaseFailure as error:
            if options.get("traceback"):
                raise
            self.stderr.write(database_sentence(error))
            sys.exit(OUT_OF_REACH)

    def _refuse_to_begin_narrow(self) -> None:
        """One that is in use has to go on, and is told of: its letters can be had by a backup alone."""
        encoding = narrow_encoding()
        if not encoding:
            return
        self.stderr.write(encoding_sentence(encoding))
        if not MigrationRecorder(connection).has_table():
            sys.exit(WRONG)

    def _number_on(self) -> None:
        if behind := catch_up():
            self.stderr.write(f"New rows are numbered from above those that are there: {', '.join(behind)}.")

    def _wait(self) -> None:
        self.stderr.write("Another process migrates this database; waiting for its end.")
