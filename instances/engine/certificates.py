"""Certificates between us and an engine: whether ours can serve, what is wrong in words, when they end."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

PORT = 2376
IN_CLEAR = "its address has no TLS: give the host tls files, or say insecure: true"
_OURS_REFUSED = (
    "bad certificate", "unknown ca", "certificate expired", "certificate required", "certificate unknown",
    "unsupported certificate", "certificate revoked", "handshake failure", "access denied", "decrypt error",
)  # fmt: skip
# What Python 3.13 and newer refuse, and older ones took.
_RULE = re.compile(
    r"[^:(]*(missing (authority|subject) key identifier|key usage|keycertsign|basic constraints)[^:(]*"
)
_LISTEN = 2.0  # seconds for an engine to say why it hangs up
_CUT_SHORT = ("connection reset", "eof occurred", "remote end closed", "broken pipe")
_NO_TLS = ("wrong version number", "record layer failure", "packet length too long", "http request")


@dataclass(frozen=True)
class TlsFiles:
    """Paths of PEM files for an engine reached over TLS: authority, own certificate, own key."""

    ca: str
    cert: str
    key: str


@dataclass(frozen=True)
class CertificateEnd:
    """Whose certificate ends when; `side` is `engine` or `ours`."""

    side: str
    whose: str
    at: datetime


class _PassphraseNeededError(Exception):
    """The key asks for what nobody can type here."""


def unusable(files: TlsFiles) -> str:
    """Why our own files can't serve, or nothing when they can. Reads them, and asks nobody."""
    for path in (files.ca, files.cert, files.key):
        try:
            Path(path).read_bytes()
        except OSError as error:
            return f"the file {path} can't be read: {error.strerror}"
    try:
        _context(files)
    except _PassphraseNeededError:
        return f"the key in {files.key} has a passphrase, which nobody can type here"
    except _NoAuthorityError:
        return f"the file {files.ca} holds no certificate of an authority"
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"the key in {files.key} does not belong to the certificate in {files.cert}"
        return f"the files {files.cert} and {files.key} hold no certificate and its key"
    return ""


class _NoAuthorityError(Exception):
    """The file of the authority holds none."""


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(files.ca)
    except (ssl.SSLError, ValueError):
        raise _NoAuthorityError from None
    context.load_cert_chain(files.cert, files.key, password=_no_passphrase)
    return context


def _no_passphrase() -> str:
    raise _PassphraseNeededError


def fault(text: str, files: TlsFiles | None) -> str:
    """What is wrong with certificates when a connection failed with `text`; empty for another failure."""
    says = text.lower().replace("_", " ")
    if "certificate verify failed" in says:
        return _theirs(says, files.ca if files else "")
    if any(words in says for words in _NO_TLS):
        return "it does not speak TLS at that port"
    refused = any(f"alert {words}" in says for words in _OURS_REFUSED)
    if files is not None and (refused or any(words in says for words in _CUT_SHORT)):
        outdated = _outdated(files.cert, datetime.now(UTC))
        if outdated or refused:
            unsigned = f"it refuses our certificate {files.cert}, which its authority has probably not signed"
            return outdated or unsigned
    return "it refuses to speak TLS with us" if refused else ""


def refusal(text: str, url: str, files: TlsFiles | None) -> str:
    """What an engine says that hung up on us while we were talking, in the words of TLS; asks it again.

    It may refuse our certificate after we believe to be let in, and hang up before we have listened.
    """
    if files is None or not any(words in text.lower() for words in _CUT_SHORT):
        return ""
    try:
        with _reached(url, files, _LISTEN) as secure:
            secure.recv(1)
    except ssl.SSLError as error:
        return str(error)
    except (OSError, ValueError, _NoAuthorityError, _PassphraseNeededError):
        return ""
    return ""


def _theirs(says: str, ca: str) -> str:
    if "has expired" in says:
        return "its certificate has expired"
    if "not yet valid" in says:
        return "its certificate is not valid yet"
    if "mismatch" in says:
        return "its certificate is for another name or address"
    if broken := _RULE.search(says):
        return f"its certificate, or that of its authority, breaks a rule: {broken[0].strip()}"
    return f"its certificate is not signed by the authority in {ca}"


def _outdated(path: str, now: datetime) -> str:
    certificate = _read(path)
    if certificate is None:
        return ""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends <= now:
        return f"our certificate {path} expired on {ends:%Y-%m-%d at %H:%M} UTC"
    return f"our certificate {path} is not valid before {begins:%Y-%m-%d %H:%M} UTC" if begins > now else ""


def _read(path: str) -> x509.Certificate | None:
    with suppress(OSError, ValueError):
        return x509.load_pem_x509_certificate(Path(path).read_bytes())
    return None


def ends(url: str, files: TlsFiles, timeout: float) -> list[CertificateEnd]:
    """When the engine's certificate and ours end, as far as that can be seen in a few `timeout`s."""
    return [*_end_of_ours(files), *_end_of_theirs(url, files, timeout)]


@contextmanager
def _reached(url: str, files: TlsFiles, timeout: float) -> Iterator[ssl.SSLSocket]:
    parts = urlsplit(url)
    with (
        socket.create_connection((parts.hostname or "", parts.port or PORT), timeout) as plain,
        _context(files).wrap_socket(plain, server_hostname=parts.hostname) as secure,
    ):
        yield secure


def _end_of_ours(files: TlsFiles) -> Iterator[CertificateEnd]:
    certificate = _read(files.cert)
    if certificate is not None:
        yield CertificateEnd("ours", f"our certificate {files.cert}", certificate.not_valid_after_utc)


def _end_of_theirs(url: str, files: TlsFiles, timeout: float) -> Iterator[CertificateEnd]:
    with suppress(OSError, ValueError, _NoAuthorityError, _PassphraseNeededError):
        with _reached(url, files, timeout) as secure:
            shown = secure.getpeercert(binary_form=True)
        certificate = x509.load_der_x509_certificate(shown or b"")
        yield CertificateEnd("engine", "the certificate of its engine", certificate.not_valid_after_utc)
