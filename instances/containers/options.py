"""What a plan may say of its containers in Compose's words: one validated document. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from instances.containers import network_words
from instances.containers import option_words as words
from instances.lib import placeholders, sizes

NONE: Literal["none"] = "none"
BASELINE, RESTRICTED = "baseline", "restricted"
DATA = "data"  # the volume at a plan's data_path
DEFAULT_SHM = 64 * 1024**2
DEFAULT_LOG = {"max-size": "10m", "max-file": "3"}


class Logging(BaseModel):
    """Where the container's output goes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    driver: Annotated[
        str,
        BeforeValidator(
            words.matching(
                "|".join(sorted(words.LOG_DRIVERS)),
                (f"must be one of {', '.join(sorted(words.LOG_DRIVERS))}"),
            )
        ),
    ] = "json-file"
    options: Annotated[dict[str, str], BeforeValidator(words.log_options)] = {}


Words = Annotated[tuple[str, ...] | None, BeforeValidator(words.words)]
Capabilities = Annotated[tuple[str, ...], BeforeValidator(words.capabilities)]


class Options(BaseModel):
    """A container's options beyond image, limits, environment and main port.

    What is not said is the image's, or the engine's; `init`, `no-new-privileges` and a log of three files
    are dockmgr's. Sizes are bytes. `volumes` are those beside the plan's `data_path`, by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    command: Annotated[tuple[str, ...] | None, BeforeValidator(words.command)] = None
    entrypoint: Words = None
    user: Annotated[
        str,
        BeforeValidator(
            words.matching(
                r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?",
                "must be a user such as 1000:1000",
            )
        ),
    ] = ""
    working_dir: Annotated[str, BeforeValidator(lambda value: words.path(value) if value else "")] = ""
    hostname: Annotated[str, BeforeValidator(network_words.hostname)] = ""
    init: bool = True
    stop_signal: Annotated[
        str,
        BeforeValidator(
            words.matching(r"(?:SIG)?[A-Z][A-Z0-9+-]{1,11}|[1-9]\d?", "must be a signal such as SIGINT")
        ),
    ] = ""
    volumes: Annotated[dict[str, str], BeforeValidator(words.volumes)] = {}
    tmpfs: Annotated[dict[str, str], BeforeValidator(words.tmpfs)] = {}
    shm_size: Annotated[int, BeforeValidator(sizes.in_bytes), Field(ge=1024**2)] = DEFAULT_SHM
    ulimits: Annotated[dict[str, tuple[int, int]], BeforeValidator(words.ulimits)] = {}
    sysctls: Annotated[dict[str, str], BeforeValidator(words.sysctls)] = {}
    labels: Annotated[dict[str, str], BeforeValidator(words.labels)] = {}
    extra_hosts: Annotated[tuple[str, ...], BeforeValidator(network_words.extra_hosts)] = ()
    dns: Annotated[tuple[str, ...], BeforeValidator(network_words.dns)] = ()
    ports: Annotated[tuple[str, ...], BeforeValidator(network_words.ports)] = ()
    cap_add: Capabilities = ()
    cap_drop: Capabilities = ()
    read_only: bool | None = None
    hardening: Literal["none", "baseline", "restricted"] = NONE
    data_owner: Annotated[
        str,
        BeforeValidator(
            words.matching(r"\d{1,9}:\d{1,9}", "must be numbers of a user and a group such as 1000:1000")
        ),
    ] = ""
    security_opt: Annotated[tuple[str, ...], BeforeValidator(words.security_opt)] = ()
    devices: Annotated[tuple[str, ...], BeforeValidator(words.devices)] = ()
    gpus: Annotated[int, BeforeValidator(words.gpus)] = 0
    logging: Logging = Logging(options=DEFAULT_LOG)

    @field_validator("*", mode="before")
    @classmethod
    def _nothing_is_the_default(cls, value: Any, info: ValidationInfo) -> Any:
        known = Options.model_fields.get(info.field_name or "")
        return known.default if value is None and known else value

    @model_validator(mode="after")
    def _one_thing_at_a_path(self) -> Options:
        both = sorted(set(self.volumes.values()) & set(self.tmpfs))
        if both:
            raise ValueError(f"{both[0]} can't be a volume and tmpfs at once")
        return self

    @model_validator(mode="after")
    def _restricted_is_not_root(self) -> Options:
        if self.hardening == RESTRICTED and self.user.partition(":")[0] in ("0", "root"):
            raise ValueError("user is root, which hardening restricted refuses")
        return self

    def document(self) -> dict[str, Any]:
        """What was said, as JSON that reads back as the same."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def filled(self, values: Mapping[str, str]) -> Options:
        """With the words in braces replaced by what they stand for."""

        def fill(text: str) -> str:
            return placeholders.fill(text, values)

        return self.model_copy(update={
            "command": None if self.command is None else tuple(map(fill, self.command)),
            "labels": {fill(name): fill(text) for name, text in self.labels.items()},
            "hostname": fill(self.hostname),
        })  # fmt: skip


def conflicts(options: Options, data_path: str | None, container_port: int) -> Iterator[str]:
    """What can't be beside the plan's own data and port, each as words that follow a plan's name."""
    if data_path and words.shortest(data_path) in {*options.volumes.values(), *options.tmpfs}:
        yield f"{data_path} is the data_path already"
    if DATA in options.volumes:
        yield f"the volume {DATA} is the data_path already"
    if f"{container_port}/tcp" in options.ports:
        yield f"ports has {container_port}, which is the container_port"


NO_OPTIONS = Options()
OF_NO_CONTAINER = frozenset({"hardening", "data_owner"})  # words of which only what comes of them is one's
WORDS = frozenset(Options.model_fields)
