"""What a plan's `hardening` takes from its containers; what the plan says itself wins. Pure."""

from __future__ import annotations

from instances.containers.options import BASELINE, NONE, RESTRICTED, Options

_ALL = "ALL"
# Of the capabilities Docker gives, those that customers' programs do not need: to forge packets, and with
# them a neighbour's address; to make device nodes; to give files capabilities; to write the host's audit log.
NOT_NEEDED = ("AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP")
WRITABLE = {"/run": "mode=1777,size=16777216", "/tmp": "mode=1777,size=67108864"}  # noqa: S108 - tmpfs
_ROOT = frozenset({"", "0", "root"})


def hardened(options: Options, kept: frozenset[str] = frozenset()) -> Options:
    """The options with what the preset adds. `kept` are paths at which the plan has volumes."""
    if options.hardening == NONE:
        return options
    dropped = {_ALL} if options.hardening == RESTRICTED else set(NOT_NEEDED) - set(options.cap_add)
    if options.hardening == BASELINE and _ALL in options.cap_add:
        dropped = set()
    changes: dict[str, object] = {"cap_drop": tuple(sorted({*options.cap_drop, *dropped}))}
    if options.hardening == RESTRICTED and options.read_only is None:
        changes["read_only"] = True
    if options.hardening == RESTRICTED and options.read_only is not False:
        free = {path: said for path, said in WRITABLE.items() if path not in kept}
        changes["tmpfs"] = {**free, **options.tmpfs}
    return options.model_copy(update=changes)


def is_root(user: str) -> bool:
    """Whether a container's user, as plan or image name it, is root."""
    return user.partition(":")[0] in _ROOT
