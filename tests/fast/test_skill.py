"""What documents tell people and agents to type exists, and answers with the keys they are told of."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from instances.checks.record import record
from instances.health.state import Status
from instances.models import Incident
from tasks.app import app
from tests.factories import World, a_failure
from tests.fast.conftest import Run

TOP = Path(__file__).resolve().parents[2]
SKILL = TOP / "skills" / "docker-manager" / "SKILL.md"
DOCUMENTS = [SKILL, TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").glob("*.md"))]
CALLS = ("dm ", ".venv/bin/python manage.py ", "python manage.py ", "manage.py ")
TYPED = re.compile(r"(?:manage\.py|^dm) ([a-z_]+)((?:\\\n|[^\n`#|<])*)", re.MULTILINE)
OPTION = re.compile(r"(?<!\S)(--[a-z-]+)")
# What an agent may do to many customers, or for good, only after a clear yes.
GRAVE = {
    "decommission", "--purge-data", "update --all", "provision", "adopt", "pause", "resume", "mute", "apply",
    "create_token", "revoke_token", "rotate_keys",
}  # fmt: skip


def calls(document: Path) -> Iterator[list[str]]:
    """The words of every command in a document's blocks of code."""
    for block in re.findall(r"^```[a-z]*\n(.*?)^```$", document.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            found = next((line.removeprefix(call) for call in CALLS if line.startswith(call)), None)
            if found is not None:
                yield shlex.split(found, comments=True)


def command(name: str) -> BaseCommand:
    origin = get_commands()[name]
    return origin if isinstance(origin, BaseCommand) else load_command_class(origin, name)


def options(name: str) -> set[str]:
    """The options a command takes."""
    parser = command(name).create_parser("manage.py", name)
    return {option for action in parser._actions for option in action.option_strings}


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Why the real parser refuses a command; empty when it takes it."""
    if words[0] not in get_commands():
        return f"there is no command {words[0]}"
    try:
        command(words[0]).create_parser("manage.py", words[0]).parse_args(words[1:])
    except SystemExit:
        return capsys.readouterr().err
    return ""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_is_taken_by_its_parser(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = {" ".join(words): why for words in calls(document) if (why := refusal(words, capsys))}
    assert not refused


@pytest.mark.parametrize(
    "wrong", ["restart --json", "restrat --customer-id c1", "update --customer-id c1 --al"]
)
def test_a_command_that_does_not_exist_would_be_found(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(shlex.split(wrong), capsys)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_sentence_has_the_options_that_are_given_to_it(document: Path) -> None:
    for name, rest in TYPED.findall(document.read_text()):
        assert name in get_commands(), name
        assert set(OPTION.findall(rest)) <= options(name), (name, rest)


@pytest.mark.parametrize("option", ["--request-id", "--enqueue"])
def test_the_readme_lists_the_commands_that_take_an_option(option: str) -> None:
    sentence = re.search(rf"`{option}` \([^)]*\) is taken by\s([^.]*)\.", (TOP / "README.md").read_text())
    ours = [name for name, origin in get_commands().items() if origin == "instances"]
    assert sentence is not None
    assert re.findall(r"`(\w+)`", sentence[1]) == sorted(name for name in ours if option in options(name))


def test_the_skill_can_be_found_by_its_front_matter() -> None:
    _, front, text = SKILL.read_text().split("---\n", 2)
    matter = yaml.safe_load(front)
    assert set(matter) == {"name", "description"}
    assert matter["name"] == SKILL.parent.name == "docker-manager"
    assert 100 < len(matter["description"]) < 1024
    assert text.startswith("\n# docker-manager\n")


def test_every_option_the_skill_names_belongs_to_a_command_it_names() -> None:
    named = {words[0] for words in calls(SKILL)} | {"decommission", "update"}
    known = set[str]().union(*map(options, named))
    assert set(re.findall(r"`(?:\w+ )?(--[a-z-]+)", SKILL.read_text())) <= known


def test_every_command_the_skill_shows_asks_for_json_and_none_is_grave() -> None:
    for words in calls(SKILL):
        assert "--json" in words, words
        named = {words[0], *(word for word in words if word == "--purge-data"), " ".join(words[:2])}
        assert named & GRAVE <= {"mute"}, words


def test_the_skill_asks_before_anything_grave() -> None:
    section = SKILL.read_text().split("## What you never do without asking")[1].split("\n## ")[0]
    assert set(re.findall(r"`([^`]+)`", section)) >= GRAVE


@pytest.fixture
def real(world: World, run: Run) -> dict[str, Any]:
    """Documents as the commands print them, by the name the skill gives them."""
    instance = world.instance("c1")
    record([a_failure(world, instance, "exited")], world.now)
    who = ("--customer-id", "c1")

    def printed(*words: str) -> Any:
        return run(*words, "--json").document

    health = printed("check_health", "--all")
    uptime = printed("uptime", "--since", "1d")
    return {
        "HEALTH": health,
        "CHECK": health["instances"][0],
        "SWEEP": printed("daily_health"),
        "INSTANCE": printed("instances")[0],
        "OPERATION": {**printed("restart", *who), **printed("update", *who)},
        "LOG": printed("logs", *who),
        "VALIDATION": printed("validate", *who),
        "TRIAL": printed("test_deploy", "--plan", "pro"),
        "INCIDENT": printed("incidents", *who, "--events")[0],
        "MUTE": printed("mute", *who, "--for", "30m"),
        "UPTIME": {**uptime, **uptime["all"]},
    }


def test_every_key_the_skill_names_is_in_the_real_document(real: dict[str, Any]) -> None:
    rows = re.findall(r"^\| [^|]*\| (?:list of )?([A-Z]+) \| (.*) \|$", SKILL.read_text(), re.MULTILINE)
    assert {name for name, _ in rows} == set(real)
    for name, keys in rows:
        named = {key for key in re.findall(r"`([^`]+)`", keys) if not key.startswith("--")} - {"ack"}
        assert named and named <= set(real[name]), (name, named - set(real[name]))


def test_every_status_of_an_instance_is_explained() -> None:
    section = SKILL.read_text().split("| status | means | do |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    explained = {word for row in rows for word in re.findall(r"`(\w+)`", row)}
    assert explained == {status.value for status in Status}


def test_every_kind_of_incident_is_explained() -> None:
    kinds = {kind for kind, _ in Incident.KINDS}
    section = SKILL.read_text().split("| kind | about |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == kinds
    [row] = re.findall(
        r"^\| .*`incident_kind` \| (.*);", (TOP / "docs" / "alerts.md").read_text(), re.MULTILINE
    )
    assert set(re.findall(r"`(\w+)`", row)) == kinds


def test_every_task_is_documented_with_the_arguments_it_takes() -> None:
    app.loader.import_default_modules()
    about = {"requested_by", "reason", "request_id"}
    rows = re.findall(
        r"^\| `(dockmgr\.\w+)` \| ([^|]*) \|", (TOP / "docs" / "tasks.md").read_text(), re.MULTILINE
    )
    assert len(rows) == 10
    for name, arguments in rows:
        taken = set(inspect.signature(app.tasks[name].run).parameters) - about
        assert set(re.findall(r"`(\w+)", arguments)) == taken - {"request", "slip"}, name
