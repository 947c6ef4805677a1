"""Keys an installation makes for itself when none are given: once, by the process that starts first."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

SHORTEST = 32


def kept(path: Path, make: Callable[[], str]) -> str:
    """The text in `path`, made first if there is none. Processes starting together agree on one."""
    try:
        if not path.exists():
            _publish(path, make())
        return path.read_text("utf-8").strip()
    except UnicodeDecodeError:
        raise ImproperlyConfigured("The state folder (DOCKMGR_HOME) holds a key that is no text.") from None
    except OSError as error:
        raise ImproperlyConfigured(
            f"The state folder (DOCKMGR_HOME) can't be written or read: {error.strerror}."
        ) from None


def _publish(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        os.unlink(draft)


def new_fernet_key() -> str:
    return Fernet.generate_key().decode()


def fernet_keys(name: str, text: str) -> list[bytes]:
    """Keys out of a comma-separated list: Fernet keys as they are, longer phrases hashed into one."""
    keys = [_fernet_key(name, part.strip()) for part in text.replace("\n", ",").split(",") if part.strip()]
    if not keys:
        raise ImproperlyConfigured(f"{name} holds no key.")
    return keys


def _fernet_key(name: str, text: str) -> bytes:
    try:
        Fernet(text)
    except ValueError:
        if len(text) < SHORTEST:
            raise ImproperlyConfigured(
                f"{name} holds a key of {len(text)} characters; allowed are Fernet keys "
                f"or phrases of at least {SHORTEST} characters."
            ) from None
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return text.encode()
