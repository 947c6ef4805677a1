"""Logins at registries, found anew for each pull: nothing is kept, so nothing expires here."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from instances.containers.image_names import HUB, host_of, longest_match
from instances.engine.port import RegistryLogin
from instances.errors import PermanentError, TransientError
from instances.lib.causes import unreadable
from instances.models import Registry

HELPER_SECONDS = 30.0
_LARGEST = 64 * 1024
_IDENTITY = "<token>"  # the user name by which a helper says that its secret is an identity token


def login_for(ref: str) -> RegistryLogin | None:
    """The login for the registry of an image; None where none is known.

    Raises PermanentError in words that name the registry when the login can't be had.
    """
    names = Registry.objects.values_list("name", flat=True)
    name = longest_match(names, ref)
    return None if name is None else login_of(Registry.objects.get(name=name))


def login_of(registry: Registry) -> RegistryLogin | None:
    """As `login_for`; None for a registry that asks for none."""
    if registry.helper:
        return _from_helper(registry)
    if registry.token_file:
        return _from_file(registry)
    if registry.username:
        return RegistryLogin(registry.name, registry.username, registry.password or "")
    return None


def _from_file(registry: Registry) -> RegistryLogin:
    try:
        token = Path(registry.token_file).read_text("utf-8")[:_LARGEST].strip()
    except (OSError, UnicodeError) as error:
        why = f"can't be read here: {unreadable(error)}"
        raise _lacks(registry, f"the token file {registry.token_file} {why}") from None
    if not token:
        raise _lacks(registry, f"the token file {registry.token_file} is empty")
    if registry.username:
        return RegistryLogin(registry.name, registry.username, token)
    return RegistryLogin(registry.name, token=token)


def _from_helper(registry: Registry) -> RegistryLogin:
    program = f"docker-credential-{registry.helper}"
    found = shutil.which(program)
    if found is None:
        raise _lacks(registry, f"there is no program {program} on the PATH of this process")
    try:
        ran = subprocess.run(  # noqa: S603
            [found, "get"], input=_server(registry).encode(), capture_output=True, timeout=HELPER_SECONDS
        )
        answer = json.loads(ran.stdout) if ran.returncode == 0 else {}
        name, secret = str(answer["Username"]), str(answer["Secret"])
    except (subprocess.TimeoutExpired, OSError):
        raise TransientError(f"Registry {registry.name}: {program} did not answer.") from None
    except (ValueError, TypeError, KeyError):  # its words may quote what it knows
        raise _lacks(registry, f"{program} has no login for it") from None
    if name == _IDENTITY:
        return RegistryLogin(registry.name, identity=secret)
    return RegistryLogin(registry.name, name, secret)


def _server(registry: Registry) -> str:
    host = host_of(registry.name)
    return "https://index.docker.io/v1/" if host == HUB else host


def _lacks(registry: Registry, why: str) -> PermanentError:
    return PermanentError(f"There is no login for registry {registry.name}: {why}.")
