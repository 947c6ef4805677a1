"""What the OpenAPI says of every route alike: its problems, its scope, the page to try it on."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.openapi.docs import Swagger
from ninja.openapi.schema import OpenAPISchema

from instances.api.authentication import BearerToken
from instances.api.problems import CONTENT_TYPE
from instances.api.shapes import Problem

DESCRIPTION = """Instances, what happens to them, and what is done about it.

Tokens are scoped `read` < `operate` < `admin`. Changing calls answer 202 with an OPERATION, which
`GET /operations/{id}` follows, and honour `Idempotency-Key`: asking twice does it once. Errors are
RFC 9457 problem documents. Lists come in pages: pass `next` as `cursor` until it is null."""

TAGS = {
    "instances": "The instances and their state.",
    "changes": "Operations on instances.",
    "looking": "Asking workers to look at an instance now.",
    "records": "What happened.",
    "test deployments": "Trying a plan with a throwaway instance.",
    "sweeps": "Passes over the whole fleet.",
}
HEADERS = {
    "RateLimit-Limit": "calls a minute",
    "RateLimit-Remaining": "calls left",
    "RateLimit-Reset": "seconds until all are left",
    "Retry-After": "seconds to wait",
}
WAITING = frozenset({409, 429, 503, 504})
ALWAYS = (401, 403, 422, 429, 500, 503)


def responses(shape: Any, *problems: int, status: int = 200) -> dict[int, Any]:
    """What a route answers: its document, the problems named, and those every route has."""
    return {status: shape, **dict.fromkeys(sorted({*problems, *ALWAYS}), Problem)}


class Page(Swagger):
    """The page to try the API on, with its scripts from here: elsewhere is meant where Ninja is no app."""

    template_cdn = str(settings.API_PAGES / "templates" / Swagger.template)


class Api(NinjaAPI):
    """NinjaAPI whose OpenAPI says what it leaves out: media type of problems, scopes, headers."""

    _schemas: dict[str | None, OpenAPISchema]

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """Built once per process: it takes a while and anybody may ask for it."""
        known = self.__dict__.setdefault("_schemas", {})
        if path_prefix not in known:
            schema = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
            _complete(schema, self._scopes())
            known[path_prefix] = schema
        found: OpenAPISchema = known[path_prefix]
        return found

    def _get_urls(self) -> list[URLResolver | URLPattern]:
        """At the root is nothing, whatever the method; without this a POST would be told of CSRF."""
        *others, root = super()._get_urls()
        callback: Any = root.callback
        root.callback = csrf_exempt(callback)
        return [*others, root]

    def _scopes(self) -> dict[str, str]:
        """The scope each route demands, by operation id."""
        views = (view for router in self._get_bound_routers() for view in router.path_operations.values())
        return {
            operation.operation_id: auth.scope
            for view in views
            for operation in view.operations
            for auth in operation.auth_callbacks
            if isinstance(auth, BearerToken) and operation.operation_id
        }


def _complete(schema: OpenAPISchema, scopes: dict[str, str]) -> None:
    schema["components"]["headers"] = {
        name: {"description": text, "schema": {"type": "integer"}} for name, text in HEADERS.items()
    }
    for methods in schema["paths"].values():
        for operation in methods.values():
            scope = scopes[operation["operationId"]]
            operation["security"] = [{"BearerToken": [scope]}]
            described = operation.get("description", "")
            operation["description"] = f"{described}\n\nScope: `{scope}`.".strip()
            for parameter in operation["parameters"]:
                _complete_parameter(parameter)
            for status, answer in operation["responses"].items():
                _complete_answer(int(status), answer)


def _complete_parameter(parameter: dict[str, Any]) -> None:
    """A parameter that is not given is not null, and its examples stand in its schema."""
    parameter.pop("examples", None)
    shape = parameter["schema"]
    forms = [form for form in shape.get("anyOf", []) if form != {"type": "null"}]
    if len(forms) == 1:
        del shape["anyOf"]
        shape.update(forms[0])
    elif forms:
        shape["anyOf"] = forms


def _complete_answer(status: int, answer: dict[str, Any]) -> None:
    if status >= 400:
        answer["content"] = {CONTENT_TYPE: answer["content"]["application/json"]}
    names = [name for name in HEADERS if name != "Retry-After" or status in WAITING]
    answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
