"""The Docker Engine behind the port: each verb as the SDK has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote

import requests
from urllib3.exceptions import ReadTimeoutError

from instances.containers.facts import (
    ContainerEvent,
    ContainerFacts,
    ContainerSummary,
    ContainerUsage,
    DiskUse,
    EngineFacts,
    ImageFacts,
    short_id,
)
from instances.containers.image_names import in_full
from instances.containers.spec import ContainerSpec, is_managed
from instances.engine.client import EngineClient
from instances.engine.dependents import shares_with
from instances.engine.disk_answer import ASKED, disk_use
from instances.engine.event_stream import asked_for, container_events
from instances.engine.image_payloads import (
    engine_facts,
    image_described,
    image_facts,
    pull_progress,
    registry_auth,
)
from instances.engine.log_stream import CHUNK, WireStream, demultiplex
from instances.engine.payloads import (
    container_described,
    container_facts,
    container_summaries,
    create_arguments,
    has_terminal,
    log_tail,
    networks_to_join,
    rows_of,
)
from instances.engine.port import EventStream, LogStream, RegistryLogin
from instances.engine.refusals import creation_refused, policy_refused, pull_refused, usage_refused
from instances.engine.usage_answer import ONCE, container_usage
from instances.engine.volume_owners import VolumeOwners
from instances.errors import (
    DockmgrError,
    NotFoundOnEngine,
    OutOfReachError,
    OwnTrouble,
    PermanentError,
    TransientError,
)
from instances.lib.redact import Redactor
from instances.limits import LONGEST_CALL

ENDED = ("exited", "dead")
DISK_SECONDS = LONGEST_CALL  # in which an engine has looked at all its files
EVENT_SILENCE = 60.0  # seconds without an event after which the stream is opened anew


class DockerEngine(VolumeOwners):
    """Keeps the promises of `instances.engine.port.Engine` on the engine at `url`."""

    def ping(self) -> None:
        self._must_take_connections()

    def facts(self) -> EngineFacts:
        with self._calling("say what it runs on") as client:
            return engine_facts(client.info(), is_podman=client.is_podman)

    def list_containers(self) -> list[ContainerSummary]:
        with self._calling("list containers") as client:
            answer = client.read("/containers/json", {"all": 1}, client.timeout)
            return container_summaries(rows_of(answer.content))

    def inspect(self, container: str) -> ContainerFacts | None:
        answer = self.describe(container)
        facts = None if answer is None else container_facts(answer)
        if facts is None or container not in (facts.id, facts.name):
            return None  # an engine also finds by the beginning of an id, as which a name may read
        if facts.state in ENDED:
            self._must_take_connections()
        return facts

    def describe(self, container: str) -> dict[str, Any] | None:
        if not container:  # which is nobody's name, and the SDK refuses it
            return None
        with (
            suppress(NotFoundOnEngine),
            self._calling(f"inspect container {short_id(container)}", container=container) as client,
        ):
            return container_described(client.inspect_container(container))
        return None

    def usage(self, container: str) -> ContainerUsage | None:
        what = f"say what {short_id(container)} uses"
        with (
            suppress(NotFoundOnEngine),
            self._calling(what, kind=usage_refused, container=container) as client,
        ):
            answer = client.read(f"/containers/{quote(container, safe='')}/stats", ONCE, client.timeout)
            if answer.content:  # nothing is what Podman 4 tells of one that never ran
                return container_usage(answer.json())
        return None

    def disk(self) -> DiskUse:
        with self._calling("say what its disk holds") as client:
            return disk_use(client.read("/system/df", ASKED, DISK_SECONDS).json())

    def image(self, ref: str) -> ImageFacts | None:
        answer = self.describe_image(ref)
        return None if answer is None else image_facts(answer)

    def describe_image(self, ref: str) -> dict[str, Any] | None:
        if not ref:
            return None
        with suppress(NotFoundOnEngine), self._calling(f"inspect image {ref}") as client:
            return image_described(client.inspect_image(in_full(ref)))  # type: ignore[no-untyped-call]
        return None

    def pull(
        self, ref: str, progress: Callable[[str], None] | None = None, login: RegistryLogin | None = None
    ) -> ImageFacts:
        for text in self._pulling(ref, login):
            if progress:
                progress(text)
        pulled = self.image(ref)
        if pulled is None:
            raise TransientError(f"The Docker Engine at {self._where} pulled {ref} but does not have it.")
        return pulled

    def remove_image(self, image: str) -> bool:
        try:
            with suppress(NotFoundOnEngine), self._calling(f"remove image {image}", change=True) as client:
                client.remove_image(in_full(image))
        except PermanentError:
            return False
        return True

    def import_image(self, archive: bytes, reference: str) -> str:
        repository, _, tag = reference.rpartition(":")
        with self._calling(f"make image {reference}", change=True) as client:
            client.import_image_from_data(archive, repository=repository, tag=tag)
        image = self.image(reference)
        if image is None:
            raise TransientError(f"The Docker Engine at {self._where} made {reference} but does not have it.")
        return image.id

    def unpack(self, container: str, folder: str, archive: bytes) -> None:
        what = f"write into {folder} of {container}"
        with self._calling(what, change=True, container=container) as client:
            client.put_archive(container, folder, archive)

    def create(self, spec: ContainerSpec) -> str:
        asked, what, secrets = create_arguments(spec), f"create container {spec.name}", spec.env.values()
        with self._calling(what, change=True, kind=creation_refused, secrets=secrets) as client:
            container = client.make(asked["config"], asked["name"])
        try:
            for network, endpoint in networks_to_join(spec):
                self._join(container, network, endpoint)
        except DockmgrError:
            self.remove(container)
            raise
        return container

    def start(self, container: str) -> None:
        with self._changing("start", container) as client:
            client.start(container)

    def stop(self, container: str, timeout: int) -> None:
        with suppress(NotFoundOnEngine), self._changing("stop", container) as client:
            client.stop_within(container, timeout)

    def remove(self, container: str, *, anonymous_volumes: bool = False) -> None:
        with suppress(NotFoundOnEngine), self._changing("remove", container) as client:
            client.remove_container(container, v=anonymous_volumes, force=True)

    def rename(self, container: str, name: str) -> None:
        with self._changing("rename", container, f" to {name}") as client:
            client.rename(container, name)

    def set_restart_policy(self, container: str, policy: dict[str, Any]) -> None:
        what = f"change the restart policy of {short_id(container)}"
        with self._calling(what, change=True, kind=policy_refused, container=container) as client:
            client.update_container(container, restart_policy=policy)  # type: ignore[arg-type]

    def _changing(self, verb: str, container: str, how: str = "") -> AbstractContextManager[EngineClient]:
        what = f"{verb} container {short_id(container)}{how}"
        return self._calling(what, change=True, container=container)

    def dependents(self, container: str) -> list[str]:
        own = self.inspect(container)
        names = {own.id, own.name} if own else set()
        # What dockmgr made shares nothing, and a list does not tell all that may be shared.
        foreign = (row for row in self.list_containers() if own and not is_managed(row.labels))
        return sorted(row.name for row in foreign if shares_with(self._shared_by(row), names))

    def _shared_by(self, row: ContainerSummary) -> Mapping[str, Any]:
        """What a container shares. Where it alone can't be asked about, a list still tells of its network."""
        try:
            told = self.describe(row.id)
        except (OutOfReachError, OwnTrouble):
            raise
        except DockmgrError:
            return {"NetworkMode": row.network_mode}
        return told["HostConfig"] if told else {}

    def logs(
        self,
        container: str,
        *,
        lines: int,
        since: datetime | None = None,
        until: datetime | None = None,
        timestamps: bool = False,
        follow: bool = False,
    ) -> LogStream:
        params: dict[str, int | str] = {"stdout": 1, "stderr": 1, "tail": log_tail(lines)}
        params |= {"timestamps": int(timestamps), "follow": int(follow)}
        for name, moment in (("since", since), ("until", until)):
            if moment is not None:
                params[name] = f"{moment.timestamp():.6f}"
        what = f"read the log of {short_id(container)}"
        with self._calling(what, container=container) as client:
            tty = has_terminal(client.inspect_container(container))
            path = f"/containers/{quote(container, safe='')}/logs"
            response = client.read(path, params, None if follow else self._timeout, stream=True)
        return WireStream(self._pieces(what, response, tty), response.raw.shutdown, response.close)

    def events(self, since: int | None = None) -> EventStream:
        with self._calling("tell what happens") as client:
            response = client.read("/events", asked_for(since), EVENT_SILENCE, stream=True)
        return WireStream(self._told(response), response.raw.shutdown, response.close)

    def _told(self, response: requests.Response) -> Iterator[ContainerEvent]:
        with self._mapped("tell what happens"), suppress(ReadTimeoutError):
            yield from container_events(iter(partial(response.raw.read1, CHUNK, decode_content=False), b""))

    def _pulling(self, ref: str, login: RegistryLogin | None) -> Iterator[str]:
        what, secrets = f"pull {ref}", login.secrets if login else []
        with self._calling(what, change=True, kind=pull_refused, secrets=secrets) as client:
            # Without any the SDK reads those of the home.
            events = client.pull(ref, stream=True, decode=True, auth_config=registry_auth(login))
            hide = Redactor(secrets).text
            yield from pull_progress(
                events, lambda text: self._refused(what, pull_refused(0, text), hide(text))
            )

    def _pieces(self, what: str, response: requests.Response, tty: bool) -> Iterator[bytes]:
        with self._mapped(what):
            chunks = iter(partial(response.raw.read1, CHUNK, decode_content=False), b"")
            yield from chunks if tty else demultiplex(chunks)
