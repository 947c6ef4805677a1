"""What Prometheus is told: the numbers, their names, and who may read them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from pytest_django.fixtures import Settings

from instances.alerts.delivery import deliver
from instances.delivery_rules import SENT, Outcome, Result
from instances.errors import OutOfReachError
from instances.health import Status
from instances.models import Channel, HealthCheck, Host, Incident, Notification, Operation, Pulse, Sweep
from instances.observing import exposition, families, readings, views
from instances.observing.exposition import Metrics, render
from instances.recording import record
from tasks import upkeep
from tests.factories import World, a_check, a_failure

# Nobody collected static files here.
pytestmark = pytest.mark.filterwarnings("ignore:No directory at:UserWarning")
DOCS = Path(__file__).resolve().parents[2] / "docs"
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


class These(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)


class Scrape(dict[str, float]):
    """Values by series."""

    def value(self, name: str, **labels: str) -> float:
        return self[series(name, labels)]

    def names(self) -> set[str]:
        return {key.partition("{")[0] for key in self}


def series(name: str, labels: dict[str, str]) -> str:
    return name + "".join(f"{{{key}={value}}}" for key, value in sorted(labels.items()))


def scraped(metrics: Collector) -> Scrape:
    """What Prometheus would have."""
    text, _ = render(metrics, "")
    samples = (s for family in text_string_to_metric_families(text.decode()) for s in family.samples)
    return Scrape({series(sample.name, sample.labels): sample.value for sample in samples})


def of_database(world: World) -> Scrape:
    """The same without threads, whose connections see no uncommitted test."""
    return scraped(These(families.fleet(readings.read(), world.now)))


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
    ]
    return {family.name + ("_total" if family.type == "counter" else "") for family in metrics}


def look(world: World, *checks: Any) -> None:
    record(checks, world.now)


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


def test_instances_are_told_by_status_plan_and_host(world: World) -> None:
    other = Host.objects.create(name="two", docker_url="unix:///fake/two.sock")
    for number in range(3):
        world.instance(f"c{number}")
    world.instance("far", host=other, status="failed")
    world.instance("gone")
    world.decommission("gone")
    found = of_database(world)
    assert found.value("dockmgr_instances", status="healthy", plan="pro", host="local") == 3
    assert found.value("dockmgr_instances", status="failed", plan="pro", host="two") == 1
    assert found.value("dockmgr_instances", status="failed", plan="pro", host="local") == 0
    everything = [value for key, value in found.items() if key.startswith("dockmgr_instances{")]
    assert (len(everything), sum(everything)) == (2 * len(Status), 4)


def test_small_hosts_share_a_label_when_there_are_too_many(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "MOST_NAMES", 1)
    for name in ("two", "three"):
        host = Host.objects.create(name=name, docker_url=f"unix:///fake/{name}.sock")
        world.instance(f"c-{name}", host=host)
    for number in range(2):
        world.instance(f"c{number}")
    found = of_database(world)
    for label in ("local", "other"):
        assert found.value("dockmgr_instances", status="healthy", plan="pro", host=label) == 2
    assert "two" not in str(found)


def test_checks_are_counted_by_outcome_and_duration(world: World) -> None:
    one, two = world.instance("c1"), world.instance("c2")
    slow = a_failure(world, two, started_at=world.now - timedelta(seconds=3))
    look(world, a_check(world, one), slow)
    world.clock.advance(10)
    look(world, a_check(world, one, started_at=world.now - timedelta(milliseconds=4)))
    found = of_database(world)
    assert found.value("dockmgr_checks_total", outcome="ok") == 2
    assert found.value("dockmgr_checks_total", outcome="fail") == 1
    assert found.value("dockmgr_checks_total", outcome="unknown") == 0
    buckets = [
        found.value("dockmgr_check_duration_seconds_bucket", outcome="ok", le=le)
        for le in ("0.005", "0.25", "0.5", "+Inf")
    ]
    assert buckets == [1, 1, 2, 2]
    assert found.value("dockmgr_check_duration_seconds_sum", outcome="ok") == pytest.approx(0.504)
    assert found.value("dockmgr_check_duration_seconds_bucket", outcome="fail", le="2.5") == 0
    assert found.value("dockmgr_check_duration_seconds_count", outcome="fail") == 1


def test_a_check_that_is_not_applied_is_not_counted(world: World) -> None:
    instance = world.instance()
    look(world, a_check(world, instance))
    look(world, a_check(world, instance))
    assert of_database(world).value("dockmgr_checks_total", outcome="ok") == 1


def test_what_is_rolled_back_was_never_counted(world: World) -> None:
    instance = world.instance()
    with suppress(DatabaseError), transaction.atomic():
        look(world, a_check(world, instance))
        raise DatabaseError
    assert of_database(world).value("dockmgr_checks_total", outcome="ok") == 0


def test_counters_do_not_go_down_when_history_is_deleted(world: World, settings: Settings) -> None:
    look(world, a_check(world, world.instance()))
    settings.HISTORY_DAYS = 1
    world.clock.advance(3 * 86400)
    upkeep.purge_history()
    assert not HealthCheck.objects.exists()
    assert of_database(world).value("dockmgr_checks_total", outcome="ok") == 1


def test_operations_and_restarts_are_counted_by_how_they_ended(world: World) -> None:
    world.instance()
    world.restart()
    world.provision("new")
    found = of_database(world)
    assert found.value("dockmgr_operations_total", kind="restart", outcome="succeeded") == 1
    assert found.value("dockmgr_operations_total", kind="provision", outcome="succeeded") == 1
    assert found.value("dockmgr_operations_total", kind="update", outcome="rolled_back") == 0
    assert found.value("dockmgr_restarts_total", trigger="requested", outcome="succeeded") == 1
    assert found.value("dockmgr_restarts_total", trigger="automatic", outcome="succeeded") == 0
    assert found.value("dockmgr_operation_duration_seconds_count", kind="restart") == 1


def test_an_operation_under_way_is_a_gauge(world: World) -> None:
    instance = world.instance()
    Operation.objects.create(
        kind="update", instance=instance, customer_id="c1", status="running", requested_by="t",
        created_at=world.now, lease_expires_at=world.now,
    )  # fmt: skip
    found = of_database(world)
    assert found.value("dockmgr_operations_unfinished", kind="update", status="running") == 1
    assert found.value("dockmgr_operations_total", kind="update", outcome="succeeded") == 0


def test_open_incidents_are_told_by_severity_and_kind(world: World) -> None:
    for key, severity, resolved in (
        ("a", "critical", None),
        ("b", "warning", None),
        ("c", "warning", world.now),
    ):
        Incident.objects.create(
            key=key, kind="instance", severity=severity, opened_at=world.now, resolved_at=resolved
        )
    found = of_database(world)
    assert found.value("dockmgr_incidents_open", severity="critical", kind="instance") == 1
    assert found.value("dockmgr_incidents_open", severity="warning", kind="instance") == 1
    assert found.value("dockmgr_incidents_open", severity="critical", kind="host") == 0


def message(world: World, channel: Channel, level: str) -> None:
    Notification.objects.create(channel=channel, kind="opened", level=level, created_at=world.now)


@pytest.mark.django_db(transaction=True)
def test_messages_are_told_waiting_and_by_what_became_of_them(world: World) -> None:
    good, gone = (Channel.objects.create(name=name, url=f"json://{name}/") for name in ("good", "gone"))
    message(world, good, "critical")
    deliver(world.clock, lambda *_: SENT)
    message(world, gone, "warning")
    message(world, good, "info")
    found = of_database(world)
    assert found.value("dockmgr_notifications_waiting") == 2
    assert found.value("dockmgr_notifications_total", outcome="sent", level="critical") == 1
    deliver(world.clock, lambda url, *_: Result(Outcome.PERMANENT, "No.") if "gone" in url else SENT)
    found = of_database(world)
    assert found.value("dockmgr_notifications_total", outcome="given_up", level="warning") == 1
    assert found.value("dockmgr_notifications_total", outcome="sent", level="info") == 1
    assert found.value("dockmgr_notifications_total", outcome="given_up", level="critical") == 0


@pytest.mark.django_db(transaction=True)
def test_a_message_that_got_too_old_is_given_up_once(world: World) -> None:
    message(world, Channel.objects.create(name="broken", url="json://broken/"), "warning")
    for _ in range(3):
        world.clock.advance(2 * 86400)
        deliver(world.clock, lambda *_: Result(Outcome.TRANSIENT, "It does not work."))
    found = of_database(world)
    assert found.value("dockmgr_notifications_total", outcome="given_up", level="warning") == 1


def test_the_last_finished_sweep_tells_its_duration_and_age(world: World) -> None:
    assert "dockmgr_sweep_age_seconds" not in of_database(world)
    began = world.now - timedelta(seconds=100)
    Sweep.objects.create(
        state="finished", started_at=began, finished_at=began + timedelta(seconds=40), expires_at=world.now
    )
    Sweep.objects.create(state="running", started_at=world.now, expires_at=world.now)
    found = of_database(world)
    assert found.value("dockmgr_sweep_last_duration_seconds") == 40
    assert found.value("dockmgr_sweep_age_seconds") == 60
    assert found.value("dockmgr_sweep_last_finish_timestamp_seconds") == world.now.timestamp() - 60


def test_parts_of_dockmgr_tell_when_they_last_lived(world: World) -> None:
    Pulse.objects.create(name="beat", at=world.now)
    assert of_database(world).value("dockmgr_pulse_timestamp_seconds", part="beat") == world.now.timestamp()


def test_the_number_of_statements_does_not_grow_with_the_fleet(world: World) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            of_database(world)
        return len(queries)

    world.instance("first")
    before = statements()
    for number in range(20):
        world.instance(f"c{number}")
        look(world, a_check(world, world.instance(f"d{number}")))
    assert statements() == before <= 9


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
    assert found.names() == {"dockmgr_reachable", "dockmgr_queue_messages"}


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


def test_metrics_are_only_read(client: Client) -> None:
    assert client.post("/metrics").status_code == 405


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
