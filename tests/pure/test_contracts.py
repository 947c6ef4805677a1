"""The rules of the house that the import contracts can't say."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def test_every_module_of_rules_is_under_the_contract_of_pure_rules() -> None:
    contracts = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [pure] = [contract for contract in contracts if contract["name"] == "Rules know no framework"]
    modules = [
        ".".join(path.relative_to(TOP).with_suffix("").parts) for path in TOP.glob("instances/**/*rules.py")
    ]
    assert len(modules) >= 6
    for module in modules:
        assert any(fnmatch.fnmatch(module, pattern) for pattern in pure["source_modules"]), module


def test_nobody_reads_the_machines_clock_where_the_databases_decides() -> None:
    told = {"instances/lib/clock.py", "instances/db/clock.py", "instances/engine/certificates.py"}
    machines = re.compile(r"from instances\.lib\.clock import [^\n]*\bSYSTEM\b|(datetime|timezone)\.now\(")
    modules = [path for name in ("instances", "tasks") for path in (TOP / name).rglob("*.py")]
    reading = (path.relative_to(TOP) for path in modules if machines.search(path.read_text()))
    assert {str(path) for path in reading if "migrations" not in path.parts} == told
