"""The forms of names dockmgr accepts from outside, checked before anything is touched."""

from __future__ import annotations

import re

from instances.errors import RequestError

_LABEL = r"[a-z0-9][a-z0-9-]{0,61}[a-z0-9]"
CUSTOMER_ID = re.compile(_LABEL)
SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REPOSITORY = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IMAGE_REF = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?/)?"  # registry
    rf"{_REPOSITORY}(?:/{_REPOSITORY})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"  # tag
    r"(?:@sha256:[0-9a-f]{64})?|sha256:[0-9a-f]{64}"
)
MAX_IMAGE_REF = 512
MAX_SUBDOMAIN = 253
MAX_NAME = 64
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


def image(value: object) -> str:
    """The value, if it can be an image reference. Raises RequestError."""
    if not isinstance(value, str) or len(value) > MAX_IMAGE_REF or not IMAGE_REF.fullmatch(value):
        raise RequestError("The image reference is malformed.")
    return value


def _can_stand_in_environment(value: str) -> bool:
    whole_characters = not any("\ud800" <= character <= "\udfff" for character in value)
    return whole_characters and "\0" not in value and len(value) <= MAX_ENV_VALUE


def environment(values: object) -> dict[str, str]:
    """The mapping, if every name and value can stand in a container's environment.

    Raises RequestError that names the variable and never its value.
    """
    if not isinstance(values, dict):
        raise RequestError("The environment must map names to texts.")
    for name, value in values.items():
        if not isinstance(name, str) or not ENV_NAME.fullmatch(name):
            raise RequestError("An environment variable's name is malformed.")
        if not isinstance(value, str) or not _can_stand_in_environment(value):
            raise RequestError(f"The value of {name} must be a text of at most {MAX_ENV_VALUE} characters.")
    return dict(values)
