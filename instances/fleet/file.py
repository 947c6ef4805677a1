"""The fleet file: what a YAML document may say about hosts, plans and channels. Pure."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from instances.containers import networks, timings
from instances.containers.options import DATA, WORDS, Options
from instances.errors import RequestError
from instances.fleet.compose_keys import instead_of
from instances.health.question import Question
from instances.lib import durations, placeholders, sizes, validators

NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
MAX_CHARACTERS = 1024 * 1024
MAX_NODES = 100_000
REGISTRY = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$"
LEAST_MEMORY = 6 * 1024**2  # the engine refuses less
LEAST_DISK = 1024**2
LONGEST_WAIT = 30 * 86400


def _env(value: object) -> dict[str, str]:
    if isinstance(value, list):
        value = dict(_pair(line) for line in value)
    if not isinstance(value, dict):
        raise ValueError("must map names to texts")
    empty = [str(name) for name, given in value.items() if given is None]
    if empty:
        raise ValueError(f"must have a value for {shown(empty[0])}: nothing is taken from elsewhere")
    try:
        given = validators.environment({name: _plain(given) for name, given in value.items()})
    except RequestError as error:
        raise ValueError(str(error)) from None
    placeholders.refuse_unknown(given.values())
    return given


def _pair(line: object) -> tuple[str, str]:
    """`NAME=value`, which Compose takes as well. What has no name may be a secret, and is not shown."""
    if not isinstance(line, str) or "=" not in line:
        raise ValueError(
            "must map names to texts, or be a list of NAME=value: nothing is taken from elsewhere"
        )
    name, _, value = line.partition("=")
    return name, value


def _image(value: object) -> object:
    try:
        return value if value == "" else validators.image(value)
    except RequestError as error:
        raise ValueError(str(error)) from None


def _images(value: object) -> list[str]:
    if not isinstance(value, list) or not all(value):
        raise ValueError("must be a list of repositories, or of images with their tag or digest")
    return [str(_image(entry)) for entry in value]


def _plain(value: object) -> object:
    """Numbers and truth values as YAML writes them."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _time_of_day(value: object) -> object:
    """`22:00`; without quotes YAML reads it as 22 times 60."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return dt.time(value // 60, value % 60)
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise ValueError("must be a time of day such as 22:00")
    return dt.time.fromisoformat(value)


def _timezone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ValueError, KeyError, OSError):  # a name with a way up, an unknown one, a folder of zones
        raise ValueError("must be a time zone such as Europe/Berlin") from None


def _length(value: object) -> object:
    """`15m` in seconds; numbers as they are."""
    length = durations.length(value)
    if length is None and isinstance(value, str | bool):
        raise ValueError("must be a length of time such as 15m, or seconds")
    return value if length is None else length.total_seconds()


def _generated(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError("must map names to bytes of randomness")
    _env(dict.fromkeys(value, ""))
    if not all(type(size) is int and 8 <= size <= 512 for size in value.values()):
        raise ValueError("must have 8 to 512 bytes of randomness for each name")
    return dict(value)


def _network(value: str) -> str:
    if value in networks.BUILT_IN:
        raise ValueError("must be a network for customers alone, not one of the engine's own")
    return value


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    def columns(self) -> dict[str, Any]:
        """What the entry says, by the names of the row's columns; what it leaves out is not in it."""
        return self.model_dump(exclude_unset=True)


class Tls(_Part):
    ca: str
    cert: str
    key: str


class Ssh(_Part):
    key: str | None = None
    known_hosts: str | None = None


class HostEntry(_Part):
    name: str = Field(pattern=NAME)
    docker_url: str = Field(default="", pattern=r"^(|unix:///.+|tcp://.+|ssh://.+)$")
    tls: Tls | None = None
    ssh: Ssh | None = None
    insecure: bool = False
    address: str = Field(default="127.0.0.1", pattern=r"^[A-Za-z0-9:._-]{1,253}$")
    bind: str = Field(default="", pattern=r"^[0-9a-fA-F:.]{0,45}$")
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


class PlanEntry(_Part, Options):
    """A plan. The options of its containers stand among its own keys, as in Compose."""

    name: str = Field(pattern=NAME)
    image: Annotated[str, BeforeValidator(_image)] = ""
    images: Annotated[list[str], BeforeValidator(_images), Field(max_length=100)] = []
    cpus: float = Field(default=1.0, gt=0, le=1024)
    memory: Annotated[int, BeforeValidator(sizes.in_bytes), Field(ge=LEAST_MEMORY)] = 512 * 1024**2
    pids: int | None = Field(default=None, ge=1, le=4_194_304)
    disk: Annotated[int, BeforeValidator(sizes.in_bytes), Field(ge=LEAST_DISK)] | None = None
    container_port: int = Field(default=8080, ge=1, le=65535)
    health_path: str = Field(default="/healthz", pattern=r"^/[!-~]{0,254}$")
    health_expect: Literal["auto", "json_ok", "http_2xx"] = "auto"
    health: Question | None = None
    start_grace: float = Field(default=60, ge=0, le=3600)
    stop_timeout: int = Field(default=10, ge=0, le=600)
    data_path: str | None = Field(default="/data", pattern=r"^/[!-9;-~]{1,254}$")
    env: Annotated[dict[str, str], BeforeValidator(_env)] = {}
    generate: Annotated[dict[str, int], BeforeValidator(_generated)] = {}
    required_env: list[Annotated[str, Field(pattern=f"^{validators.ENV_NAME.pattern}$")]] = []
    public_url: str = Field(default="", pattern=r"^(|https?://[!-~]+)$")
    update_strategy: Literal["recreate", "start_first"] = "recreate"

    @model_validator(mode="after")
    def _said_once(self) -> PlanEntry:
        """`data_path: /data` is the volume called data. What is left out keeps its value."""
        asked = self.health.model_fields_set if self.health else set()
        for key in {"path", "expect"} & asked:
            if f"health_{key}" in self.model_fields_set:
                raise ValueError(f"health_{key} and {key} of health are one thing: say it once")
        if "data_path" in self.model_fields_set and self.volumes.get(DATA) not in (None, self.data_path):
            raise ValueError(f"data_path and the volume {DATA} are one thing: say it once")
        return self

    def columns(self) -> dict[str, Any]:
        """What is said of containers goes into one document, but for the volume that is the `data_path`."""
        said = {**super().columns(), **self._health()}
        options = {word: said.pop(word) for word in list(said) if word in WORDS}
        if "volumes" in options:
            volumes = self.volumes.copy()
            said["data_path"] = volumes.pop(DATA, self.data_path if "data_path" in said else None)
            options["volumes"] = volumes
        return {**said, **({"options": options} if options else {})}

    def _health(self) -> dict[str, Any]:
        """`health` says all of the question; `health_path` and `health_expect` are short for two keys."""
        if "health" not in self.model_fields_set:
            return {}
        asked = self.health or Question()
        short = {
            f"health_{key}": getattr(asked, key)
            for key in ("path", "expect")
            if key in asked.model_fields_set or f"health_{key}" not in self.model_fields_set
        }
        return {**short, "health": asked.document(), "health_headers": asked.headers or None}

    @model_validator(mode="after")
    def _timings_can_work(self, info: ValidationInfo) -> PlanEntry:
        """A timing the file leaves out keeps its value, which is none of the file's business."""
        if not self.model_fields_set & {"start_grace", "stop_timeout"}:
            return self
        bounds = info.context or timings.Bounds()
        problems = " ".join(timings.impossible(self.start_grace, self.stop_timeout, bounds))
        if problems:
            raise ValueError(problems)
        return self


class QuietHours(_Part):
    begin: Annotated[dt.time, BeforeValidator(_time_of_day)] = Field(alias="from")
    end: Annotated[dt.time, BeforeValidator(_time_of_day)] = Field(alias="to")
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"

    @model_validator(mode="after")
    def _last(self) -> QuietHours:
        if self.begin == self.end:
            raise ValueError("from and to must differ")
        return self

    def columns(self) -> dict[str, Any]:
        return {"quiet_from": self.begin, "quiet_to": self.end, "timezone": self.timezone}


KEEPS_INCIDENTS = "This service keeps incidents of its own: tell another channel of operations."


def _something(events: list[str]) -> list[str]:
    if not events:
        raise ValueError("say incidents, operations or both")
    return events


class ChannelEntry(_Part):
    name: str = Field(pattern=NAME)
    url: str = Field(pattern=r"^[a-z][a-z0-9+.-]*://.+$", repr=False)
    min_level: Literal["info", "warning", "critical"] = "info"
    hosts: list[Annotated[str, Field(pattern=NAME)]] = []
    plans: list[Annotated[str, Field(pattern=NAME)]] = []
    customers: list[Annotated[str, Field(pattern=f"^{validators.CUSTOMER_ID.pattern}$")]] = []
    quiet_hours: QuietHours | None = None
    escalate_after: Annotated[float, BeforeValidator(_length), Field(gt=0, le=LONGEST_WAIT)] | None = None
    events: Annotated[list[Literal["incidents", "operations"]], AfterValidator(_something)] = ["incidents"]
    enabled: bool = True

    def columns(self) -> dict[str, Any]:
        values = super().columns()
        if "events" in values:
            events = values.pop("events")
            values |= {event: event in events for event in ("incidents", "operations")}
        if "quiet_hours" in values:
            del values["quiet_hours"]
            none = {"quiet_from": None, "quiet_to": None}
            values |= self.quiet_hours.columns() if self.quiet_hours else none
        return values | ({"disabled_reason": ""} if values.get("enabled") else {})


class RegistryEntry(_Part):
    """A login is said whole: saying one kind of it takes the others back."""

    name: str = Field(pattern=REGISTRY)
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


class FleetFile(_Part):
    hosts: list[HostEntry] = []
    registries: list[RegistryEntry] = []
    plans: list[PlanEntry] = []
    channels: list[ChannelEntry] = []

    @model_validator(mode="after")
    def _names_once(self) -> FleetFile:
        for kind in ("hosts", "registries", "plans", "channels"):
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
        _refuse_traps(text)
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise RequestError(f"{what} not YAML: there is an error{where}.") from None


def _refuse_traps(text: str) -> None:
    """Aliases may repeat parts, but not grow a small file without end; no key may hide another.

    Raises ValueError.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError("too long")
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = MAX_NODES  # an alias of itself never ends
            parts = node.value if isinstance(node, yaml.CollectionNode) else []
            _refuse_double_keys(node)
            flat = (part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,)))
            sizes[id(node)] = 1 + sum(map(size, flat))
        return sizes[id(node)]

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None and size(root) > MAX_NODES:
        raise ValueError("grows too large")


def _refuse_double_keys(node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(keys) != len(set(keys)):
            raise yaml.MarkedYAMLError(problem="a key stands twice", problem_mark=node.start_mark)


def shown(part: int | str) -> str:
    """A key as it may be shown: a secret that was typed as a key must not reach a log."""
    return str(part) if re.fullmatch(r"\w{1,40}", str(part), re.ASCII) else "a key"


def _unknown(place: tuple[int | str, ...]) -> str:
    told = instead_of(str(place[-1]), of_plan=place[0] == "plans" and len(place) == 3)
    return f"is not a known key: {told}" if told else "is not a known key"


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(shown, first["loc"])) or "the document"
    what = _unknown(first["loc"]) if first["type"] == "extra_forbidden" else first["msg"]
    more = f" ({error.error_count() - 1} more errors)" if error.error_count() > 1 else ""
    what = what.removeprefix("Value error, ").rstrip(".")
    return f"The fleet file is refused: {where}: {what}{more}."
