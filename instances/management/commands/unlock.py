"""Let somebody try at once to sign in who has failed too often."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model

from instances.errors import RequestError
from instances.management.base import FleetCommand
from instances.management.codes import GOOD


class Command(FleetCommand):
    help = "Forget the failed attempts to sign in under a name, from wherever they came."
    needs_keys = False

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the user's name")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        # The audit log's line about this very command is what the login page looks for.
        if not get_user_model()._default_manager.filter(username=options["name"]).exists():
            raise RequestError(f"There is no user {options['name']}.")
        return {"name": options["name"], "unlocked": True}, GOOD

    def show(self, document: Any) -> None:
        self.line(f"{document['name']} may sign in again at once.")
