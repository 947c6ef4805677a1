"""An answer to HEAD is that to GET without the content."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from dockmgr.headers import head_middleware


def whole(_: HttpRequest) -> HttpResponse:
    return HttpResponse("well")


def streamed(_: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(["we", "ll"])


@pytest.mark.parametrize("view", [whole, streamed])
def test_head_gets_no_content(view: Callable[[HttpRequest], HttpResponse]) -> None:
    for method, content in (("HEAD", b""), ("GET", b"well")):
        answer: Any = head_middleware(view)(RequestFactory().generic(method, "/"))
        assert (answer.status_code, answer.getvalue()) == (200, content), method
