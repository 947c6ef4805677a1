"""A registry that wants a login: none, a wrong one, one that is renewed; and one with its own certificate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from dev.demo_image import build
from dev.servers.registry import Registry, registry
from tests.hostile_server import self_signed
from tests.real.fleet import Fleet, a_fleet, document
from tests.real.live import docker_client

pytestmark = pytest.mark.real
# What htpasswd -B makes of these passwords.
PASSWORDS = {
    "first-password": "$2a$04$abcdefghijklmnopqrstuuT2j8U6U5rBY6aIOMzZiJOWuJPYKLLOe",
    "renewed-password": "$2a$04$abcdefghijklmnopqrstuusKVmL6FYYao0QUEUO6IZUIg9YjIaKkq",
}
AUTH = 'auth: {{htpasswd: {{realm: "tests", path: "{path}"}}}}'


def admit(file: Path, password: str) -> None:
    file.write_text(f"robot:{PASSWORDS[password]}\n")


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "htpasswd"
    admit(file, "first-password")
    return file


@pytest.fixture
def guarded(tmp_path: Path, users: Path) -> Iterator[Registry]:
    with registry(tmp_path, more=AUTH.format(path=users)) as server:
        yield server


def push(client: docker.DockerClient, docker_url: str, ref: str, version: str) -> None:
    build(docker_url, ref, environment={"DEMO_VERSION": version})
    login = {"username": "robot", "password": "first-password"}
    for event in client.images.push(ref, auth_config=login, stream=True, decode=True):
        assert "error" not in event, event
    client.images.remove(ref)


def say(fleet: Fleet, home: Path, entry: str) -> None:
    file = home / "registries.yaml"
    file.write_text(f"registries: [{{{entry}}}]")
    document(fleet.run("apply", str(file), "--json"), 0)


def test_a_registry_that_wants_a_login(
    home: Path, tmp_path: Path, docker_url: str, broker_url: str, guarded: Registry, users: Path
) -> None:
    ref, name = f"{guarded.address}/team/agent:1", f"{guarded.address}/team"
    programs = tmp_path / "programs"
    programs.mkdir()
    helper = programs / "docker-credential-tests"
    environ = {"PATH": f"{programs}:/usr/bin:/bin:/usr/local/bin"}
    with docker_client(docker_url) as client:
        push(client, docker_url, ref, "1.0.0")
        with a_fleet(home, docker_url, broker_url, ref, environ=environ, start_grace=8) as fleet:
            order = (*fleet.order("c1"), "--json")
            refused = document(fleet.run(*order), 1)
            assert f"Registry {guarded.address} wants a login for {ref}" in refused["error"]

            say(fleet, home, f"name: '{name}', username: robot, password: renewed-password")
            refused = document(fleet.run(*order), 1)
            assert f"Registry {name} refused the login for {ref}, that of robot" in refused["error"]
            assert document(fleet.run("test_registry", name, "--json"), 1)["ok"] is False
            assert fleet.json("incidents", "--open") == []

            say(fleet, home, f"name: '{name}', username: robot, password: first-password")
            assert document(fleet.run("test_registry", name, "--json"), 0)["ok"] is True
            document(fleet.run(*order), 0)

            say(fleet, home, f"name: '{name}', helper: tests")
            update = ("update", "--customer-id", fleet.customer("c1"), "--json")
            failed = document(fleet.run(*update), 1)
            assert "there is no program docker-credential-tests" in failed["error"]
            for password in PASSWORDS:  # the second is a renewed one, asked for anew
                admit(users, password)
                answer = f'{{"Username": "robot", "Secret": "{password}"}}'
                helper.write_text(
                    f"#!/bin/sh\nset -e\n[ \"$(cat)\" = '{guarded.address}' ]\necho '{answer}'\n"
                )
                helper.chmod(0o755)
                assert document(fleet.run(*update), 0)["changed"] is False
        client.images.remove(ref, force=True)


def test_a_registry_of_a_certificate_of_its_own(
    home: Path, tmp_path: Path, docker_url: str, broker_url: str, users: Path
) -> None:
    certificate = self_signed(tmp_path)
    http = f', tls: {{certificate: "{certificate}", key: "{certificate}"}}'
    with (
        registry(tmp_path, http=http, more=AUTH.format(path=users)) as server,
        a_fleet(home, docker_url, broker_url, "agent:1") as fleet,
    ):
        known = f"name: '{server.address}', username: robot, password: first-password"
        say(fleet, home, known)
        ran = fleet.run("test_registry", server.address)
        assert (ran.returncode, "TLS connection could not be trusted" in ran.stderr) == (3, True)
        say(fleet, home, f"{known}, ca: {certificate}")
        assert document(fleet.run("test_registry", server.address, "--json"), 0)["ok"] is True
        say(fleet, home, f"{known.replace('first', 'renewed')}, ca: {certificate}")
        assert document(fleet.run("test_registry", server.address, "--json"), 1)["ok"] is False
