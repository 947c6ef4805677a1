"""The SDK's client, bounded in time; with `connection` the only module of the domain that imports the SDK."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import docker
import requests
from docker.auth import AuthConfig
from docker.constants import MINIMUM_DOCKER_API_VERSION
from docker.errors import InvalidVersion, create_api_error_from_http_exception
from docker.tls import TLSConfig
from docker.transport import UnixHTTPAdapter
from docker.utils import parse_host, version_lt
from docker.utils.proxy import ProxyConfig

from instances.engine.answers import CONTAINER, readable
from instances.engine.ssh_line import SshAdapter
from instances.limits import CHANGE_CALL, LONGEST_CALL

CHANGE_TIMEOUT = CHANGE_CALL  # seconds for a change: removing a big container takes its time
MAKING_SECONDS = LONGEST_CALL  # files that an image has where a new volume goes are copied, slowly if many
PULL_SILENCE = LONGEST_CALL  # seconds without progress: verifying a big layer is silent
CONNECTIONS = 32  # kept open to one engine


class EngineClient(docker.APIClient):
    """The SDK's client, bounded in time: left alone it pulls without any timeout.

    It is set up here and not by the SDK, which reads the home's Docker configuration on its way and
    fails for what it finds there.
    """

    is_podman = False

    def __init__(
        self, url: str, version: str, timeout: float, tls: TLSConfig | None, line: Sequence[str] = ()
    ) -> None:
        requests.Session.__init__(self)
        self.timeout = timeout  # type: ignore[assignment]
        self.credstore_env = None
        self._general_configs: dict[str, Any] = {}
        self._auth_configs = AuthConfig({})
        self._proxy_configs = ProxyConfig()
        self._version = version
        self.trust_env = False
        if version_lt(version, MINIMUM_DOCKER_API_VERSION):
            raise InvalidVersion(f"it speaks API version {version}, which is too old")
        self._reach(str(parse_host(url, tls=tls is not None)), tls, line)

    def _reach(self, url: str, tls: TLSConfig | None, line: Sequence[str]) -> None:
        for scheme in ("http://", "https://"):
            self.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
        self.base_url, self._custom_adapter = url, None
        if tls:
            tls.configure_client(self)
        elif url.startswith("http+unix://"):
            self._reach_through("http+docker://localhost", UnixHTTPAdapter)
        elif line:
            self._reach_through("http+docker://localhost", SshAdapter, line)

    def _reach_through(
        self, url: str, adapter: Callable[..., requests.adapters.BaseAdapter], where: object = None
    ) -> None:
        self.mount(url, adapter(where or self.base_url, self.timeout, max_pool_size=CONNECTIONS))
        self.base_url = url

    def make(self, config: dict[str, Any], name: str) -> str:
        """The id of a container made by the engine's own words."""
        told = {key: value for key, value in config.items() if value is not None}
        answer = self.ask(
            "POST", "/containers/create", params={"name": name}, json=told, timeout=MAKING_SECONDS
        )
        return str(readable(answer.json(), CONTAINER, "Id")["Id"])

    def stop_within(self, container: str, seconds: int) -> None:
        """Have a container stop. The engine kills it after so many seconds, and then works on the change."""
        path = f"/containers/{quote(container, safe='')}/stop"
        self.ask("POST", path, params={"t": seconds}, timeout=CHANGE_TIMEOUT + seconds)

    def read(
        self, path: str, params: Mapping[str, Any], silence: float | None, *, stream: bool = False
    ) -> requests.Response:
        """`silence` is how many seconds the engine may say nothing, None for any number."""
        return self.ask("GET", path, params=params, stream=stream, timeout=(self.timeout, silence))

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """What the SDK has no call for, or one that hides too much. Raises what its calls raise."""
        response = self.request(method, f"{self.base_url}/v{self.api_version}{path}", **options)
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            create_api_error_from_http_exception(error)  # reads the engine's explanation into the error
        return response

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if request.method != "GET":
            asked = kwargs.get("timeout")
            wait = PULL_SILENCE if asked is None else max(asked, CHANGE_TIMEOUT)
            kwargs["timeout"] = (self.timeout, wait)
        return super().send(request, **kwargs)
