"""The examples of docs/api.md work as written, in the order they are written."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.factories import World
from tests.fast.updates import publish
from tests.web.callers import OVER_HTTP, ROOT, Answer, Caller, Workers

pytestmark = OVER_HTTP
TEXT = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text()
PROBLEMS = {400, 401, 403, 404, 405, 409, 411, 413, 422, 429, 500, 503, 504}


def commands() -> list[tuple[int, list[str]]]:
    """The words of each curl command of the page, with the status its comment announces."""
    [block] = [part.partition("```")[0] for part in TEXT.split("```sh\n")[1:]]
    found, status = [], 0
    for paragraph in block.split("\n\n"):
        comment, _, rest = paragraph.partition("\n")
        if comment.startswith("# "):
            status = int(comment[2:5])
            words = shlex.split(rest.replace("\\\n", " "))
            starts = [at for at, word in enumerate(words) if word == "curl"]
            found += [(status, words[a:b]) for a, b in zip(starts, [*starts[1:], len(words)], strict=True)]
    return found


def carry_out(caller: Caller, words: list[str], operation: str) -> Answer:
    options: dict[str, Any] = {"-X": "GET", "-d": None}
    headers, url = {}, ""
    rest = iter(words[1:])
    for word in rest:
        if word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name.lower()] = value.replace("$TOKEN", caller.text)
        elif word in options:
            options[word] = next(rest)
        elif word not in ("-sS", "-sSN"):
            url = word
    path = url.removeprefix("$DOCKMGR").replace("$OPERATION", operation)
    headers.pop("content-type", None)
    return caller.ask(options["-X"], path, options["-d"], **headers)


@pytest.mark.django_db(transaction=True)
def test_every_example_is_answered_as_its_comment_says(
    world: World, caller: Caller, workers: Workers
) -> None:
    publish(world, "agent-1")
    world.clock.coarse = 5
    operation = ""
    for status, words in commands():
        answer = carry_out(caller, words, operation)
        assert answer.status == status, (words, answer.text)
        if words[2:4] == ["-X", "POST"] and words[4] == "$DOCKMGR/instances":
            operation = answer.document["id"]
            workers.work()
    assert len(commands()) == 26


def test_every_route_and_problem_is_on_the_page(world: World, caller: Caller) -> None:
    schema = caller.get("/openapi.json").document
    named = {path.removeprefix(ROOT).split("{")[0].strip("/") for path in schema["paths"]}
    assert [name for name in named if f"/{name}" not in TEXT] == []
    statuses = {int(s) for ms in schema["paths"].values() for o in ms.values() for s in o["responses"]}
    assert {status for status in statuses | {405} if status >= 400} == PROBLEMS
    assert [status for status in PROBLEMS if f"| {status} |" not in TEXT] == []
