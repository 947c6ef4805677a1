"""/readyz and /metrics: outside the API, for load balancers and monitors."""

from __future__ import annotations

import ipaddress
import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from instances.db.clock import SYSTEM
from instances.lib import client_ip
from instances.observability.exposition import Metrics, render
from instances.observability.readiness import Readiness, document

READINESS = Readiness(SYSTEM.now)
METRICS = Metrics(SYSTEM.now)
PROXY_HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")


def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when database, broker, workers and sweeps are as they should be, else 503; within 3 s."""
    answer = document(READINESS.look())
    return JsonResponse(answer, status=200 if answer["ready"] else 503)


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus metrics, for callers that may read them."""
    if settings.METRICS_TOKEN:
        if not _shows(request, settings.METRICS_TOKEN):
            return _refused(
                401, "Send the token as Authorization: Bearer TOKEN.", **{"WWW-Authenticate": "Bearer"}
            )
    elif not _from_here(request):
        return _refused(403, "Without DOCKMGR_METRICS_TOKEN only this machine may read the metrics.")
    text, content_type = render(METRICS, request.headers.get("Accept", ""))
    return HttpResponse(text, content_type=content_type)


def _shows(request: HttpRequest, token: str) -> bool:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    given = shown.strip().encode("latin-1", "replace")  # how WSGI hands on bytes
    return scheme.lower() == "bearer" and secrets.compare_digest(given, token.encode())


def _from_here(request: HttpRequest) -> bool:
    """Whether it comes from this machine itself, and not from elsewhere through a proxy on it."""
    address = client_ip.source(request.META, proxies=0)
    if not address or any(header in request.headers for header in PROXY_HEADERS):
        return False
    return ipaddress.ip_address(address).is_loopback


def _refused(status: int, sentence: str, **headers: str) -> HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain", headers=named)
