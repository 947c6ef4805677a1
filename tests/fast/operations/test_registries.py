"""Logins at registries: whose, from where, given to one pull alone, and told to nobody."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from instances.access import registry_logins
from instances.engine.port import RegistryLogin
from instances.errors import LoginRefused, PermanentError, RequestError, UntrustedRegistry
from instances.fleet.apply import apply
from instances.fleet.file import parse
from instances.models import Incident, Registry
from tests.factories import World
from tests.fakes.facts import image_facts
from tests.fakes.stub_server import Answer, StubServer
from tests.fast.conftest import Run
from tests.fast.updates import publish, update

pytestmark = pytest.mark.django_db
SECRET = "s3ntinel-of-a-registry"
ROBOT = f"registries: [{{name: registry.example.com, username: robot, password: {SECRET}}}]"


def test_a_pull_is_given_the_login_of_its_registry(world: World) -> None:
    apply(parse(ROBOT))
    instance = world.instance()
    publish(world)
    assert update(world).status == "succeeded"
    assert world.engine.logins == [RegistryLogin("registry.example.com", "robot", SECRET)]
    assert SECRET not in repr(world.engine.logins)
    instance.plan.image = "elsewhere.io/agent:1"
    instance.plan.save()
    publish(world, "agent-3", "elsewhere.io/agent:1")
    assert update(world).status == "succeeded"
    assert world.engine.logins[-1] is None


@pytest.mark.parametrize(
    ("file", "error", "words"),
    [
        (ROBOT, LoginRefused("x"), "refused the login for registry.example.com/agent:1.0, that of robot"),
        ("{}", LoginRefused("x"), "wants a login for registry.example.com/agent:1.0, and none is known"),
        (ROBOT, UntrustedRegistry("x"), "/etc/docker/certs.d/registry.example.com/ca.crt"),
    ],
)
def test_a_refusal_is_said_once_in_words_that_name_the_registry(
    world: World, caplog: pytest.LogCaptureFixture, file: str, error: PermanentError, words: str
) -> None:
    caplog.set_level(logging.DEBUG)
    apply(parse(file))
    world.instance()
    world.engine.fail_next("pull", error)
    failed = update(world)
    assert (failed.status, failed.tries) == ("failed", 0)
    assert words in failed.error
    assert not Incident.objects.exists()
    assert SECRET not in failed.error + caplog.text


def test_an_image_that_names_no_registry_is_taken_from_the_host_where_none_has_it(world: World) -> None:
    instance = world.instance()
    instance.plan.image = "agent:1"
    instance.plan.save()
    world.engine.images["agent:1"] = image_facts("agent-2")
    assert update(world).status == "succeeded"
    world.engine.images["registry.example.com/agent:3"] = image_facts("agent-3", digests=())
    told = "could not be had from registry registry.example.com"
    assert told in update(world, image="registry.example.com/agent:3").error


def test_a_file_is_read_anew_for_each_pull(world: World, tmp_path: Path) -> None:
    file = tmp_path / "token"
    apply(parse(f"registries: [{{name: r.io, token_file: {file}}}]"))
    with pytest.raises(PermanentError, match=r"registry r.io: the token file .* can't be read here"):
        registry_logins.login_for("r.io/a")
    for token in ("one", "two"):
        file.write_text(f"{token}\n")
        assert registry_logins.login_for("r.io/a") == RegistryLogin("r.io", token=token)
    Registry.objects.update(username="robot")
    assert registry_logins.login_for("r.io/a") == RegistryLogin("r.io", "robot", "two")


HELPERS = {
    'cat > /dev/null; echo "{\\"Username\\": \\"AWS\\", \\"Secret\\": \\"$(cat secret)\\"}"': RegistryLogin(
        "r.io/x", "AWS", "one"
    ),
    'echo "{\\"Username\\": \\"<token>\\", \\"Secret\\": \\"$(cat)\\"}"': RegistryLogin(
        "r.io/x", identity="r.io"
    ),
    f"echo {SECRET}; exit 1": "docker-credential-mine has no login for it",
    f"echo {SECRET}": "docker-credential-mine has no login for it",
}


@pytest.mark.parametrize(("script", "expected"), HELPERS.items())
def test_a_helper_is_asked_as_docker_asks_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: RegistryLogin | str
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.chdir(tmp_path)
    apply(parse("registries: [{name: r.io/x, helper: mine}]"))
    with pytest.raises(PermanentError, match=r"registry r\.io/x: there is no program docker-credential-mine"):
        registry_logins.login_for("r.io/x/a")
    program = tmp_path / "docker-credential-mine"
    program.write_text(f"#!/bin/sh\n[ $1 = get ] || exit 3\n{script}\n")
    program.chmod(0o755)
    (tmp_path / "secret").write_text("one")
    if isinstance(expected, RegistryLogin):
        assert registry_logins.login_for("r.io/x/a") == expected
        return
    with pytest.raises(PermanentError) as refused:
        registry_logins.login_for("r.io/x/a")
    assert expected in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_login_is_said_whole_and_shown_to_nobody(world: World) -> None:
    apply(parse(ROBOT))
    assert SECRET not in str(list(Registry.objects.values()))
    assert apply(parse(ROBOT)) == []
    [change] = apply(parse(ROBOT.replace(SECRET, "another")))
    assert change.fields == {"password": ("(secret)", "(secret)")}
    apply(parse("registries: [{name: registry.example.com, helper: ecr-login}]"))
    row = Registry.objects.get()
    assert (row.password, row.helper) == (None, "ecr-login")


@pytest.mark.parametrize(
    "entry",
    [
        "name: 'https://r.io'", "name: r.io, password: p", "name: r.io, helper: ../x",
        "name: r.io, ca: x.pem",
        "name: r.io, username: u, password: p, helper: h", "name: 'r.io/'", "name: r.io, token: x",
    ],
)  # fmt: skip
def test_what_is_no_registry_is_refused(entry: str) -> None:
    with pytest.raises(RequestError, match="registries"):
        parse(f"registries: [{{{entry}}}]")


def _answers(asked: str) -> Answer | None:
    return {"GET /v2/": Answer(401)}.get(asked)


def test_the_command_says_whether_the_login_is_taken(world: World, run: Run) -> None:
    with StubServer(lambda path: Answer(200)).running() as open_to_all:
        apply(parse(f"registries: [{{name: '{open_to_all.address}', username: u, password: {SECRET}}}]"))
        ran = run("test_registry", open_to_all.address, "--json")
        assert (ran.code, ran.document["ok"]) == (0, True)
    with StubServer(_answers).running() as closed:
        apply(parse(f"registries: [{{name: '{closed.address}', username: u, password: {SECRET}}}]"))
        ran = run("test_registry", closed.address, "--json")
    assert (ran.code, ran.document["ok"]) == (1, False)
    assert ran.document["message"] == f"Registry {closed.address} refused the login."
    gone = run("test_registry", closed.address, "--json")
    assert (gone.code, json.loads(gone.out)["error"]) == (
        3, f"Registry {closed.address}: The connection was refused: nothing listens on the port.",
    )  # fmt: skip
    assert SECRET not in ran.out + ran.err + gone.out + gone.err
    assert run("test_registry", "nowhere.io").code == 2
