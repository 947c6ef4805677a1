"""A name server that knows no name: it says of each that it does not exist."""

from __future__ import annotations

import socket

ADDRESS = "127.0.0.1"
_PORT = 53
_HEADER = 12  # bytes of a message's header: its id, its flags, four counts
_FLAGS = b"\x81\x83"  # an answer, recursion asked for and offered, no such name
_COUNTS = b"\0\1\0\0\0\0\0\0"  # one question, nothing else
_LARGEST = 512


def answer(question: bytes) -> bytes:
    """The answer to a message with one question, which it repeats; nothing to what can't be one."""
    if len(question) <= _HEADER:
        return b""
    name_ends = question.find(b"\0", _HEADER) + 1
    asked = question[_HEADER : name_ends + 4]  # beside the name, a type and a class of two bytes each
    return question[:2] + _FLAGS + _COUNTS + asked


def main() -> None:
    """Answer until the process is ended."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((ADDRESS, _PORT))
        while True:
            question, asker = server.recvfrom(_LARGEST)
            server.sendto(answer(question), asker)


if __name__ == "__main__":
    main()
