"""A process that forks others; each carries an operation out and halts or kills itself at a step.

It reads a line with a list of orders, says `halted` when each of its processes has halted, ended or
been killed, lets the halted ones go when it reads another line, and writes how each ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any

import django

from instances.operations.requester import at_machine


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
    django.setup()
    # The SDK takes its time to import: once, and not in every process.
    import_module("instances.engine.docker_engine")
    orders = json.loads(sys.stdin.readline())
    gate = Gate()
    children = [_fork(order, gate) for order in orders]
    gate.wait_for_all()
    print("halted", flush=True)
    sys.stdin.readline()
    gate.open()
    json.dump([_named(os.waitpid(pid, 0)[1]) for pid in children], sys.stdout)


class Gate:
    """Where forked processes wait, each for their first process to let them all go."""

    def __init__(self) -> None:
        self._arrivals, self._arrive = os.pipe()
        self._opened, self._open = os.pipe()

    def enter_child(self) -> None:
        os.close(self._open)

    def halt(self) -> None:
        """Wait here; the first process counts the ends of the pipe that are still held."""
        os.close(self._arrive)
        os.read(self._opened, 1)

    def wait_for_all(self) -> None:
        os.close(self._arrive)
        os.read(self._arrivals, 1)

    def open(self) -> None:
        os.close(self._open)


def _named(status: int) -> str:
    return "killed" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}"


def _fork(order: dict[str, Any], gate: Gate) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        gate.enter_child()
        _carry_out(order, gate)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _carry_out(order: dict[str, Any], gate: Gate) -> None:
    from instances.operations import service

    if "step" in order:
        fate = gate.halt if order.get("halts") else _die
        _meet_at(order["step"], fate, recorded=order["recorded"])
    service.run_to_end(_begin(order).pk)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _begin(order: dict[str, Any]) -> Any:
    from instances.operations import service
    from instances.operations.procedures.provision import ProvisionRequest

    asked, customer_id = at_machine("harness"), order["customer_id"]
    if order["kind"] == "update":
        return service.begin_update(customer_id, asked, image=order["image"])
    subdomain = f"{customer_id}.example.com"
    return service.begin_provision(ProvisionRequest(customer_id, subdomain, "pro", order["env"]), asked)


def _meet_at(step: str, fate: Callable[[], None], *, recorded: bool) -> None:
    """Meet it once: at the step's beginning, when that is recorded, or at its end, when that is not."""
    from instances.operations.journal import Journal

    begin, end, left = Journal.begin, Journal.end, [fate]

    def meet(is_there: bool) -> None:
        if is_there and left:
            left.pop()()

    def begin_and_meet(self: Journal, name: str, **how: bool) -> None:
        begin(self, name, **how)
        meet(recorded and name == step)

    def meet_or_end(self: Journal, name: str, detail: str = "", *, begins: str = "", **columns: Any) -> None:
        meet(not recorded and name == step)
        end(self, name, detail, begins=begins, **columns)
        meet(recorded and begins == step)

    for name, replacement in (("begin", begin_and_meet), ("end", meet_or_end)):
        setattr(Journal, name, replacement)


if __name__ == "__main__":
    main()
