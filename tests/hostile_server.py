"""A server that misbehaves on purpose, in named ways, on a free port of 127.0.0.1."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

GIGABYTE = 1024**3
DRIP_SECONDS = 0.05
DRIPS = 1200
_BLOCK = b"x" * 65536

Behaviour = Callable[["HostileServer", socket.socket], None]


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> Behaviour:
    """A correct answer."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    )
    return raw(head.encode() + body)


def raw(data: bytes) -> Behaviour:
    """Exactly these bytes, then the end of the connection."""
    return lambda server, peer: server.send(peer, data)


def raw_then_silence(data: bytes) -> Behaviour:
    """Exactly these bytes, then nothing more on a connection that stays open."""

    def behave(server: HostileServer, peer: socket.socket) -> None:
        server.send(peer, data)
        server.stopped.wait()

    return behave


def drip(first: bytes, then: bytes) -> Behaviour:
    """`first` at once, then `then` over and over, one byte at a time, for a minute."""

    def behave(server: HostileServer, peer: socket.socket) -> None:
        server.send(peer, first)
        for position in range(DRIPS):
            server.send(peer, then[position % len(then)].to_bytes())
            if server.stopped.wait(DRIP_SECONDS):
                return

    return behave


def flood(first: bytes, block: bytes = _BLOCK, total: int = GIGABYTE) -> Behaviour:
    """`first`, then blocks up to `total` bytes or until the client has had enough."""

    def behave(server: HostileServer, peer: socket.socket) -> None:
        server.send(peer, first)
        while server.sent < total and not server.stopped.is_set():
            server.send(peer, block)

    return behave


def close_at_once(server: HostileServer, peer: socket.socket) -> None:
    """Close in good order without a word."""


def reset(server: HostileServer, peer: socket.socket) -> None:
    """Make the end of the connection a TCP reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


_OK_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

BEHAVIOURS: dict[str, Behaviour] = {
    "ok json": answer(b'{"ok": true, "status": "live", "version": "2026.2.19"}'),
    "ok without length": raw(_OK_HEAD + b'\r\n{"ok": true, "version": "2026.2.19"}'),
    "ok chunked": raw(_CHUNKED + b'5;x=y\r\n{"ok"\r\n7\r\n: true}\r\n0\r\nTrailer: x\r\n\r\n'),
    "ok after interim answers": raw(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"ok": true}'
    ),
    "ok with bare line feeds": raw(b'HTTP/1.0 200 OK\nContent-Type: text/plain\n\n{"ok": true}'),
    "ok with a folded header": raw(_OK_HEAD + b'X-Long: a\r\n b\r\nContent-Length: 12\r\n\r\n{"ok": true}'),
    "no content": raw_then_silence(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "plain text": answer(b"fine"),
    "starting": answer(b'{"ok": true, "gateway": "starting"}'),
    "not ok": answer(b'{"ok": false}'),
    "503": answer(b"{}", "503 Service Unavailable"),
    "503 whose body never comes": raw_then_silence(b"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\n"),
    "another protocol from here on": raw_then_silence(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    "redirect loop": answer(b"", "302 Found", "Location: /healthz\r\n"),
    "never answers": raw_then_silence(b""),
    "drips the status line": drip(b"HTTP/1.1 ", b"2"),
    "drips headers": drip(_OK_HEAD, b"X-Slow: y\r\n"),
    "drips the body": drip(_OK_HEAD + b"Content-Length: 9999\r\n\r\n", b" "),
    "drips without end": drip(_OK_HEAD + b"\r\n", b" "),
    "drips chunks": drip(_CHUNKED, b"1\r\nx\r\n"),
    "half a chunk, then silence": raw_then_silence(_CHUNKED + b"ff\r\nhalf"),
    "body never comes": raw_then_silence(_OK_HEAD + b"Content-Length: 12\r\n\r\n"),
    "a gigabyte announced": flood(_OK_HEAD + b"Content-Length: %d\r\n\r\n" % GIGABYTE),
    "a gigabyte unannounced": flood(_OK_HEAD + b"\r\n"),
    "a gigabyte chunked": flood(_CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "a gigabyte in one chunk": flood(_CHUNKED + b"40000000\r\n"),
    "an endless header": flood(_OK_HEAD + b"X-Long: "),
    "endless headers": flood(_OK_HEAD, b"X-More: y\r\n" * 1000),
    "endless interim answers": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "an endless chunk extension": flood(_CHUNKED + b"1;"),
    "another protocol": raw_then_silence(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "garbage without a line end": raw(b"\x00\xff\x00garbage"),
    "a garbage status": raw(b"HTTP/1.1 2x0 OK\r\n\r\n"),
    "a garbage header": raw(_OK_HEAD + b"\x00\xffno colon here\r\n\r\n"),
    "a negative length": raw(_OK_HEAD + b"Content-Length: -1\r\n\r\n"),
    "a garbage length": raw(_OK_HEAD + b"Content-Length: 1_0\r\n\r\n"),
    "two lengths": raw(_OK_HEAD + b'Content-Length: 12\r\nContent-Length: 2\r\n\r\n{"ok": false}'),
    "a very long length": raw(_OK_HEAD + b"Content-Length: " + b"9" * 9000 + b"\r\n\r\n"),
    "a garbage chunk size": raw(_CHUNKED + b"zz\r\n"),
    "an unframed chunk": raw(_CHUNKED + b"1\r\nxyz\r\n"),
    "an empty line first": raw(b"\r\n\r\n"),
    "closes at once": close_at_once,
    "closes inside the head": raw(_OK_HEAD),
    "closes inside the body": raw(_OK_HEAD + b'Content-Length: 99\r\n\r\n{"ok": true}'),
    "closes inside a chunk": raw(_CHUNKED + b"ff\r\nhalf"),
    "resets": reset,
}


class HostileServer:
    """Runs one behaviour for every connection until the `with` block ends.

    `requests` holds the requests as received, `sent` counts the bytes that left.
    """

    def __init__(self, behaviour: str | Behaviour, *, tls: ssl.SSLContext | None = None) -> None:
        self._behave = BEHAVIOURS[behaviour] if isinstance(behaviour, str) else behaviour
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._peers: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.stopped = threading.Event()
        self.requests: list[bytes] = []
        self.sent = 0

    def url(self, path: str = "/healthz", host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def send(self, peer: socket.socket, data: bytes) -> None:
        peer.sendall(data)
        self.sent += len(data)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        shut_down([self._listener, *self._peers])
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is shut down at the end
            while not self.stopped.is_set():
                peer, _ = self._listener.accept()
                self._peers.append(peer)
                thread = threading.Thread(target=self._serve, args=(peer,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:  # the client may leave at any moment
            if self._tls is None:
                self._converse(peer)
            else:
                with self._tls.wrap_socket(peer, server_side=True) as secured:
                    self._converse(secured)

    def _converse(self, peer: socket.socket) -> None:
        self.requests.append(peer.recv(4096))
        self._behave(self, peer)


def shut_down(sockets: Iterable[socket.socket]) -> None:
    """Wake whatever waits on these sockets; ones that are closed already are fine."""
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def self_signed(folder: Path, name: str = "localhost") -> Path:
    """A PEM file with key and certificate, signed by itself, for `name` and 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / f"{name}.pem"
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
