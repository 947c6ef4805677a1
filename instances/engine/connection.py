"""The connection to a Docker Engine: made late, bounded in time, its failures in our words."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager

import requests
import urllib3
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.errors import DockerException, StreamParseError
from docker.tls import TLSConfig

from instances.engine import ssh
from instances.engine.certificates import IN_CLEAR, TlsFiles, fault, refusal, unusable
from instances.engine.client import EngineClient
from instances.engine.image_payloads import api_version
from instances.engine.lacking import lacks
from instances.engine.refusals import Kind, call_refused, speaks_of_version, told_wait, wants_tls
from instances.engine.ssh import SshFiles
from instances.engine.wording import brief, is_used_up, no_address, reason, without_credentials
from instances.errors import (
    ContainerHung,
    DockmgrError,
    EngineUnreachable,
    EngineUnusable,
    OwnDefect,
    OwnPassingTrouble,
    PermanentError,
    RetryLater,
    TransientError,
)
from instances.lib.addresses import engine_fault
from instances.lib.causes import causes
from instances.lib.redact import Redactor

ALIVE_TIMEOUT = 3.0  # seconds for the ping that tells a hung container from a hung engine
CONNECTING = 3  # times the timeout: what making a connection and asking for its version may take
_SDK_FAILURES = (
    DockerException,
    StreamParseError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)
# What a refusal is where its words say no more.
_UNEXPLAINED = (PermanentError, TransientError)
# What reading an answer of another form than promised raises, in the SDK or here.
_NO_ANSWER = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


class EngineConnection:
    """A connection to the engine at `url` (unix://, tcp://, ssh://), made at the first call; thread-safe.

    `timeout` (seconds) bounds how long the engine may be silent. Changes may take `CHANGE_TIMEOUT`
    and are preceded by a ping, so that a frozen engine is noticed within `timeout` there too. After
    any failure to reach it, the next call connects and negotiates the API version anew. A call about
    a container that times out is `ContainerHung` when the engine answers a ping right then. Neither
    proxies nor credentials are taken from the environment. Files or an address that can't serve, and
    TCP without TLS unless it is `insecure`, are `EngineUnusable`.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: TlsFiles | None = None,
        keys: SshFiles | None = None,
        insecure: bool = True,
        timeout: float = 10.0,
    ) -> None:
        self._url = url
        self._where = without_credentials(url)
        self._tls, self._keys, self._insecure = tls, keys or SshFiles(), insecure
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection: Future[EngineClient] | None = None

    def close(self) -> None:
        connection = self._forget()
        if connection and connection.done() and not connection.exception():
            connection.result().close()

    @contextmanager
    def _calling(
        self,
        what: str,
        *,
        change: bool = False,
        kind: Kind = call_refused,
        secrets: Iterable[str] = (),
        container: str = "",
    ) -> Iterator[EngineClient]:
        """`container` is the one the call is about, if it is about one that exists."""
        client = self._connected()
        if change:
            with self._mapped(what):
                client.ping()
        with self._mapped(what, kind, secrets, container):
            yield client

    def _must_take_connections(self) -> None:
        """Raise EngineUnreachable when whoever comes anew is not let in.

        An engine that is going down closes its door first, then stops its containers, and meanwhile goes on
        answering whoever is in. So does one whose certificates or keys have ceased to serve.
        """
        version = str(self._connected().api_version)
        with closing(self._open(version)) as client, self._mapped("answer a ping"):
            client.ping()

    @contextmanager
    def _mapped(
        self, what: str, kind: Kind = call_refused, secrets: Iterable[str] = (), container: str = ""
    ) -> Iterator[None]:
        """Turn the SDK's failures into ours. The originals, which may quote secrets, are not chained."""
        try:
            yield
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            text = Redactor(secrets).text(str(getattr(error, "explanation", None) or error))
            refused = kind(status, text)
            if refused is EngineUnreachable:
                raise self._away(status) from None
            raise self._refused(what, refused, text) from None
        except _SDK_FAILURES as error:
            if _is_own(error):
                text = Redactor(secrets).text(str(error))
                raise OwnDefect(f"The Docker client did not {what}: {brief(text)}") from None
            self._forget()
            raise self._unanswered(error, container) from None
        except _NO_ANSWER:
            raise self._unreadable(what) from None

    def _away(self, status: int) -> DockmgrError:
        self._forget()
        text = f"is out of reach: it, or a proxy before it, answers with status {status}."
        return EngineUnreachable(f"The Docker Engine at {self._where} {text}")

    def _unreadable(self, what: str) -> DockmgrError:
        text = f"The Docker Engine at {self._where} did not {what}: its answer can't be read."
        return TransientError(text)

    def _unanswered(self, error: Exception, container: str) -> DockmgrError:
        if container and isinstance(error, requests.ReadTimeout) and self._is_alive():
            text = "answers, but its calls about this container do not."
            return ContainerHung(f"The Docker Engine at {self._where} {text}")
        return self._unreachable(error)

    def _is_alive(self) -> bool:
        """Whether the engine itself answers right now, on a connection of its own."""
        try:
            with closing(self._open(DEFAULT_DOCKER_API_VERSION, ALIVE_TIMEOUT)) as client:
                client.ping()
        except requests.HTTPError as error:  # it may not like the version, but it answers
            return error.response is not None and error.response.status_code < 500
        except (*_SDK_FAILURES, DockmgrError):
            return False
        return True

    def _refused(self, what: str, kind: type[DockmgrError], text: str) -> DockmgrError:
        if speaks_of_version(text):
            self._forget()
        missing = lacks(text) if kind in _UNEXPLAINED else ""
        if missing:
            return PermanentError(f"The Docker Engine at {self._where} did not {what}: {missing}.")
        sentence = f"The Docker Engine at {self._where} did not {what}: {brief(text)}"
        return RetryLater(sentence, told_wait(text)) if kind is RetryLater else kind(sentence)

    def _unreachable(self, error: Exception) -> DockmgrError:
        if is_used_up(error):
            text = f"cannot be asked for want of something on this machine: {reason(error)}"
            return OwnPassingTrouble(f"The Docker Engine at {self._where} {text}")
        said = next((cause.words for cause in causes(error) if isinstance(cause, ssh.SshFailed)), None)
        known = ssh.fault(said, self._keys) if said else None
        if known is not None and not known.is_configuration:
            return EngineUnreachable(f"The Docker Engine at {self._where} is out of reach: {known.words}.")
        text = " ".join(str(cause) for cause in causes(error))
        text = f"{text} {refusal(text, self._url, self._tls)}"
        words = known.words if known else fault(text, self._tls) or no_address(error) or wants_tls(text)
        if words:
            return self._misconfigured(words)
        return EngineUnreachable(f"The Docker Engine at {self._where} is out of reach: {reason(error)}")

    def _misconfigured(self, words: str) -> DockmgrError:
        return EngineUnusable(f"The Docker Engine at {self._where} can't be used: {words}.")

    def _connected(self) -> EngineClient:
        """The one client; of several threads that need the first, one connects and the others wait.

        They wait no longer than connecting may take, and then connect anew: nobody hangs on another thread.
        """
        with self._lock:
            connection = self._connection
            first = connection is None
            if connection is None:
                connection = self._connection = Future()
        if first:
            self._connect(connection)
        try:
            return connection.result(CONNECTING * self._timeout)
        except TimeoutError:
            self._forget(connection)
            text = "is out of reach: connecting takes too long."
            raise EngineUnreachable(f"The Docker Engine at {self._where} {text}") from None

    def _connect(self, connection: Future[EngineClient]) -> None:
        try:
            connection.set_result(self._negotiate())
        except BaseException as error:
            # Whatever it is, those who wait must hear of it; `result()` raises it in this thread too.
            self._forget(connection)
            connection.set_exception(error)

    def _negotiate(self) -> EngineClient:
        with closing(self._open(DEFAULT_DOCKER_API_VERSION)) as client:
            try:
                version, is_podman = api_version(client.version(api_version=False))
            except (*_SDK_FAILURES, *_NO_ANSWER) as error:
                raise self._unreachable(error) from None
        client = self._open(version)
        client.is_podman = is_podman
        return client

    def _open(self, version: str, timeout: float | None = None) -> EngineClient:
        """A client that has contacted nobody yet."""
        tls, timeout = self._tls, min(timeout or self._timeout, self._timeout)
        words = self._unusable()
        if words:
            raise self._misconfigured(words)
        line = ssh.command(self._url, self._keys, timeout) if self._is_ssh else ()
        try:
            config = TLSConfig((tls.cert, tls.key), tls.ca, verify=True) if tls else None
            return EngineClient(self._url, version, timeout, config, line)
        except DockerException as error:
            raise self._misconfigured(brief(str(error).replace(self._url, self._where))[:-1]) from None

    @property
    def _is_ssh(self) -> bool:
        return self._url.startswith("ssh://")

    def _unusable(self) -> str:
        """Why the way there can't serve as it is set up, or nothing when it can."""
        if words := engine_fault(self._url, tls=self._tls is not None):
            return words
        if self._is_ssh:
            return ssh.unusable(self._keys)
        if self._tls is not None:
            return unusable(self._tls)
        return "" if self._insecure or self._url.startswith("unix://") else IN_CLEAR

    def _forget(self, only: Future[EngineClient] | None = None) -> Future[EngineClient] | None:
        """Have the next call connect anew; `only` where it is this connection that is to be forgotten."""
        # The forgotten client is not closed: other threads may be in the middle of a call.
        with self._lock:
            connection = self._connection
            if only is None or connection is only:
                self._connection = None
        return connection


def _is_own(error: Exception) -> bool:
    """Whether the SDK itself failed, with no engine's part in it."""
    return isinstance(error, DockerException) and not isinstance(error, requests.RequestException)
