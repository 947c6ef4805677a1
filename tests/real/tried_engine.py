"""The engine the tests are to start: this machine's own, or the one that is being tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dev.engines.kinds import kind, started
from dev.servers import EngineServer, docker_engine
from tests.settings import GIVEN

_NAME = GIVEN.get("DOCKMGR_TRIED_ENGINE", "")


def is_tried() -> bool:
    """Whether an engine was named to be tried."""
    return bool(_NAME)


@contextmanager
def an_engine(folder: Path, environ: Mapping[str, str]) -> Iterator[EngineServer]:
    """The engine that is tried; else what `docker_engine` finds or starts by the environment."""
    if is_tried():
        with started(kind(_NAME), folder, Path(GIVEN["DOCKMGR_TRIED_SYSTEM"])) as server:
            yield server
    else:
        with docker_engine(folder, environ) as server:
            yield server
