"""URLs: the admin, and the web process's own health."""

from django.contrib import admin
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.generic import RedirectView


def healthz(_request: HttpRequest) -> JsonResponse:
    """The web process answers; says nothing of anything behind it."""
    return JsonResponse({"ok": True, "status": "live"})


urlpatterns = [
    path("healthz", healthz),
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(url="admin/")),
]
