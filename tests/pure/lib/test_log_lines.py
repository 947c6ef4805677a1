"""Hostile streams become bounded, redacted lines, whatever the chunks look like."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.lib.log_lines import Tail, follow, for_terminal, tail
from instances.lib.redact import GENERAL, MARK, Redactor
from tests.cpu import costs_less_than

MIB = 1024 * 1024
SECRET = "Zq7-sentinel-é-9"


def case(name: str, *values: object) -> object:
    return pytest.param(*values, id=name)


def chunked(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


LINES = [
    case("nothing", b"", []),
    case("one_line", b"a\n", ["a"]),
    case("no_line_end", b"a\nb", ["a", "b"]),
    case("empty_lines", b"a\n\n\nb\n", ["a", "", "", "b"]),
    case("crlf", b"a\r\nb\r\n", ["a", "b"]),
    case("progress_bar", b"10%\r20%\r\nok\n", ["10%␍20%", "ok"]),
    case("utf8", "ä€😀\n".encode(), ["ä€😀"]),
    case("invalid_utf8", b"a\xff\xc3\n\xe2\x82", ["a\ufffd\ufffd", "\ufffd"]),
    case("unicode_line_separators_are_no_line_ends", "a\u2028b\x0bc\n".encode(), ["a\u2028b\x0bc"]),
    case("secret", f"x {SECRET} y\n".encode(), [f"x {MARK} y"]),
    case("only_the_last", b"".join(b"%d\n" % n for n in range(50)), ["46", "47", "48", "49"]),
    case("only_the_last_without_end", b"1\n2\n3\n4\n5", ["2", "3", "4", "5"]),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 65_536])
@pytest.mark.parametrize(("data", "expected"), LINES)
def test_lines_do_not_depend_on_how_the_stream_is_cut(data: bytes, expected: list[str], size: int) -> None:
    result = tail(chunked(data, size), lines=4, redactor=Redactor([SECRET]))
    assert result == Tail(expected, truncated=False)


def test_an_open_line_is_forgotten_when_one_chunk_fills_the_tail() -> None:
    result = tail([b"old", b"1\n2\n3\n4\n5\nrest"], lines=2, redactor=GENERAL)
    assert result == Tail(["5", "rest"], truncated=False)


@pytest.mark.parametrize("size", [1, 3, 65_536])
def test_following_yields_every_line(size: int) -> None:
    data = f"a\r\n{SECRET}\n\n€".encode() + b"\xff"
    assert list(follow(chunked(data, size), Redactor([SECRET]))) == ["a", MARK, "", "€\ufffd"]


def test_following_yields_a_line_as_soon_as_it_ends() -> None:
    lines = follow((b"%d\nrest" % n for n in count()), GENERAL)
    assert [next(lines), next(lines)] == ["0", "rest1"]


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_a_long_line_is_capped_with_its_marker(size: int) -> None:
    result = tail(chunked(b"x" * 1000 + b"\nok\n", size), lines=5, redactor=GENERAL, max_line=100)
    assert result == Tail(["x" * 80 + "… [920 bytes cut]", "ok"], truncated=True)
    assert len(result.lines[0].encode()) == 99


def test_a_line_of_exactly_the_limit_is_whole() -> None:
    result = tail([b"x" * 100 + b"\n"], lines=5, redactor=GENERAL, max_line=100)
    assert result == Tail(["x" * 100], truncated=False)


def test_a_cap_splits_no_character() -> None:
    (line,) = tail(["€".encode() * 100], lines=1, redactor=GENERAL, max_line=100).lines
    assert line == "€" * 27 + "… [219 bytes cut]"


def test_a_cap_through_a_secret_shows_no_part_of_it() -> None:
    for at in range(60, 130):
        data = b"x" * at + SECRET.encode() + b"y" * 500
        (line,) = tail(chunked(data, 64), lines=1, redactor=Redactor([SECRET]), max_line=100).lines
        assert "Zq7-" not in line, at
        assert len(line.encode()) <= 100, at


def test_a_secret_cut_at_the_end_of_what_is_kept_does_not_show_when_redaction_shortens_the_line() -> None:
    secret = "Zq7-sentinel-é" * 10
    redactor = Redactor([secret])
    for shift in range(200):
        data = b"x" * shift + (secret + " ").encode() * 5
        (line,) = tail([data], lines=1, redactor=redactor, max_line=100).lines
        assert "Zq7-" not in line, shift


def test_the_newest_lines_win_when_the_total_is_reached() -> None:
    data = b"".join(b"line %03d\n" % n for n in range(100))
    result = tail([data], lines=100, redactor=GENERAL, max_total=1000)
    assert result.truncated
    assert result.lines[-1] == "line 099"
    assert 0 < sum(len(line) + 1 for line in result.lines) <= 1000


def test_the_total_counts_what_redaction_and_replacement_add() -> None:
    data = (b"k1y2" + b"\xff" * 90 + b"\n") * 1000
    result = tail([data], lines=1000, redactor=Redactor(["k1y2"]), max_total=70_000)
    assert result.truncated and result.lines
    assert sum(len(line.encode()) + 1 for line in result.lines) <= 70_000


def test_old_lines_too_many_to_hold_are_no_loss_once_newer_ones_fill_the_tail() -> None:
    chunks = [b"x" * 90 + b"\n"] * 100 + [b"ok\n" * 10] * 100
    assert tail(chunks, lines=3, redactor=GENERAL, max_total=300) == Tail(["ok"] * 3, truncated=False)


def test_reading_ends_at_the_deadline() -> None:
    asked = count(1)
    endless = (b"%d\n" % n for n in count())
    result = tail(endless, lines=2, redactor=GENERAL, deadline=lambda: next(asked) == 5)
    assert result == Tail(["3", "4"], truncated=True)


def test_no_lines_asked_for_gives_none() -> None:
    assert tail([b"a\nb\n", b"c"], lines=0, redactor=GENERAL) == Tail([], truncated=False)


@pytest.mark.parametrize(("lines", "max_line"), [(-1, 8192), (1, 63)])
def test_senseless_limits_are_refused(lines: int, max_line: int) -> None:
    with pytest.raises(ValueError, match="must"):
        tail([], lines=lines, redactor=GENERAL, max_line=max_line)


def test_following_refuses_a_senseless_limit() -> None:
    with pytest.raises(ValueError, match="must"):
        next(follow([], GENERAL, max_line=1))


def flood(unit: bytes, total: int) -> Iterator[bytes]:
    chunk = (unit * (65_536 // len(unit) + 1))[:65_536]
    for _ in range(total // len(chunk)):
        yield chunk


FLOODS = [
    case("one_line", b"x"),
    case("invalid_bytes", b"\xff"),
    case("short_lines", b"a short line\n"),
    case("empty_lines", b"\n"),
    case("long_lines", b"y" * 9000 + b"\n"),
    case("very_long_lines", b"y" * 60_000 + b"\n"),
    case("carriage_returns", b"10%\r"),
]


@pytest.mark.parametrize("unit", FLOODS)
def test_a_flood_is_read_fast(unit: bytes) -> None:
    redactor = Redactor([SECRET])
    assert costs_less_than(0.2, lambda: tail(flood(unit, 20 * MIB), lines=100, redactor=redactor))


def peak_memory(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("unit", FLOODS)
def test_a_flood_takes_little_memory(unit: bytes) -> None:
    flooded, redactor = flood(unit, MIB), Redactor([SECRET])
    assert peak_memory(lambda: tail(flooded, lines=100, redactor=redactor, max_total=MIB // 16)) < MIB // 2


def test_asking_for_very_many_lines_takes_little_more_memory_than_the_total() -> None:
    flooded = flood(b"y" * 99 + b"\n", MIB)
    assert peak_memory(lambda: tail(flooded, lines=10**9, redactor=GENERAL, max_total=MIB // 8)) < MIB // 2


def test_asking_for_more_lines_than_can_be_held_says_so() -> None:
    result = tail([b"\n" * 100], lines=10**9, redactor=GENERAL, max_total=640)
    assert result == Tail([""] * 10, truncated=True)


def test_following_an_endless_line_takes_little_memory() -> None:
    assert peak_memory(lambda: list(follow(flood(b"x", 5 * MIB), GENERAL))) < MIB


texts = st.text(st.sampled_from("ab \r\n€\0\x1b") | st.characters(exclude_categories=["Cs"]), max_size=120)


@given(before=texts, after=texts, size=st.integers(1, 40), max_line=st.integers(64, 200))
def test_a_secret_never_shows_however_the_stream_is_cut(
    before: str, after: str, size: int, max_line: int
) -> None:
    data = f"{before}{SECRET}{after}{SECRET}".encode()
    redactor = Redactor([SECRET])
    result = tail(chunked(data, size), lines=50, redactor=redactor, max_line=max_line)
    assert result.lines == list(follow(chunked(data, size), redactor, max_line))[-50:]
    assert "Zq7-" not in "\n".join(result.lines)


@given(
    data=st.lists(st.binary(max_size=80) | st.sampled_from([b"\n", b"token=", b"x" * 300])).map(b"".join),
    size=st.integers(1, 64),
    lines=st.integers(0, 6),
    max_total=st.integers(0, 600),
)
def test_no_stream_exceeds_the_bounds(data: bytes, size: int, lines: int, max_total: int) -> None:
    result = tail(chunked(data, size), lines=lines, redactor=GENERAL, max_line=64, max_total=max_total)
    assert len(result.lines) <= lines
    assert all(len(line.encode()) <= 64 and "\n" not in line for line in result.lines)
    assert sum(len(line.encode()) + 1 for line in result.lines) <= max_total
    there = len(data.removesuffix(b"\n").split(b"\n")) if data else 0
    assert result.truncated or len(result.lines) == min(lines, there)


TERMINAL = [
    case("plain", "tab\tand ünicode ␍ 😀 stay", "tab\tand ünicode ␍ 😀 stay"),
    case("colour", "\x1b[1;31mred\x1b[0m", "red"),
    case("cursor", "a\x1b[2J\x1b[Hb\x1b[?25lc", "abc"),
    case("csi_with_intermediate", "a\x1b[1 qb", "ab"),
    case("csi_unfinished", "a\x1b[12;", "a"),
    case("csi_of_one_byte", "a\x9b31mb", "ab"),
    case("title_bel", "a\x1b]0;evil\x07b", "ab"),
    case("title_st", "a\x1b]0;evil\x1b\\b", "ab"),
    case("title_of_one_byte", "a\x9d0;evil\x9cb", "ab"),
    case("title_unterminated", "a\x1b]0;evil", "a"),
    case("title_aborted_by_colour", "a\x1b]0;evil\x1b[31mb", "ab"),
    case("hyperlink", "\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\", "text"),
    case("dcs", "a\x1bPq#0;evil\x1b\\b", "ab"),
    case("dcs_unterminated", "a\x90evil", "a"),
    case("apc_pm_sos", "a\x1b_x\x1b\\b\x1b^x\x1b\\c\x1bXx\x1b\\d", "abcd"),
    case("reset", "a\x1bcb", "ab"),
    case("charset", "a\x1b(0b", "ab"),
    case("lone_escape", "a\x1b", "a"),
    case("nested_escapes", "a\x1b\x1b[31m[31mb", "a[31mb"),
    case("c0", "a\0b\bc\rd\x0ee\nf", "abcdef"),
    case("del_and_c1", "a\x7fb\x85c", "abc"),
    case("bidi", "a\u202eb\u202ac\u2066d\u2069e", "abcde"),
]


@pytest.mark.parametrize(("line", "expected"), TERMINAL)
def test_terminal_sequences_are_removed(line: str, expected: str) -> None:
    assert for_terminal(line) == expected


@given(st.text(st.sampled_from("\x1b[]P;m\x07\\0\x9b\x9c\x9d(") | st.characters()))
def test_cleaning_for_a_terminal_is_complete_and_idempotent(line: str) -> None:
    clean = for_terminal(line)
    assert for_terminal(clean) == clean
    assert not any((ord(c) < 32 and c != "\t") or 0x7F <= ord(c) <= 0x9F for c in clean)


@pytest.mark.parametrize("unit", ["\x1b", "\x1b]", "\x1b[", "\x1b[1;", "\x1bP\x1b", "\x9d", "\x1b ", "a"])
def test_cleaning_hostile_lines_takes_linear_time(unit: str) -> None:
    line = unit * (65_536 // len(unit))
    assert costs_less_than(1.0, lambda: for_terminal(line))
