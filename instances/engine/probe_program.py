"""Two programs of a few instructions that tell, inside any container, whether an address is reached. Pure.

A container of a customer's image may have no shell and no tool, and an image with tools may be on no host and
in no registry that it reaches. So these are written here in full, as their machine's instructions: `connect`
opens one TCP connection and ends with 0, or with the kernel's error number; `listen` takes connections for a
while and ends with 0, or at once with the error number. The address is part of the program.
"""

from __future__ import annotations

import io
import ipaddress
import struct
import tarfile

PROGRAM = "probe"  # the file's name
_BASE = 0x400000  # where the program is in memory
_HEADERS = 64 + 56
_LISTENS_FOR = 300  # seconds; by SSH to a busy machine a trial takes minutes

# Instructions, and what they are. Both programs end where the address begins.
_X86_SOCKET = (
    "bf02000000",  # mov edi, 2          IPv4
    "be01000000",  # mov esi, 1          TCP
    "31d2",  # xor edx, edx
    "b829000000",  # mov eax, 41         socket
    "0f05",  # syscall
    "89c7",  # mov edi, eax
)
_X86_END = (
    "f7d8",  # neg eax             the error number, 0 for none
    "89c7",  # mov edi, eax
    "b83c000000",  # mov eax, 60         exit
    "0f05",  # syscall
)
_X86_CONNECT = (
    *_X86_SOCKET,
    "488d3515000000",  # lea rsi, [address]
    "6a10",  # push 16
    "5a",  # pop rdx
    "b82a000000",  # mov eax, 42         connect
    "0f05",  # syscall
    *_X86_END,
)
_X86_LISTEN = (
    *_X86_SOCKET,
    "488d353a000000",  # lea rsi, [address]
    "6a10",  # push 16
    "5a",  # pop rdx
    "b831000000",  # mov eax, 49         bind
    "0f05",  # syscall
    "85c0",  # test eax, eax
    "7521",  # jne end
    "be08000000",  # mov esi, 8
    "b832000000",  # mov eax, 50         listen
    "0f05",  # syscall
    "31ff",  # xor edi, edi
    "31f6",  # xor esi, esi
    "488d1525000000",  # lea rdx, [address + 16]    how long
    "4531d2",  # xor r10d, r10d
    "b80f010000",  # mov eax, 271        ppoll
    "0f05",  # syscall
    *_X86_END,
)
_ARM_SOCKET = (
    "400080d2",  # mov x0, 2           IPv4
    "210080d2",  # mov x1, 1           TCP
    "020080d2",  # mov x2, 0
    "c81880d2",  # mov x8, 198         socket
    "010000d4",  # svc 0
)
_ARM_END = (
    "e00300cb",  # neg x0, x0          the error number, 0 for none
    "a80b80d2",  # mov x8, 93          exit
    "010000d4",  # svc 0
)
_ARM_CONNECT = (
    *_ARM_SOCKET,
    "e1000010",  # adr x1, address
    "020280d2",  # mov x2, 16
    "681980d2",  # mov x8, 203         connect
    "010000d4",  # svc 0
    *_ARM_END,
)
_ARM_LISTEN = (
    *_ARM_SOCKET,
    "f30300aa",  # mov x19, x0
    "41020010",  # adr x1, address
    "020280d2",  # mov x2, 16
    "081980d2",  # mov x8, 200         bind
    "010000d4",  # svc 0
    "600100b5",  # cbnz x0, end
    "e00313aa",  # mov x0, x19
    "010180d2",  # mov x1, 8
    "281980d2",  # mov x8, 201         listen
    "010000d4",  # svc 0
    "000080d2",  # mov x0, 0
    "010080d2",  # mov x1, 0
    "62010010",  # adr x2, address + 16    how long
    "030080d2",  # mov x3, 0
    "280980d2",  # mov x8, 73          ppoll
    "010000d4",  # svc 0
    *_ARM_END,
)
# By the engine's word for its machine: the machine's number in a program, and the two programs.
_MACHINES = {"amd64": (62, _X86_CONNECT, _X86_LISTEN), "arm64": (183, _ARM_CONNECT, _ARM_LISTEN)}


def runs_on(architecture: str) -> bool:
    return architecture in _MACHINES


def connect(architecture: str, address: str, port: int) -> bytes:
    """The program that tries one connection."""
    machine, instructions, _ = _MACHINES[architecture]
    return _program(machine, _code(instructions) + _place(address, port))


def listen(architecture: str, address: str, port: int) -> bytes:
    """The program that takes connections, for a minute at most."""
    machine, _, instructions = _MACHINES[architecture]
    return _program(
        machine, _code(instructions) + _place(address, port) + struct.pack("<qq", _LISTENS_FOR, 0)
    )


def _code(instructions: tuple[str, ...]) -> bytes:
    return bytes.fromhex("".join(instructions))


def _place(address: str, port: int) -> bytes:
    """As the kernel takes it: the family in the machine's order, the rest in the network's."""
    return struct.pack("<H", 2) + struct.pack(">H4s8x", port, ipaddress.IPv4Address(address).packed)


def _program(machine: int, code: bytes) -> bytes:
    """An executable file of one part, which is read and run from its beginning."""
    size = _HEADERS + len(code)
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = (2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    part = (1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return identity + struct.pack("<HHIQQQIHHHHHH", *header) + struct.pack("<IIQQQQQQ", *part) + code


def archive(program: bytes) -> bytes:
    """A tar file with the program in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(PROGRAM)
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    return packed.getvalue()


def empty_archive() -> bytes:
    """A tar file with nothing in it, of which an image can be made."""
    packed = io.BytesIO()
    tarfile.open(fileobj=packed, mode="w").close()
    return packed.getvalue()
