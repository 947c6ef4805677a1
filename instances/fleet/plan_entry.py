"""What a fleet file may say of a plan. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from instances.containers import option_words, timings
from instances.containers.log_alerts import MOST_ALERTS, LogAlert, documents
from instances.containers.options import DATA, WORDS, Options
from instances.errors import RequestError
from instances.fleet.entry import LEAST_MEMORY, LONGEST, NAME, Entry, shown
from instances.health.question import Question
from instances.lib import placeholders, sizes, validators

LEAST_DISK = 1024**2
LEAST_CPUS = 0.01  # the engine's kernel takes no less
_LOG_FORMS = {
    "max-size": (re.compile(r"\d+(?:\.\d+)? ?[kmgtp]?i?b?", re.I), "a size such as 10m"),
    "max-file": (re.compile(r"[1-9]\d{0,5}"), "a number of files"),
    "compress": (re.compile(r"true|false|[tf01]", re.I), "true or false"),
}


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


def _refuse_log_options(driver: str, given: Mapping[str, str]) -> None:
    """What is not said may be set by the engine's own settings, and is none of the plan's."""
    for name, (form, words) in _LOG_FORMS.items():
        if name in given and not form.fullmatch(given[name]):
            raise ValueError(f"{name} of logging must be {words}")
    if driver == "json-file" and not re.search("[1-9]", given.get("max-size", "1")):
        raise ValueError("max-size of logging must be more than 0")
    if given.get("max-file") == "1" and given.get("compress", "").lower() in ("true", "t", "1"):
        raise ValueError("compress of logging goes with a max-file of 2 or more")


def _address(value: str) -> str:
    """One that nothing can be asked at would be found out of order customer by customer."""
    filled = value.replace("{subdomain}", "a.example")
    other = re.search(r"\{\w*\}|[{}]", filled, re.ASCII)
    if other:
        raise ValueError(f"{other[0]} stands for nothing here: there is {{subdomain}} alone")
    try:
        parts = urlsplit(filled)
        can_be_asked = bool(parts.hostname) and parts.port != 0
    except ValueError:
        can_be_asked = False
    if value and not can_be_asked:
        raise ValueError("must be an http or https address with a host name, such as https://{subdomain}")
    return value


def _plain(value: object) -> object:
    """Numbers and truth values as YAML writes them."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _generated(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError("must map names to bytes of randomness")
    _env(dict.fromkeys(value, ""))
    if not all(type(size) is int and 8 <= size <= 512 for size in value.values()):
        raise ValueError("must have 8 to 512 bytes of randomness for each name")
    return dict(value)


def _alerts(value: object) -> object:
    """A pattern that stands twice would be told twice."""
    if not isinstance(value, list):
        raise ValueError("must be a list of patterns, each with match, more_than, within and level")
    wanted = [entry.get("match") for entry in value if isinstance(entry, dict)]
    if len({str(match) for match in wanted}) < len(wanted):
        raise ValueError("must have each pattern once")
    return value


class PlanEntry(Entry, Options):
    """A plan. The options of its containers stand among its own keys, as in Compose."""

    name: str = Field(pattern=NAME)
    image: Annotated[str, BeforeValidator(_image)] = ""
    images: Annotated[list[str], BeforeValidator(_images), Field(max_length=100)] = []
    cpus: float = Field(default=1.0, ge=LEAST_CPUS, le=1024)
    memory: Annotated[int, BeforeValidator(sizes.in_bytes), Field(ge=LEAST_MEMORY)] = 512 * 1024**2
    pids: int | None = Field(default=None, ge=1, le=4_194_304)
    disk: Annotated[int, BeforeValidator(sizes.in_bytes), Field(ge=LEAST_DISK)] | None = None
    container_port: int = Field(default=8080, ge=1, le=65535)
    health_path: str = Field(default="/healthz", pattern=r"^/[!-~]{0,254}$")
    health_expect: Literal["auto", "json_ok", "http_2xx"] = "auto"
    health: Question | None = None
    start_grace: float = Field(default=60, ge=0, le=3600)
    stop_timeout: int = Field(default=10, ge=0, le=timings.LONGEST_STOP)
    data_path: (
        Annotated[str, AfterValidator(option_words.mount_point), Field(pattern=r"^/[!-9;-~]{1,254}$")] | None
    ) = "/data"
    env: Annotated[dict[str, str], BeforeValidator(_env)] = {}
    generate: Annotated[dict[str, int], BeforeValidator(_generated)] = {}
    required_env: list[Annotated[str, Field(pattern=f"^{validators.ENV_NAME.pattern}$")]] = []
    public_url: Annotated[
        str, AfterValidator(_address), Field(max_length=LONGEST, pattern=r"^(|https?://[!-~]+)$")
    ] = ""
    update_strategy: Literal["recreate", "start_first"] = "recreate"
    log_alerts: Annotated[list[LogAlert], BeforeValidator(_alerts), Field(max_length=MOST_ALERTS)] = []

    @field_validator("images", "env", "generate", "required_env", "public_url", "log_alerts", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: Any, info: ValidationInfo) -> Any:
        return cls.model_fields[str(info.field_name)].default if value is None else value

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

    @model_validator(mode="after")
    def _log_can_be_kept(self) -> PlanEntry:
        """An engine finds out with the start of the new container, when the old one was stopped for it."""
        if self.logging.driver in ("json-file", "local"):
            _refuse_log_options(self.logging.driver, self.logging.options)
        return self

    def columns(self) -> dict[str, Any]:
        """What is said of containers goes into one document, but for the volume that is the `data_path`."""
        said = {**super().columns(), **self._health()}
        if "log_alerts" in said:
            said["log_alerts"] = documents(self.log_alerts)
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
