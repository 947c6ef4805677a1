"""The engine as an operation's steps have it: only the operation's holder changes anything with it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol, cast

from instances.containers.facts import short_id
from instances.containers.identity import DEAD, REMOVING
from instances.containers.spec import dead_name
from instances.db.sessions import release_session
from instances.engine.port import Engine
from instances.errors import DockmgrError, LeaseLost, OutOfReachError, PermanentError, TransientError
from instances.models import Instance
from instances.operations.journal import Journal

logger = logging.getLogger(__name__)

READS = frozenset(
    {
        "ping", "facts", "list_containers", "inspect", "describe", "describe_image", "image",
        "volume_labels", "managed_volumes", "volume_users", "network", "dependents", "events", "logs",
        "usage", "close",
    }
)  # fmt: skip


class FencedEngine(Engine, Protocol):
    """An engine whose changing calls begin with a whole lease ahead, confirmed by the database.

    They raise LeaseLost once another process has the operation. `remove` refuses the container the
    instance names at that moment. A container that its engine can't remove, and never starts again, is
    renamed, so that it is in nobody's way. No database session is held while a change is under way.
    """

    def remove_own(self, container: str, *, anonymous_volumes: bool = False) -> None:
        """Remove a container although the instance names it: it leaves, or is made anew."""


def _nothing(_container: str) -> None:
    """For those who stop and remove no container."""


def fenced(engine: Engine, journal: Journal, before_end: Callable[[str], None] = _nothing) -> FencedEngine:
    """`before_end` is told of each container that is about to be stopped or removed."""
    return cast(FencedEngine, _Fence(engine, journal, before_end))


class _Fence:
    """What is not known to read only is fenced, so a new verb is as well."""

    def __init__(self, engine: Engine, journal: Journal, before_end: Callable[[str], None]) -> None:
        self._engine = engine
        self._journal = journal
        self._before_end = before_end

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._engine, name)
        return verb if name in READS else self._holding(verb)

    def remove(self, container: str, *, anonymous_volumes: bool = False) -> None:
        named = Instance.objects.filter(operations=self._journal.operation, container_id=container)
        if container and named.exists():
            raise PermanentError(
                f"{short_id(container)} is the container of {self._journal.operation.customer_id} now; "
                "it is not removed."
            )
        self.remove_own(container, anonymous_volumes=anonymous_volumes)

    def stop(self, container: str, *args: Any, **kwargs: Any) -> None:
        self._before_end(container)
        self._holding(self._engine.stop)(container, *args, **kwargs)

    def remove_own(self, container: str, *, anonymous_volumes: bool = False) -> None:
        self._before_end(container)
        try:
            self._holding(self._engine.remove)(container, anonymous_volumes=anonymous_volumes)
        except (LeaseLost, OutOfReachError):
            raise
        except DockmgrError as error:
            if not self._is_out_of_the_way(container):
                raise
            logger.warning("%s is out of the way for now. %s", short_id(container), error)

    def _is_out_of_the_way(self, container: str) -> bool:
        """Whether a container that was not removed well is gone, or dead and by now under another name.

        Raises TransientError for one that is still being removed.
        """
        facts = self._engine.inspect(container)
        if facts is not None and facts.state == REMOVING:
            raise TransientError(f"The engine is still removing the container {facts.name}.")
        if facts is None or facts.state != DEAD:
            return facts is None
        name = dead_name(facts.name, facts.id)
        if facts.name != name:
            self._holding(self._engine.rename)(facts.id, name)
        return True

    def _holding(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        def change(*args: Any, **kwargs: Any) -> Any:
            self._journal.confirm()
            release_session()
            return verb(*args, **kwargs)

        return change
