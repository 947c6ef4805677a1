"""Texts of a fleet file stay as they were written, whatever YAML 1.1 makes of them."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from instances.errors import RequestError
from instances.fleet.file import FleetFile, parse, parse_mapping

WORDS = (
    "yes",
    "no",
    "on",
    "off",
    "012",
    "0x1F",
    "1_000",
    "1e3",
    "1.10",
    "22:22",
    "2026-01-01",
    "+5",
    ".inf",
    "~",
)
TEXTS = [word for word in WORDS if word != "~"]


def plan(words: str) -> dict[str, Any]:
    return parse(f"plans: [{{name: p, {words}}}]").plans[0].columns()


@pytest.mark.parametrize("word", WORDS)
def test_a_name_is_the_word_itself(word: str) -> None:
    assert plan(f"labels: {{{word}: x}}")["options"]["labels"] == {word: "x"}
    assert plan(f"logging: {{driver: local, options: {{{word}: x}}}}")["options"]["logging"]["options"] == {
        word: "x"
    }


@pytest.mark.parametrize("word", ["yes", "no", "on", "off"])
def test_a_variable_may_have_such_a_name(word: str) -> None:
    assert plan(f"env: {{{word}: x}}, generate: {{{word}_: 32}}")["env"] == {word: "x"}


@pytest.mark.parametrize("word", TEXTS)
def test_a_value_that_is_a_text_is_the_word_itself(word: str) -> None:
    said = plan(f"env: {{A: {word}}}, labels: {{a: {word}}}, command: [run, {word}]")
    assert (said["env"], said["options"]["labels"]) == ({"A": word}, {"a": word})
    assert said["options"]["command"] == ("run", word)
    assert plan(f"labels: [{word}]")["options"]["labels"] == {word: ""}


def test_plain_truth_values_and_numbers_are_written_as_compose_writes_them() -> None:
    said = plan("env: {A: true, B: 5, C: 1.5, D: False}, labels: [true]")
    assert said["env"] == {"A": "true", "B": "5", "C": "1.5", "D": "false"}
    assert said["options"]["labels"] == {"true": ""}


def test_what_is_no_text_is_read_from_any_of_these_words() -> None:
    fleet = parse("""
hosts: [{name: h, cordoned: yes, insecure: off, max_instances: 1_000, overcommit: 1.50}]
plans: [{name: p, cpus: 1.50, init: no, read_only: on, data_path: ~, ulimits: {nofile: 1024}}]
channels: [{name: c, url: "json://x", enabled: no, quiet_hours: {from: 22:00, to: 6:30}}]
""")
    host, wanted, channel = fleet.hosts[0], fleet.plans[0], fleet.channels[0]
    assert (host.cordoned, host.insecure, host.max_instances, host.overcommit) == (True, False, 1000, 1.5)
    assert (wanted.cpus, wanted.init, wanted.read_only, wanted.data_path) == (1.5, False, True, None)
    assert channel.enabled is False and channel.quiet_hours is not None
    assert (channel.quiet_hours.begin, channel.quiet_hours.end) == (time(22), time(6, 30))


@pytest.mark.parametrize("words", ["name: 5", "name: true", "name: p, public_url: 5"])
def test_what_has_to_be_a_text_is_asked_for_in_quotes(words: str) -> None:
    with pytest.raises(RequestError, match="must be a text; what looks like a number"):
        parse(f"plans: [{{{words}}}]")


def test_parts_may_be_repeated_with_names_as_they_are() -> None:
    assert parse_mapping("a: &a {yes: 1, off: 2}\nb: {<<: *a, on: 3}")["b"] == {"yes": 1, "off": 2, "on": 3}


def test_an_empty_file_names_nothing() -> None:
    assert parse("") == FleetFile()
