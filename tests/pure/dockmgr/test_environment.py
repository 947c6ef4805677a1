"""Settings out of an environment: typed, and refused by name, form and what is allowed, never by value."""

from __future__ import annotations

import ast
import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from dockmgr import keys, settings
from dockmgr.environment import ALLOWED_PATH, Environment, form

NAME = "DOCKMGR_THING"
SECRET = "s3ntinel-value"
FORMATS = ("PLAIN", "JSON")


def environment(value: str) -> Environment:
    return Environment({NAME: value})


def refusal(read: Callable[[], object], *hidden: str) -> str:
    """The refusal of a setting: one sentence that names it and shows no value."""
    with pytest.raises(ImproperlyConfigured) as refused:
        read()
    sentence = str(refused.value)
    assert NAME in sentence and sentence.endswith(".") and "\n" not in sentence
    assert not any(value in sentence for value in hidden)
    return sentence


READERS: dict[str, tuple[Callable[[Environment], object], object]] = {
    "text": (lambda env: env.text(NAME, "default"), "default"),
    "secret": (lambda env: env.secret(NAME), None),
    "whole": (lambda env: env.whole(NAME, 7), 7),
    "seconds": (lambda env: env.seconds(NAME, 7.5), 7.5),
    "flag": (lambda env: env.flag(NAME, True), True),
    "words": (lambda env: env.words(NAME, ["a"]), ["a"]),
    "choice": (lambda env: env.choice(NAME, "PLAIN", FORMATS), "PLAIN"),
    "path": (lambda env: env.path(NAME, Path("/srv")), Path("/srv")),
}


@pytest.mark.parametrize(("read", "default"), READERS.values(), ids=READERS.keys())
def test_what_is_not_set_or_empty_has_its_default(
    read: Callable[[Environment], object], default: object
) -> None:
    assert read(Environment({})) == read(environment("")) == default


GOOD: dict[str, tuple[Callable[[Environment], object], str, object]] = {
    "text": (lambda env: env.text(NAME, ""), "abc", "abc"),
    "zero": (lambda env: env.whole(NAME, 7), "0", 0),
    "whole": (lambda env: env.whole(NAME, 7), "900", 900),
    "the least": (lambda env: env.whole(NAME, 7, least=3), "3", 3),
    "seconds": (lambda env: env.seconds(NAME, 7), "0.5", 0.5),
    "whole seconds": (lambda env: env.seconds(NAME, 7), "30", 30.0),
    "yes": (lambda env: env.flag(NAME, False), "Yes", True),
    "one": (lambda env: env.flag(NAME, False), "1", True),
    "on, as the documentation calls it": (lambda env: env.flag(NAME, False), "on", True),
    "off": (lambda env: env.flag(NAME, True), "off", False),
    "false": (lambda env: env.flag(NAME, True), "FALSE", False),
    "words": (lambda env: env.words(NAME, []), " a, b ,,c", ["a", "b", "c"]),
    "a choice in other letters": (lambda env: env.choice(NAME, "PLAIN", FORMATS), "json", "JSON"),
    "path": (lambda env: env.path(NAME, Path("/")), "/a/b", Path("/a/b")),
    "home": (lambda env: env.path(NAME, Path("/")), "~/a", Path.home() / "a"),
}


@pytest.mark.parametrize(("read", "value", "result"), GOOD.values(), ids=GOOD.keys())
def test_a_good_value_is_read(read: Callable[[Environment], object], value: str, result: object) -> None:
    assert read(environment(value)) == result


BAD: dict[str, tuple[Callable[[Environment], object], str, str]] = {
    "a word for a number": (lambda env: env.whole(NAME, 1), SECRET, "a whole number, 0 to 1000000"),
    "below the least": (lambda env: env.whole(NAME, 9, least=90), "77", "a whole number, 90 to 1000000"),
    "negative": (lambda env: env.whole(NAME, 1), "-315", "a whole number, 0 to 1000000"),
    "a fraction": (lambda env: env.whole(NAME, 1), "3.15", "a whole number"),
    "a blank": (lambda env: env.whole(NAME, 1), " 315", "a whole number"),
    "a newline": (lambda env: env.whole(NAME, 1), "315\n", "a whole number"),
    "Arabic digits": (lambda env: env.whole(NAME, 1), "٣١٥", "a whole number"),
    "a superscript": (lambda env: env.whole(NAME, 1), "3²", "a whole number"),
    "5,000 digits": (lambda env: env.whole(NAME, 1), "9" * 5000, "a whole number"),
    "seconds in words": (lambda env: env.seconds(NAME, 1), SECRET, "a number of seconds, 0 to 315360000"),
    "seconds with a unit": (lambda env: env.seconds(NAME, 1), "315s", "a number of seconds"),
    "negative seconds": (lambda env: env.seconds(NAME, 1), "-3.15", "a number of seconds"),
    "too few seconds": (lambda env: env.seconds(NAME, 1, least=0.5), "0.315", "0.5 to 315360000"),
    "seconds without end": (lambda env: env.seconds(NAME, 1), "infinity", "a number of seconds"),
    "seconds that are no number": (lambda env: env.seconds(NAME, 1), "nan", "a number of seconds"),
    "too many": (lambda env: env.whole(NAME, 1), "1000001", "a whole number, 0 to 1000000"),
    "days past a century": (lambda env: env.days(NAME, 1), "36501", "a whole number, 0 to 36500"),
    "seconds past ten years": (lambda env: env.seconds(NAME, 1), "1e12", "seconds, 0 to 315360000"),
    "a flag in other words": (lambda env: env.flag(NAME, True), SECRET, "true or false"),
    "what is no choice": (lambda env: env.choice(NAME, "PLAIN", FORMATS), "xml", "one of PLAIN, JSON"),
    "words of commas": (lambda env: env.words(NAME, ["a"]), " ,,", "a list with commas that is not empty"),
    "bytes that are no text": (lambda env: env.text(NAME, ""), "x\udcff" * 20, "text in UTF-8"),
    "a secret of such bytes": (lambda env: env.secret(NAME), "x\udcff" * 20, "text in UTF-8"),
    "words of such bytes": (lambda env: env.words(NAME, []), "x\udcff", "text in UTF-8"),
    "a path of such bytes": (lambda env: env.path(NAME, Path("/srv")), "/x\udcff", "text in UTF-8"),
    "a secret of blanks": (lambda env: env.secret(NAME), " \t", "a text that is not blank"),
    "a path in quotes": (lambda env: env.path(NAME, Path("/srv")), '"/srv/x"', ALLOWED_PATH),
    "a path with a blank behind it": (lambda env: env.path(NAME, Path("/srv")), "/srv/x\r", ALLOWED_PATH),
    "a path of blanks": (lambda env: env.path(NAME, Path("/srv")), " \t", ALLOWED_PATH),
    "a stranger's home": (lambda env: env.path(NAME, Path("/srv")), "~nobodyx/data", ALLOWED_PATH),
    "another one's": (lambda env: env.optional_path(NAME), "~nobodyx/data", ALLOWED_PATH),
    "a flag of two": (lambda env: env.flag(NAME, True), "315", "true or false"),
}


@pytest.mark.parametrize(("read", "value", "allowed"), BAD.values(), ids=BAD.keys())
def test_a_bad_value_is_refused_by_name_form_and_what_is_allowed(
    read: Callable[[Environment], object], value: str, allowed: str
) -> None:
    sentence = refusal(lambda: read(environment(value)))
    assert allowed in sentence and form(value) in sentence
    assert value not in sentence.replace(NAME, "").replace(allowed, "")


def test_an_account_without_a_home_has_no_default_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert ALLOWED_PATH in refusal(lambda: Environment({}).path(NAME, Path("~/.dockmgr")))
    assert environment("/srv/x").path(NAME, Path("~/.dockmgr")) == Path("/srv/x")


NUMBERS = [
    ast.unparse(call)
    for call in ast.walk(ast.parse(Path(settings.__file__).read_text()))
    if isinstance(call, ast.Call) and ast.unparse(call.func) in ("env.whole", "env.days", "env.seconds")
]


@pytest.mark.parametrize("call", NUMBERS)
def test_every_number_among_the_settings_has_an_upper_bound(call: str) -> None:
    name = call.split("'")[1]
    with pytest.raises(ImproperlyConfigured, match=f"{name} .* is a .* to [0-9]+"):
        eval(call, {**vars(settings), "env": Environment({name: "999999999"})})


def test_nobody_watches_so_seldom_that_he_is_taken_for_dead() -> None:
    [call] = [call for call in NUMBERS if "'DOCKMGR_WATCH_INTERVAL'" in call]
    patience = Environment(
        {"DOCKMGR_WATCH_INTERVAL": "30"}
    )  # that of the health checks in docker-compose.yml
    with pytest.raises(ImproperlyConfigured):
        eval(call, {**vars(settings), "env": patience})


@pytest.mark.parametrize(
    ("value", "words"), [("123", "3 digits"), ("abc", "3 letters"), ("a-1", "3 characters")]
)
def test_a_form_tells_length_and_kind(value: str, words: str) -> None:
    assert form(value) == words


@given(st.text(min_size=8, max_size=40))
def test_no_form_shows_a_value(value: str) -> None:
    assert value not in form(value)


def test_a_secret_is_taken_from_its_variable_or_its_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    assert environment(SECRET).secret(NAME) == SECRET
    assert Environment({f"{NAME}_FILE": str(file)}).secret(NAME) == SECRET
    file.write_bytes(b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n")  # as editors on Windows write it
    assert Environment({NAME: "", f"{NAME}_FILE": str(file)}).secret(NAME) == SECRET
    assert Environment({NAME: SECRET, f"{NAME}_FILE": ""}).secret(NAME) == SECRET


def test_a_secret_set_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("another-value")
    both = Environment({NAME: SECRET, f"{NAME}_FILE": str(file)})
    assert f"{NAME}_FILE" in refusal(lambda: both.secret(NAME), SECRET, "another-value")


def _missing(path: Path) -> None:
    """Nothing is made at the path."""


FILES: dict[str, Callable[[Path], Any]] = {
    "missing": _missing,
    "a folder": Path.mkdir,
    "not text": lambda path: path.write_bytes(b"\xff\xfe" + SECRET.encode()),
    "empty": Path.touch,
    "blank": lambda path: path.write_text(" \n"),
    "without an end": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("make", FILES.values(), ids=FILES.keys())
def test_a_secret_file_that_holds_no_secret_is_refused(make: Callable[[Path], Any], tmp_path: Path) -> None:
    file = tmp_path / "secret"
    make(file)
    named = Environment({f"{NAME}_FILE": str(file)})
    assert f"{NAME}_FILE" in refusal(lambda: named.secret(NAME), SECRET)


def test_fernet_keys_come_as_they_are_and_in_order() -> None:
    given_keys = [keys.new_fernet_key() for _ in range(3)]
    for text in (",".join(given_keys), " , ".join(given_keys) + ",\n", "\n".join(given_keys)):
        assert keys.fernet_keys(NAME, text) == [key.encode() for key in given_keys]


def test_a_phrase_becomes_the_same_key_every_time() -> None:
    phrase = "a phrase of more than thirty-two characters"
    [one], [two] = keys.fernet_keys(NAME, phrase), keys.fernet_keys(NAME, f" {phrase}\n")
    assert one == two
    assert Fernet(two).decrypt(Fernet(one).encrypt(b"x")) == b"x"
    assert keys.fernet_keys(NAME, phrase + "!") != [one]


BAD_KEYS = {
    "a word": SECRET,
    "31 characters": "s" * 31,
    "one good and one bad": f"{Fernet.generate_key().decode()},{SECRET}",
    "umlauts": "schlüssel",
    "base64 of too little": "c2hvcnQ=",
    "nothing": "",
    "only commas": " , ,\n",
}


@pytest.mark.parametrize("text", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_a_bad_key_is_refused_by_its_length_only(text: str) -> None:
    parts = [part for part in text.split(",") if part.strip()]
    refusal(lambda: keys.fernet_keys(NAME, text), SECRET, *parts)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_kept_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "home" / "deep" / "key"
    before = os.umask(0)
    try:
        assert keys.kept(path, lambda: SECRET) == SECRET
    finally:
        os.umask(before)
    assert keys.kept(path, lambda: "another") == SECRET
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path], "no draft is left behind"


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    path, together = tmp_path / "home" / "key", threading.Barrier(8)

    def start(number: int) -> str:
        def make() -> str:
            together.wait(60)  # all have found no key before the first one writes
            return f"key-{number}"

        return keys.kept(path, make)

    with ThreadPoolExecutor(8) as pool:
        agreed = set(pool.map(start, range(8)))
    assert agreed == {path.read_text().strip()}
    assert mode(path) == 0o600 and list(path.parent.iterdir()) == [path]


def _not_text(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe")


BLOCKED: dict[str, Callable[[Path], Any]] = {
    "the folder is a file": lambda path: path.parent.write_text("x"),
    "the key is a folder": lambda path: path.mkdir(parents=True),
    "the key is not text": _not_text,
}


@pytest.mark.parametrize("block", BLOCKED.values(), ids=BLOCKED.keys())
def test_a_key_that_cannot_be_kept_is_one_sentence(block: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "home" / "key"
    block(path)
    with pytest.raises(ImproperlyConfigured, match=r"^The state folder \(DOCKMGR_HOME\) .*\.$"):
        keys.kept(path, lambda: SECRET)
