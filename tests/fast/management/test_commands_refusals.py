"""A wrong request to any command: code 2, one sentence, one document, nothing touched. And plain text."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from instances.models import Health, Instance, Operation
from instances.operations import service
from tests.factories import ASKED, SECRET, World
from tests.fast.conftest import Run
from tests.fast.management.refusals import refused
from tests.rows import row

pytestmark = pytest.mark.django_db
NEW = ("provision", "--customer-id", "new", "--subdomain", "new.example.com", "--plan", "pro")
IDS = ("Nobody", "nobody", "", "a", "a_b", "-ab", "ab-", "x" * 64, "c1\n", "../etc", "c1 ", "ç1")
ONE = ("check_health", "restart", "logs", "validate", "decommission", "pause", "resume")
WRONG = [
    *(("restart", "--customer-id", name) for name in IDS),
    *((command, "--customer-id", name) for command in ONE for name in ("Nobody", "nobody")),
    *((command,) for command in (*ONE, "provision", "apply")),
    *((command, "--bogus") for command in (*ONE, "instances", "operations", "daily_health", "rotate_keys")),
    ("decommission", "--customer-id", "c1", "--purge"),  # half of --purge-data
    ("restart", "--customer-id", "c1", "--with-empty"),
    ("restart", "--customer", "c1"),
    *(
        (command, "--customer-id", name)
        for command in ("operations", "incidents")
        for name in ("Bad", "nobody")
    ),
    ("check_health", "--all", "--customer-id", "c1"),
    ("validate", "--subdomain", "no one.example.com"),
    ("validate", "--subdomain", "nobody.example.com"),
    ("validate", "--subdomain", "c1.example.com", "--customer-id", "c1"),
    *(("logs", "--customer-id", "c1", "--lines", lines) for lines in ("0", "10001", "x")),
    *(("logs", "--customer-id", "c1", "--since", since) for since in ("yesterday", "99999999d")),
    ("logs", "--customer-id", "c1", "--follow"),
    (*NEW[:2], "Bad", *NEW[3:]),
    (*NEW[:4], "bad_name.example.com", *NEW[5:]),
    (*NEW[:6], "platinum"),
    (*NEW, "--host", "mars"),
    (*NEW, "--image", "a b"),
    *((command, "--customer-id", "c1", "--customer-id", "c1") for command in ONE),
    (*NEW, "--host", "local", "--host", "local"),
    (*NEW, "--image", ""),
    (*NEW, "--env-file", ""),
    (*NEW, "--as", ""),
    ("pause", "--customer-id", "c1", "--as", ""),
    ("logs", "--customer-id", "c1", "--since", ""),
    ("test_deploy", "--plan", "pro", "--image", ""),
    ("adopt", "--customer-id", "c2", "--subdomain", "c2.example.com", "--container", "old", "--host", ""),
    ("apply", ""),
    ("backup", ""),
    (*NEW, "--env", "NOVALUE"),
    (*NEW, "--env", "1A=x"),
    (*NEW, "--env", "=x"),
    (*NEW, "--env-file", "/nowhere/at/all"),
    (*NEW[:2], "c1", *NEW[3:]),
    ("apply", "/nowhere/at/all.yaml"),
    ("backup", "/nowhere/" + "x" * 300),
    ("update", "--customer-id", "c1", "--test-first", "pro"),
    ("update", "--customer-id", "c1", "--test-first", ""),
    ("update", "--customer-id", "c1", "--canaries", "2"),
    ("update", "--all", "--test-first", ""),
    ("update", "--all", "--canaries", "0"),
    ("operations", "--customer-id", "c1", "--reason", "why"),
    ("orphans", "--host", ""),
]


def test_a_wrong_request_is_code_2_and_one_sentence_and_touches_nothing(world: World, run: Run) -> None:
    instance = world.instance()
    before = (world.engine.containers, dict(world.engine.volumes))
    for words in WRONG:
        with row(words):
            refused(run, *words)
    assert (world.engine.containers, dict(world.engine.volumes)) == before
    assert (world.engine.starts, world.engine.stops) == ({}, {})
    assert not Operation.objects.exists()
    assert list(Instance.objects.all()) == [instance]
    assert Health.objects.get().revision == 0


@pytest.mark.parametrize("command", ["apply", "backup"])
def test_a_file_without_a_name_is_not_the_folder_one_is_in(run: Run, command: str) -> None:
    assert run(command, "").err == "The file has no name.\n"


def test_what_must_be_given_is_not_to_be_left_out_where_it_is_empty(world: World, run: Run) -> None:
    assert "malformed" in run("pause", "--customer-id", "").err
    assert "leave it out" in run("operations", "--customer-id", "").err


FILES = {
    "not YAML": "hosts: [",
    "a tag that does not fit": "hosts: !!bool x",
    "another one": f"hosts: !!int '' # {SECRET}",
    "a list": "- a",
    "an unknown key": "hosts: [{name: local, colour: red}]",
    "an unknown part": "hostz: []",
    "a bad memory": "plans: [{name: pro, memory: lots}]",
    "a bad secret": f"plans: [{{name: pro, env: {{'A B': '{SECRET}'}}}}]",
    "a bad channel": f"channels: [{{name: ops, url: '{SECRET}'}}]",
    "a name twice": "plans: [{name: pro}, {name: pro}]",
    "no name": "plans: [{cpus: 1}]",
    "binary": "\x00\x01",
}


def test_a_wrong_fleet_file_is_refused_in_one_sentence_that_shows_no_value(
    world: World, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "fleet.yaml"
    for what, text in FILES.items():
        file.write_text(text)
        with row(what):
            ran = run("apply", str(file), "--json")
            assert (ran.code, ran.document) == (2, {"error": ran.err.strip()})
            assert (ran.err.count("\n"), SECRET in ran.err) == (1, False)


def test_a_file_that_is_not_text_is_refused(world: World, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "binary"
    file.write_bytes(b"\xff\xfe\x00")
    assert run("apply", str(file)).code == 2
    assert run(*NEW, "--env-file", str(file)).code == 2


PRINTING: list[tuple[str, ...]] = [
    ("instances",), ("check_health", "--all"), ("validate", "--customer-id", "c1"),
    ("restart", "--customer-id", "c1"), ("operations",), ("pause", "--customer-id", "c1"),
    ("instances", "--bogus"),
]  # fmt: skip
HOSTILE = [
    "[/red]",
    "a\\[/b]",
    "[bold]x",
    "\x1b[31mred\x07",
    "tab\tand\r\nline",
    "ünï ✓ 漢字",
    "[link=http://x]y",
]


def is_plain(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


def test_text_off_a_terminal_has_no_control_characters(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"):
        monkeypatch.setenv(variable, "1")
    world.instance()
    for words in PRINTING:
        with row(words):
            ran = run(*words)
            assert ran.out or ran.err
            assert is_plain(ran.out + ran.err)


def test_whatever_a_reason_holds_is_shown_harmlessly(world: World, run: Run) -> None:
    for number, reason in enumerate(HOSTILE):
        world.instance(f"c{number}")
        service.begin_restart(f"c{number}", replace(ASKED, reason=reason), world.outside)
    ran = run("operations")
    assert (ran.code, is_plain(ran.out)) == (0, True)
    assert {each["reason"] for each in run("operations", "--json").document} == set(HOSTILE)


@pytest.mark.parametrize(
    "words", [("unlock", "\udcff"), ("logs", "--customer-id", "\udcff"), (*NEW, "--env", "\udcff=1")]
)
def test_words_that_are_no_text_are_refused(world: World, run: Run, words: tuple[str, ...]) -> None:
    ran = run(*words)
    assert (ran.code, "is not text in UTF-8." in ran.err) == (2, True), ran.err


@pytest.mark.parametrize("name", ["/dev/zero", "-"])
def test_a_file_without_an_end_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with Path("/dev/zero").open("rb") as endless:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(endless))
        for words in (("apply", name), (*NEW, "--env-file", name)):
            ran = run(*words)
            assert (ran.code, "can't be read: it is larger than 16 MiB." in ran.err) == (2, True), ran.err


def test_a_fleet_file_that_can_not_be_read_is_refused_with_the_reason(run: Run, tmp_path: Path) -> None:
    (tmp_path / "packed.yaml").write_bytes(b"\x1f\x8b\xff")
    for name, why in (
        ("nothing.yaml", "No such file or directory"),
        (".", "Is a directory"),
        ("packed.yaml", "it is not text"),
    ):
        ran = run("apply", str(tmp_path / name))
        assert (ran.code, f"can't be read: {why}." in ran.err) == (2, True), ran.err
