"""Environment files as docker documents them, and whole values of several lines."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from instances.errors import RequestError
from instances.management.env_file import environment

NO_LINE_ENDS = "1\u20282\x0b3\x0c4\x1c5\x856\u20297\r"
SECRET = "s3ntinel-value"
READ: dict[str, tuple[bytes, dict[str, str]]] = {
    "comments and empty lines": (b"# x\n\n  # y\nA=1\n", {"A": "1"}),
    "values as they are": (b"A= spaced \nB='quoted' # no comment\nC=a=b", {
        "A": " spaced ", "B": "'quoted' # no comment", "C": "a=b",
    }),
    "lines end with line ends alone": (
        f"A={NO_LINE_ENDS}B=8\r\nC=9".encode(), {"A": f"{NO_LINE_ENDS}B=8", "C": "9"},
    ),
    "a byte order mark": (b"\xef\xbb\xbfA=1", {"A": "1"}),
    "spaces before a name": (b"\t A=1", {"A": "1"}),
    "an empty value": (b"A=", {"A": ""}),
    "a name alone is taken from here, or left out": (b"FROM_HERE\nNOT_HERE\n", {"FROM_HERE": "here"}),
    "the last one wins": (b"A=1\nA=2", {"A": "2"}),
}  # fmt: skip


@pytest.mark.parametrize(("content", "found"), READ.values(), ids=READ)
def test_lines_are_read_as_docker_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, found: dict[str, str]
) -> None:
    monkeypatch.setitem(os.environ, "FROM_HERE", "here")
    file = tmp_path / "env"
    file.write_bytes(content)
    assert environment([], str(file)) == found


REFUSED: dict[str, tuple[str, bytes, str]] = {
    "no name": ("env", f"A=1\n={SECRET}".encode(), "line 2 does not begin with a variable's name"),
    "a space in a name": ("env", f"# x\n\nA {SECRET}=1".encode(), "line 3 does not begin"),
    "no text": ("env", b"A=1\nB=\xff", "line 2 is not UTF-8"),
    "half a key": ("env", f"-----BEGIN {SECRET}-----".encode(), "line 1 does not begin"),
    "no JSON": ("env.json", f'{{\n"A": {SECRET}}}'.encode(), "not JSON: there is an error in line 2"),
    "a JSON list": ("env.json", b"[]", "one JSON object"),
    "a number": ("env.json", b'{"A": 5}', "The value of A must be a text"),
}


@pytest.mark.parametrize(("name", "content", "words"), REFUSED.values(), ids=REFUSED)
def test_a_line_that_is_none_is_named_and_not_shown(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(RequestError) as refused:
        environment([], str(file))
    assert words in str(refused.value)
    assert SECRET not in str(refused.value)


def test_json_has_values_of_several_lines(tmp_path: Path) -> None:
    file = tmp_path / "env.json"
    file.write_bytes(b'{"KEY": "a\\nb\\n", "OTHER": "c"}')
    assert environment(["OTHER=line"], str(file)) == {"KEY": "a\nb\n", "OTHER": "line"}


def test_json_that_names_a_variable_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "env.json"
    file.write_bytes(f'{{"KEY": "old", "KEY": "{SECRET}"}}'.encode())
    with pytest.raises(RequestError, match=r"^The environment file is refused: a name stands twice\.$"):
        environment([], str(file))


@pytest.mark.parametrize("content", [b'{"A": "1\\n2"}', b"A=1"])
def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert environment([], "-")["A"].startswith("1")
