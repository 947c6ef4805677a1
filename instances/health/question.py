"""What a plan asks of an instance to know that it is well: the `health` of the fleet file. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from instances.lib.addresses import is_machine

# Statuses by which a server is there, for a public address whose plan asks no HTTP question.
THERE = tuple(range(200, 500))
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_OURS = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})


def _headers(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("must map names to texts")
    for name, text in value.items():
        if not isinstance(name, str) or not _HEADER.fullmatch(name) or name.lower() in _OURS:
            raise ValueError("must be header names that are free to be set: the host has a key of its own")
        if not isinstance(text, str) or not text.isascii() or not text.isprintable() or len(text) > 4096:
            raise ValueError(f"must have a printable text for {name}")
    return dict(value)


def _statuses(value: object) -> object:
    given = value if isinstance(value, list | tuple) else [] if value is None else [value]
    if not all(isinstance(one, int) and not isinstance(one, bool) and 200 <= one <= 599 for one in given):
        raise ValueError("must be a status such as 401, or a list of them")
    return tuple(given)


def _machine(value: str | None) -> str | None:
    if value is not None and not is_machine(value):
        raise ValueError("must be the name of a machine such as app.example.com")
    return value


class Question(BaseModel):
    """How an instance is asked. `port` is the container's; without `status`, 2xx is wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: Literal["http", "https", "tcp", "docker", "none"] = "http"
    path: str = Field(default="/healthz", pattern=r"^/[!-~]{0,254}$")
    port: int | None = Field(default=None, ge=1, le=65535)
    host: Annotated[str | None, AfterValidator(_machine)] = Field(
        default=None, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"
    )
    headers: Annotated[dict[str, str], BeforeValidator(_headers)] = Field(default={}, repr=False)
    expect: Literal["auto", "json_ok", "http_2xx"] = "auto"
    status: Annotated[tuple[int, ...], BeforeValidator(_statuses)] = ()
    tls_verify: bool = True

    def document(self) -> dict[str, Any]:
        """What is kept beside path, expectation and headers, which have columns of their own."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"path", "headers", "expect"})


KINDS_OVER_HTTP = ("http", "https")


def conflict(document: dict[str, Any], container_port: int, ports: tuple[str, ...]) -> str:
    """Why health can't be asked so, as words that follow a plan's name; else nothing."""
    port = document.get("port")
    if port in (None, container_port) or f"{port}/tcp" in ports:
        return ""
    return f"health asks port {port}, which is neither the container_port nor one of ports"
