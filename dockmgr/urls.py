"""URLs: the admin, the API, and what monitors ask."""

from django.contrib import admin
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.generic import RedirectView

from instances.api.application import api
from instances.observing.views import metrics, readyz


def healthz(_request: HttpRequest) -> JsonResponse:
    """The web process answers; says nothing of anything behind it."""
    return JsonResponse({"ok": True, "status": "live"})


urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("api/v1/", api.urls),
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(url="admin/")),
]
