"""Reading an instance's log: bounded, redacted, and safe whatever the customer's program wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from time import monotonic

from instances import lookup
from instances.documents import shapes
from instances.engine.pool import Engines
from instances.engine.port import Engine
from instances.errors import NotFoundOnEngine, RequestError
from instances.lib import durations
from instances.lib.clock import SET_ANEW
from instances.lib.log_lines import MAX_TOTAL, Tail, follow, tail
from instances.lib.redact import Redactor
from instances.models import Instance
from instances.operations.find_own import find_own
from instances.outside import Outside, engine_address

MOST_LINES = 10_000
READ_SECONDS = 30.0


def line_count(value: object) -> int:
    """A number of lines between 1 and 10,000. Raises RequestError."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_LINES:
        return value
    raise RequestError(f"The number of lines must be between 1 and {MOST_LINES}.")


def moment(since: object, now: datetime) -> datetime | None:
    """`30s`, `10m`, `2h`, `1d` ago, or an RFC 3339 time. Raises RequestError."""
    if since is None or since == "":
        return None
    return durations.past(since, now)


def last_lines(
    instance: Instance,
    engine: Engine,
    lines: int,
    since: datetime | None = None,
    timestamps: bool = False,
    container: str | None = None,
) -> Tail:
    """The last `lines` lines, redacted; bounded in memory and to 30 s. Raises NotFoundOnEngine.

    `container` names another container of the instance than the one in service.
    """
    which = container or container_of(instance, engine)
    with closing(engine.logs(which, lines=lines, since=since, timestamps=timestamps)) as chunks:
        return _tail(chunks, lines, Redactor(instance.secret_values), READ_SECONDS, MAX_TOTAL)


def tail_of(
    engine: Engine,
    container: str,
    lines: int,
    redactor: Redactor,
    seconds: float,
    most_bytes: int,
    until: datetime | None = None,
) -> Tail:
    """The last lines of this very container, the newest that fit into `most_bytes`.

    With `until` those of the last lines that are no later, by the engine's clock. Needs no database.
    Raises NotFoundOnEngine.
    """
    with closing(engine.logs(container, lines=lines, until=until)) as chunks:
        return _tail(chunks, lines, redactor, seconds, most_bytes)


def _tail(chunks: Iterator[bytes], lines: int, redactor: Redactor, seconds: float, most_bytes: int) -> Tail:
    until = monotonic() + seconds
    return tail(
        chunks, lines=lines, redactor=redactor, max_total=most_bytes, deadline=lambda: monotonic() > until
    )


def container_of(instance: Instance, engine: Engine) -> str:
    """The container whose log is the instance's own, by its id or else by its labels.

    A stranger's of its name is none. Raises NotFoundOnEngine.
    """
    own = find_own(engine, instance).container
    if own is None:
        raise NotFoundOnEngine(f"{instance.customer_id} has no container.")
    return own.id


def read(
    instance: Instance, engines: Engines, lines: object, since: datetime | None, timestamps: object = False
) -> Tail:
    """`last_lines` for a request from outside. Raises RequestError when the container is gone."""
    if not isinstance(timestamps, bool):
        raise RequestError("Whether to put times before the lines must be true or false.")
    engine = engines.at(engine_address(instance.host))
    try:
        begin = _reached(since, engine)
        return last_lines(instance, engine, line_count(lines), since=begin, timestamps=timestamps)
    except NotFoundOnEngine:
        raise _no_log(instance) from None


def log(
    customer_id: object, lines: object, since: object, outside: Outside, *, timestamps: bool = False
) -> shapes.Log:
    """LOG of a customer's instance. Raises RequestError."""
    instance, begin = lookup.instance(customer_id), moment(since, outside.clock.now())
    kept = read(instance, outside.engines, lines, begin, timestamps)
    return {"customer_id": instance.customer_id, "lines": kept.lines, "truncated": kept.truncated}


def stream(
    instance: Instance, engines: Engines, lines: object, since: datetime | None, timestamps: bool = False
) -> Iterator[str]:
    """The last lines and then new ones as they come, until the container ends or the reader stops.

    Raises RequestError when there is no container.
    """
    engine, number = engines.at(engine_address(instance.host)), line_count(lines)
    try:
        container = container_of(instance, engine)
        begin = _reached(since, engine)
        chunks = engine.logs(container, lines=number, since=begin, timestamps=timestamps, follow=True)
    except NotFoundOnEngine:
        raise _no_log(instance) from None
    with closing(chunks):
        yield from follow(chunks, Redactor(instance.secret_values))


def _reached(since: datetime | None, engine: Engine) -> datetime | None:
    """None for a moment that the engine's clock, which was set back, has yet to reach: it would tell nothing.

    Whoever follows a log by the times of its lines finds the last one he knows among those told then.
    """
    present = engine.facts().time if since else None
    return None if since and present and since > present + SET_ANEW else since


def _no_log(instance: Instance) -> RequestError:
    return RequestError(f"{instance.customer_id} has no container, so there is no log.")
