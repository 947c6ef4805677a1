"""Write the database into a file while everything goes on."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from instances.db.backup import back_up, key_fingerprints, write_backup
from instances.errors import PermanentError, RequestError
from instances.management import streams
from instances.management.base import FleetCommand
from instances.management.codes import GOOD


class Command(FleetCommand):
    help = (
        "Write the database into a new file (- for standard output). The encryption keys are not in it: "
        "keep them elsewhere."
    )
    needs_keys = False

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        name = options["file"]
        if name != "-":
            size: int | None = back_up(Path(name).absolute())
        elif options["json"]:
            raise RequestError("The backup itself goes to standard output; leave out --json or name a file.")
        elif sys.stdout.isatty():
            raise RequestError("The backup is no text for a terminal; name a file, or send it to one.")
        else:
            write_backup(sys.stdout.buffer)
            if streams.cut() and not streams.lost():  # half of a list is of use, half of a backup is none
                raise PermanentError("Whoever was to take the backup did not take all of it.")
            size = None
        return {"file": name, "bytes": size, "keys": key_fingerprints()}, GOOD

    def show(self, document: Any) -> None:
        where = "" if document["file"] == "-" else f"{document['file']}: {document['bytes']} bytes. "
        keys = ", ".join(document["keys"])
        sys.stderr.write(f"{where}It needs the encryption keys with the fingerprints {keys}.\n")
