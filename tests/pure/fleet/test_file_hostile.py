"""YAML that is no fleet file, and YAML that is made to hurt."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import instances
from instances.errors import RequestError
from instances.fleet.file import parse

SECRET = "s3ntinel-value"

NO_MAPPING = {
    "a text": SECRET,
    "a number": "31415926",
    "a list": f"[{SECRET}]",
    "a truth": "true",
    "a date": "2026-01-01",
}
NO_YAML = {
    "an open bracket": f"plans: [{SECRET}",
    "an open quote": f'plans: "{SECRET}',
    "a tab": f"plans:\n\t- {SECRET}",
    "an unknown anchor": f"plans: *{SECRET.replace('-', '')}",
    "two documents": f"a: 1\n---\nb: {SECRET}",
    "a zero byte": f"plans: {SECRET}\0",
    "a Python object": "plans: !!python/object/apply:os.system ['true']",
    "an own tag": f"plans: !secret {SECRET}",
    "a date that is none": "plans: 2026-99-99",
    "a moment that is none": f"plans: !!timestamp {SECRET}",
    "a number of 5,000 digits": "plans: " + "9" * 5000,
    "a key that is a list": f"? [{SECRET}]\n: 1",
    "a key that is a mapping": f"? {{a: {SECRET}}}\n: 1",
    "deep nesting": "[" * 1_000,
    "deep mappings": "{a: " * 1_000,
    "keys that are numbers": "1: 2",
    "an anchor within itself": "hosts: &a [*a]",
    "a mapping within itself": "&a\nhosts: [*a]",
    "a plan within itself": "plans: [&p {name: a, env: *p}]",
    "a merge with a text": f"plans: [{{name: a, <<: {SECRET}}}]",
}


@pytest.mark.parametrize("text", NO_MAPPING.values(), ids=NO_MAPPING.keys())
def test_a_document_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"^The fleet file is refused: the document: .*\.$") as refused:
        parse(text)
    assert SECRET not in str(refused.value) and "31415926" not in str(refused.value)


@pytest.mark.parametrize("text", NO_YAML.values(), ids=NO_YAML.keys())
def test_a_broken_document_is_refused_in_one_sentence_without_its_text(text: str) -> None:
    with pytest.raises(RequestError, match=r"^The fleet file is [^\n]*\.$") as refused:
        parse(text)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "key",
    ["a\\nb", "\\e[31mred", "\\0", "\\u202e", "k" * 5000],
    ids=["newline", "escape", "zero byte", "right to left", "endless"],
)
def test_an_unknown_key_of_hostile_text_stays_one_short_printable_sentence(key: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(f'plans: [{{name: pro, "{key}": 1}}]')
    sentence = str(refused.value)
    assert sentence.isprintable() and len(sentence) < 1000 and sentence.endswith(".")


LONG = "a" * 260
UNKEEPABLE = {
    "a zero byte in an address": (r'hosts: [{name: h, docker_url: "unix:///a\0b"}]', "hosts.0.docker_url"),
    "one in a channel's": (r'channels: [{name: c, url: "json://a\0b"}]', "channels.0.url"),
    "half a character in a command": (r'plans: [{name: p, command: ["a\ud800"]}]', "plans.0.command"),
    "one in a file's name": (r'hosts: [{name: h, tls: {ca: "/a\udcff", cert: /b, key: /c}}]', "hosts.0.tls"),
    "one in a label's name": (r'plans: [{name: p, labels: {"a\ud800": b}}]', "plans.0.labels"),
    "one in a password": (r'registries: [{name: r.io, password: "a\ud800"}]', "registries.0.password"),
    "a long address": (f"hosts: [{{name: h, docker_url: 'unix:///{LONG}'}}]", "hosts.0.docker_url"),
    "a registry's port": ("registries: [{name: 'h:99999'}]", "registries.0.name"),
    "a registry's port 0": ("registries: [{name: 'h:0/a'}]", "registries.0.name"),
    "a long registry": (f"registries: [{{name: '{LONG}'}}]", "registries.0.name"),
    "a long public address": (f"plans: [{{name: p, public_url: 'https://{LONG}'}}]", "plans.0.public_url"),
    "the root as data": ("plans: [{name: p, data_path: /../..}]", "plans.0.data_path"),
    "the root in other words": ("plans: [{name: p, data_path: //.}]", "plans.0.data_path"),
    "a way up": ("plans: [{name: p, data_path: /data/../etc}]", "plans.0.data_path"),
}


@pytest.mark.parametrize(("text", "place"), UNKEEPABLE.values(), ids=UNKEEPABLE)
def test_what_could_not_be_kept_as_it_is_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(RequestError, match=rf"^The fleet file is refused: {place}: [^\n]*\.$") as refused:
        parse(text)
    assert LONG not in str(refused.value)


def test_the_line_of_a_mistake_is_told() -> None:
    with pytest.raises(RequestError, match=r"line 3\.$"):
        parse("hosts: []\nplans: []\nchannels: ]\n")


def test_anchors_serve_as_abbreviations() -> None:
    fleet = parse("plans: [&p {name: a, cpus: 2, env: &e {A: b}}, {<<: *p, name: b}, {name: c, env: *e}]")
    assert [(p.name, p.cpus, p.env) for p in fleet.plans] == [
        ("a", 2.0, {"A": "b"}),
        ("b", 2.0, {"A": "b"}),
        ("c", 1.0, {"A": "b"}),
    ]


def levels(kind: str, depth: int = 9, width: int = 9) -> str:
    """A bomb: every level names the one before it nine times; about 400 million leaves in all."""
    opening, closing = ("{<<: [", "]}") if kind == "merge" else ("[", "]")
    lines = ["l0: &l0 {name: a}"]
    for level in range(1, depth + 1):
        aliases = ", ".join([f"*l{level - 1}"] * width)
        lines.append(f"l{level}: &l{level} {opening}{aliases}{closing}")
    return "\n".join(lines)


def square(size: int = 2000) -> str:
    """Thousands of plans that share one environment of as many variables."""
    variables = ", ".join(f"V{number}: x" for number in range(size))
    plans = ", ".join(f"{{name: p{number}, env: *e}}" for number in range(size))
    return f"plans: [{{name: first, env: &e {{{variables}}}}}, {plans}]"


BOMBS = {
    "laughing lists": levels("list"),
    "laughing lists as plans": levels("list") + "\nplans: *l9",
    "laughing merges": levels("merge"),
    "a square of aliases": square(),
}

READER = """
import json, os, resource, sys
sys.path.insert(0, sys.argv[1])
from instances.errors import RequestError
from instances.fleet.file import parse
for bomb in json.load(sys.stdin):
    if child := os.fork():
        status = os.waitpid(child, 0)[1]
        print(os.waitstatus_to_exitcode(status), flush=True)
        continue
    memory = 300 * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
    try:
        parse(bomb)
    except RequestError as refusal:
        print(refusal, end=" ", flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def ends() -> dict[str, str]:
    """What became of a process that read each of the bombs: what it said, and its exit code."""
    root = Path(instances.__file__).parent.parent
    command = [sys.executable, "-c", READER, str(root)]
    given = json.dumps([*BOMBS.values()])
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=True)
    return dict(zip(BOMBS, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_file_that_grows_without_end_is_refused_in_bounded_time_and_memory(
    ends: dict[str, str], bomb: str
) -> None:
    assert ends[bomb].startswith("The fleet file is ")
    assert ends[bomb].endswith(" 0")
