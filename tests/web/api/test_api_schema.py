"""The OpenAPI is complete and kept: requests made up from it, valid and not, find nothing it does not say."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from instances.api import streams
from instances.models import Instance
from tests.factories import World
from tests.web.callers import OVER_HTTP, ROOT, Caller, Workers

pytestmark = OVER_HTTP
EXAMPLES = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,  # the same requests in every run
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
EXAMPLE = "user123"  # the one the OpenAPI names
WORDS = {"openapi", "info", "paths", "components", "servers", "tags"}


def document(caller: Caller) -> dict[str, Any]:
    return dict(caller.get("/openapi.json").document)


def routes(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path.removeprefix(ROOT), operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.django_db(transaction=True)
def test_made_up_requests_find_nothing(
    world: World, caller: Caller, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All checks of the tool, on an instance that is there and on whatever else it thinks of."""
    monkeypatch.setattr(streams, "LASTS", timedelta(seconds=4))
    schema = schemathesis.openapi.from_wsgi(f"{ROOT}/openapi.json", WSGIHandler())

    @schema.auth()
    class Authentication:
        def get(self, _case: Any, _context: Any) -> str:
            return f"Bearer {caller.text}"

        def set(self, case: Any, data: str, _context: Any) -> None:
            case.headers["Authorization"] = data

    asked = []
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]

        def validate(case: Any) -> None:
            if not Instance.objects.present().filter(customer_id=EXAMPLE).exists():
                world.instance(EXAMPLE)
            asked.append(case.call_and_validate().status_code)

        for mode in GenerationMode:
            EXAMPLES(given(case=operation.as_strategy(generation_mode=mode))(validate))()
    assert {200, 202, 404, 422} <= set(asked)


def test_every_route_says_what_it_is_and_whom_it_lets_in(world: World, caller: Caller) -> None:
    schema = document(caller)
    assert set(schema) == WORDS
    names = [operation["operationId"] for _, _, operation in routes(schema)]
    assert len(names) == len(set(names)) == 28
    for _, path, operation in routes(schema):
        assert operation["summary"], path
        assert operation["tags"], path
        [security] = operation["security"]
        [scope] = security["BearerToken"]
        assert f"Scope: `{scope}`." in operation["description"]
    assert schema["components"]["securitySchemes"]["BearerToken"]["scheme"] == "bearer"


def test_every_problem_is_typed_as_one(world: World, caller: Caller) -> None:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for _, path, operation in routes(document(caller)):
        answers = operation["responses"]
        assert {"401", "403", "422", "429", "500", "503"} <= set(answers), path
        for status, answer in answers.items():
            if int(status) >= 400:
                assert answer["content"] == {"application/problem+json": problem}, path


def test_the_page_to_try_it_loads_nothing_from_elsewhere(world: World, caller: Caller) -> None:
    page = caller.get("/docs", authorization="")
    assert page.status == 200
    assert "swagger-ui-bundle.js" in page.text
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page.text)


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_the_description_takes_no_other_method(world: World, caller: Caller, path: str) -> None:
    strict = Caller(caller.token, caller.text, Client(enforce_csrf_checks=True))
    for method in ("POST", "PUT", "DELETE"):
        answer = strict.ask(method, path)
        assert (answer.status, answer.kind, answer.headers["Allow"]) == (405, "method", "GET, HEAD")


def test_the_description_is_public(world: World, caller: Caller) -> None:
    assert caller.get("/openapi.json", authorization="").status == 200


def test_nothing_is_at_the_root_whatever_the_method(world: World, caller: Caller) -> None:
    strict = Caller(caller.token, caller.text, Client(enforce_csrf_checks=True))
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        answer = strict.ask(method, "/")
        assert (answer.status, answer.kind) == (404, "unknown"), method
