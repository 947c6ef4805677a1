"""Query parameters a route does not know, or is given twice, are refused: each must say what is shown."""

from __future__ import annotations

import re

from django.http import HttpRequest
from ninja import Router

from instances.api.problems import ProblemError

ROOT = "api/v1/"
PARAMETER = re.compile(r"{(?:[^}:]+:)?([^}]+)}")
_known: dict[tuple[str, str], frozenset[str]] = {}


def learn(router: Router) -> None:
    """Note what each route of the router takes; called once they are all there."""
    for path, view in router.path_operations.items():
        for operation in view.operations:
            models = [model for model in operation.models if model.__ninja_param_source__ == "query"]
            names = frozenset(name for model in models for name in model.model_fields)
            for method in operation.methods:
                _known[_route(path), method] = names


def refuse_unknown(request: HttpRequest) -> None:
    """Raises ProblemError 422 when the query holds what the route does not take, or takes once."""
    match = request.resolver_match
    known = _known.get(((match.route if match else "").removeprefix(ROOT), request.method or ""), frozenset())
    if set(request.GET) - known:
        takes = ", ".join(sorted(known)) or "none"
        raise ProblemError(422, f"There is a query parameter this does not take; it takes {takes}.")
    for name, given in request.GET.lists():
        if len(given) > 1:
            raise ProblemError(422, f"The query parameter {name} is given more than once.")


def _route(path: str) -> str:
    return PARAMETER.sub(r"<\1>", path.lstrip("/"))
