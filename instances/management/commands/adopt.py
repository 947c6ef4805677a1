"""Bring existing containers under management, without touching them."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from instances import documents
from instances.containers.adoption_summary import summary
from instances.errors import DockmgrError, RequestError
from instances.health.state import NEVER_HEALTHY
from instances.management.base import FleetCommand
from instances.management.codes import BAD, GOOD
from instances.models import Instance
from instances.operations import adopt, service
from instances.operations.adopt_many import Candidate, Selection, candidates, sources_of
from instances.operations.adoptable import AdoptRequest, look
from instances.operations.requester import Requester

ONE = ("customer_id", "subdomain", "container")
MANY = ("label", "map")
COMMON = ("plan", "host", "force", "accept_host_access", "of_another_installation")


class Command(FleetCommand):
    help = (
        "Bring existing containers under management: they are looked at, and neither restarted nor changed."
    )

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--customer-id")
        parser.add_argument("--subdomain")
        parser.add_argument("--container", help="its name or id")
        parser.add_argument("--all", action="store_true", help="all containers with a label")
        parser.add_argument("--label", metavar="KEY[=VALUE]", help="with --all: the label they have")
        parser.add_argument(
            "--map", action="append", default=[], metavar="WHAT=SOURCE",
            help="with --all: customer_id, subdomain or plan from name, label:KEY or a text with {name}",
        )  # fmt: skip
        parser.add_argument("--dry-run", action="store_true", help="with --all: show, and adopt nothing")
        parser.add_argument("--plan", default="pro")
        parser.add_argument("--host", help="where the container is; not needed when there is one host")
        parser.add_argument("--force", action="store_true", help="even if it does not answer well")
        parser.add_argument(
            "--accept-host-access", action="store_true", help="even if it reaches its host; shown for good"
        )
        parser.add_argument(
            "--of-another-installation", action="store_true", help="even if another dockmgr made it"
        )
        parser.add_argument("--request-id", help="asking twice with the same id does it once")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        _refuse_mixed(options)
        if options["all"]:
            return self._adopt_all(options)
        keys = (*ONE, *COMMON)
        order = AdoptRequest(**{key: options[key] for key in keys}).checked()
        instance = adopt.once(order, options["request_id"], lambda: self._adopt(order, options))
        return documents.instance(instance), GOOD

    def _adopt(self, order: AdoptRequest, options: dict[str, Any]) -> Instance:
        service.recover(customer_id=order.customer_id)
        found = look(order, service.OUTSIDE)
        if not options["json"]:
            self.line(f"What {order.container} has of its own, and keeps:")
            self.table(("what", "which"), summary(found.document, found.env, found.facts.published))
        return adopt.adopt(found, service.OUTSIDE, self.requester(options))

    def _adopt_all(self, options: dict[str, Any]) -> tuple[Any, int]:
        given = {key: options[key] for key in ("label", *COMMON)}
        selection = Selection(sources=sources_of(options["map"]), **given)
        found = candidates(selection, service.OUTSIDE)
        if not options["json"]:
            self._preview(found)
        if options["dry_run"] or not self._is_wanted(found, options):
            return {"instances": [], "candidates": [one.document() for one in found]}, GOOD
        return self._taken(found, self.requester(options))

    def _taken(self, found: Sequence[Candidate], requester: Requester) -> tuple[Any, int]:
        taken, refused = [], [one.document() for one in found if one.found is None]
        for one in found:
            if one.found is not None:
                try:
                    taken.append(documents.instance(adopt.adopt(one.found, service.OUTSIDE, requester)))
                except DockmgrError as error:
                    refused.append({**one.document(), "error": str(error)})
        return {"instances": taken, "refused": refused}, BAD if refused else GOOD

    def _preview(self, found: Sequence[Candidate]) -> None:
        rows = [one.document() for one in found]
        columns = ("container", "customer_id", "subdomain", "plan", "error")
        self.listing(columns, rows)

    def _is_wanted(self, found: Sequence[Candidate], options: dict[str, Any]) -> bool:
        """Whoever sits at a terminal is asked after the table; a program has said what it wants."""
        number = sum(one.found is not None for one in found)
        if options["json"] or not number or not sys.stdin.isatty():
            return True
        try:
            return input(f"Adopt these {number}? [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:  # Ctrl-D
            self.line()
            return False

    def show(self, document: Any) -> None:
        if "candidates" in document:
            self.line("Nothing was adopted.")
            return
        for each in document.get("instances", [document]):
            self.line(
                f"{each['customer_id']} is under management: {each['container']} at "
                f"{each['access_url']} was left as it is"
            )
            if each["never_healthy"]:
                self.line(NEVER_HEALTHY)


def _refuse_mixed(options: dict[str, Any]) -> None:
    """One container by name, or many by label. Raises RequestError."""
    one = [name for name in ONE if options[name]]
    many = [name for name in MANY if options[name]]
    if options["all"] and (one or not (options["label"] or "").partition("=")[0]):
        raise RequestError("--all takes --label and --map, and no customer, subdomain or container.")
    if options["all"] and options["request_id"]:
        raise RequestError("--all takes no --request-id: what is managed already is left alone.")
    if not options["all"] and (many or options["dry_run"] or len(one) < len(ONE)):
        raise RequestError(
            "Name a --customer-id, a --subdomain and a --container, or --all with --label and --map."
        )
