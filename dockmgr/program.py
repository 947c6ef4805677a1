"""`manage.py` around a command: what keeps one from beginning is a sentence, and a document under --json."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, ManagementUtility, get_commands
from django.db import Error as DatabaseFailure

from dockmgr import __version__
from instances.management import streams
from instances.management.codes import OUT_OF_REACH, WRONG


def carry_out(words: Sequence[str]) -> None:
    """Do what the command line says. Raises SystemExit, and whatever a person wants to see by --traceback."""
    if words[1:] == ["--version"]:
        print(f"dockmgr {__version__} (Django {django.get_version()})")
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
    try:
        _Utility(list(words)).execute()
    except DatabaseFailure as error:  # of Django's own commands; ours say it themselves
        if "--traceback" in words:
            raise
        from instances.db.errors import database_sentence  # needs settings

        _refuse(database_sentence(error), words, OUT_OF_REACH)
    except ImproperlyConfigured as error:
        _refuse(str(error), words, WRONG)
    except ModuleNotFoundError as error:
        module = os.environ["DJANGO_SETTINGS_MODULE"]
        if "--traceback" in words or not f"{module}.".startswith(f"{error.name}."):
            raise
        said = f"There is no module {module} of settings (--settings, DJANGO_SETTINGS_MODULE)."
        _refuse(said, words, WRONG)


class _Utility(ManagementUtility):
    def fetch_command(self, subcommand: str) -> BaseCommand:
        known = get_commands()
        if subcommand not in known:
            _ = settings.INSTALLED_APPS  # raises what kept ours from being listed
            near = get_close_matches(subcommand, known, 1)
            meant = f"; did you mean {near[0]}?" if near else "."
            _refuse(f"There is no command {subcommand!r}{meant}", self.argv, WRONG)
        return super().fetch_command(subcommand)


def _refuse(sentence: str, words: Sequence[str], code: int) -> NoReturn:
    streams.refuse(sentence, words)
    sys.exit(code)
