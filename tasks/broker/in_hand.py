"""Messages taken from Redis many at a time: each is registered in the same step, and held until it is done.

They are registered in kombu's own book, under its names and in its form. So any worker hands out again
what a killed worker had in hand: a minute after that one's last sign of life, and not after an hour.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tasks.broker.connection import redis_at
from tasks.outages import SaidOnce

logger = logging.getLogger(__name__)

LEASE = 60.0  # seconds a message is held without a sign of life
TIMEOUT = 5.0  # seconds Redis may take to answer

# KEYS: index, book, queues of falling priority. ARGV: how many at most, the index's score, the queue's name.
# A tag that is named once in a message is found without reading all of it, in a third of the time.
TAKE = r"""
local function tag_of(raw)
    local _, named = string.find(raw, '"delivery_tag":', 1, true)
    if named and not string.find(raw, '"delivery_tag":', named, true) then
        local tag = string.match(raw, '^%s*"([^"\\]+)"', named + 1)
        if tag then
            return tag
        end
    end
    local is_json, message = pcall(cjson.decode, raw)
    local properties = is_json and type(message) == 'table' and message.properties
    local tag = type(properties) == 'table' and properties.delivery_tag
    return type(tag) == 'string' and tag
end

local taken, most, tail = {}, tonumber(ARGV[1]), ',"",' .. cjson.encode(ARGV[3]) .. ']'
for place = 3, #KEYS do
    local index, book = {}, {}
    local found = #taken < most and redis.call('RPOP', KEYS[place], most - #taken)
    for _, raw in ipairs(found or {}) do
        local tag = tag_of(raw)
        if tag then
            index[#index + 1], index[#index + 2] = ARGV[2], tag
            book[#book + 1], book[#book + 2] = tag, '[' .. raw .. tail
        end
        taken[#taken + 1] = raw
    end
    if #index > 0 then
        redis.call('ZADD', KEYS[1], unpack(index))
        redis.call('HSET', KEYS[2], unpack(book))
    end
end
return taken
"""
_TAG = re.compile(rb'"delivery_tag":\s*"([^"\\]+)"')


class InHand:
    """The messages this process has taken, and not yet said that they are done. Any thread may ask."""

    def __init__(self, client: Redis, prefix: str, visibility_timeout: float) -> None:
        self._client, self._visibility = client, visibility_timeout
        self._index, self._book = f"{prefix}unacked_index", f"{prefix}unacked"
        self._script = client.register_script(TAKE)
        self._once = SaidOnce(logger)
        self._lock = threading.Lock()
        self._held: set[str] = set()
        self._aside: set[str] = set()
        self._done: set[str] = set()

    @classmethod
    def at(cls, url: str, prefix: str, visibility_timeout: float) -> InHand:
        """The same by a connection of its own. `visibility_timeout` is kombu's, seconds."""
        return cls(redis_at(url, TIMEOUT), prefix, visibility_timeout)

    def number(self, *, with_aside: bool = False) -> int:
        """How many are held and not set aside, or held at all."""
        with self._lock:
            return len(self._held) - (0 if with_aside else len(self._aside))

    def __contains__(self, tag: str) -> bool:
        return tag in self._held

    def take(self, keys: Sequence[str], queue: str, most: int) -> list[bytes]:
        """At most so many messages off the lists at these keys. Raises RedisError."""
        found: Any = self._script(
            keys=[self._index, self._book, *keys], args=[most, self._expiring_in(LEASE), queue]
        )
        return list(found)

    def drop(self, raw: bytes) -> None:
        """What was taken and is no message that can be read is not handed out again."""
        self.done(tag.decode(errors="replace") for tag in _TAG.findall(raw))

    def hold(self, tags: Iterable[str]) -> None:
        """From now on these are ours until they are done or let go."""
        with self._lock:
            self._held.update(tags)

    def set_aside(self, tags: Iterable[str]) -> None:
        """These wait for something slow, and take no room from others meanwhile."""
        with self._lock:
            self._aside.update(self._held.intersection(tags))

    def done(self, tags: Iterable[str]) -> None:
        """These are never handed out again. Where Redis can't be told now, it is told later."""
        with self._lock:
            ended = set(tags)
            self._held -= ended
            self._aside -= ended
            self._done |= ended
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            untold = list(self._done)
        if not untold:
            return
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.zrem(self._index, *untold)
                pipeline.hdel(self._book, *untold)
                pipeline.execute()
        except RedisError as error:
            self._once.failed("Acknowledging messages", error)
            return
        self._once.worked()
        with self._lock:
            self._done.difference_update(untold)

    def let_go(self, tags: Iterable[str]) -> None:
        """These are handed out again when their lease is over."""
        with self._lock:
            gone = set(tags)
            self._held -= gone
            self._aside -= gone

    def renew(self) -> None:
        """Have all that is held stay ours for another lease, and say what is done. Raises RedisError."""
        with self._lock:
            held = list(self._held)
        self._score(held, LEASE)
        self._tell()

    def release(self, tags: Iterable[str] | None = None) -> None:
        """Give these back, or all that is held: whoever looks next hands them out. Raises RedisError."""
        with self._lock:
            given = list(self._held if tags is None else self._held.intersection(tags))
            self._held.difference_update(given)
            self._aside.difference_update(given)
        self._score(given, -1.0)

    def _score(self, tags: Sequence[str], seconds: float) -> None:
        if tags:
            self._client.zadd(self._index, dict.fromkeys(tags, self._expiring_in(seconds)), xx=True)

    def _expiring_in(self, seconds: float) -> float:
        return time.time() - self._visibility + seconds
