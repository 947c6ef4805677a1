"""Which error a refusal is, by what engines and registries really say, and how it is worded."""

from __future__ import annotations

import pytest

from instances.engine.refusals import (
    call_refused,
    creation_refused,
    policy_refused,
    pull_refused,
    told_wait,
    usage_refused,
)
from instances.engine.wording import brief, without_credentials
from instances.errors import (
    BetweenRuns,
    ContainerHung,
    DataMissing,
    DiskFull,
    DockmgrError,
    EngineUnreachable,
    LoginRefused,
    NameTaken,
    NoPlace,
    NoSuchCall,
    NotFoundOnEngine,
    OutOfReachError,
    PermanentError,
    PortTaken,
    RetryLater,
    TaskLeftBehind,
    TransientError,
    UntrustedRegistry,
)

Expected = type[DockmgrError]
LOG = "failed to initialize logging driver: "
CONTAINERD = "transport: Error while dialing dial unix:///run/containerd/containerd.sock: "
RUNTIME = "failed to create shim task: OCI runtime create failed: runc create failed: "


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (404, "No such container: x", NotFoundOnEngine),
        (404, "No such image: x:1", NotFoundOnEngine),
        (404, "get v: no such volume", NotFoundOnEngine),
        (404, "page not found", PermanentError),
        (404, "<html>404 Not Found</html>", PermanentError),
        (409, 'Conflict. The container name "/x" is already in use', PermanentError),
        (409, "removal of container x is already in progress", TransientError),
        (404, "sandbox e421b1ff88b6803887c8e01de59b671683a345a2213f2b9aa0b8 not found", BetweenRuns),
        (500, "task 5d0328f7d85124fa0fab52393f3024f7: already exists", TaskLeftBehind),
        (500, "failed to create task for container: task 5d03: already exists: unknown", TaskLeftBehind),
        (500, "failed to start shim: mkdir /run/containerd/moby/5d03: file exists: unknown", TaskLeftBehind),
        (409, "container is marked for removal and cannot be started", NotFoundOnEngine),
        (403, "conflicts with network 958 (dm): networks have same bridge name", TransientError),
        (409, "remove v: volume is in use - [c]", PermanentError),
        (500, "Bind for 127.0.0.1:80 failed: port is already allocated", PortTaken),
        (500, "listen tcp4 127.0.0.1:80: bind: address already in use", PortTaken),
        (500, "failed to bind host port for 127.0.0.1:80: address already in use", PortTaken),
        (500, "listen tcp4 10.9.9.9:80: bind: cannot assign requested address", PermanentError),
        (500, "creating container storage: that name is already in use", PermanentError),
        (500, "updating container config: UNIQUE constraint failed: ContainerConfig.Name", PermanentError),
        (500, "unable to find network with name or ID x: network not found", PermanentError),
        (500, "fill out specgen: invalid variable", PermanentError),
        (500, "container 4e2 is not connected to the network dockmgr", PermanentError),
        (400, "invalid mount config: bind source path does not exist: /x", DataMissing),
        (500, 'error evaluating symlinks from mount source "/v/_data": lstat /v: no such file', DataMissing),
        (500, "error while mounting volume '/v': failed to mount local volume: no such device", DataMissing),
        (500, "error mounting volume v for container 4e2: no such file or directory", DataMissing),
        (400, "OCI runtime create failed: executable file not found in $PATH", PermanentError),
        (500, f"{RUNTIME}write sysctl key net.core.somaxconn: invalid argument: unknown", PermanentError),
        (500, f"{LOG}invalid size: 'abc'", PermanentError),
        (500, f"{LOG}max-file cannot be less than 1", PermanentError),
        (500, f"{LOG}dial tcp 127.0.0.1:24224: connect: connection refused", TransientError),
        (500, f"{LOG}Unix syslog delivery error", TransientError),
        (500, f"{RUNTIME}sethostname: invalid argument: unknown", PermanentError),
        (500, f"{RUNTIME}mount proc: operation not permitted", PermanentError),
        (500, f"{RUNTIME}fork/exec /proc/self/exe: resource temporarily unavailable", TransientError),
        (500, f"{RUNTIME}context deadline exceeded", TransientError),
        (500, 'OCI runtime create failed: exec: "runc": executable file not found in $PATH', TransientError),
        (500, "crun: sethostname: Invalid argument: OCI runtime error", PermanentError),
        (400, "client version 1.52 is too new. Maximum supported API version is 1.41", TransientError),
        (429, "slow down", TransientError),
        (500, "write /var/lib/docker/containers/4e2/hash27: no space left on device", DiskFull),
        (500, f"{RUNTIME}mkdir /sys/fs/cgroup/x: no space left on device", TransientError),
        (500, f"{CONTAINERD}timeout: unavailable", OutOfReachError),
        (500, f"{CONTAINERD}connect: connection refused: unavailable", OutOfReachError),
        (400, "bind source path does not exist: /run/containerd/containerd.sock", DataMissing),
        (403, "Address already in use", NoPlace),
        (500, "failed to set up container networking: Address already in use", NoPlace),
        (500, "no available IPv4 addresses on this network's address pools: x (1f9)", NoPlace),
        (403, "endpoint with name dockmgr-c1 already exists in network dockmgr", NoPlace),
        (501, "configured logging driver does not support reading", PermanentError),
        (503, "starting", EngineUnreachable),
        (502, "<h1>502 Bad Gateway</h1>", EngineUnreachable),
        (504, "upstream request timeout", EngineUnreachable),
        (500, "tried to kill container, but did not receive an exit event", ContainerHung),
    ],
)
def test_a_refused_call(status: int, text: str, expected: Expected) -> None:
    assert call_refused(status, text) is expected


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (404, "manifest for x:1 not found: manifest unknown: manifest unknown", NotFoundOnEngine),
        (404, "pull access denied for x, repository does not exist", NotFoundOnEngine),
        (500, 'Get "https://x/v2/": dial tcp: lookup x on 10.0.0.1:53: no such host', OutOfReachError),
        (500, 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connection refused', OutOfReachError),
        (500, "net/http: TLS handshake timeout", OutOfReachError),
        (0, "connection refused", OutOfReachError),
        (500, "received unexpected HTTP status: 502 Bad Gateway", OutOfReachError),
        (503, "unavailable: the registry is being mended", OutOfReachError),
        (0, "unexpected EOF", OutOfReachError),
        (0, "context canceled", TransientError),
        (500, "Head x: unauthorized: authentication required", LoginRefused),
        (400, "invalid reference format", PermanentError),
        (0, "no matching manifest for linux/arm64/v8 in the manifest list entries", PermanentError),
        (0, "filesystem layer verification failed for digest sha256:1", TransientError),
        (0, "write /var/lib/x: no space left on device", DiskFull),
        (0, "failed to register layer: write /blob: no space left on device", DiskFull),
        (500, "toomanyrequests: You have reached your pull rate limit", RetryLater),
        (500, "received unexpected HTTP status: 429 Too Many Requests", RetryLater),
        (0, "unexpected status from HEAD request to https://x/v2/: 429 Too Many Requests", RetryLater),
        (500, "received unexpected HTTP status: 401 Unauthorized", LoginRefused),
        (500, "received unexpected HTTP status: 403 Forbidden", LoginRefused),
        (500, "Head https://x/v2/agent/manifests/1: no basic auth credentials", LoginRefused),
        (500, "denied: requested access to the resource is denied", LoginRefused),
        (500, "unauthorized: incorrect username or password", LoginRefused),
        (500, "http: server gave HTTP response to HTTPS client", PermanentError),
        (500, "failed to do request: tls: first record does not look like a TLS handshake", PermanentError),
        (500, "tls: failed to verify certificate: x509: certificate has expired", UntrustedRegistry),
    ],
)
def test_a_refused_pull(status: int, text: str, expected: Expected) -> None:
    assert pull_refused(status, text) is expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("toomanyrequests: retry-after: 30s, allowed: 44000/minute", 30),
        ("toomanyrequests: Retry-After: 120", 120),
        ("toomanyrequests: retry-after: 250ms, allowed: 1/s", 0.25),
        ("toomanyrequests: retry-after: 2m", 120),
        ("toomanyrequests: You have reached your pull rate limit", None),
        ("retry-after: soon", None),
    ],
)
def test_the_wait_a_registry_asks_for_is_read(text: str, seconds: float | None) -> None:
    assert told_wait(text) == seconds


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
        ("tcp://user:secret@host:2376", "tcp://host:2376"),
        ("ssh://ops@host", "ssh://host"),
        ("tcp://user:p@ss@host:2376/?token=secret", "tcp://host:2376/"),
    ],
)
def test_a_url_is_shown_without_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


def test_what_an_engine_says_becomes_one_line_of_bounded_length() -> None:
    assert brief("a\n  b.\n") == "a b."
    assert len(brief("x" * 10_000)) < 600


def test_what_a_registry_has_an_engine_say_moves_no_terminal() -> None:
    assert brief("denied:\x1b]0;title\x07 \x1b[2Jall\x08 is well") == "denied: all is well."


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (409, 'Conflict. The container name "/x" is already in use by container "4f".', NameTaken),
        (500, 'creating container storage: the container name "x" is already in use by 4f.', NameTaken),
        (404, "No such image: x:1", NotFoundOnEngine),
        (409, "invalid mount config", PermanentError),
    ],
)
def test_a_container_that_is_refused_for_its_name_is_told_apart(
    status: int, text: str, expected: Expected
) -> None:
    assert creation_refused(status, text) is expected


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (404, "Not Found", NoSuchCall),
        (404, "page not found", NoSuchCall),
        (404, "No such container: x", NotFoundOnEngine),
        (403, "Forbidden", PermanentError),
    ],
)
def test_an_engine_without_a_call_for_restart_policies_is_told_apart(
    status: int, text: str, expected: Expected
) -> None:
    assert policy_refused(status, text) is expected


@pytest.mark.parametrize(
    ("status", "text", "expected"), [(404, "", NotFoundOnEngine), (500, "", TransientError)]
)
def test_podman_4_says_nothing_of_the_use_of_a_container_that_is_gone(
    status: int, text: str, expected: Expected
) -> None:
    assert usage_refused(status, text) is expected
