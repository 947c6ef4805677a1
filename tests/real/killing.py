"""A process that forks others; each carries an operation out and kills itself at the step it is told.

It reads a list of orders, and writes a list that says how each of its processes ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Any

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
    django.setup()
    children = [_fork(order) for order in json.load(sys.stdin)]
    json.dump([_named(os.waitpid(pid, 0)[1]) for pid in children], sys.stdout)


def _named(status: int) -> str:
    return "killed" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}"


def _fork(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _carry_out(order)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _carry_out(order: dict[str, Any]) -> None:
    from instances.operations import calls

    if "step" in order:
        _die_at(order["step"], recorded=order["recorded"])
    calls.see_through(_begin(order).pk)


def _begin(order: dict[str, Any]) -> Any:
    from instances.operations import calls
    from instances.operations.provisioning import Order

    asked, customer_id = calls.Asked("harness"), order["customer_id"]
    if order["kind"] == "update":
        return calls.begin_update(customer_id, asked, image=order["image"])
    subdomain = f"{customer_id}.example.com"
    return calls.begin_provision(Order(customer_id, subdomain, "pro", order["env"]), asked)


def _die_at(step: str, *, recorded: bool) -> None:
    """At the step's beginning, when that is recorded, or at its end, when that is not."""
    from instances.operations.journal import Journal

    begin, end = Journal.begin, Journal.end

    def begin_and_die(self: Journal, name: str) -> None:
        begin(self, name)
        if recorded and name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def die_or_end(self: Journal, name: str, status: str, detail: str = "") -> None:
        if not recorded and name == step:
            os.kill(os.getpid(), signal.SIGKILL)
        end(self, name, status, detail)

    for name, replacement in (("begin", begin_and_die), ("end", die_or_end)):
        setattr(Journal, name, replacement)


if __name__ == "__main__":
    main()
