"""What the documentation says to type is understood."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

TOP = Path(__file__).resolve().parents[3]
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
TYPED = re.compile(r"(?:manage\.py|^dm) ([a-z_]+)((?:\\\n|[^\n`#|<])*)", re.MULTILINE)
OPTION = re.compile(r"(?<!\S)(--[a-z-]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_has_the_options_that_are_given_to_it(page: Path) -> None:
    for name, rest in TYPED.findall(page.read_text()):
        assert name in get_commands(), name
        assert set(OPTION.findall(rest)) <= options(name), (name, rest)


def options(name: str) -> set[str]:
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    return {option for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize("option", ["--request-id", "--enqueue"])
def test_the_readme_lists_the_commands_that_take_an_option(option: str) -> None:
    sentence = re.search(rf"`{option}` \([^)]*\) is taken by\s([^.]*)\.", (TOP / "README.md").read_text())
    ours = [name for name, origin in get_commands().items() if origin == "instances"]
    assert sentence is not None
    assert re.findall(r"`(\w+)`", sentence[1]) == sorted(name for name in ours if option in options(name))
