"""Load balancers and monitors ask by address, not by name: their pages are answered under any name."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Answer = Callable[[HttpRequest], HttpResponse]
PROBES = frozenset({"/healthz", "/readyz"})
METRICS = "/metrics"


def probes_middleware(get_response: Answer) -> Answer:
    """Stands before the host check. Metrics are under any name only where a token guards them."""

    def answer(request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if path in PROBES or (path == METRICS and settings.METRICS_TOKEN):
            request.get_host = lambda: "localhost"  # type: ignore[method-assign]
        return get_response(request)

    return answer
