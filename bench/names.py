"""A name server for a trial: `python -m bench.names FILE`, at port 53 of 127.0.0.1 until it is ended.

FILE is JSON, read again whenever it is another one: `names` with the address of each, and whom it answers
otherwise: `gone`, names and zones that do not exist, and `away`, zones whose own name servers do not answer.
With `silent` it answers nobody.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

from dev.engines.name_server import answer as unknown

ADDRESS, PORT = "127.0.0.1", 53
_HEADER, _LARGEST = 12, 512
_KNOWN, _FAILS = b"\x81\x80", b"\x81\x82"
_IPV4 = b"\0\1\0\1"  # type and class of a question
_POINTER = b"\xc0\x0c"  # the name that was asked for


def asked_name(question: bytes) -> str:
    """The name in a message with one question."""
    labels, at = [], _HEADER
    while at < len(question) and question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode("ascii", "replace"))
        at += 1 + question[at]
    return ".".join(labels).lower()


def answer(question: bytes, known: dict[str, Any]) -> bytes:
    """What is sent back; nothing where nobody answers."""
    name = asked_name(question)
    above = {name, name.partition(".")[2]}
    place = known["names"].get(name)
    if known.get("silent"):
        return b""
    if above & set(known.get("away", ())):
        return _reply(question, _FAILS)
    if place is None or above & set(known.get("gone", ())):
        return unknown(question)
    wanted = question[question.find(b"\0", _HEADER) + 1 :][:4]
    record = _POINTER + _IPV4 + b"\0\0\0\0\0\4" + socket.inet_aton(place) if wanted == _IPV4 else b""
    return _reply(question, _KNOWN, record)


def _reply(question: bytes, flags: bytes, record: bytes = b"") -> bytes:
    counts = b"\0\1" + (b"\0\1" if record else b"\0\0") + b"\0\0\0\0"
    ends = question.find(b"\0", _HEADER) + 5
    return question[:2] + flags + counts + question[_HEADER:ends] + record


def main(file: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((ADDRESS, PORT))
        known, read_at = {}, 0
        while True:
            question, asker = server.recvfrom(_LARGEST)
            if (changed := file.stat().st_mtime_ns) != read_at:
                known, read_at = json.loads(file.read_text()), changed
            if said := answer(question, known):
                server.sendto(said, asker)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
