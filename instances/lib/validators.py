"""The forms of names dockmgr accepts from outside, checked before anything is touched."""

from __future__ import annotations

import re

from instances.errors import RequestError

CUSTOMER_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,61}[a-z0-9]")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# Engines take nearly any name, but a secret that was typed in its place must not become one: names are shown.
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}")
_REPOSITORY = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IMAGE_REF = re.compile(
    r"(?![^/.:]*[A-Z][^/.:]*/)"  # a name without dot or port is no registry, and has no capitals
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?/)?"  # registry
    rf"{_REPOSITORY}(?:/{_REPOSITORY})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"  # tag
    r"(?:@sha256:[0-9a-f]{64})?|sha256:[0-9a-f]{64}"
)
SHORT_ID = re.compile(r"[0-9a-f]{12}")  # as `docker images` shows it; to a registry it is a repository
MAX_IMAGE_REF = 512
MAX_SUBDOMAIN = 253
MAX_NAME = 64
MAX_ENV_NAME = 512
MAX_ENV_VALUE = 32 * 1024


def customer_id(value: object) -> str:
    """The value, if it is 2 to 63 letters, digits and inner hyphens. Raises RequestError."""
    if not isinstance(value, str) or not CUSTOMER_ID.fullmatch(value):
        raise RequestError(
            "The customer id is malformed: 2 to 63 small letters, digits and hyphens are allowed, "
            "with no hyphen at either end."
        )
    return value


def subdomain(value: object) -> str:
    """The value, if it is a DNS name in small letters. Raises RequestError."""
    if not isinstance(value, str) or len(value) > MAX_SUBDOMAIN or not SUBDOMAIN.fullmatch(value):
        raise RequestError(
            "The subdomain is malformed: a DNS name of small letters, digits and inner hyphens is allowed."
        )
    return value


def name(value: object) -> str:
    """The value, if a host, plan, channel or token can be called that. Raises RequestError."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable():
        raise RequestError(f"The name is malformed: 1 to {MAX_NAME} printable characters are allowed.")
    return value


def container_name(value: object) -> str:
    """The value, if a container can be called that. Raises RequestError."""
    if not isinstance(value, str) or not CONTAINER_NAME.fullmatch(value):
        raise RequestError("The container's name is malformed.")
    return value


def image(value: object) -> str:
    """The value, if it can be an image reference and no short id. Raises RequestError."""
    if SHORT_ID.fullmatch(image_reference(value)):
        raise RequestError(
            f"The image {value} may be an id or a repository: "
            f"name {value}:latest or write the id in full (sha256:…)."
        )
    return str(value)


def image_reference(value: object) -> str:
    """The value, if it can be an image reference; older releases took short ids. Raises RequestError."""
    if not isinstance(value, str) or len(value) > MAX_IMAGE_REF or not IMAGE_REF.fullmatch(value):
        raise RequestError("The image reference is malformed.")
    return value


def _can_stand_in_environment(value: str) -> bool:
    return _whole_characters(value) and "\0" not in value and len(value) <= MAX_ENV_VALUE


def _can_name_a_variable(name: str) -> bool:
    return len(name) <= MAX_ENV_NAME and _whole_characters(name) and bool(ENV_NAME.fullmatch(name))


def _whole_characters(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def environment(values: object) -> dict[str, str]:
    """The mapping, if every name and value can stand in a container's environment.

    Raises RequestError that names the variable and never its value.
    """
    if not isinstance(values, dict):
        raise RequestError("The environment must map names to texts.")
    for name, value in values.items():
        if not isinstance(name, str) or not _can_name_a_variable(name):
            raise RequestError("An environment variable's name is malformed.")
        if not isinstance(value, str) or not _can_stand_in_environment(value):
            raise RequestError(f"The value of {name} must be a text of at most {MAX_ENV_VALUE} characters.")
    return dict(values)
