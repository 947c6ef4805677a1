"""Plans of products, as their own documentation describes their containers, through their whole life."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.fleet import Fleet, a_fleet, document
from tests.real.images import Shelf

pytestmark = pytest.mark.real
# Listens as the product does, by what the plan's environment says.
PROGRAM = (
    'mkdir -p "/tmp/www$(busybox dirname "$ANSWER_AT")"; '
    'echo "{\\"ok\\": true, \\"said\\": \\"$*\\"}" > "/tmp/www$ANSWER_AT"; '
    'exec busybox httpd -f -p "$LISTEN" -h /tmp/www'
)
LINES = (
    'RUN ["/bin/busybox", "mkdir", "-m", "777", "-p", "/tmp"]',
    f"ENTRYPOINT {json.dumps(['/bin/sh', '-c', PROGRAM, 'product'])}",
    'HEALTHCHECK --interval=1s CMD wget -q -O- "http://127.0.0.1:$LISTEN$ANSWER_AT" > /dev/null || exit 1',
)


def http(port: int, path: str, **env: str) -> dict[str, Any]:
    return {
        "container_port": port,
        "health": {"path": path},
        "env": {"LISTEN": str(port), "ANSWER_AT": path, **env},
    }


PRODUCTS: dict[str, dict[str, Any]] = {
    "minecraft": {
        "container_port": 25565,
        "ports": [{"container": 19132, "protocol": "udp"}],
        "env": {"LISTEN": "25565", "ANSWER_AT": "/x", "EULA": "TRUE"},
        "data_path": "/data",
        "health": {"kind": "tcp"},
        "stop_signal": "SIGTERM",
        "init": False,
        "stop_timeout": 5,
    },
    "gitea": {
        **http(3000, "/api/healthz", GITEA__server__ROOT_URL="https://{subdomain}/"),
        "command": ["web", "--port", "3000"],
        "hostname": "{customer_id}",
        "ports": [{"container": 22}],
        "volumes": {"data": "/data", "config": "/etc/gitea"},
        "generate": {"GITEA__security__SECRET_KEY": 32},
        "labels": {"traefik.http.routers.{customer_id}.rule": "Host(`{subdomain}`)"},
        "extra_hosts": ["smtp:10.0.0.25"],
    },
    "browser": {
        **http(3000, "/docs/index.html"),
        "data_path": None,
        "shm_size": "2g",
        "tmpfs": {"/run": "64m"},
        "ulimits": {"nofile": 512},
        "security_opt": ["seccomp=unconfined"],
        "health": {"kind": "docker"},
    },
    "ours": {  # a program that is no root, on volumes that begin as root's
        **http(8080, "/data/ok.json"),
        "hardening": "restricted",
        "user": "1000:1000",
        "data_owner": "1000:1000",
        "volumes": {"data": "/tmp/www/data"},
    },
    "grafana": {
        **http(3000, "/api/health"),
        "user": "472",
        "data_path": "/var/lib/grafana",
        "hardening": "baseline",
        "read_only": True,
        "tmpfs": {"/tmp": "size=16m,mode=1777"},
        "logging": {"driver": "local", "options": {"max-size": "5m"}},
        "dns": ["1.1.1.1"],
        "sysctls": {"net.core.somaxconn": "512"},
    },
}


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, shelf: Shelf) -> Iterator[Fleet]:
    image = shelf.push_changed("1", *LINES)
    with a_fleet(home, docker_url, broker_url, image) as fleet:
        small = {"image": image, "cpus": 0.5, "memory": "64m", "start_grace": 8}
        plans = [{"name": name, **small, **plan} for name, plan in PRODUCTS.items()]
        document(fleet.run("apply", "-", "--json", stdin=json.dumps({"plans": plans})), 0)
        yield fleet


def as_made(fleet: Fleet, name: str) -> dict[str, Any]:
    """All that an engine was told of a customer's container, but for the image and what follows from it."""
    told = fleet.container(name).attrs
    config = {key: value for key, value in told["Config"].items() if key != "Image"}
    marks = ("dockmgr.operation", "dockmgr.spec", "pushed")
    config["Labels"] = {key: text for key, text in config["Labels"].items() if key not in marks}
    if config["Hostname"] == told["Id"][:12]:
        del config["Hostname"]
    mounts = sorted((mount["Type"], mount.get("Name"), mount["Destination"]) for mount in told["Mounts"])
    return {**config, **told["HostConfig"], "Mounts": mounts}


@pytest.mark.thorough
def test_products_are_provisioned_updated_and_taken_back_with_all_they_have(
    fleet: Fleet, shelf: Shelf
) -> None:
    customers = {name: fleet.customer(name) for name in PRODUCTS}

    def each(*words: str, code: int = 0) -> list[Any]:
        orders = [(*words, "--customer-id", customer, "--json") for customer in customers.values()]
        return [document(done, code) for done in fleet.run_all(*orders)]

    orders = [(*fleet.order(name)[:-1], name, "--json") for name in PRODUCTS]
    for made in [document(done, 0) for done in fleet.run_all(*orders)]:
        assert made["validation"]["valid"], made
    before = {name: as_made(fleet, name) for name in PRODUCTS}
    for done in each("update", "--image", shelf.push_changed("2", *LINES)):
        assert (done["status"], done["changed"]) == ("succeeded", True)
    assert {name: as_made(fleet, name) for name in PRODUCTS} == before
    bad = shelf.push_changed("bad", *LINES[:1], 'ENTRYPOINT ["/bin/sh", "-c", "exit 3"]', LINES[2])
    for done in each("update", "--image", bad, code=1):
        assert done["status"] == "rolled_back", done
    assert {name: as_made(fleet, name) for name in PRODUCTS} == before
    assert all(found["valid"] for found in each("validate"))
    each("decommission", "--purge-data")
    assert fleet.volumes() == []
