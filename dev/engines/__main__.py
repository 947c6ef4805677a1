"""`make test-engines`: what the tests promise, tried on this machine's engine and on Debian's newest."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from dev.engines.alone import PROMISES, STORIES, Trial, have_programs
from dev.engines.kinds import KINDS, Kind, kind
from dev.engines.known import KNOWN
from dev.engines.outcome import Outcome, outcome, table
from dev.engines.system import newer_system
from dev.servers.failures import ServerFailed, ServerMissing

CACHE = "/var/cache/dockmgr-engines"


def main(words: Sequence[str]) -> int:
    """Exit code 0, 1 when a promise is not kept of which that was not known, 3 when there is no engine."""
    asked = _parser().parse_args(words)
    if sys.platform != "linux" or os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        print("Engines are tried by root on Debian only.", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    kinds = [kind(name) for name in asked.engine or [each.name for each in KINDS]]
    try:
        have_programs()
        system = Path(asked.cache, asked.suite)
        if any(each.is_newer for each in kinds):
            system = newer_system(Path(asked.cache), asked.suite, anew=asked.anew)
    except (ServerFailed, ServerMissing) as error:
        print(error, file=sys.stderr)
        return 3
    tests = (PROMISES, *(() if asked.promises else STORIES))
    outcomes = [(_tried(each, system, tests, asked.pytest), KNOWN.get(each.name, {})) for each in kinds]
    print(table(outcomes))
    return 1 if any(each.trouble or each.unexpected(known) for each, known in outcomes) else 0


def _tried(wanted: Kind, system: Path, tests: Sequence[str], words: Sequence[str]) -> Outcome:
    began = time.monotonic()
    name = "podman" if wanted.is_podman else "docker"
    with closing(Trial(wanted, system, tests, words)) as trial:
        print(f"{wanted.name}: under way in {trial.log}", flush=True)
        report = trial.report()
    print(f"{wanted.name}: {time.monotonic() - began:.0f} s", flush=True)
    if not report:
        return Outcome(name, wanted.store, trouble=f"the tests came to no end: see {trial.log}")
    return outcome(report, name, wanted.store)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.engines", description=__doc__)
    parser.add_argument(
        "--engine", action="append", choices=[each.name for each in KINDS], help="only this one"
    )
    parser.add_argument("--suite", default="sid", help="the Debian whose engines are the newer ones")
    parser.add_argument("--cache", default=CACHE, help="where that Debian is kept")
    parser.add_argument("--anew", action="store_true", help="make that Debian anew")
    parser.add_argument("--promises", action="store_true", help="without the stories")
    parser.add_argument("pytest", nargs="*", help="further words for pytest, after --")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
