"""`make test-engines`: what the tests promise, tried on this machine's engine and on Debian's newest."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from dev.engines import alone
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
    kinds = [kind(name) for name in asked.engine or [each.name for each in KINDS]]
    try:
        system = Path(asked.cache, asked.suite)
        if any(each.is_newer for each in kinds):
            system = newer_system(Path(asked.cache), asked.suite, anew=asked.anew)
    except (ServerFailed, ServerMissing) as error:
        print(error, file=sys.stderr)
        return 3
    with ThreadPoolExecutor(asked.at_once) as pool:
        found = list(pool.map(partial(_tried, system=system, only=asked.pytest), kinds))
    outcomes = [(each, KNOWN.get(tried.name, {})) for each, tried in zip(found, kinds, strict=True)]
    print(table(outcomes))
    return 1 if any(each.trouble or each.unexpected(known) for each, known in outcomes) else 0


def _tried(wanted: Kind, *, system: Path, only: Sequence[str]) -> Outcome:
    work = Path(tempfile.mkdtemp(prefix=f"dockmgr-{wanted.name}-", dir="/tmp"))  # noqa: S108 mkdtemp makes it safe
    began, log = time.monotonic(), Path(tempfile.gettempdir(), f"dockmgr-test-engines-{wanted.name}.log")
    try:
        with log.open("wb") as output:
            subprocess.run(  # noqa: S603 our own command line
                alone.command(work, only), cwd=alone.ROOT, env={**os.environ, **alone.environ(wanted, system)},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False,
            )  # fmt: skip
        name = "podman" if wanted.is_podman else "docker"
        if not alone.report(work).exists():
            return Outcome(name, wanted.store, trouble=f"the tests did not end: see {log}")
        return outcome(alone.report(work).read_text(), name, wanted.store)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        print(f"{wanted.name}: {time.monotonic() - began:.0f} s, {log}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.engines", description=__doc__)
    parser.add_argument("--engine", action="append", choices=[each.name for each in KINDS], help="only this one")
    parser.add_argument("--suite", default="sid", help="the Debian whose engines are the newer ones")
    parser.add_argument("--cache", default=CACHE, help="where that Debian is kept")
    parser.add_argument("--anew", action="store_true", help="make that Debian anew")
    parser.add_argument("--at-once", type=int, default=2, help="engines tried side by side")
    parser.add_argument("pytest", nargs="*", help="further words for pytest, after --")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
