"""Make a new instance: healthy and validated, or nothing left behind."""

from argparse import ArgumentParser
from typing import Any

from instances import documents
from instances.errors import RequestError
from instances.management.base import FleetCommand
from instances.management.codes import BAD, GOOD
from instances.management.env_file import environment
from instances.management.instance_change import outcome
from instances.operations import service
from instances.operations.procedures.provision import ProvisionRequest, former_data
from instances.operations.provision_result import provision_result


class Command(FleetCommand):
    help = "Provision a new instance."
    changes = True

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--customer-id", required=True)
        parser.add_argument("--subdomain", required=True)
        parser.add_argument("--plan", required=True)
        parser.add_argument("--host")
        parser.add_argument("--image")
        parser.add_argument("--env", action="append", default=[], metavar="K=V")
        parser.add_argument("--env-file", metavar="F", help="lines of K=V, or .json; - is stdin")
        parser.add_argument(
            "--show-generated", action="store_true", help="show, once, the secrets that are made"
        )
        former = parser.add_mutually_exclusive_group()
        former.add_argument("--keep-data", action="store_true", help="go on with the customer's former data")
        former.add_argument("--fresh", action="store_true", help="delete the customer's former data")

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        if options["show_generated"] and options["enqueue"]:
            raise RequestError("What workers make can't be shown: leave out --enqueue or --show-generated.")
        order = ProvisionRequest(
            customer_id=options["customer_id"],
            subdomain=options["subdomain"],
            plan=options["plan"],
            env=environment(options["env"], options["env_file"]),
            host=options["host"],
            image=options["image"],
            former_data=former_data(options["keep_data"], options["fresh"]),
        ).checked()
        service.recover(customer_id=order.customer_id)
        operation = self.hand_on(service.begin_provision(order, self.requester(options)), options)
        if options["enqueue"]:
            return documents.operation(operation, in_full=True), GOOD
        result = provision_result(
            operation, service.OUTSIDE, show_generated=options["show_generated"], in_full=True
        )
        if result.success and result.validation is not None and result.validation.valid:
            return result.document(), GOOD
        return result.document(), outcome(operation) or BAD

    def show(self, document: Any) -> None:
        if "access_url" not in document:
            self.line(f"enqueued as operation {document['id']}")
        elif document["success"]:
            took = document["deploy_time_ms"] / 1000
            where = document["access_url"]
            self.line(f"{document['customer_id']} is live at {where} after {took:.1f} s")
            for name, value in document.get("generated", {}).items():
                self.line(f"{name}={value}")
            for error in document["validation"]["errors"]:
                self.line(f"  but {error['code']}: {error['message']}")
        else:
            self.line(document["error"])
            for line in document["logs"]:
                self.line(f"  | {line}")
