"""The Docker Engine behind the port: the only module of the domain that imports the SDK."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote

import docker
import requests
import urllib3
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.errors import DockerException, StreamParseError, create_api_error_from_http_exception
from docker.tls import TLSConfig

from instances.engine.log_stream import CHUNK, WireLog, demultiplex
from instances.engine.payloads import (
    container_facts,
    container_summary,
    create_arguments,
    engine_facts,
    image_facts,
    networks_to_join,
    pull_progress,
)
from instances.engine.port import (
    ContainerFacts,
    ContainerSummary,
    EngineFacts,
    ImageFacts,
    LogStream,
)
from instances.engine.refusals import Kind, call_refused, pull_refused, speaks_of_version
from instances.engine.wording import brief, reason, without_credentials
from instances.errors import (
    DockmgrError,
    EngineUnreachable,
    NotFoundOnEngine,
    PermanentError,
    RequestError,
    TransientError,
)
from instances.redact import Redactor
from instances.spec import ContainerSpec

CHANGE_TIMEOUT = 60.0  # seconds an engine may work on a change: removing a big container takes its time
PULL_SILENCE = 300.0  # seconds without progress: verifying a big layer is silent
CONNECTIONS = 32  # kept open to one engine
_SDK_FAILURES = (
    DockerException,
    StreamParseError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)


@dataclass(frozen=True)
class TlsFiles:
    """Paths of PEM files for an engine reached over TLS: authority, own certificate, own key."""

    ca: str
    cert: str
    key: str


class _Client(docker.APIClient):
    """The SDK's client, bounded in time: left alone it pulls without any timeout."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if request.method != "GET":
            asked = kwargs.get("timeout")
            wait = PULL_SILENCE if asked is None else max(asked, CHANGE_TIMEOUT)
            kwargs["timeout"] = (self.timeout, wait)
        return super().send(request, **kwargs)


class DockerEngine:
    """The engine at `url` (unix://, tcp://, ssh://), contacted at the first call; thread-safe.

    `timeout` (seconds) bounds how long the engine may be silent. Changes may take `CHANGE_TIMEOUT`
    and are preceded by a ping, so that a frozen engine is noticed within `timeout` there too. After
    any failure to reach it, the next call connects and negotiates the API version anew. Neither
    proxies nor credentials are taken from the environment.
    """

    def __init__(self, url: str, *, tls: TlsFiles | None = None, timeout: float = 10.0) -> None:
        self._url = url
        self._where = without_credentials(url)
        self._tls = tls
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection: Future[_Client] | None = None

    def ping(self) -> None:
        with self._calling("answer a ping") as client:
            client.ping()

    def facts(self) -> EngineFacts:
        with self._calling("say what it runs on") as client:
            return engine_facts(client.info())

    def list_containers(self) -> list[ContainerSummary]:
        with self._calling("list containers") as client:
            rows = client.containers(all=True)
        return [container_summary(row) for row in rows]

    def inspect(self, container: str) -> ContainerFacts | None:
        answer = self.describe(container)
        return None if answer is None else container_facts(answer)

    def describe(self, container: str) -> dict[str, Any] | None:
        with suppress(NotFoundOnEngine), self._calling(f"inspect container {container}") as client:
            answer: dict[str, Any] = client.inspect_container(container)
            return answer
        return None

    def image(self, ref: str) -> ImageFacts | None:
        answer = self.describe_image(ref)
        return None if answer is None else image_facts(answer)

    def describe_image(self, ref: str) -> dict[str, Any] | None:
        with suppress(NotFoundOnEngine), self._calling(f"inspect image {ref}") as client:
            answer: dict[str, Any] = client.inspect_image(ref)  # type: ignore[no-untyped-call]
            return answer
        return None

    def pull(self, ref: str, progress: Callable[[str], None] | None = None) -> ImageFacts:
        for text in self._pulling(ref):
            if progress:
                progress(text)
        pulled = self.image(ref)
        if pulled is None:
            raise TransientError(f"The Docker Engine at {self._where} pulled {ref} but does not have it.")
        return pulled

    def remove_image(self, image_id: str) -> bool:
        try:
            with (
                suppress(NotFoundOnEngine),
                self._calling(f"remove image {image_id}", change=True) as client,
            ):
                client.remove_image(image_id)
        except PermanentError:
            return False
        return True

    def create(self, spec: ContainerSpec) -> str:
        with self._calling(f"create container {spec.name}", change=True, secrets=spec.env.values()) as client:
            answer = client.create_container_from_config(  # type: ignore[no-untyped-call]
                **create_arguments(spec)
            )
        container = str(answer["Id"])
        try:
            for network, endpoint in networks_to_join(spec):
                self._join(container, network, endpoint)
        except DockmgrError:
            self.remove(container)
            raise
        return container

    def _join(self, container: str, network: str, endpoint: dict[str, Any]) -> None:
        with self._calling(f"connect {container} to network {network}", change=True) as client:
            url = f"{client.base_url}/v{client.api_version}/networks/{quote(network, safe='')}/connect"
            asked = {"Container": container, "EndpointConfig": endpoint}
            _raise_for_status(client.post(url, json=asked, timeout=client.timeout))

    def start(self, container: str) -> None:
        with self._calling(f"start container {container}", change=True) as client:
            client.start(container)

    def stop(self, container: str, timeout: int) -> None:
        with suppress(NotFoundOnEngine), self._calling(f"stop container {container}", change=True) as client:
            client.stop(container, timeout=timeout)

    def remove(self, container: str) -> None:
        with (
            suppress(NotFoundOnEngine),
            self._calling(f"remove container {container}", change=True) as client,
        ):
            client.remove_container(container, v=False, force=True)

    def rename(self, container: str, name: str) -> None:
        with self._calling(f"rename container {container} to {name}", change=True) as client:
            client.rename(container, name)

    def create_volume(self, name: str, labels: dict[str, str]) -> bool:
        if self.volume_labels(name) is not None:
            return False
        with self._calling(f"create volume {name}", change=True) as client:
            client.create_volume(name, labels=labels)
        return True

    def volume_labels(self, name: str) -> dict[str, str] | None:
        with suppress(NotFoundOnEngine), self._calling(f"inspect volume {name}") as client:
            return client.inspect_volume(name)["Labels"] or {}
        return None

    def remove_volume(self, name: str) -> None:
        with suppress(NotFoundOnEngine), self._calling(f"remove volume {name}", change=True) as client:
            client.remove_volume(name)

    def logs(
        self,
        container: str,
        *,
        lines: int,
        since: datetime | None = None,
        timestamps: bool = False,
        follow: bool = False,
    ) -> LogStream:
        # The engine takes anything but a natural number for "all of it".
        if isinstance(lines, bool) or not isinstance(lines, int) or lines < 1:
            raise RequestError(f"The number of log lines must be a whole number from 1, not {lines!r}.")
        params: dict[str, int | str] = {"stdout": 1, "stderr": 1, "tail": lines}
        params |= {"timestamps": int(timestamps), "follow": int(follow)}
        if since is not None:
            params["since"] = f"{since.timestamp():.6f}"
        what = f"read the log of {container}"
        with self._calling(what) as client:
            tty = bool(client.inspect_container(container)["Config"]["Tty"])
            response = _open_log(client, container, params, None if follow else self._timeout)
        return WireLog(self._pieces(what, response, tty), response.raw.shutdown, response.close)

    def close(self) -> None:
        connection = self._forget()
        if connection and connection.done() and not connection.exception():
            connection.result().close()

    def _pulling(self, ref: str) -> Iterator[str]:
        what = f"pull {ref}"
        with self._calling(what, change=True, kind=pull_refused) as client:
            events = client.pull(ref, stream=True, decode=True)
            yield from pull_progress(events, lambda text: self._refused(what, pull_refused(0, text), text))

    def _pieces(self, what: str, response: requests.Response, tty: bool) -> Iterator[bytes]:
        with self._mapped(what):
            chunks = iter(partial(response.raw.read1, CHUNK, decode_content=False), b"")
            yield from chunks if tty else demultiplex(chunks)

    @contextmanager
    def _calling(
        self,
        what: str,
        *,
        change: bool = False,
        kind: Kind = call_refused,
        secrets: Iterable[str] = (),
    ) -> Iterator[_Client]:
        client = self._connected()
        with self._mapped(what, kind, secrets):
            if change:
                client.ping()
            yield client

    @contextmanager
    def _mapped(self, what: str, kind: Kind = call_refused, secrets: Iterable[str] = ()) -> Iterator[None]:
        """Turn the SDK's failures into ours. The originals, which may quote secrets, are not chained."""
        try:
            yield
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            text = Redactor(secrets).text(str(getattr(error, "explanation", None) or error))
            raise self._refused(what, kind(status, text), text) from None
        except _SDK_FAILURES as error:
            self._forget()
            raise self._unreachable(error) from None

    def _refused(self, what: str, kind: type[DockmgrError], text: str) -> DockmgrError:
        if speaks_of_version(text):
            self._forget()
        return kind(f"The Docker Engine at {self._where} did not {what}: {brief(text)}")

    def _unreachable(self, error: Exception) -> DockmgrError:
        return EngineUnreachable(f"The Docker Engine at {self._where} is out of reach: {reason(error)}")

    def _connected(self) -> _Client:
        """The one client; of several threads that need the first, one connects and the others wait."""
        with self._lock:
            connection = self._connection
            first = connection is None
            if connection is None:
                connection = self._connection = Future()
        if first:
            self._connect(connection)
        return connection.result()

    def _connect(self, connection: Future[_Client]) -> None:
        try:
            connection.set_result(self._negotiate())
        except BaseException as error:
            # Whatever it is, those who wait must hear of it; `result()` raises it in this thread too.
            self._forget()
            connection.set_exception(error)

    def _negotiate(self) -> _Client:
        with closing(self._open(DEFAULT_DOCKER_API_VERSION)) as client:
            try:
                version = str(client.version(api_version=False)["ApiVersion"])
            except (*_SDK_FAILURES, KeyError, TypeError) as error:
                raise self._unreachable(error) from None
        return self._open(version)

    def _open(self, version: str) -> _Client:
        """A client that has contacted nobody yet."""
        tls = self._tls
        try:
            config = TLSConfig((tls.cert, tls.key), tls.ca, verify=True) if tls else False
            client = _Client(self._url, version, self._timeout, config, max_pool_size=CONNECTIONS)  # type: ignore[arg-type]
        except DockerException as error:
            text = brief(str(error).replace(self._url, self._where))
            raise PermanentError(f"The Docker Engine at {self._where} cannot be used: {text}") from None
        except _SDK_FAILURES as error:  # over SSH a client connects at once
            raise self._unreachable(error) from None
        client.trust_env = False
        for scheme in ("http://", "https://"):
            client.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
        return client

    def _forget(self) -> Future[_Client] | None:
        # The forgotten client is not closed: other threads may be in the middle of a call.
        with self._lock:
            connection, self._connection = self._connection, None
        return connection


def _open_log(
    client: _Client, container: str, params: dict[str, int | str], silence: float | None
) -> requests.Response:
    url = f"{client.base_url}/v{client.api_version}/containers/{quote(container, safe='')}/logs"
    response = client.get(url, params=params, stream=True, timeout=(client.timeout, silence))
    _raise_for_status(response)
    return response


def _raise_for_status(response: requests.Response) -> None:
    """As the SDK does it, which reads the engine's explanation into the error."""
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)
