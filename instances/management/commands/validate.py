"""Compare an instance with what it should be."""

from argparse import ArgumentParser
from typing import Any

from instances import lookup
from instances.management import streams
from instances.management.base import FleetCommand
from instances.management.codes import BAD, GOOD, OUT_OF_REACH
from instances.operations import service


class Command(FleetCommand):
    """Exit code 3 means that nothing of the instance could be seen: it may well be all right."""

    help = "Check configuration, container against its spec, health and public URL; changes nothing."

    def arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--customer-id")
        which.add_argument("--subdomain")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        subdomain = options["subdomain"]
        if subdomain is None:
            subdomain = lookup.instance(options["customer_id"]).subdomain
        validation = service.validate_deployment(subdomain)
        if validation.out_of_reach:
            streams.complain(validation.errors[0]["message"])
            return validation.document(), OUT_OF_REACH
        return validation.document(), GOOD if validation.valid else BAD

    def show(self, document: Any) -> None:
        rows = [(c["name"], "done" if c["ok"] else "failed", c["message"]) for c in document["checks"]]
        notes = [(w["code"], "warning", w["message"]) for w in document["warnings"]]
        self.table(("check", "result", "found"), [*rows, *notes])
