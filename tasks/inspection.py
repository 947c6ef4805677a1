"""What the operator's desk asks of Docker and of the world outside: the web process itself may not."""

from __future__ import annotations

from typing import Any

from instances import lookup
from instances.alerts import outbox
from instances.containers.facts import short_id
from instances.containers.spec import is_outdated
from instances.db.clock import SYSTEM
from instances.documents import shapes
from instances.errors import RequestError
from instances.lib.sizes import shown
from instances.models import Host
from instances.monitoring.orphans import orphans_on_all
from instances.operations import read_logs, service
from instances.operations.find_own import find_own, what_to_do
from instances.outside import engine_address
from tasks.app import task

Document = dict[str, Any]


@task("dockmgr.container_facts")
def container_facts(customer_id: str) -> Document:
    """What the engine says of the instance's container now, without its environment."""
    instance = lookup.instance(customer_id)
    engine = service.OUTSIDE.engines.at(engine_address(instance.host))
    found = find_own(engine, instance)
    facts = engine.inspect(found.container.id) if found.container else None
    if facts is None:
        gone = f"{customer_id} has no container on host {instance.host.name}."
        raise RequestError(what_to_do(found, instance) if found.finding else gone)
    return {
        "id": short_id(facts.id),
        "name": facts.name,
        "state": facts.state,
        "started": f"{facts.started_at:%Y-%m-%d %H:%M:%S} UTC" if facts.started_at else None,
        "exit_code": facts.exit_code,
        "out_of_memory": facts.oom_killed,
        "restarts_by_engine": facts.restart_count,
        "image": facts.image_ref,
        "image_id": facts.image_id,
        "CPUs": facts.nano_cpus / 1e9 or "no limit",
        "memory": shown(facts.memory) if facts.memory else "no limit",
        "processes_allowed": facts.pids_limit or "no limit",
        "ports": [f"{host}:{port} → {inside}" for inside, (host, port) in sorted(facts.ports.items())],
        "volumes": [f"{name} at {path}" for name, path in sorted(facts.volumes.items())],
        "restart_policy": facts.restart_policy,
        "network": facts.network_mode,
        "of_earlier_settings": is_outdated(instance.spec(), facts.labels),
    }


@task("dockmgr.log_view")
def log_view(customer_id: str, lines: int = 200, since: str | None = None) -> shapes.Log:
    """The log's last lines, redacted, each with the time the engine took it in."""
    return read_logs.log(customer_id, lines, since, service.OUTSIDE, timestamps=True)


@task("dockmgr.test_host")
def test_host(name: str) -> Document:
    """Whether the host's engine answers, and what machine it runs on."""
    engine = service.OUTSIDE.engines.at(engine_address(lookup.host(name)))
    engine.ping()
    facts, containers = engine.facts(), engine.list_containers()
    return {
        "answers": True,
        "architecture": facts.architecture,
        "CPUs": facts.cpus,
        "memory": shown(facts.memory),
        "containers": len(containers),
        "running": sum(container.state == "running" for container in containers),
    }


@task("dockmgr.orphans")
def orphans(host: str | None = None) -> shapes.Orphans:
    """Containers and volumes of dockmgr that no instance has, on one host or on all."""
    hosts = [lookup.host(host)] if host else list(Host.objects.order_by("name"))
    return orphans_on_all(hosts, service.OUTSIDE)


@task("dockmgr.try_channel")
def try_channel(name: str, by: str) -> Document:
    """Send a test message over a channel, once and now. Raises RequestError if it did not reach all."""
    sent = outbox.send_test(lookup.channel(name), SYSTEM.now(), by)
    if sent.sent_at is None or sent.error:
        raise RequestError(sent.error)
    return {"sent": True}
