"""What a fleet file would change is shown, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from instances.fleet.apply import apply, rehearse
from instances.fleet.file import parse
from instances.models import AuditEntry, Channel, Host, Plan
from tests.factories import World
from tests.fast.conftest import Run
from tests.rows import row

pytestmark = pytest.mark.django_db
CONCERNED: list[tuple[str, str, list[str], list[str]]] = [
    ("plans", "cpus: 0.25", ["c1", "c2"], []),
    ("plans", "labels: {a: b}", ["c1", "c2"], []),
    ("plans", "start_grace: 55", [], []),
    ("plans", "data_owner: '1000:1000'", [], []),
    ("plans", "env: {NEW: value}", ["c1", "c2"], []),
    ("plans", "generate: {NEW: 32}", ["c1", "c2"], []),
    ("plans", "health_path: /ready", [], ["c1", "c2"]),
    ("plans", "health: {kind: tcp}", [], ["c1", "c2"]),
    ("plans", "health: {host: c.example}", [], ["c1", "c2"]),
    ("plans", "health_expect: json_ok", [], ["c1", "c2"]),
    ("hosts", "bind: 10.0.0.7", ["c1"], []),
    ("hosts", "address: 10.0.0.7", ["c1"], ["c1"]),
    ("hosts", "network: others", ["c1"], []),
    ("hosts", "cordoned: true", [], []),
]


def test_a_dry_run_shows_and_changes_nothing(world: World, run: Run, tmp_path: Path) -> None:
    world.instance("c1")
    world.instance("c2")
    file = tmp_path / "fleet.yaml"
    file.write_text("plans: [{name: pro, cpus: 0.25}]\nchannels: [{name: new, url: 'json://127.0.0.1:1/x'}]")
    before = Plan.objects.filter(name="pro").values().get()
    ran = run("apply", "--dry-run", str(file), "--json")
    assert (ran.code, ran.document["dry_run"], ran.document["would_drift"]) == (0, True, ["c1", "c2"])
    assert [(c["kind"], set(c["fields"])) for c in ran.document["changes"]] == [
        ("plan", {"cpus"}),
        ("channel", set()),
    ]
    assert Plan.objects.filter(name="pro").values().get() == before
    assert not Channel.objects.filter(name="new").exists()
    assert not AuditEntry.objects.filter(action="apply").exists()
    told = run("apply", "--dry-run", str(file)).out
    assert "of earlier settings until they are updated: c1, c2" in told


def test_a_change_concerns_whose_container_or_question_would_be_another(world: World) -> None:
    """c1 and c2 are of one plan, and on hosts of their own."""
    world.instance("c1")
    world.instance("c2", host=Host.objects.create(name="other", docker_url="unix:///other"))
    for kind, said, drifting, asked in CONCERNED:
        with row(kind, said):
            found = rehearse(parse(f"{kind}: [{{name: {'local' if kind == 'hosts' else 'pro'}, {said}}}]"))
            assert (found.would_drift, found.asked_anew) == (drifting, asked)


def test_a_dry_run_tells_who_is_asked_in_another_way_at_once(world: World, run: Run, tmp_path: Path) -> None:
    world.instance("c1")
    file = tmp_path / "fleet.yaml"
    file.write_text("plans: [{name: pro, health_path: /ready}, {name: free, health_path: /other}]")
    ran = run("apply", "--dry-run", str(file), "--json")
    assert (ran.document["would_drift"], ran.document["asked_anew"]) == ([], ["c1"])
    assert "in the new way at once, updated or not: c1" in run("apply", "--dry-run", str(file)).out
    assert run("apply", str(file)).code == 0
    assert run("apply", "--dry-run", str(file), "--json").document["asked_anew"] == []


def test_a_dry_run_refuses_what_applying_would(world: World, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("plans: [{name: pro, ports: [8080]}]")
    ran = run("apply", "--dry-run", str(file), "--json")
    assert (ran.code, ran.document) == (
        2, {"error": "The fleet file is refused: plan pro: ports has 8080, which is the container_port."},
    )  # fmt: skip


def test_a_host_is_validated(world: World, run: Run) -> None:
    ran = run("validate_host", "local", "--json")
    assert ran.document["checks"][0]["name"] == "identity"
    assert (ran.code, ran.document["ok"], "no seccomp" in ran.document["message"]) == (1, False, True)
    assert "identity" in run("validate_host", "local").out
    world.engine.unreachable = True
    assert run("validate_host", "local").code == 3
    assert run("validate_host", "nowhere").code == 2


def test_a_question_for_the_next_container_is_not_told_as_asked_at_once(world: World) -> None:
    def rehearsed(text: str) -> tuple[list[str], list[str]]:
        found = rehearse(parse(text))
        return found.would_drift, found.asked_anew

    apply(parse("plans: [{name: pro, health: {port: 9090}, ports: [{container: 9090}]}]"))
    assert world.provision("c1").status == "succeeded"
    another = "plans: [{name: pro, health: {port: 9091}, ports: [{container: 9091}]}]"
    assert rehearsed(another) == (["c1"], [])
    assert rehearsed("plans: [{name: pro, health: {kind: tcp, port: 9090}}]") == ([], ["c1"])
    assert rehearsed("hosts: [{name: local, address: 127.0.0.2, bind: 127.0.0.1}]") == ([], ["c1"])
