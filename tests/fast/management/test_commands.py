"""Commands print what the contract says and end with the code it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from instances.models import Instance, Operation, Plan
from instances.operations import service
from tests.factories import ASKED, World
from tests.fakes.outside import fails
from tests.fast.conftest import Run

pytestmark = pytest.mark.django_db
CHECK = {
    "customer_id", "status", "healthy", "http_status", "latency_ms", "version", "container_state", "error",
    "consecutive_failures", "checked_at",
}  # fmt: skip
OPERATION = {
    "id", "kind", "customer_id", "status", "steps", "error", "image_before", "image_after", "requested_by",
    "reason", "started_at", "finished_at",
}  # fmt: skip
STEP = {"name", "status", "started_at", "finished_at", "detail"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def is_operation(document: dict[str, Any]) -> None:
    assert set(document) >= OPERATION
    assert all(set(step) == STEP for step in document["steps"])
    moments = [document["started_at"], document["finished_at"]]
    moments += [step[key] for step in document["steps"] for key in ("started_at", "finished_at")]
    assert all(TIME.fullmatch(moment) for moment in moments)


def is_validation(document: dict[str, Any]) -> None:
    assert set(document) == {"valid", "errors", "warnings", "checks"}
    assert all(set(error) == {"code", "message"} for error in document["errors"] + document["warnings"])
    assert all(set(check) == {"name", "ok", "message"} for check in document["checks"])


def test_a_check_of_one_prints_its_check(world: World, run: Run) -> None:
    world.instance(version="1.4")
    ran = run("check_health", "--customer-id", "c1", "--json")
    [check] = ran.document["instances"]
    assert (ran.code, ran.err) == (0, "")
    assert set(ran.document) == {"instances", "healthy", "unhealthy", "unknown"}
    assert set(check) >= CHECK
    assert (check["status"], check["healthy"], check["http_status"], check["error"]) == (
        "healthy", True, 200, None,
    )  # fmt: skip
    assert (check["container_state"], check["version"]) == ("running", "1.0")
    assert TIME.fullmatch(check["checked_at"])


def test_a_check_of_all_counts_and_ends_with_1_when_one_is_bad(world: World, run: Run) -> None:
    world.instance("well")
    down = world.instance("down")
    world.engine.change(down.container_name, state="exited")
    ran = run("check_health", "--all", "--json")
    assert ran.code == 1
    assert {k: ran.document[k] for k in ("healthy", "unhealthy", "unknown")} == {
        "healthy": 1, "unhealthy": 1, "unknown": 0,
    }  # fmt: skip
    bad = ran.document["instances"][0]
    assert (bad["customer_id"], bad["error"], bad["consecutive_failures"]) == (
        "down", "The container has exited.", 1,
    )  # fmt: skip
    assert not Operation.objects.exists()
    assert world.engine.starts == {}


def test_a_check_of_nobody_is_good(world: World, run: Run) -> None:
    ran = run("check_health", "--all", "--json")
    assert (ran.code, ran.document["instances"]) == (0, [])


def test_a_check_with_the_engine_out_of_reach_ends_with_3(world: World, run: Run) -> None:
    instance = world.instance()
    world.probe.answers[instance.port or 0] = fails("timeout")
    world.engine.unreachable = True
    ran = run("check_health", "--all", "--json")
    assert (ran.code, ran.document["unknown"], ran.document["unhealthy"]) == (3, 1, 0)


def test_the_sweep_prints_its_report(world: World, run: Run) -> None:
    world.clock.coarse = 10
    instance = world.instance()
    ran = run("daily_health", "--json")
    assert set(ran.document) >= {
        "sweep_id", "instances", "healthy", "unhealthy", "unknown", "restarted", "seconds",
    }  # fmt: skip
    assert (ran.code, ran.document["restarted"]) == (0, [])
    assert set(ran.document["instances"][0]) >= CHECK
    run("mute", "--customer-id", "c1", "--for", "1h")  # so that nothing is healed
    world.probe.answers[instance.port or 0] = fails()
    assert run("daily_health").code == 1


def test_a_restart_prints_its_operation(world: World, run: Run) -> None:
    world.instance()
    ran = run("restart", "--customer-id", "c1", "--reason", "ticket 5", "--json")
    is_operation(ran.document)
    assert (ran.code, ran.err) == (0, "")
    assert (ran.document["kind"], ran.document["status"]) == ("restart", "succeeded")
    assert (ran.document["reason"], ran.document["error"]) == ("ticket 5", None)
    assert ran.document["requested_by"].startswith("cli:")
    assert ran.document["image_after"].startswith("sha256:")


def test_a_restart_that_does_not_help_ends_with_1(world: World, run: Run) -> None:
    instance = world.instance()
    world.probe.answers[instance.port or 0] = fails()
    ran = run("restart", "--customer-id", "c1", "--json")
    assert (ran.code, ran.document["status"]) == (1, "failed")
    assert ran.document["error"].startswith("c1 did not become healthy")


def test_a_restart_of_a_busy_instance_ends_with_1_and_says_who_has_it(world: World, run: Run) -> None:
    world.instance()
    operation = service.begin_decommission("c1", ASKED, outside=world.outside)
    ran = run("restart", "--customer-id", "c1", "--json")
    assert (ran.code, ran.document) == (1, {"error": ran.err.strip()})
    assert ran.err == ("c1 is being changed: decommission asked for by tests since 12:00:00 UTC is queued.\n")
    operation.refresh_from_db()
    assert operation.status == "queued"


def test_the_log_is_printed_with_what_was_left_out(world: World, run: Run) -> None:
    instance = world.instance()
    world.engine.write_log(instance.container_name, b"one\ntwo\nthree\n")
    ran = run("logs", "--customer-id", "c1", "--lines", "2", "--json")
    assert (ran.code, ran.document) == (
        0, {"customer_id": "c1", "lines": ["two", "three"], "truncated": False},
    )  # fmt: skip
    assert run("logs", "--customer-id", "c1").out == "one\ntwo\nthree\n"


def test_following_prints_lines_until_the_container_ends(world: World, run: Run) -> None:
    instance = world.instance()
    world.engine.write_log(instance.container_name, b"one\ntwo\n")
    ran = run("logs", "--customer-id", "c1", "--follow")
    assert (ran.code, ran.out) == (0, "one\ntwo\n")


@pytest.mark.parametrize("more", [(), ("--follow",)])
def test_a_container_that_is_gone_has_no_log(world: World, run: Run, more: tuple[str, ...]) -> None:
    world.engine.lose(world.instance().container_name)
    ran = run("logs", "--customer-id", "c1", *more)
    assert (ran.code, ran.out, ran.err) == (2, "", "c1 has no container, so there is no log.\n")


@pytest.mark.parametrize("how", [("--customer-id", "c1"), ("--subdomain", "c1.example.com")])
def test_a_validation_is_printed(world: World, run: Run, how: tuple[str, str]) -> None:
    world.instance()
    ran = run("validate", *how, "--json")
    is_validation(ran.document)
    assert (ran.code, ran.document["valid"], ran.document["errors"]) == (0, True, [])


def test_an_invalid_instance_ends_with_1(world: World, run: Run) -> None:
    instance = world.instance()
    world.engine.change(instance.container_name, memory=1)
    ran = run("validate", "--customer-id", "c1", "--json")
    is_validation(ran.document)
    assert (ran.code, [error["code"] for error in ran.document["errors"]]) == (1, ["memory"])


PROVISION = ("provision", "--customer-id", "new", "--subdomain", "new.example.com", "--plan", "pro")


def test_provisioning_prints_its_result(world: World, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# secrets\n\nA=from file\nC=kept # really\n")
    ran = run(*PROVISION, "--env", "A=1=2", "--env", "B=", "--env-file", str(file), "--json")
    instance = Instance.objects.get()
    assert ran.code == 0
    assert set(ran.document) == {
        "success", "customer_id", "access_url", "deploy_time_ms", "error", "logs", "validation",
    }  # fmt: skip
    is_validation(ran.document["validation"])
    assert ran.document["access_url"] == f"http://127.0.0.1:{instance.port}"
    assert isinstance(ran.document["deploy_time_ms"], int)
    assert instance.env == {"A": "1=2", "B": "", "C": "kept # really"}


def test_provisioning_that_fails_ends_with_1_and_leaves_nothing(world: World, run: Run) -> None:
    world.probe.answers[world.host.first_port] = fails()
    ran = run(*PROVISION, "--json")
    assert (ran.code, ran.document["success"], ran.document["validation"]) == (1, False, None)
    assert ran.document["error"]
    assert world.nothing_is_left_of("new")


def test_public_urls_are_where_customers_go(world: World, run: Run) -> None:
    Plan.objects.update(public_url="https://{subdomain}")
    ran = run(*PROVISION, "--json")
    assert ran.document["access_url"] == "https://new.example.com"


def test_a_decommissioning_prints_its_operation(world: World, run: Run) -> None:
    world.instance()
    ran = run("decommission", "--customer-id", "c1", "--purge-data", "--json")
    is_operation(ran.document)
    assert (ran.code, ran.document["kind"], world.engine.volumes) == (0, "decommission", {})


def test_pausing_and_resuming_print_the_instance(world: World, run: Run) -> None:
    world.instance()
    assert run("pause", "--customer-id", "c1", "--json").document["status"] == "paused"
    ran = run("resume", "--customer-id", "c1", "--json")
    assert (ran.code, ran.document["status"], ran.document["customer_id"]) == (0, "unknown", "c1")


def test_lists_are_arrays(world: World, run: Run) -> None:
    world.instance("c1")
    world.instance("c2")
    world.restart("c2")
    assert [i["customer_id"] for i in run("instances", "--json").document] == ["c1", "c2"]
    [operation] = run("operations", "--customer-id", "c2", "--json").document
    is_operation(operation)
    assert run("operations", "--customer-id", "c1", "--json").document == []


def test_applying_prints_what_changed(world: World, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("plans: [{name: pro, cpus: 3}]")
    ran = run("apply", str(file), "--json")
    assert (ran.code, ran.document["changes"][0]["fields"]) == (0, {"cpus": {"before": 2.0, "after": 3.0}})
    assert run("apply", str(file)).out == "nothing changed\n"


@pytest.mark.parametrize("words", [("restart",), ("decommission",)])
def test_asking_twice_with_one_id_does_it_once(world: World, run: Run, words: tuple[str, ...]) -> None:
    world.instance()
    twice = [run(*words, "--customer-id", "c1", "--request-id", "r1", "--json") for _ in range(2)]
    assert [ran.code for ran in twice] == [0, 0]
    assert twice[0].document["id"] == twice[1].document["id"]
    assert Operation.objects.count() == 1
