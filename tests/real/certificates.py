"""Certificates for both sides of a TLS connection, and a door that speaks TLS in front of an engine."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CHUNK = 65_536
SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


@dataclass(frozen=True)
class Signed:
    """A certificate with its key, and the PEM files that hold them."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    cert_file: str
    key_file: str


def sign(
    folder: Path,
    name: str,
    by: Signed | None = None,
    *,
    days: float = 100,
    address: str = "127.0.0.1",
    passphrase: bytes = b"",
) -> Signed:
    """A certificate for an address that ends in so many days; one of an authority when nobody signs it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    end = datetime.now(UTC) + timedelta(days=days)
    issuer, signing = (by.certificate.subject, by.key) if by else (subject, key)
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - timedelta(days=400))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), False)
    )
    if by is None:  # the rules of Python 3.13 want it said
        builder = builder.add_extension(SIGNS_CERTIFICATES, critical=True)
    certificate = builder.sign(signing, hashes.SHA256())
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, lock))
    return Signed(certificate, key, str(cert_file), str(key_file))


class TlsDoor:
    """Lets whoever shows a certificate of the authority through to the engine's socket at `path`."""

    def __init__(self, path: str, own: Signed, authority: Signed) -> None:
        self._path = path
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(own.cert_file, own.key_file)
        self._context.load_verify_locations(authority.cert_file)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._door.getsockname()[1]}"
        self._ends: list[socket.socket] = []

    @contextmanager
    def open(self) -> Iterator[str]:
        """The URL of the door, which is shut at the end."""
        keeper = threading.Thread(target=self._keep)
        keeper.start()
        try:
            yield self.url
        finally:
            for end in [self._door, *self._ends]:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            keeper.join()
            self._door.close()

    def _keep(self) -> None:
        guests = []
        with suppress(OSError):
            while True:
                plain, _ = self._door.accept()
                self._ends.append(plain)
                guests.append(threading.Thread(target=self._let_in, args=(plain,)))
                guests[-1].start()
        for guest in guests:
            guest.join()

    def _let_in(self, plain: socket.socket) -> None:
        with ExitStack() as stack, suppress(OSError):
            stack.enter_context(plain)
            guest = stack.enter_context(self._context.wrap_socket(plain, server_side=True))
            engine = stack.enter_context(socket.socket(socket.AF_UNIX))
            engine.connect(self._path)
            self._ends += [guest, engine]
            back = threading.Thread(target=_carry, args=(engine, guest))
            back.start()
            _carry(guest, engine)
            back.join()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
