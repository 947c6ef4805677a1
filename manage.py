#!/usr/bin/env python
"""The operator's command line: `manage.py COMMAND`."""

import os
import sys

import django

from dockmgr import __version__


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"dockmgr {__version__} (Django {django.get_version()})")
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
