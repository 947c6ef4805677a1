"""What every command shares: `--json`, exit codes, one-sentence errors, progress for people."""

from __future__ import annotations

import json
import logging
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseFailure
from django.db.models import QuerySet
from rich.console import Console
from rich.text import Text

from instances.access.audit import Author, audit, earlier
from instances.access.keys import require_keys
from instances.db.errors import database_sentence
from instances.errors import DEFECT, DockmgrError, OutOfReachError, RequestError
from instances.fleet.progress import Progress as ProgressCall
from instances.lib.log_lines import for_terminal
from instances.lib.storable import text
from instances.management import streams
from instances.management.codes import BAD, GOOD, INTERRUPTED, OUT_OF_REACH, WRONG
from instances.management.display import LateBar, console, table
from instances.management.parsing import Exact
from instances.management.who import operator as operator
from instances.management.who import say
from instances.models import AuditEntry, Operation
from instances.operations.requester import MAX_REQUEST_ID, Requester, at_machine

logger = logging.getLogger(__name__)

# Commands that change nothing and show no customer's data; all others go into the audit log.
READING = frozenset(
    {
        "check_health",
        "incidents",
        "instances",
        "operations",
        "orphans",
        "tokens",
        "uptime",
        "usage",
        "validate",
        "validate_host",
    }
)
# Commands whose work is what they print: where that is lost, nothing was done.
TELLING = frozenset(
    {"backup", "incidents", "instances", "logs", "operations", "orphans", "tokens", "uptime", "usage"}
)
TARGETS = ("name", "customer_id", "incident_id", "label", "host", "plan", "file", "abandon")


class FleetCommand(BaseCommand):
    """A command whose `run` returns (document, exit code) and whose `show` prints it for people."""

    requires_system_checks = []
    changes: ClassVar[bool] = False
    needs_keys: ClassVar[bool] = True  # may write secrets, and must not with keys of somebody else
    once: ClassVar[bool] = False  # makes no operation; done once per request id all the same
    left_behind: ClassVar[str] = ""  # what becomes of what was begun, where that is not what `changes` says

    def get_version(self) -> str:
        return f"dockmgr {settings.VERSION} (Django {super().get_version()})"

    def add_arguments(self, parser: ArgumentParser) -> None:
        Exact(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
        if self.changes:
            parser.add_argument("--enqueue", action="store_true", help="let the workers do it")
        parser.add_argument("--as", dest="as_name", metavar="NAME", help="who you are, for the record")
        if self.name not in READING:
            parser.add_argument("--reason", default="", help="why, for the record")
        if self.changes or self.once:
            parser.add_argument("--request-id", help="asking twice with the same id does it once")
        shared = len(parser._actions)  # argparse names them nowhere else
        self.arguments(parser)
        self._own = {action.dest for action in parser._actions[shared:]}
        optional = (a for a in parser._actions if a.option_strings and not a.required and a.default != "")
        self._flags = {a.dest: a.option_strings[-1] for a in optional}

    def arguments(self, parser: ArgumentParser) -> None:
        """The command's own arguments."""

    def run(self, options: dict[str, Any]) -> tuple[Any, int]:
        """Do the work; returns the JSON document and the exit code."""
        raise NotImplementedError

    def asked(self, options: dict[str, Any]) -> dict[str, Any]:
        """All that tells this request from another one with the same request id."""
        return {name: given for name, given in options.items() if name in self._own}

    def again(self, options: dict[str, Any], earlier: AuditEntry) -> tuple[Any, int]:
        """What `run` would return had it not been done before under this request id; does nothing."""
        raise NotImplementedError

    def show(self, document: Any) -> None:
        """Print the document for people."""
        self.line(document)

    @property
    def console(self) -> Console:
        """Standard output: coloured on a terminal, plain and wide elsewhere."""
        return console()

    def handle(self, *_args: Any, **options: Any) -> None:
        self._json, self._is_repeated, self._is_carried_out = options["json"], False, False
        with _log_level(settings.COMMAND_LOG_LEVEL):
            document, code = self._recorded(options)
        self._print(document)
        only_tells = self.name in TELLING and not options.get("abandon")
        if only_tells and code == GOOD and streams.lost():
            code = BAD
        if code:
            sys.exit(code)

    def _print(self, document: Any) -> None:
        if self._json:
            sys.stdout.write(json.dumps(document) + "\n")
        elif not (isinstance(document, dict) and set(document) == {"error"}):
            self.show(document)

    def _recorded(self, options: dict[str, Any]) -> tuple[Any, int]:
        """Do the work, and write down that it was done unless it only read or was refused as wrong."""
        document, code = self._guarded(options)
        if code == WRONG or self._is_repeated or not self._is_recorded(options):
            return document, code
        said = document.get("error") if isinstance(document, dict) else None
        outcome = said or ("done" if code == GOOD else f"exit code {code}")
        from instances.operations import service  # all that changes containers, which is slow to load

        reason, now = options.get("reason") or "", service.OUTSIDE.clock.now()
        try:
            target, request_id = _target(options), self._used_id(options)
            asked = self.asked(options) if request_id else None
            by = Author("command", operator(), reason=reason, request_id=request_id)
            audit(by, self.name, target, outcome, now, asked)
        except DatabaseFailure as error:
            if code != OUT_OF_REACH:  # else it has been said already
                logger.error("The audit log lacks this command: %s", database_sentence(error))
        return document, code

    def _used_id(self, options: dict[str, Any]) -> str:
        """The request id, if it may not be used again: what was begun and failed leaves it free."""
        return (options["request_id"] or "") if self.once and self._is_carried_out else ""

    def _is_recorded(self, options: dict[str, Any]) -> bool:
        return not options.get("dry_run") and (self.name not in READING or bool(options.get("abandon")))

    @property
    def name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    def _do(self, options: dict[str, Any]) -> tuple[Any, int]:
        """`run`, unless the request id says that it was done before."""
        _refuse_bytes(options)
        _refuse_empty(self._flags, options)
        say(options["as_name"], recorded=self._is_recorded(options))
        if self._is_recorded(options) and self.needs_keys:
            require_keys()
        earlier = self._earlier(options) if self.once and self._is_recorded(options) else None
        self._is_repeated = earlier is not None
        if earlier is not None:
            return self.again(options, earlier)
        done = self.run(options)
        self._is_carried_out = True
        return done

    def _earlier(self, options: dict[str, Any]) -> AuditEntry | None:
        request_id = options["request_id"]
        if not request_id:
            return None
        if len(request_id) > MAX_REQUEST_ID:
            raise RequestError(f"A request id may have {MAX_REQUEST_ID} characters.")
        return earlier("command", request_id, self.name, _target(options), self.asked(options))

    def _guarded(self, options: dict[str, Any]) -> tuple[Any, int]:
        try:
            return self._do(options)
        except RequestError as error:
            return streams.complain(str(error)), WRONG
        except OutOfReachError as error:
            return streams.complain(str(error)), OUT_OF_REACH
        except DockmgrError as error:
            return streams.complain(str(error)), BAD
        except DatabaseFailure as error:
            return streams.complain(database_sentence(error)), OUT_OF_REACH
        except KeyboardInterrupt:
            begun = "what was begun is carried on by the workers" if self.changes else self.left_behind
            return streams.complain("; ".join(filter(None, ("Interrupted", begun))) + "."), INTERRUPTED
        except Exception:
            if options["traceback"]:
                raise
            logger.exception("The command %s failed.", self.name)
            return streams.complain(DEFECT), BAD

    def requester(self, options: dict[str, Any]) -> Requester:
        return at_machine(operator(), options["reason"], options["request_id"])

    def hand_on(self, operation: Operation, options: dict[str, Any]) -> Operation:
        """See the operation through here, or enqueue it; returns how it stands then."""
        if options["enqueue"]:
            from tasks.operations import enqueue_or_withdraw  # needs Celery, which is slow to load

            return enqueue_or_withdraw(operation)
        from instances.operations import service

        with self.progress(options) as tell:
            tell(0, 1, operation.kind)
            done = service.see_through(operation.pk)
            tell(1, 1, done.status)
        return done

    @contextmanager
    def progress(self, options: dict[str, Any]) -> Iterator[ProgressCall]:
        """A bar on stderr once work takes over a second; silent off a terminal and under --json."""
        if options["json"] or not sys.stderr.isatty():
            yield lambda _done, _total, _text: None
            return
        with LateBar() as late:
            yield late.tell

    def say_if_cut(self, rows: QuerySet[Any], most: int, what_shows_more: str) -> None:
        """Tell the person when a list that begins with the newest has more rows than are shown."""
        if rows[most : most + 1].exists():
            sys.stderr.write(f"Only the newest {most} are listed; {what_shows_more}.\n")

    def line(self, *parts: object) -> None:
        """Print words one after the other, whatever is in them; `styled` ones with their colour."""
        texts = [part if isinstance(part, Text) else for_terminal(str(part)) for part in parts]
        self.console.print(*texts, soft_wrap=True)

    def listing(self, columns: Sequence[str], documents: Iterable[dict[str, Any]]) -> None:
        """Print a table of what documents have under these names."""
        self.table(columns, ([document[column] for column in columns] for document in documents))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print a table; states are coloured on a terminal."""
        self.console.print(table(columns, rows))


def _refuse_bytes(options: dict[str, Any]) -> None:
    """Raise RequestError for what was given and is not UTF-8; a reason is kept as far as it is."""
    for name, given in options.items():
        words = given if isinstance(given, list) else [given]
        if name != "reason" and any(isinstance(word, str) and word != text(word) for word in words):
            raise RequestError(f"What is given as {name.replace('_', ' ')} is not text in UTF-8.")


def _refuse_empty(flags: dict[str, str], options: dict[str, Any]) -> None:
    """Raise RequestError for an option that says nothing, as of a variable that is not set."""
    for name, flag in flags.items():
        if options.get(name) == "":
            raise RequestError(f"{flag} is empty; leave it out where nothing is meant.")
    if options.get("file") == "":  # which would be the folder one is in
        raise RequestError("The file has no name.")


def _target(options: dict[str, Any]) -> str:
    """What a command is about, as the audit log names it."""
    return next((str(options[name]) for name in TARGETS if options.get(name) not in (None, [])), "")


@contextmanager
def _log_level(level: str) -> Iterator[None]:
    logger = logging.getLogger("instances")
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
