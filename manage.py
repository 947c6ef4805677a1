#!/usr/bin/env python
"""The operator's command line: `manage.py COMMAND`."""

import os
import sys

import django

from dockmgr import __version__
from instances.management import streams


def main() -> None:
    streams.prepare()
    try:
        _carry_out()
    finally:
        streams.tell()


def _carry_out() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"dockmgr {__version__} (Django {django.get_version()})")
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import Error as DatabaseFailure

    try:
        execute_from_command_line(sys.argv)
    except DatabaseFailure as error:  # of Django's own commands; ours say it themselves
        if "--traceback" in sys.argv:
            raise
        from instances.db.errors import database_sentence

        sys.stderr.write(f"{database_sentence(error)}\n")
        sys.exit(3)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except ModuleNotFoundError as error:
        settings = os.environ["DJANGO_SETTINGS_MODULE"]
        if "--traceback" in sys.argv or not f"{settings}.".startswith(f"{error.name}."):
            raise
        sys.stderr.write(f"There is no module {settings} of settings (--settings, DJANGO_SETTINGS_MODULE).\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
