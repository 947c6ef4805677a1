"""The forms Compose allows for a container's options, each brought to one form. Pure.

Every function returns the one form or raises ValueError with what is allowed, which follows a key's name.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable
from typing import Any

from instances.lib import placeholders, sizes

RESERVED_LABEL = "dockmgr."
ULIMITS = frozenset({
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
    "rtprio", "rttime", "sigpending", "stack",
})  # fmt: skip
LOG_DRIVERS = frozenset(
    ["awslogs", "fluentd", "gcplogs", "gelf", "journald", "json-file", "local", "none", "splunk", "syslog"]
)
_NAMESPACED = re.compile(r"net\.[\w./-]+|kernel\.(?:msg\w+|sem|shm\w+)|fs\.mqueue\.\w+")
_PATH = re.compile(r"/[!-9;-~]{0,253}")
_VOLUME = re.compile(r"[a-z0-9][a-z0-9_.]{0,30}")
_CAPABILITY = re.compile(r"[A-Z][A-Z_]{1,40}")
_TMPFS_OPTION = re.compile(
    r"(?:size|nr_inodes|nr_blocks)=\d+(?:\.\d+)?[kmgKMG%]?|mode=[0-7]{3,4}|[ug]id=\d{1,10}"
    r"|rw|ro|(?:no)?(?:exec|suid|dev|atime|diratime)"
)
_SECURITY = re.compile(
    r"no-new-privileges(?:=(?:true|false))?|seccomp=(?:unconfined|builtin)"
    r"|apparmor=[\w.-]{1,100}|label=[\w:.,-]{1,100}"
)
_SECRETIVE = re.compile(r"token|password|secret|credential|api[-_]?key", re.I)


def plain(value: object) -> str:
    """A text, number or truth value as Compose writes it. Raises ValueError."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float) or "\0" in str(value):
        raise ValueError("must be texts")
    return str(value)


def words(value: object) -> tuple[str, ...] | None:
    """A command: a list, or one text split as a shell splits it."""
    if value is None:
        return None
    try:
        found = shlex.split(value) if isinstance(value, str) else list(map(plain, entries(value)))
    except ValueError as error:
        raise ValueError(f"must be a list of words, or a text that can be split into them: {error}") from None
    placeholders.refuse_unknown(found)
    return tuple(found)


def command(value: object) -> tuple[str, ...] | None:
    """As `words`; an empty one says nothing, because no engine can take an image's command away."""
    return words(value) or None


def entries(value: object) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list")
    return list(value)


def texts(value: object) -> tuple[str, ...]:
    """A list of texts, or one text."""
    return (value,) if isinstance(value, str) else tuple(map(plain, entries(value)))


def mapping(value: object) -> dict[str, str]:
    """Names and texts: a mapping, or a list of `name=text`."""
    if isinstance(value, list | tuple):
        pairs = [plain(line).partition("=") for line in value]
        value = {name: text for name, _, text in pairs}
    if not isinstance(value, dict):
        raise ValueError("must map names to texts")
    return {plain(name): "" if given is None else plain(given) for name, given in value.items()}


def path(value: object) -> str:
    """A folder of the container, without what changes nothing."""
    if not isinstance(value, str) or not _PATH.fullmatch(value) or ".." in value.split("/"):
        raise ValueError("must be an absolute path in the container")
    return shortest(value)


def shortest(path: str) -> str:
    """An absolute path in the one way in which engines tell it."""
    return "/" + posixpath.normpath(path).lstrip("/")


def mount_point(value: object) -> str:
    """A folder of the container that something else may stand in the place of."""
    found = path(value)
    if found == "/":
        raise ValueError("must not cover the container's root")
    return found


def volumes(value: object) -> dict[str, str]:
    """Names of volumes with their paths: a mapping, or a list of `name:/path`."""
    pairs = list(value.items()) if isinstance(value, dict) else [_volume(entry) for entry in entries(value)]
    found = {_volume_name(name): mount_point(target) for name, target in pairs}
    if len(found) < len(pairs) or len(set(found.values())) < len(found):
        raise ValueError("must have each name and each path once")
    return found


def _volume(entry: object) -> tuple[str, str]:
    name, colon, target = str(entry).partition(":")
    if not isinstance(entry, str) or not colon or ":" in target:
        raise ValueError("must be named volumes such as data:/data, without options")
    return name, target


def _volume_name(name: object) -> str:
    if isinstance(name, str) and name.startswith(("/", ".", "~")):
        raise ValueError("must be named volumes: a folder of the host can't be mounted")
    if not isinstance(name, str) or not _VOLUME.fullmatch(name):
        # A hyphen could make one customer's volume that of another: a and b-data, a-b and data.
        raise ValueError("must have names of small letters, digits, _ and ., without hyphens")
    return name


def tmpfs(value: object) -> dict[str, str]:
    """Paths with their options (`size=64m,mode=1777`); a size alone will do."""
    pairs = value.items() if isinstance(value, dict) else (_tmpfs(entry) for entry in texts(value))
    return {mount_point(target): _tmpfs_options(given) for target, given in pairs}


def _tmpfs(entry: str) -> tuple[str, str]:
    target, _, options = entry.partition(":")
    return target, options


def _tmpfs_options(given: object) -> str:
    text = "" if given is None else plain(given)
    if re.fullmatch(r"\d+(?:\.\d+)?[bkmgBKMG]*", text):
        return f"size={sizes.in_bytes(text)}"
    if text and not all(_TMPFS_OPTION.fullmatch(option) for option in text.split(",")):
        raise ValueError("must be a size such as 64m, or options of tmpfs such as size=64m,mode=1777")
    return text


def ulimits(value: object) -> dict[str, tuple[int, int]]:
    """Soft and hard limits by name; -1 is without limit."""
    if not isinstance(value, dict):
        raise ValueError("must map names such as nofile to numbers")
    unknown = sorted(str(name) for name in value if name not in ULIMITS)
    if unknown:
        raise ValueError(f"has a limit that is none; there are {', '.join(sorted(ULIMITS))}")
    return {name: _ulimit(given) for name, given in value.items()}


def _ulimit(given: object) -> tuple[int, int]:
    if isinstance(given, dict):
        given = [given.get("soft"), given.get("hard")] if set(given) == {"soft", "hard"} else None
    pair = list(map(_whole, given if isinstance(given, list | tuple) else [given, given]))
    if len(pair) != 2 or not all(_is_whole(part) and -1 <= part < 2**63 for part in pair):
        raise ValueError("must be numbers, or {soft: …, hard: …}")
    soft, hard = int(pair[0]), int(pair[1])
    if hard != -1 and (soft == -1 or soft > hard):
        raise ValueError("must not have a soft limit above the hard one")
    return soft, hard


def _whole(value: Any) -> Any:
    """Compose takes numbers as texts, too."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"-1|\d{1,18}", value) else value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def sysctls(value: object) -> dict[str, str]:
    found = mapping(value)
    if not all(_NAMESPACED.fullmatch(name) for name in found):
        raise ValueError(
            "must be of the container's own: net.…, kernel.msg…, kernel.sem, kernel.shm…, fs.mqueue.…"
        )
    return found


def labels(value: object) -> dict[str, str]:
    found = mapping(value)
    if not all(found) or any(name.startswith(RESERVED_LABEL) for name in found):
        raise ValueError(f"must not begin with {RESERVED_LABEL}, which is dockmgr's own")
    placeholders.refuse_unknown([*found, *found.values()])
    return found


def capabilities(value: object) -> tuple[str, ...]:
    """Names without CAP_, in order."""
    found = {text.upper().removeprefix("CAP_") for text in texts(value)}
    if not all(_CAPABILITY.fullmatch(name) for name in found):
        raise ValueError("must be capabilities such as NET_ADMIN")
    return tuple(sorted(found))


def security_opt(value: object) -> tuple[str, ...]:
    """Options with `=`; beside these, `no-new-privileges` holds unless it is said to be false."""
    found = tuple(re.sub(r"^([a-z-]+):", r"\1=", text) for text in texts(value))
    if not all(_SECURITY.fullmatch(text) for text in found):
        raise ValueError(
            "must be no-new-privileges, seccomp=unconfined, apparmor=PROFILE or label=…: files can't be named"
        )
    return tuple(sorted({text.removesuffix("=true") for text in found}))


def devices(value: object) -> tuple[str, ...]:
    """`/dev/host:/dev/container:rwm` each."""
    return tuple(map(_device, texts(value)))


def _device(entry: str) -> str:
    source, *rest = entry.split(":")
    modes = rest.pop() if rest and re.fullmatch("[rwm]{1,3}", rest[-1]) else "rwm"
    target = rest.pop() if rest else source
    if rest or not source.startswith("/dev/"):
        raise ValueError("must be devices such as /dev/fuse or /dev/ttyUSB0:/dev/tty0:rw")
    return f"{path(source)}:{path(target)}:{modes}"


def gpus(value: object) -> int:
    """How many; -1 for `all`."""
    if value == "all":
        return -1
    if not isinstance(value, int) or isinstance(value, bool) or not -1 <= value <= 64:
        raise ValueError("must be a number of GPUs, or all")
    return value


def log_options(value: object) -> dict[str, str]:
    found = mapping(value)
    if any(_SECRETIVE.search(name) for name in found):
        raise ValueError("must hold no secret: it would stand in the container's description")
    return found


def matching(pattern: str, otherwise: str) -> Callable[[object], str]:
    """A text of a form, or ValueError that says `otherwise`."""
    form = re.compile(pattern)

    def checked(value: object) -> str:
        text = "" if value is None else plain(value)
        if text and not form.fullmatch(text):
            raise ValueError(otherwise)
        return text

    return checked
