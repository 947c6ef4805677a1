"""Say whether a registry takes the login that is known for it."""

from argparse import ArgumentParser
from typing import Any

from instances import lookup
from instances.access.registry_logins import login_of
from instances.containers.image_names import host_of
from instances.errors import OutOfReachError, PermanentError
from instances.health.response import sentence
from instances.http.client import NoAnswerError
from instances.http.registry import lets_in
from instances.management.base import FleetCommand
from instances.management.codes import BAD, GOOD


class Command(FleetCommand):
    """The registry is asked by this process; pulls are made by the engines, which it does not ask."""

    help = "Log in at a registry as it is known, and say whether it lets us in."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        registry = lookup.registry(options["name"])
        try:
            login = login_of(registry)
        except PermanentError as error:
            return _said(registry.name, False, str(error)), BAD
        try:
            if login is not None and login.identity:
                return _said(registry.name, True, "The helper has an identity token for it."), GOOD
            known = (login.username, login.password, login.token) if login else ("", "", "")
            let_in = lets_in(host_of(registry.name), *known, ca=registry.ca)
        except NoAnswerError as error:
            raise OutOfReachError(f"Registry {registry.name}: {sentence(error.code)}") from None
        if let_in:
            return _said(registry.name, True, f"Registry {registry.name} lets us in."), GOOD
        what = "refused the login" if login else "wants a login, and none is known"
        return _said(registry.name, False, f"Registry {registry.name} {what}."), BAD

    def show(self, document: Any) -> None:
        self.line(document["message"])


def _said(name: str, ok: bool, message: str) -> dict[str, Any]:
    return {"registry": name, "ok": ok, "message": message}
