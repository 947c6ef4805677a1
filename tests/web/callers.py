"""Callers of the API with a token, and workers that answer what the API asks them while it waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from instances.access import tokens
from instances.api import streams
from instances.lib.clock import Clock
from instances.models import ApiToken
from tasks.app import app
from tests.factories import World

ROOT = "/api/v1"
ADDRESS = "203.0.113.7"
OVER_HTTP = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]


@dataclass(frozen=True)
class Answer:
    """What the API answered."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)

    @property
    def kind(self) -> str:
        """Which problem it is, after checking that it is a whole problem document."""
        problem = self.document
        assert self.headers["Content-Type"] == "application/problem+json"
        assert (problem["status"], bool(problem["title"]), "\n" in problem["detail"]) == (
            self.status, True, False,
        )  # fmt: skip
        return str(problem["type"]).removeprefix("urn:dockmgr:problem:")


@dataclass(frozen=True)
class Caller:
    """Whoever holds a token. Errors inside dockmgr become answers, as behind a web server."""

    token: ApiToken
    text: str
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        key: str | None = None,
        environ: Any = None,
        **headers: str,
    ) -> Answer:
        given = {"authorization": f"Bearer {self.text}", **headers}
        if key is not None:
            given["idempotency-key"] = key
        data = "" if body is None else body if isinstance(body, str | bytes) else json.dumps(body)
        response: Any = self.client.generic(
            method,
            ROOT + path,
            data,
            "application/json",
            headers=given,
            REMOTE_ADDR=ADDRESS,
            **(environ or {}),
        )
        content = b"".join(response) if response.streaming else response.content
        return Answer(response.status_code, dict(response.headers), content.decode())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any = None, key: str | None = None, **headers: str) -> Answer:
        return self.ask("POST", path, body, key, **headers)

    def delete(self, path: str, key: str | None = None) -> Answer:
        return self.ask("DELETE", path, key=key)


def a_caller(world: World, scope: str = "admin", name: str | None = None) -> Caller:
    return Caller(*tokens.issue(name or scope, scope, "tests", world.now))


class Workers(Clock):
    """A clock for whoever waits for an answer: while he sleeps, the workers work off their queues.

    `absent` workers do nothing. `meanwhile` happens at each sleep.
    """

    def __init__(self, world: World, take: Callable[[str], list[Any]]) -> None:
        self._world, self._take = world, take
        self.absent = False
        self.meanwhile: Callable[[], object] = lambda: None
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def now(self) -> datetime:
        return self._world.now

    def sleep(self, seconds: float) -> None:
        self._world.clock.advance(max(seconds, self._world.clock.coarse))
        self.meanwhile()
        if not self.absent:
            self.work()

    def work(self) -> None:
        for queue in ("operations", "health"):
            for message in self._take(queue):
                self.do(message)

    def do(self, message: Any) -> None:
        """Carry out one message, once more if it was before."""
        name, kwargs, identity = message.task, message.kwargs, message.headers["id"]
        self.asked.append((name, kwargs))
        done = app.tasks[name].apply(kwargs=kwargs, task_id=identity)
        app.backend.store_result(identity, done.result, done.state)


@contextmanager
def places_taken(*token_ids: int) -> Iterator[None]:
    """While the block runs, each of these has a stream open in this process; negative ids are nobody's."""
    for token_id in token_ids:
        streams.PLACES.take(token_id)
    try:
        yield
    finally:
        for token_id in token_ids:
            streams.PLACES.give_back(token_id)
