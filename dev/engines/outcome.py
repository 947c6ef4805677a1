"""What a run of the tests on an engine found, and the table of all of them. Pure."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_PROMISES = "test_docker_engine"
_LONGEST = 160


@dataclass(frozen=True)
class Outcome:
    """What an engine keeps. `broken` says of each test that failed why, by its name."""

    engine: str
    store: str
    promises: int = 0
    stories: int = 0
    broken: Mapping[str, str] = field(default_factory=dict)
    of_promises: frozenset[str] = frozenset()
    trouble: str = ""

    def unexpected(self, known: Mapping[str, str]) -> list[str]:
        """Tests that failed, and that nobody has said of this kind of engine that they do."""
        return sorted(name for name in self.broken if name not in known)


def outcome(report: str, engine: str, store: str) -> Outcome:
    """Read a report in JUnit's form. Tests that were left out count for nothing."""
    suite = ET.fromstring(report)  # noqa: S314 pytest's own
    told = {each.get("name"): each.get("value") or "" for each in suite.iter("property")}
    counts = {True: 0, False: 0}
    broken, of_promises = {}, set()
    for case in suite.iter("testcase"):
        if case.find("skipped") is not None:
            continue
        name, is_promise = str(case.get("name")), _PROMISES in str(case.get("classname"))
        counts[is_promise] += 1
        failure = case.find("failure") if case.find("failure") is not None else case.find("error")
        if failure is not None:
            broken[name] = _first_line(failure.get("message") or "")
            if is_promise:
                of_promises.add(name)
    who = f"{engine} {told['engine']}" if "engine" in told else engine
    return Outcome(who, told.get("store", store), counts[True], counts[False], broken, frozenset(of_promises))


def _first_line(message: str) -> str:
    line = re.sub(
        r"^[\w.]+(Error|Exception)?: ", "", message.strip().splitlines()[0] if message.strip() else ""
    )
    return line[:_LONGEST]


def table(outcomes: Sequence[tuple[Outcome, Mapping[str, str]]]) -> str:
    """One line for each engine, then what each does not keep and why; each with what is known of its kind."""
    rows = [("engine", "store", "promises", "stories", "not expected")]
    for each, known in outcomes:
        promises = f"{each.promises - len(each.of_promises)} of {each.promises}"
        failed = len(each.broken) - len(each.of_promises)
        stories = f"{each.stories - failed} of {each.stories}"
        missing = each.trouble or str(len(each.unexpected(known)))
        rows.append((each.engine, each.store, promises, stories, missing))
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)) for row in rows]
    for each, known in outcomes:
        lines += _reasons(each, known)
    return "\n".join(line.rstrip() for line in lines)


def _reasons(each: Outcome, known: Mapping[str, str]) -> list[str]:
    if not each.broken:
        return []
    lines = ["", f"{each.engine}, {each.store}, does not keep:"]
    for name, why in sorted(each.broken.items()):
        words = name.removeprefix("test_").replace("_", " ")
        lines.append(f"  {words}: {known.get(name) or f'NOT EXPECTED: {why}'}")
    return lines
