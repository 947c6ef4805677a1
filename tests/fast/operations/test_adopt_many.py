"""Many containers are adopted by their label, each looked at first."""

from __future__ import annotations

import io
from typing import Any

import pytest

from instances.containers.spec import ContainerSpec
from instances.models import AuditEntry, Instance
from tests.factories import IMAGE, World
from tests.fakes.outside import fails
from tests.fast.conftest import Run
from tests.fast.strangers import OWN

pytestmark = pytest.mark.django_db

ALL = ("adopt", "--all", "--label", "app=agent", "--map", "subdomain=label:site")


def agent(world: World, name: str, port: int, **labels: str) -> None:
    """A container somebody made and runs, labelled as one of many."""
    document: dict[str, Any] = {
        **OWN,
        "Config": {"Labels": {"app": "agent", "site": f"{name}.example.com", **labels}},
        "HostConfig": {
            "NetworkMode": "customers",
            "PortBindings": {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(port)}]},
        },
    }
    world.engine.start(
        world.engine.create(ContainerSpec(name=name, image=IMAGE, labels={}, env={}, raw=document))
    )


def known() -> dict[str, str]:
    return dict(Instance.objects.values_list("customer_id", "subdomain"))


def test_all_with_the_label_become_instances_after_a_table(world: World, run: Run) -> None:
    agent(world, "a1", 18081)
    agent(world, "a2", 18082)
    agent(world, "b1", 18083, app="other")
    ran = run(*ALL, "--reason", "moving in")
    assert ran.code == 0
    assert known() == {"a1": "a1.example.com", "a2": "a2.example.com"}
    table, told = ran.out.index("a2.example.com"), ran.out.index("a2 is under management")
    assert table < told
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason) == ("adopt", "app=agent", "moving in")
    assert run(*ALL, "--json").document == {"instances": [], "refused": []}  # all are managed by now


def test_a_dry_run_shows_and_takes_nothing(world: World, run: Run) -> None:
    agent(world, "a1", 18081)
    ran = run(*ALL, "--dry-run", "--json")
    assert ran.code == 0
    assert ran.document == {
        "instances": [],
        "candidates": [
            {
                "container": "a1",
                "customer_id": "a1",
                "subdomain": "a1.example.com",
                "plan": "pro",
                "error": None,
            }
        ],
    }
    assert not Instance.objects.exists()
    assert "Nothing was adopted." in run(*ALL, "--dry-run").out


def test_who_ends_the_question_adopts_nothing(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent(world, "a1", 18081)
    monkeypatch.setattr("sys.stdin", Ended())
    ran = run(*ALL)
    assert (ran.code, "Nothing was adopted." in ran.out, Instance.objects.count()) == (0, True, 0)


class Ended(io.StringIO):
    """A terminal where somebody pressed Ctrl-D."""

    def isatty(self) -> bool:
        return True


def test_one_that_is_not_well_or_badly_labelled_costs_itself(world: World, run: Run) -> None:
    agent(world, "a1", 18081)
    agent(world, "a2", 18082)
    agent(world, "a3", 18083, site="")
    world.probe.answers[18082] = fails("http_503")
    ran = run(*ALL, "--json")
    assert (ran.code, list(known())) == (1, ["a1"])
    errors = {row["container"]: row["error"] for row in ran.document["refused"]}
    assert "HTTP status 503" in errors["a2"]
    assert errors["a3"] == "The container a3 has no label site."


def test_two_for_one_subdomain_are_both_refused(world: World, run: Run) -> None:
    agent(world, "a1", 18081, site="x.example.com")
    agent(world, "a2", 18082, site="x.example.com")
    agent(world, "a3", 18083)
    ran = run(*ALL, "--json")
    assert (ran.code, list(known())) == (1, ["a3"])
    assert {row["error"] for row in ran.document["refused"]} == {
        "The container a2 would have the same customer or subdomain.",
        "The container a1 would have the same customer or subdomain.",
    }


def test_names_come_from_labels_names_and_texts(world: World, run: Run) -> None:
    agent(world, "agent-7", 18081, customer="seven", tier="free")
    mapping = ("customer_id=label:customer", "subdomain={customer_id}.{name}.example.com", "plan=label:tier")
    words = [word for pair in mapping for word in ("--map", pair)]
    assert run("adopt", "--all", "--label", "app", *words).code == 0
    instance = Instance.objects.get()
    found = (instance.customer_id, instance.subdomain, instance.plan.name)
    assert found == ("seven", "seven.agent-7.example.com", "free")


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no label": (("--all", "--map", "subdomain=name"), "--all takes --label and --map, and no customer"),
    "a customer beside all": ((*ALL[1:], "--customer-id", "c1"), "--all takes --label and --map, and no cus"),
    "no subdomain": (ALL[1:4], "Say where subdomains come from"),
    "an unknown word": ((*ALL[1:], "--map", "port=label:x"), "--map takes customer_id, subdomain, plan"),
    "nothing with the label": (
        ("--all", "--label", "app=none", "--map", "subdomain=name"),
        "No container on host local has the label app=none.",
    ),
    "a source without a key": (
        (*ALL[1:4], "--map", "subdomain=label:"),
        "--map takes customer_id, subdomain",
    ),
    "a label without a key": (
        ("--all", "--label", "=x", *ALL[4:]),
        "--all takes --label and --map, and no cus",
    ),
    "a label without all": (("--label", "app"), "Name a --customer-id, a --subdomain and a --container"),
    "half of the names": (("--customer-id", "c1"), "Name a --customer-id, a --subdomain and a --container"),
}


@pytest.mark.parametrize(("words", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_refused_in_one_sentence(
    world: World, run: Run, words: tuple[str, ...], sentence: str
) -> None:
    ran = run("adopt", *words, "--json")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert ran.err.startswith(sentence)
