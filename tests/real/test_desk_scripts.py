"""The desk's scripts without a browser: colours of a log, and what a page says of its own age."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dev.servers.packages import require

SCRIPTS = Path(__file__).parents[2] / "instances" / "static" / "desk"
RED = "\x1b[31m"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    for script in SCRIPTS.glob("*.js"):
        shutil.copy(script, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def call(folder: Path, script: str, name: str, argument: Any) -> Any:
    """What a script's function returns for an argument."""
    node = require("node", "nodejs", "Node.js, which runs the desk's scripts,")
    code = (
        f"import {{ {name} }} from './{script}'; console.log(JSON.stringify({name}({json.dumps(argument)})))"
    )
    done = subprocess.run(
        [node, "--input-type=module"], input=code, cwd=folder, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("plain", [("plain", "")]),
        (f"a {RED}red\x1b[0m b", [("a ", ""), ("red", "log-1"), (" b", "")]),
        ("\x1b[1;92mok\x1b[22m so\x1b[m.", [("ok", "log-2 log-bold"), (" so", "log-2"), (".", "")]),
        ("\x1b[38;5;1mx\x1b[38;2;1;31;3my\x1b[48;5;31mz", [("x", ""), ("y", ""), ("z", "")]),
        ("\x1b[8mhidden\x1b[30;40mblack", [("hidden", ""), ("black", "log-0")]),
        ("\x1b[2Jgone\u202e", [("�[2Jgone�", "")]),
        (f"{RED}<img src=x>", [("<img src=x>", "log-1")]),
    ],
)
def test_a_line_of_a_log_is_painted_and_stays_text(
    scripts: Path, line: str, pieces: list[tuple[str, str]]
) -> None:
    painted = call(scripts, "paint.js", "painted", line)
    assert [(piece["text"], piece["className"]) for piece in painted] == pieces


@pytest.mark.parametrize(
    ("lines", "truncated", "shown"),
    [
        (["1Z a", "2Z b"], False, ["b"]),
        (["2Z b", "3Z c"], False, ["b", "c"]),  # another container's log
        (["5Z a", "1Z b", "0Z c"], False, ["c"]),  # its engine's clock was set back
        (["2Z b"], True, ["…", "b"]),
        ([f"2.{number:05}Z b" for number in range(10_000)], False, ["…", *["b"] * 10_000]),
        ([], False, []),
    ],
)
def test_a_log_that_is_followed_says_where_lines_are_left_out(
    scripts: Path, lines: list[str], truncated: bool, shown: list[str]
) -> None:
    day = "2026-03-01T12:00:0"
    answer = {"lines": [f"{day}{line}" for line in lines], "truncated": truncated}
    fresh = call(scripts, "logs.js", "grown", {"answer": answer, "last": f"{day}1Z"})
    assert [line["text"] if line["at"] else line["text"][0] for line in fresh] == shown


def part(name: str = "", error: str = "", waiting: Any = ()) -> dict[str, Any]:
    return {"name": name, "at": "10:00:09", "error": error, "waiting": list(waiting)}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (part(), "This page refreshes itself; last at 10:00:09 UTC."),
        (part("history"), "Its history refreshes itself every minute; last at 10:00:09 UTC."),
        (part(error="You are logged out."), "What you see is out of date. You are logged out."),
        (
            part(waiting=[{"name": "page", "at": "it was at 10:00:03 UTC"}]),
            "Paused while you work there: the page stays as it was at 10:00:03 UTC.",
        ),
        (
            part(waiting=[{"name": "health", "at": "it was when the page was opened"}]),
            "This page refreshes itself; last at 10:00:09 UTC. "
            "Paused while you work there: the health stays as it was when the page was opened.",
        ),
    ],
)
def test_a_page_says_how_old_what_it_shows_is(scripts: Path, told: dict[str, Any], said: str) -> None:
    assert call(scripts, "refresh.js", "sentence", [told]) == said
