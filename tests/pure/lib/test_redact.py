"""What is taken out of text, what stays readable, and how long hostile text may take."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instances.lib.redact import GENERAL, MARK, Redactor, is_secret
from tests.cpu import costs_less_than

SECRET = "p@ss/w\"rd <é>'\\+&~*=1"
PEM_LINES = ["MIIEvQIBADANBgkqhkiG9w0BAQ", "EFAASCBKcwggSjAgEAAoIBAQC7"]
PEM = "\n".join(["-----BEGIN PRIVATE KEY-----", *PEM_LINES, "-----END PRIVATE KEY-----"]) + "\n"
# Any printable text; long enough that a few characters left over by chance are no leak.
secrets = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=6, max_size=700).filter(is_secret)


def case(name: str, *values: object) -> object:
    return pytest.param(*values, id=name)


def numbered(text: str, escaped: str, form: str = "\\u{:04x}") -> str:
    """The text with each of these characters as its number."""
    return "".join(form.format(ord(each)) if each in escaped else each for each in text)


FORMS = [
    case("raw", SECRET),
    case("json", json.dumps(SECRET)[1:-1]),
    case("json_without_ascii_escapes", json.dumps(SECRET, ensure_ascii=False)[1:-1]),
    case("json_in_json", json.dumps(json.dumps(SECRET))[3:-3]),
    case("json_with_escaped_slash", json.dumps(SECRET)[1:-1].replace("/", "\\/")),
    case("json_of_go", numbered(json.dumps(SECRET)[1:-1], "<>&")),
    case("json_of_gson", numbered(json.dumps(SECRET, ensure_ascii=False)[1:-1], "<>&='")),
    case("json_of_dotnet", numbered(SECRET.replace("\\", "\\\\"), "<>&'\"+`é", "\\u{:04X}")),
    case("url_quoted", quote(SECRET)),
    case("url_quoted_whole", quote(SECRET, safe="")),
    case("url_quoted_lower_case", re.sub("%..", lambda escape: escape[0].lower(), quote(SECRET))),
    case("url_quoted_plus", quote_plus(SECRET)),
    case("url_quoted_twice", quote(quote(SECRET))),
    case("url_of_javascript", quote(SECRET, safe=";,/?:@&=+$#!'()*~")),
    case("path_of_go", quote(SECRET, safe="$&+=:@~")),
    case("form_of_java", quote_plus(SECRET, safe="*").replace("~", "%7E")),
    case("html", html.escape(SECRET)),
    case("html_text", html.escape(SECRET, quote=False)),
    case("xml", escape(SECRET, {"'": "&apos;", '"': "&quot;"})),
    case("html_by_number", html.escape(SECRET).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")),
    case("html_of_mustache", html.escape(SECRET).replace("/", "&#x2F;").replace("=", "&#x3D;")),
    case("html_of_go", html.escape(SECRET).replace("+", "&#43;")),
    case("shell", SECRET.replace("'", "'\\''")),
    case("shell_of_python", shlex.quote(SECRET)[1:-1]),
    case("octal", "".join(f"\\{byte:03o}" if byte > 126 else chr(byte) for byte in SECRET.encode())),
    case("rust", numbered(json.dumps(SECRET, ensure_ascii=False)[1:-1], "é", "\\u{{{:x}}}")),
    case("coloured_within", f"{SECRET[:6]}\x1b[1;31m{SECRET[6:9]}\x1b[0m{SECRET[9:]}"),
    case("linked_within", f"{SECRET[:6]}\x1b]8;;http://x\x07{SECRET[6:]}"),
    case("utf16_as_bytes", "\0".join(SECRET)),
    case("repr", repr(SECRET)[1:-1]),
    case("ascii", ascii(SECRET)[1:-1]),
    case("bytes_repr", repr(SECRET.encode())[2:-1]),
]


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_form_it_travels_in(form: str) -> None:
    assert Redactor([SECRET]).text(f"before {form} after") == f"before {MARK} after"


def test_a_quote_escaped_because_of_the_text_around_it_is_found() -> None:
    text = repr('he said "don\'t-tell-her"')
    assert Redactor(["don't-tell-her"]).text(text) == f"'he said \"{MARK}\"'"


@pytest.mark.parametrize("prefix", ["", "u", "us", "user:", "user12:"])
@pytest.mark.parametrize("suffix", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_inside_base64_leaves_at_most_its_edge_characters(
    prefix: str, suffix: str, encode: Callable[[bytes], bytes]
) -> None:
    secret = "hunter2>>>???hunter2"
    blob = encode(f"{prefix}{secret}{suffix}".encode()).decode()
    clean = Redactor([secret]).text(f"got {blob}!")
    before, after = clean.removeprefix("got ").removesuffix("!").split(MARK)
    assert blob.startswith(before) and blob.endswith(after)
    assert len(blob) - len(before) - len(after) >= len(secret) * 4 / 3 - 3


def test_basic_auth_of_a_password_is_found_without_its_header() -> None:
    blob = base64.b64encode(b"admin:correct-horse-battery").decode()
    assert Redactor(["correct-horse-battery"]).text(blob) == f"YWRtaW46{MARK}"


def test_url_quoted_base64_is_found() -> None:
    secret = "~~~???>>>"
    blob = quote(base64.b64encode(secret.encode()).decode(), safe="")
    assert "%" in blob
    assert Redactor([secret]).text(f"?q={blob}") == f"?q={MARK}"


@pytest.mark.parametrize("line", PEM_LINES)
def test_a_key_of_several_lines_is_hidden_line_by_line(line: str) -> None:
    assert Redactor([PEM]).text(f"2026-01-01 {line}") == f"2026-01-01 {MARK}"


def test_a_key_of_several_lines_is_hidden_as_a_whole_when_escaped() -> None:
    assert PEM_LINES[0] not in Redactor([PEM]).text(json.dumps({"config": PEM}))


def test_frame_and_short_lines_of_a_key_stay_readable() -> None:
    redactor = Redactor(["short\n-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG"])
    assert redactor.text("short -----BEGIN CERTIFICATE-----") == "short -----BEGIN CERTIFICATE-----"


PLAIN = [
    "",
    "abc",
    "true",
    "False",
    "none",
    "NULL",
    "prod",
    "info",
    "debug",
    "8080",
    "12345",
    "0.25",
    " dev \n",
]


@pytest.mark.parametrize("value", PLAIN)
def test_plain_values_do_not_shred_a_log(value: str) -> None:
    text = f"debug: listening on 8080 in prod, verbose=true, ratio 0.25, pid 12345, none null {value}"
    assert Redactor([value]).text(text) == text


@pytest.mark.parametrize("value", ["123456", "abcd", "production-key", "trueish", "1.2.3.4"])
def test_values_just_beyond_plain_are_secrets(value: str) -> None:
    assert Redactor([value]).text(f"<{value}>") == f"<{MARK}>"


OVERLAPS = [
    case("one_contains_another", ["hunter2", "my-hunter2-key"], "a my-hunter2-key b", f"a {MARK} b"),
    case("they_overlap", ["abcdef1", "def1ghi"], "abcdef1ghi!", f"{MARK}!"),
    case("it_overlaps_itself", ["ab1ab1ab1"], "x ab1ab1ab1ab1ab1 y", f"x {MARK} y"),
    case("next_to_each_other", ["first-one", "second-one"], "first-onesecond-one", MARK),
    case("twice", ["hunter2"], "hunter2 hunter2", f"{MARK} {MARK}"),
    case("surrounding_space_in_the_file", ["hunter2\n"], "is hunter2.", f"is {MARK}."),
]


@pytest.mark.parametrize(("values", "text", "expected"), OVERLAPS)
def test_overlapping_secrets_vanish_whole(values: list[str], text: str, expected: str) -> None:
    assert Redactor(values).text(text) == expected


@pytest.mark.parametrize("encode", [str, lambda s: base64.b64encode(s.encode()).decode(), quote])
def test_a_very_long_secret_is_hidden_whole_while_its_longest_form_stays_bounded(
    encode: Callable[[str], str],
) -> None:
    secret = "".join(f"{n:x}/é" for n in range(4000))
    redactor = Redactor([secret])
    assert redactor.longest < 8192
    clean = redactor.text(f"[{encode(secret)}]")
    assert clean.count(MARK) == 1
    assert len(clean) < len(MARK) + 8


def test_longest_is_in_bytes_and_covers_every_form() -> None:
    assert Redactor(["é" * 10]).longest >= len(quote("é" * 10))
    assert GENERAL.longest == 0
    assert Redactor(["true", "abc"]).longest == 0


def test_a_value_with_lone_surrogates_is_accepted() -> None:
    assert Redactor(["pass\udc80word"]).text("a pass\udc80word") == f"a {MARK}"


def test_one_string_instead_of_several_is_refused() -> None:
    with pytest.raises(TypeError, match="several secrets"):
        Redactor("hunter2")


def test_a_redactor_shows_no_secret_of_its_own() -> None:
    assert "hunter2" not in repr(Redactor(["hunter2"]))


CUTS = [
    case("start", "ok my-hunt", True, f"ok {MARK}"),
    case("whole_and_part", "my-hunter2-key my-hunter", True, f"{MARK} {MARK}"),
    case("three_characters_stay", "ok my-", True, "ok my-"),
    case("uncut_stays", "ok my-hunt", False, "ok my-hunt"),
    case("empty", "", True, ""),
]


@pytest.mark.parametrize(("text", "is_cut", "expected"), CUTS)
def test_a_cut_shows_no_part_of_a_secret(text: str, is_cut: bool, expected: str) -> None:
    assert Redactor(["my-hunter2-key"]).text(text, is_cut=is_cut) == expected


def test_a_cut_takes_the_longest_part_of_a_repeating_secret() -> None:
    assert Redactor(["ab1ab1ab1ab1"]).text("x ab1ab1ab1", is_cut=True) == f"x {MARK}"


@pytest.mark.parametrize("form", FORMS)
def test_no_cut_through_an_escape_shows_what_comes_before_it(form: str) -> None:
    redactor = Redactor([SECRET])
    for at in range(1, len(form)):
        clean = redactor.text(f"before {form[:at]}", is_cut=True)
        assert clean == f"before {MARK}" or (at < 24 and clean == f"before {form[:at]}"), form[:at]


@settings(max_examples=50)
@given(secret=secrets, before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_text_around_a_secret_lets_it_through(secret: str, before: str, after: str) -> None:
    assert secret not in Redactor([secret]).text(before + secret + after).replace(MARK, "\0")


ESCAPERS: list[Callable[[str], str]] = [
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    lambda text: quote(text, safe=""),
    lambda text: quote(text, safe=";,/?:@&=+$#!'()*"),
    html.escape,
    lambda text: text.replace("'", "'\\''"),
    lambda text: repr(text)[1:-1],
]


@given(
    secret=st.lists(
        st.sampled_from([*"ab/'\"%\\&é<;1", "%41", "\\n", "&lt;", "\\u00e9", "%25"]), min_size=12
    ).map("".join),
    first=st.sampled_from(ESCAPERS),
    second=st.sampled_from([str, *ESCAPERS]),
)
def test_what_looks_escaped_in_a_secret_hides_it_from_nobody(
    secret: str, first: Callable[[str], str], second: Callable[[str], str]
) -> None:
    assert Redactor([secret]).text(f"<{second(first(secret))}>") == f"<{MARK}>"


@pytest.mark.parametrize("width", [76, 64])
def test_base64_in_lines_is_found_line_by_line(width: int) -> None:
    secret = "".join(f"{number}:key/" for number in range(40))
    whole = base64.b64encode(secret.encode()).decode()
    redactor = Redactor([secret])
    for start in range(0, len(whole), width):
        assert redactor.text(whole[start : start + width]).startswith(MARK)


@settings(max_examples=50)
@given(secret=secrets, data=st.data())
def test_no_cut_through_a_secret_shows_four_characters_of_it(secret: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(4, len(secret)))
    assert Redactor([secret]).text(f"\0{secret[:at]}", is_cut=True) == f"\0{MARK}"


HOSTILE = [
    *("a", "1", "\\", '"', "key", "key=", 'key="', "key='\\", 'key\\"=\\"\\\\\\', "key ", "key%3d", "token."),
    *(
        "eyJ",
        "eyJaaaaaaaa.",
        "sk-",
        "xoxb-",
        "1234567890:AA",
        "bearer ",
        "authorization: ",
        'authorization\\"',
    ),
    *(
        "://",
        "://a:b",
        "://@",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN AAAA",
        "hunter2-hunter2",
        "hunter2-",
    ),
]
EVERY_CUE = "key bearer basic authorization eyj sk- xox akia :aa :// private key----- "
REPEATING = Redactor(["hunter2-" * 100, "a" * 5000, PEM])


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_lines_take_linear_time(unit: str) -> None:
    line = EVERY_CUE + unit * (24_576 // len(unit))
    # Hundredths of a second when linear; a quadratic pattern needs a tenth of a second and more.
    assert costs_less_than(0.1, lambda: REPEATING.text(line, is_cut=True))
