"""Who may do what over HTTP: every route, for every kind of token and for those without one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from celery.backends.cache import CacheBackend
from django.test import Client
from pytest_django.plugin import DjangoDbBlocker

from instances.access import tokens
from instances.api import event_stream, limits, log_stream, middleware, streams
from instances.api.application import api
from instances.db.clock import SYSTEM
from instances.models import ApiRequest, ApiToken, AuditEntry, Health, Incident, Operation
from tasks.app import app
from tasks.broker import rpc
from tests.web.callers import OVER_HTTP, Answer, Caller, a_caller
from tests.web.roles import Fleet, a_fleet, undone

pytestmark = OVER_HTTP
SCOPES = {"read": ("read", "operate", "admin"), "operate": ("operate", "admin"), "admin": ("admin",)}
STRANGERS = ("nobody", "guessing", "malformed", "basic", "expired", "revoked", "desk")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NEW = {"customer_id": "new", "subdomain": "new.example.com", "plan": "pro", "reason": "because"}


@dataclass(frozen=True)
class Route:
    """A method and a path with `{names}` of `Fleet.ids`; what a call of it leaves behind.

    `message` is the task that is enqueued, `action` what the audit log calls it; `asked` calls wait for a
    worker, which is not there.
    """

    method: str
    path: str
    template: str
    scope: str
    action: str = ""
    message: str = ""
    body: Mapping[str, Any] | None = None
    operation: str = ""
    changes: bool = False
    asked: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def success(self) -> int:
        if self.asked:
            return 504
        return 202 if self.message else 200


def change(verb: str, scope: str = "operate") -> Route:
    where = "/instances/{customer_id}" + (f"/{verb}" if verb != "decommission" else "")
    method = "DELETE" if verb == "decommission" else "POST"
    path = where.format(customer_id="c1")
    return Route(method, path, where, scope, verb, "dockmgr.carry_on", operation=verb, changes=True)


def look(verb: str, task: str, method: str = "POST", word: str = "", scope: str = "operate") -> Route:
    where = "/instances/{customer_id}/" + verb
    return Route(method, where.format(customer_id="c1"), where, scope, word or verb, task, asked=True)


def shown(path: str, template: str = "") -> Route:
    return Route("GET", path, template or path, "read")


TRIAL = "/test-deployments"
ROUTES = (
    shown("/instances"),
    shown("/instances/c1", "/instances/{customer_id}"),
    shown("/instances/c1/history", "/instances/{customer_id}/history"),
    shown("/instances/c1/history/sums", "/instances/{customer_id}/history/sums"),
    shown("/operations"),
    shown("/operations/{operation}", "/operations/{operation_id}"),
    Route("GET", "/operations/{operation}/log", "/operations/{operation_id}/log", "operate", "logs"),
    shown("/incidents"),
    shown("/events"),
    shown("/sweeps/latest"),
    shown("/usage"),
    shown("/usage.csv"),
    shown(TRIAL + "/{trial}", TRIAL + "/{trial_id}"),
    Route("POST", "/instances", "/instances", "admin", "provision", "dockmgr.carry_on", NEW, "provision",
          changes=True),
    change("decommission", "admin"),
    change("restart"),
    change("update"),
    replace(change("pause"), message="", operation=""),
    Route("POST", "/instances/c2/resume", "/instances/{customer_id}/resume", "operate", "resume",
          changes=True),
    Route("POST", "/incidents/{incident}/acknowledge", "/incidents/{incident_id}/acknowledge", "operate",
          "acknowledge", changes=True),
    Route("POST", "/sweeps", "/sweeps", "operate", "sweep", "dockmgr.sweep", changes=True),
    Route("POST", TRIAL, TRIAL, "operate", "test deployment", "dockmgr.test_deploy", {"plan": "pro"},
          changes=True),
    look("check", "dockmgr.check_health"),
    look("validate", "dockmgr.validate"),
    look("logs", "dockmgr.logs", "GET"),
    look("logs/stream", "dockmgr.logs", "GET", "logs"),
    Route("GET", "/deployments/c1.example.com/validation", "/deployments/{subdomain}/validation", "read",
          message="dockmgr.validate_deployment", asked=True),
    Route("GET", "/orphans", "/orphans", "read", message="dockmgr.orphans", asked=True),
)  # fmt: skip


@dataclass
class Callers:
    """Everybody who might call, by what he shows."""

    fleet: Fleet
    headers: dict[str, dict[str, str]]

    def call(self, who: str, route: Route, **more: str) -> Answer:
        """A call that waits for no worker."""
        client = self.fleet.clients["superuser"] if who == "desk" else Client(raise_request_exception=False)
        caller = Caller(ApiToken(), "", client)
        given = {"authorization": "", **self.headers[who], **more}
        return caller.ask(route.method, route.path.format(**self.fleet.ids), route.body, **given)


@pytest.fixture(scope="module")
def callers(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Callers]:
    """One fleet for all: whatever a test changes it takes back."""
    with a_fleet(django_db_blocker) as fleet, pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "COUNTER", Uncounted())
        patch.setattr(limits, "FAILURES_ALLOWED", 10**6)
        for waiting in (rpc, log_stream, event_stream, streams):
            patch.setattr(waiting, "SYSTEM", fleet.world.clock)
        fleet.world.clock.coarse = 60  # nobody will answer, so nobody waits long
        patch.setattr(app, "_backend_cache", CacheBackend(app, backend="memory"))
        shown = {scope: a_caller(fleet.world, scope).text for scope in SCOPES}
        shown |= {who: a_caller(fleet.world, "admin", who).text for who in ("expired", "revoked")}
        ApiToken.objects.filter(name="expired").update(expires_at=SYSTEM.now() - timedelta(seconds=1))
        tokens.revoke("revoked", SYSTEM.now())
        trial = ApiRequest.objects.create(
            token=ApiToken.objects.get(name="read"), action="test deployment", target="pro",
            created_at=SYSTEM.now(), fingerprint="x",
        )  # fmt: skip
        fleet.ids["trial"] = trial.pk
        fleet.before = fleet.state()
        headers = {who: {"authorization": f"Bearer {text}"} for who, text in shown.items()}
        headers |= {
            "nobody": {}, "desk": {}, "guessing": {"authorization": f"Bearer dm_{'x' * 43}"},
            "malformed": {"authorization": f"Bearer {shown['admin']}\x00"},
            "basic": {"authorization": f"Basic {shown['admin']}"},
        }  # fmt: skip
        yield Callers(fleet, headers)


class Uncounted:
    """Nobody is slowed down here."""

    def add(self, _key: str, _keep: int) -> int | None:
        return None


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_route_is_for_tokens_of_its_scope(callers: Callers, route: Route) -> None:
    for who in (*STRANGERS, *SCOPES):
        if who not in SCOPES[route.scope]:
            with undone():
                AuditEntry.objects.all().delete()
                answer = callers.call(who, route)
                assert answer.status == (403 if who in SCOPES else 401), (who, answer.text)
                [entry] = AuditEntry.objects.all()
                assert (entry.actor, entry.outcome[:3]) == (by(who), str(answer.status))
    assert callers.fleet.is_untouched()
    for who in SCOPES[route.scope]:
        with undone():
            AuditEntry.objects.all().delete()
            answer = callers.call(who, route)
            assert answer.status == route.success, (who, answer.text)
            is_done(callers.fleet, route, f"api:{who}")
    assert callers.fleet.is_untouched()


def by(who: str) -> str:
    return f"api:{who}" if who in SCOPES else "api:unknown"


def is_done(fleet: Fleet, route: Route, actor: str) -> None:
    """What the call leaves behind, and by whom."""
    assert fleet.messages() == ([route.message] if route.message else [])
    assert (fleet.state() != fleet.before) is route.changes
    made = Operation.objects.filter(requested_by=actor).values_list("kind", flat=True)
    assert list(made) == ([route.operation] if route.operation else [])
    written = AuditEntry.objects.values_list("action", "actor")
    assert list(written) == ([(route.action, actor)] if route.action else [])


def test_changes_without_an_operation_are_made(callers: Callers) -> None:
    wanted = {route.template: route for route in ROUTES}
    with undone():
        callers.call("operate", wanted["/incidents/{incident_id}/acknowledge"])
        callers.call("operate", wanted["/instances/{customer_id}/pause"])
        callers.call("operate", wanted["/instances/{customer_id}/resume"])
        states = dict(Health.objects.values_list("instance__customer_id", "status"))
        assert (states["c1"], states["c2"]) == ("paused", "unknown")
        assert Incident.objects.get().acknowledged_by == "api:operate"


def test_every_route_is_in_the_table() -> None:
    """Also those that the OpenAPI keeps quiet about."""
    served = set()
    for bound in api._get_bound_routers():
        for path, views in bound.path_operations.items():
            for view in views.operations:
                demands: list[Any] = list(view.auth_callbacks)
                scopes = tuple(demand.scope for demand in demands)
                served |= {(method, f"{bound.prefix}{path}", scopes) for method in view.methods}
    assert served == {(route.method, route.template, (route.scope,)) for route in ROUTES}
    described = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method in methods
    }
    assert described == {(route.method, route.template) for route in ROUTES}


def test_other_methods_do_nothing_however_they_are_worded(callers: Callers) -> None:
    served = {(route.method, route.template) for route in ROUTES}
    overriding = dict.fromkeys(("x-http-method-override", "x-http-method", "x-method-override"), "DELETE")
    for route in ROUTES:
        for method in METHODS:
            if (method, route.template) not in served:
                answer = callers.call("admin", replace(route, method=method))
                assert answer.status == 405, (method, route.template)
        if route.method == "GET":
            callers.call("read", route, **overriding)
            callers.fleet.messages()
    assert callers.fleet.is_untouched()


def test_ids_of_something_else_are_not_found(callers: Callers) -> None:
    for route in ROUTES:
        if route.path != route.template:
            for wrong in ("gone", "..%2fc2", "C1", "c1%00", str(callers.fleet.ids["bulk"])):
                odd = replace(route, path=re.sub(r"{\w+}", wrong, route.template))
                assert callers.call("admin", odd).status in (404, 422), odd.path
    assert callers.fleet.is_untouched()


def test_documents_for_everybody_hold_nothing_of_the_fleet(callers: Callers) -> None:
    for path in ("/openapi.json", "/docs", "/"):
        answer = callers.call("nobody", shown(path))
        assert answer.status in (200, 404)
        assert "c1.example.com" not in answer.text
    assert middleware.PREFIX == "/api/"
    assert app.conf.broker_url == "memory://"
