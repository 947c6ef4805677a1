"""Views beside the usual ones of a model's pages: only for people who may see the model."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from instances.admin.signed_out import SEND_AGAIN, typed_reason

View = Callable[..., HttpResponseBase]
NOT_ALLOWED = 405


def behind(model_admin: ModelAdmin[Any], view: View) -> View:
    """The view for staff that is logged in and may see the model.

    Whoever comes to the address of a form, as after signing in again, is led to the page it belongs to.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not model_admin.has_view_permission(request):
            raise PermissionDenied
        response = view(request, *args, **kwargs)
        if response.status_code == NOT_ALLOWED and request.method == "GET":
            return _to_the_page(model_admin, request, next(iter(kwargs.values())))
        return response

    return model_admin.admin_site.admin_view(guarded)


def _to_the_page(model_admin: ModelAdmin[Any], request: HttpRequest, key: object) -> HttpResponseBase:
    messages.warning(request, SEND_AGAIN)
    model, reason = model_admin.opts, typed_reason(request)
    page = reverse(f"admin:{model.app_label}_{model.model_name}_change", args=[quote(str(key))])
    return redirect(f"{page}?{urlencode(reason)}" if reason else page)
