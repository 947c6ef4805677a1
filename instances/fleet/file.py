"""The fleet file: what a YAML document may say about hosts, registries, plans and channels. Pure."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)

from instances.containers import networks, timings
from instances.errors import RequestError
from instances.fleet import as_written
from instances.fleet.channel_entry import ChannelEntry
from instances.fleet.compose_keys import instead_of
from instances.fleet.entry import LEAST_MEMORY, LONGEST, NAME, Entry, Section, shown
from instances.fleet.plan_entry import PlanEntry
from instances.lib import sizes
from instances.lib.addresses import is_ip, is_machine

REGISTRY = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$"


def _registry(value: str) -> str:
    port = value.partition("/")[0].partition(":")[2]
    if port and not 1 <= int(port) <= 65535:
        raise ValueError("has a port that is not from 1 to 65535")
    return value


def _network(value: str) -> str:
    if value in networks.BUILT_IN:
        raise ValueError("must be a network for customers alone, not one of the engine's own")
    return value


def _machine(value: str) -> str:
    if not is_machine(value):
        raise ValueError("must be a machine's name or its IP address, without port and brackets")
    return value


def _interface(value: str) -> str:
    """What an engine can't read as an address it takes for all of its machine's, which strangers reach."""
    if value and not is_ip(value):
        raise ValueError("must be an IP address of the host")
    return value


def _file(value: str) -> str:
    if not value:
        raise ValueError("must name a file")
    return value


class Tls(Section):
    ca: Annotated[str, AfterValidator(_file)]
    cert: Annotated[str, AfterValidator(_file)]
    key: Annotated[str, AfterValidator(_file)]


class Ssh(Section):
    key: str | None = None
    known_hosts: str | None = None


class HostEntry(Entry):
    name: str = Field(pattern=NAME)
    docker_url: str = Field(default="", max_length=LONGEST, pattern=r"^(|unix:///.+|tcp://.+|ssh://.+)$")
    tls: Tls | None = None
    ssh: Ssh | None = None
    insecure: bool = False
    address: Annotated[str, AfterValidator(_machine)] = "127.0.0.1"
    bind: Annotated[str, AfterValidator(_interface), Field(max_length=45)] = ""
    network: Annotated[str, AfterValidator(_network), Field(pattern=NAME)] = networks.DEFAULT
    max_instances: int | None = Field(default=None, ge=0, le=1_000_000)
    max_memory: Annotated[int, BeforeValidator(sizes.in_bytes), Field(ge=LEAST_MEMORY)] | None = None
    overcommit: float = Field(default=1.0, ge=0.1, le=100)
    cordoned: bool = False
    first_port: int = Field(default=20000, ge=1, le=65535)
    last_port: int = Field(default=29999, ge=1, le=65535)
    accept_new_engine: bool = False

    def columns(self) -> dict[str, Any]:
        """Accepting an engine is something to do, and no column."""
        values = super().columns()
        values.pop("accept_new_engine", None)
        return values

    @model_validator(mode="after")
    def _range(self) -> HostEntry:
        if self.last_port < self.first_port:
            raise ValueError("last_port must not be below first_port")
        return self


class RegistryEntry(Entry):
    """A login is said whole: saying one kind of it takes the others back."""

    name: Annotated[str, Field(max_length=LONGEST, pattern=REGISTRY), AfterValidator(_registry)]
    username: str = Field(default="", pattern=r"^[!-~]{0,255}$")
    password: str = Field(default="", max_length=16384, repr=False)
    token_file: str = Field(default="", pattern=r"^(|/[!-~]{1,254})$")
    helper: str = Field(default="", pattern=r"^[a-z0-9-]{0,64}$")
    ca: str = Field(default="", pattern=r"^(|/[!-~]{1,254})$")

    @model_validator(mode="after")
    def _one_login(self) -> RegistryEntry:
        if sum(map(bool, (self.password, self.token_file, self.helper))) > 1:
            raise ValueError("password, token_file and helper are three ways to log in: say one")
        if self.password and not self.username:
            raise ValueError("a password needs a username")
        return self

    def columns(self) -> dict[str, Any]:
        said = super().columns()
        kinds = {"password": None, "token_file": "", "helper": ""}
        return {**(kinds if kinds.keys() & said.keys() else {}), **said}


ENTRIES: dict[str, type[Section]] = {
    "hosts": HostEntry, "registries": RegistryEntry, "plans": PlanEntry, "channels": ChannelEntry
}  # fmt: skip


class FleetFile(Section):
    """Keys that begin with `x-` hold what entries share by YAML's anchors, as in Compose."""

    hosts: list[HostEntry] = []
    registries: list[RegistryEntry] = []
    plans: list[PlanEntry] = []
    channels: list[ChannelEntry] = []

    @model_validator(mode="before")
    @classmethod
    def _said(cls, value: Any) -> Any:
        """A kind with nothing under it says nothing."""
        if not isinstance(value, dict):
            return value
        return {
            key: entries
            for key, entries in value.items()
            if not key.startswith("x-") and not (key in ENTRIES and entries is None)
        }

    @model_validator(mode="after")
    def _names_once(self) -> FleetFile:
        for kind in ENTRIES:
            given = [entry.name for entry in getattr(self, kind)]
            if len(given) != len(set(given)):
                raise ValueError(f"{kind} has a name twice")
        return self


def parse(text: str, bounds: timings.Bounds | None = None) -> FleetFile:
    """The fleet file in `text`, its plans' timings held against `bounds`.

    Raises RequestError with one sentence that shows no value of a secret.
    """
    document = _loaded(text, "The fleet file is")
    try:
        return FleetFile.model_validate({} if document is None else document, context=bounds)
    except ValidationError as error:
        raise RequestError(_sentence(error)) from None


def parse_mapping(text: str) -> dict[str, Any]:
    """The mapping in a part of a fleet file. Raises RequestError."""
    found = _loaded(text, "This is")
    if not isinstance(found, dict | None):
        raise RequestError("This is no mapping: each line is a name, a colon and a value.")
    return found or {}


def _loaded(text: str, what: str) -> Any:
    try:
        return as_written.read(text)
    except as_written.Trap as trap:
        raise RequestError(f"{what} refused: {trap}.") from None
    except as_written.UNREADABLE as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise RequestError(f"{what} not YAML: there is an error{where}.") from None


def _unknown(place: tuple[int | str, ...]) -> str:
    told = instead_of(str(place[-1]), of_plan=place[0] == "plans" and len(place) == 3)
    told = told or _underscored(str(place[0]), str(place[-1]))
    return f"is not a known key: {told}" if told else "is not a known key"


def _underscored(kind: str, key: str) -> str:
    """What is meant by a key that has hyphens where ours has underscores."""
    entry = ENTRIES.get(kind)
    meant = key.replace("-", "_")
    return f"say {meant}" if entry and "-" in key and meant in entry.model_fields else ""


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(shown, first["loc"])) or "the document"
    what = _unknown(first["loc"]) if first["type"] == "extra_forbidden" else first["msg"]
    more = f" ({error.error_count() - 1} more errors)" if error.error_count() > 1 else ""
    if first["type"] == "string_type":
        what = "must be a text; what looks like a number or a truth value needs quotes"
    what = what.removeprefix("Value error, ").rstrip(".")
    return f"The fleet file is refused: {where}: {what}{more}."
