"""Frames of the engine's log stream, however they are cut, and ending a read from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.engine.log_stream import WireStream, demultiplex
from instances.errors import EngineUnreachable


def frame(payload: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4) + payload


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(1, 60), min_size=1))
def test_any_cut_of_the_stream_gives_the_same_payload(payloads: list[bytes], sizes: list[int]) -> None:
    wire = b"".join(frame(payload, 1 + number % 2) for number, payload in enumerate(payloads))
    chunks, at = [], 0
    for number in range(len(wire)):
        if at < len(wire):
            size = sizes[number % len(sizes)]
            chunks.append(wire[at : at + size])
            at += size
    assert b"".join(demultiplex(chunks)) == b"".join(payloads)


def test_a_frame_that_claims_gigabytes_is_handed_on_as_it_comes() -> None:
    head = bytes([1, 0, 0, 0]) + b"\xff\xff\xff\xff"
    pieces = demultiplex([head + b"first", b"second"])
    assert list(pieces) == [b"first", b"second"]


def test_a_stream_cut_off_inside_a_header_just_ends() -> None:
    assert list(demultiplex([frame(b"whole"), b"\x01\x00\x00"])) == [b"whole"]


def cut_off() -> Iterator[bytes]:
    raise EngineUnreachable("cut")


class Wire:
    """Pieces that never come, until the read is interrupted; then it fails as a cut connection does."""

    def __init__(self) -> None:
        self.reading = threading.Event()
        self.cut = threading.Event()
        self.released_during_read = False
        self.busy = False

    def pieces(self) -> Iterator[bytes]:
        self.busy = True
        self.reading.set()
        assert self.cut.wait(60)
        self.busy = False
        yield from cut_off()

    def release(self) -> None:
        self.released_during_read = self.busy


def test_closing_ends_a_read_in_another_thread_and_releases_after_it() -> None:
    wire = Wire()
    log = WireStream(wire.pieces(), wire.cut.set, wire.release)
    read: list[list[bytes]] = []
    reader = threading.Thread(target=lambda: read.append(list(log)))
    reader.start()
    assert wire.reading.wait(60)
    log.close()
    reader.join(60)
    assert read == [[]]
    assert not wire.released_during_read


def test_a_failure_that_nobody_asked_for_is_raised() -> None:
    wire = Wire()
    wire.cut.set()
    log = WireStream(wire.pieces(), wire.cut.set, wire.release)
    with pytest.raises(EngineUnreachable):
        next(log)


def test_an_interruption_that_comes_too_late_is_no_failure() -> None:
    def interrupt() -> None:
        raise RuntimeError("already released")

    released: list[bool] = []
    log = WireStream(iter([b"a"]), interrupt, lambda: released.append(True))
    assert next(log) == b"a"
    log.close()
    assert list(log) == []
    assert released == [True]
