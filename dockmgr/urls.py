"""URLs: the admin, the API, and what monitors ask."""

from django.contrib import admin
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from instances.api.application import api
from instances.observability.views import metrics, readyz


def healthz(_request: HttpRequest) -> JsonResponse:
    """The web process answers; says nothing of anything behind it."""
    return JsonResponse({"ok": True, "status": "live"})


# They only read: another method is refused as such, before a form's token is asked for.
MONITORED = {"healthz": healthz, "readyz": readyz, "metrics": metrics}

admin.autodiscover()
pages, application, namespace = admin.site.urls
# Nothing here has a page on another site, and Django's way there fails on ids it does not expect.
desk = [page for page in pages if getattr(page, "name", None) != "view_on_site"]

urlpatterns = [
    *(path(name, csrf_exempt(require_safe(view))) for name, view in MONITORED.items()),
    path("api/v1/", api.urls),
    path("admin/", (desk, application, namespace)),
    path("", RedirectView.as_view(url="admin/")),
]
handler500 = "instances.admin.failures.failed"
