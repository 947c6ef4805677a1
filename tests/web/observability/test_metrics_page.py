"""The page of the metrics: its form, who may read it, what it leaves out, and where it is documented."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import DatabaseError
from django.test import Client
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from instances.errors import OutOfReachError
from instances.models import Pulse, Sweep
from instances.observability import exposition, families, readings, views
from instances.observability.exposition import Metrics
from tests.factories import World, a_check
from tests.web.scraping import look, scraped

# Nobody collected static files here.
pytestmark = pytest.mark.filterwarnings("ignore:No directory at:UserWarning")
DOCS = Path(__file__).resolve().parents[3] / "docs"
QUEUES = {"health": 7, "operations": 0}


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that answers, and a page that nobody has asked for yet."""
    monkeypatch.setattr(exposition, "queue_lengths", lambda: QUEUES)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, world: World) -> Metrics:
    """The page the web serves, with nothing kept from other tests."""
    metrics = Metrics(world.clock.now, fresh_for=0)
    monkeypatch.setattr(views, "METRICS", metrics)
    return metrics


def exported(world: World) -> set[str]:
    """Every name that is ever exported, as queries spell it."""
    swept = Sweep.objects.create(state="finished", started_at=world.now, expires_at=world.now)
    Sweep.objects.filter(pk=swept.pk).update(finished_at=world.now)
    Pulse.objects.create(name="beat", at=world.now)
    world.instance("any")
    metrics = [
        *families.fleet(readings.read(), world.now),
        families.queues(QUEUES),
        families.reachability({}),
        families.build("1.0", "3.11"),
    ]
    return {family.name + ("_total" if family.type == "counter" else "") for family in metrics}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("accept", "parse"),
    [
        ("", text_string_to_metric_families),
        ("application/openmetrics-text; version=1.0.0", openmetrics_families),
    ],
    ids=["plain", "openmetrics"],
)
def test_the_page_is_what_prometheus_parses_with_names_by_its_conventions(
    world: World, page: Metrics, client: Client, accept: str, parse: Callable[[str], Iterable[Metric]]
) -> None:
    world.instance()
    world.restart()
    answer = client.get("/metrics", headers={"accept": accept} if accept else {})
    assert answer.status_code == 200
    found = {family.name: family for family in parse(answer.content.decode())}
    assert {"dockmgr_reachable", "dockmgr_checks", "dockmgr_check_duration_seconds"} <= set(found)
    for name, family in found.items():
        assert re.fullmatch(r"dockmgr(_[a-z]+)+", name), name
        assert family.documentation.endswith("."), name
        assert family.type in ("counter", "gauge", "histogram"), name
        assert all(s.name.endswith("_total") for s in family.samples) or family.type != "counter", name
        assert not re.search(r"(milliseconds|_ms|minutes|hours|bytes_)", name), name


@pytest.mark.django_db(transaction=True)
def test_garbage_in_the_accept_header_gets_the_plain_page(page: Metrics, client: Client) -> None:
    for accept in ("\x80;;version=", "text/plain; version=a.b", ","):
        assert client.get("/metrics", headers={"accept": accept}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_numbers_are_collected_once_in_a_while_and_agree_between_processes(world: World) -> None:
    kept, other = Metrics(world.clock.now, fresh_for=60), Metrics(world.clock.now, fresh_for=60)
    look(world, a_check(world, world.instance("c1")))
    before = scraped(kept)
    assert before == scraped(other)
    look(world, a_check(world, world.instance("c2")))
    assert scraped(kept) == before
    assert scraped(Metrics(world.clock.now)).value("dockmgr_checks_total", outcome="ok") == 2


@pytest.mark.django_db(transaction=True)
def test_a_broker_out_of_reach_leaves_out_its_numbers_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_reach() -> dict[str, int]:
        raise OutOfReachError("The broker can't be reached.")

    whole = scraped(Metrics(world.clock.now))
    assert whole.value("dockmgr_queue_messages", queue="health") == 7
    monkeypatch.setattr(exposition, "queue_lengths", out_of_reach)
    found = scraped(Metrics(world.clock.now))
    assert (
        found.value("dockmgr_reachable", part="broker"),
        found.value("dockmgr_reachable", part="database"),
    ) == (0, 1)
    assert "dockmgr_queue_messages" not in found.names()
    assert "dockmgr_checks_total" in found.names()


def test_a_database_out_of_reach_leaves_out_its_numbers_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_reach() -> readings.Readings:
        raise DatabaseError("secret://")

    monkeypatch.setattr(exposition, "read", out_of_reach)
    found = scraped(Metrics(world.clock.now))
    assert found.value("dockmgr_reachable", part="database") == 0
    assert found.names() == {"dockmgr_build_info", "dockmgr_reachable", "dockmgr_queue_messages"}


@pytest.mark.django_db(transaction=True)
def test_with_a_token_only_who_shows_it_reads_the_metrics(
    page: Metrics, client: Client, settings: Settings
) -> None:
    settings.METRICS_TOKEN = "let-me-read-\u00e4"
    for shown in (None, "Bearer wrong", "Basic let-me-read", "Bearer", "Bearer \udcff"):
        answer = client.get("/metrics", headers={"authorization": shown} if shown else {})
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), shown
    shown = "bearer " + settings.METRICS_TOKEN.encode().decode("latin-1")  # as WSGI has it
    assert (
        client.get("/metrics", headers={"authorization": shown}, REMOTE_ADDR="192.0.2.7").status_code == 200
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, 200),
        ({"REMOTE_ADDR": "::1"}, 200),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, 200),
        ({"REMOTE_ADDR": "::ffff:192.0.2.7"}, 403),
        ({"REMOTE_ADDR": "/run/web.sock"}, 403),
        ({"REMOTE_ADDR": "192.0.2.7"}, 403),
        ({"REMOTE_ADDR": ""}, 403),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.7"}, 403),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=192.0.2.7"}, 403),
    ],
)
def test_without_a_token_only_this_machine_reads_the_metrics(
    page: Metrics, client: Client, given: dict[str, Any], status: int
) -> None:
    answer = client.get("/metrics", **given)
    assert answer.status_code == status
    assert status == 200 or b"DOCKMGR_METRICS_TOKEN" in answer.content


def test_what_monitors_ask_is_only_read() -> None:
    client = Client(enforce_csrf_checks=True)
    for path in ("/healthz", "/readyz", "/metrics"):
        for method in ("POST", "DELETE", "OPTIONS"):
            answer = client.generic(method, path)
            assert (answer.status_code, answer.headers.get("Allow")) == (405, "GET, HEAD"), (method, path)


def test_every_metric_is_documented_and_every_documented_one_exists(world: World) -> None:
    named = re.findall(r"^\| `(dockmgr_\w+)` \|", (DOCS / "observability.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(exported(world))
    mentioned = re.findall(r"\bdockmgr_\w+", (DOCS / "observability.md").read_text())
    assert set(mentioned) == set(named)


def test_the_dashboard_shows_every_metric_and_no_other(world: World) -> None:
    board = json.loads((DOCS / "grafana.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    used = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for e in expressions
        for name in re.findall(r"dockmgr_\w+", e)
    }
    assert used == exported(world)


def test_the_dashboard_can_be_imported_with_any_prometheus() -> None:
    board = json.loads((DOCS / "grafana.json").read_text())
    assert board["schemaVersion"] >= 39
    [source] = [v for v in board["templating"]["list"] if v["type"] == "datasource"]
    assert (source["name"], source["query"]) == ("datasource", "prometheus")
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"] and panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["targets"] and panel["description"].endswith(".")


def test_the_sample_of_a_scrape_sends_the_token_by_tls_and_to_the_proxy() -> None:
    page = (DOCS / "observability.md").read_text()
    block = next(part for part in page.split("```yaml\n") if part.startswith("scrape_configs"))
    (job,) = yaml.safe_load(block.split("```")[0])["scrape_configs"]
    assert job["scheme"] == "https" and "credentials_file" in job["authorization"]
    assert job["static_configs"] == [{"targets": ["dockmgr.example.com"]}]
