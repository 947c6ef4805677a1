"""The map of the house names places that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
TEXT = (TOP / "docs" / "architecture.md").read_text()
MODULE = re.compile(r"`([\w/]+\.py)`")
NAME = re.compile(r"`(\w+/?)`")
OUTSIDE = ("tasks", "dockmgr", "dev")  # beside `instances`, in which the other paths begin


def place(path: str) -> Path:
    return TOP / path if path.split("/")[0] in OUTSIDE else TOP / "instances" / path


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose heading begins with these words."""
    found = re.search(rf"^\| {heading} \|.*\n\|[ -|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    assert found, heading
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found[1].splitlines()]


def defined(module: Path) -> set[str]:
    """Functions, classes and values at the top of a module."""
    names = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


@pytest.mark.parametrize("path", sorted(set(MODULE.findall(TEXT))))
def test_every_module_on_the_map_is_there(path: str) -> None:
    assert place(path).is_file()


@pytest.mark.parametrize(("question", "answer"), rows("question"))
def test_what_decides_is_in_the_module_that_the_map_names(question: str, answer: str) -> None:
    for part in answer.split(";"):
        [path] = MODULE.findall(part)
        functions = NAME.findall(part)
        assert functions and set(functions) <= defined(place(path)), question


@pytest.mark.parametrize(("room", "holds"), rows("room"))
def test_every_room_holds_what_the_map_says(room: str, holds: str) -> None:
    modules = re.findall(r"(?:^|· |, )`(\w+/?)`", holds)
    assert modules or room == "`models`"
    for module in modules:
        folder = place(room.strip("`"))
        assert (folder / module).is_dir() if module.endswith("/") else (folder / f"{module}.py").is_file()


def test_every_room_of_a_floor_is_there() -> None:
    rooms = [room for _, cell, _ in rows("floor") for room in NAME.findall(cell)]
    assert len(rooms) >= 25
    for room in rooms:
        assert place(room).is_dir() or place(f"{room}.py").is_file(), room


def test_every_package_of_the_house_is_on_the_map() -> None:
    rooms = {room for _, cell, _ in rows("floor") for room in NAME.findall(cell)}
    packages = {init.parent.name for init in (TOP / "instances").glob("*/__init__.py")}
    assert packages - {"migrations", "templatetags"} <= rooms


PAGES = {page.name: page.read_text() for page in (*TOP.glob("*.md"), *(TOP / "docs").glob("*.md"))}
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")


def anchors(page: str) -> set[str]:
    """What a page's headings can be called by, as GitHub makes it of them."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_link_of_a_page_leads_somewhere(name: str) -> None:
    folder = TOP if (TOP / name).is_file() else TOP / "docs"
    for path, anchor in LINK.findall(PAGES[name]):
        target = (folder / path).resolve() if path else folder / name
        assert target.exists(), path
        assert not anchor or anchor in anchors(target.read_text()), (path, anchor)
