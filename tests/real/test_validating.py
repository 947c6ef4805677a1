"""What an operator is told by `validate` about real containers that somebody changed by hand."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.hostile_server import HostileServer, answer, self_signed, server_tls
from tests.real.fleet import Fleet, a_fleet, document

SECRET = "s3ntinel-Zq8#x/+value"
OTHER = "an0ther-Zq8#x/+value"


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, docker_url: str, broker_url: str, demo_image: str
) -> Iterator[Fleet]:
    """A fleet whose one customer `steady` is left as it is."""
    home = tmp_path_factory.mktemp("validating")
    with a_fleet(home, docker_url, broker_url, demo_image, start_grace=10) as fleet:
        fleet.provision("steady", API_KEY=SECRET)
        yield fleet


def validated(fleet: Fleet, name: str, code: int, **environ: str) -> dict[str, Any]:
    done = fleet.run("validate", "--customer-id", fleet.customer(name), "--json", **environ)
    assert SECRET not in done.stdout + done.stderr
    assert OTHER not in done.stdout + done.stderr
    found: dict[str, Any] = document(done, code)
    return found


def errors(found: dict[str, Any]) -> dict[str, str]:
    return {error["code"]: error["message"] for error in found["errors"]}


def drift(found: dict[str, Any]) -> dict[str, str]:
    """The errors about a container that somebody made anew, beside that somebody did."""
    told = errors(found)
    assert "A restart takes it over" in told.pop("replaced")
    return told


def warnings(found: dict[str, Any]) -> dict[str, str]:
    return {warning["code"]: warning["message"] for warning in found["warnings"]}


def apply(fleet: Fleet, **plan: Any) -> tuple[int, str]:
    done = fleet.run("apply", "-", stdin=json.dumps({"plans": [{"name": "pro", **plan}]}))
    return done.returncode, done.stderr


def made_by_hand(fleet: Fleet, name: str, port: int | None = None, **options: Any) -> None:
    """The customer's container again, as somebody with the docker command might make it."""
    container = fleet.container(name)
    host, config = container.attrs["HostConfig"], container.attrs["Config"]
    [binding] = host["PortBindings"]["8080/tcp"]
    container.remove(force=True)
    usual = {
        "environment": {"API_KEY": SECRET},
        "labels": config["Labels"],
        "ports": {"8080/tcp": (binding["HostIp"], port or int(binding["HostPort"]))},
        "volumes": [f"{container.name}-data:/data"],
        "restart_policy": {"Name": "unless-stopped"},
        "security_opt": ["no-new-privileges"],
        "log_config": host["LogConfig"],
        "nano_cpus": host["NanoCpus"], "mem_limit": host["Memory"], "pids_limit": host["PidsLimit"],
        "shm_size": host["ShmSize"],
    }  # fmt: skip
    # A container without our labels would be a stranger's, of which nothing is compared.
    fleet.docker.containers.run(
        container.image.id, name=container.name, init=True, detach=True, **{**usual, **options}
    )


def test_an_instance_as_provisioned_is_valid_by_customer_and_by_subdomain(fleet: Fleet) -> None:
    found = validated(fleet, "steady", 0)
    assert (found["valid"], found["errors"], list(warnings(found))) == (True, [], ["public_url"])
    assert all(check["ok"] for check in found["checks"])
    assert {"limits", "image_on_host", "memory", "environment", "health"} <= {
        check["name"] for check in found["checks"]
    }
    assert fleet.json("validate", "--subdomain", f"{fleet.customer('steady')}.example.com")["valid"]


def test_changes_made_by_hand_are_named_field_by_field(fleet: Fleet) -> None:
    fleet.provision("drifting", API_KEY=SECRET)
    fleet.container("drifting").update(mem_limit="48m")
    assert errors(validated(fleet, "drifting", 1)) == {"memory": "should be 64 MiB, is 48 MiB"}
    made_by_hand(fleet, "drifting")
    assert drift(validated(fleet, "drifting", 1)) == {"memory": "should be 64 MiB, is 48 MiB"}
    made_by_hand(fleet, "drifting", mem_limit="64m", environment={"API_KEY": OTHER, "DEBUG": OTHER})
    found = validated(fleet, "drifting", 1)
    assert drift(found) == {"environment": "differs in API_KEY"}
    assert warnings(found)["environment"] == "The container also has DEBUG in its environment."
    more: dict[str, Any] = {
        "cap_add": ["NET_ADMIN"],
        "security_opt": [],
        "restart_policy": {"Name": "always"},
    }
    labels = {"dockmgr.managed": "true", "dockmgr.customer_id": fleet.customer("drifting")}
    made_by_hand(fleet, "drifting", volumes=["/etc:/host:ro"], labels=labels, environment={}, **more)
    assert drift(validated(fleet, "drifting", 1)) == {
        "restart_policy": "should be unless-stopped, is always",
        "mounts": f"should be dockmgr-{fleet.customer('drifting')}-data at /data, "
        "is something of the host at /host",
        "labels": "lacks dockmgr.plan",
        "security_opt": "should be no-new-privileges, is none",
        "privileges": "should be none, is NET_ADMIN",
        "environment": "lacks API_KEY",
    }


def test_a_container_published_elsewhere_is_drift_and_the_app_can_not_be_reached(fleet: Fleet) -> None:
    fleet.provision("moved", API_KEY=SECRET)
    [binding] = fleet.container("moved").attrs["HostConfig"]["PortBindings"]["8080/tcp"]
    made_by_hand(fleet, "moved", ports={"8080/tcp": (binding["HostIp"], None)})
    found = errors(validated(fleet, "moved", 1))
    assert set(found) == {"replaced", "ports", "health"}
    assert f"should be 8080 at 127.0.0.1:{binding['HostPort']}, is 8080 at 127.0.0.1:" in found["ports"]


@contextmanager
def public(fleet: Fleet, behaviour: Any, tls: ssl.SSLContext | None = None) -> Iterator[HostileServer]:
    """A proxy that customers would go through, named by the plan while the block runs."""
    with HostileServer(behaviour, tls=tls) as server:
        assert apply(fleet, public_url=server.url("")) == (0, "")
        try:
            yield server
        finally:
            assert apply(fleet, public_url="") == (0, "")


PROXIES = {
    "bad gateway": (answer(b"", "502 Bad Gateway"), "does not get through to it (HTTP 502)"),
    "redirect": (
        answer(b"", "302 Found", "Location: https://example.com/\r\n"),
        "leads elsewhere (HTTP 302)",
    ),
    "another page": (answer(b'{"ok": false}'), "answers something else (HTTP 200)"),
    "silence": ("never answers", "gives no answer"),
}


@pytest.mark.parametrize(("behaviour", "words"), PROXIES.values(), ids=PROXIES)
def test_a_misbehaving_proxy_is_at_fault_while_the_app_is_well(
    fleet: Fleet, behaviour: Any, words: str
) -> None:
    with public(fleet, behaviour) as server:
        [(code, text)] = errors(validated(fleet, "steady", 1)).items()
    assert code == "proxy"
    assert text.startswith("The proxy is at fault: the app itself is well") and words in text
    assert server.requests[0].startswith(b"GET /healthz ")


def test_a_proxy_that_passes_on_is_fine(fleet: Fleet) -> None:
    with public(fleet, "ok json"):
        found = validated(fleet, "steady", 0)
    assert (found["valid"], found["warnings"]) == (True, [])


def test_a_certificate_nobody_signed_is_tls_at_fault(fleet: Fleet, tmp_path: Path) -> None:
    with public(fleet, "ok json", server_tls(self_signed(tmp_path))):
        [(code, text)] = errors(validated(fleet, "steady", 1)).items()
    assert (code, text.split(" for ")[0]) == ("tls", "TLS is at fault")
    assert "self-signed certificate" in text


def test_a_name_that_does_not_exist_is_dns_at_fault(fleet: Fleet) -> None:
    assert apply(fleet, public_url="https://{subdomain}.invalid") == (0, "")
    try:
        [(code, text)] = errors(validated(fleet, "steady", 1)).items()
    finally:
        assert apply(fleet, public_url="") == (0, "")
    assert (code, text.split(" for ")[0]) == ("dns", "DNS is at fault")
    assert f"https://{fleet.customer('steady')}.example.com.invalid/healthz" in text


def test_timings_that_can_not_work_are_refused_before_anything_is_changed(fleet: Fleet) -> None:
    code, sentence = apply(fleet, start_grace=0.5, memory="128m")
    assert code == 2
    assert sentence.endswith("start_grace (0.5 s) is shorter than one check may take (1 s).\n")
    assert validated(fleet, "steady", 0)["valid"]
