"""An engine behind SSH: the command that leads to it, and what its last words mean."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import load_ssh_private_key

_AT_THE_FAR_SIDE = "docker system dial-stdio"
_ALIVE_EVERY, _ALIVE_MISSED = 5, 3  # seconds; a line that was cut is noticed after their product
NO_PROGRAM = "there is no program ssh"
_PROGRAM_ENDED = "The SSH connection ended without a word (does that user have a shell there?)."


@dataclass(frozen=True)
class SshFiles:
    """Paths of our private key and of the known hosts; empty for those that `ssh` would take by itself."""

    key: str = ""
    known_hosts: str = ""


class SshFailed(OSError):
    """The line is down; `words` are what `ssh` said, empty when it said nothing."""

    def __init__(self, words: str) -> None:
        super().__init__(words or _PROGRAM_ENDED)
        self.words = words
        self.strerror = " ".join(words.split()) or _PROGRAM_ENDED


def unusable(files: SshFiles) -> str:
    """Why our own files can't serve, or nothing when they can."""
    for path in filter(None, (files.key, files.known_hosts)):
        try:
            Path(path).read_bytes()
        except OSError as error:
            return f"the file {path} can't be read: {error.strerror}"
    return ""


def command(url: str, files: SshFiles, timeout: float) -> list[str]:
    """The `ssh` that leads to the engine of `url`: it asks nobody, and takes no host key on trust."""
    parts = urlsplit(url)
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": str(max(1, round(timeout))),
        "ServerAliveInterval": str(_ALIVE_EVERY),
        "ServerAliveCountMax": str(_ALIVE_MISSED),
        "LogLevel": "ERROR",
        "ControlMaster": "no",
        "ControlPath": "none",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "PermitLocalCommand": "no",
        **_of_files(files),
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    words += ["-i", files.key] if files.key else []
    words += ["-l", parts.username] if parts.username else []
    words += ["-p", str(parts.port)] if parts.port else []
    return ["ssh", "-T", *words, "--", parts.hostname or "", _AT_THE_FAR_SIDE]


def _of_files(files: SshFiles) -> dict[str, str]:
    own = {"IdentitiesOnly": "yes"} if files.key else {}
    # Its own words for a path that holds spaces.
    known = {"UserKnownHostsFile": f'"{files.known_hosts}"', "GlobalKnownHostsFile": "/dev/null"}
    return {**own, **(known if files.known_hosts else {})}


@dataclass(frozen=True)
class SshFault:
    """What is wrong in words, and whether people have to set something right."""

    words: str
    is_configuration: bool = True


def fault(said: str, files: SshFiles) -> SshFault | None:
    """What `ssh` means by its last words; None for words that are not known."""
    says = said.lower()
    for known, is_configuration in ((_MEND, True), (_PASSES, False)):
        words = next((words for sign, words in known.items() if sign in says), "")
        if words:
            return SshFault(words, is_configuration)
    return SshFault(_refused(files.key)) if "permission denied (" in says else None


_MEND = {  # signs in what `ssh` says, and what people have to set right
    "remote host identification has changed": "its SSH host key is not the one the known hosts have",
    "host key verification failed": "its SSH host key is not among the known hosts",
    "no host key is known": "its SSH host key is not among the known hosts",
    "unprotected private key": "ssh does not take our SSH key, because others may read its file",
    NO_PROGRAM: "the program ssh is not installed where dockmgr runs",
    "could not resolve hostname": "there is no machine of that name",
    "too many authentication failures": "it refuses our SSH keys: too many were offered",
    "docker: command not found": "there is no program docker for that user",
    "docker: not found": "there is no program docker for that user",
    "permission denied while trying to connect to the docker": "that user may not use Docker there",
    "connect: permission denied": "that user may not use Docker there",
}
_PASSES = {  # the same, of what may pass by itself
    "cannot connect to the docker daemon": "its Docker Engine does not run",
    "dial unix": "its Docker Engine does not run",
    "connection refused": "its SSH server refuses the connection",
    "timed out": "it did not answer in time",
    "timeout, server": "it did not answer in time",
    "no route to host": "there is no way to it",
    "network is unreachable": "there is no way to it",
    "connection closed": "the SSH connection was cut",
    "connection reset": "the SSH connection was cut",
    "broken pipe": "the SSH connection was cut",
}


def _refused(key: str) -> str:
    if not key:
        agent = "those of the agent are not let in" if _has_agent() else "there is no agent that has one"
        return f"it refuses our SSH keys: the host names none, and {agent}"
    if _has_passphrase(key):
        return f"the SSH key {key} has a passphrase: load it into an agent, or take a key without one"
    return (
        f"it refuses the SSH key {key}" if _is_private(key) else f"the file {key} holds no private key of SSH"
    )


def _has_agent() -> bool:
    return Path(os.environ.get("SSH_AUTH_SOCK") or "/nowhere").exists()


def _is_private(key: str) -> bool:
    with suppress(OSError):
        return b"PRIVATE KEY-----" in Path(key).read_bytes()
    return True  # it was there a moment ago


def _has_passphrase(key: str) -> bool:
    try:
        load_ssh_private_key(Path(key).read_bytes(), None)
    except (ValueError, TypeError) as error:
        return "password" in str(error).lower()
    except Exception:  # of a form that only ssh reads
        return False
    return False
