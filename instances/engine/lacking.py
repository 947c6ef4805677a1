"""What an engine or its host lacks for a container, in words: engines quote programs and paths. Pure."""

from __future__ import annotations

import re

from instances.engine.refusals import AWAY

_RECEIVER_AWAY = "|".join(map(re.escape, AWAY))
_CGROUPS = (
    r"cgroup.{0,40}(?:is(?: not|n't)|are(?: not|n't)) (?:available|mounted|enabled)"
    r"|cgroup mountpoint does not exist|controller .{0,40}not (?:available|found)|kernel does not support"
    r"|could not join or create cgroup|(?:cpu|memory|pids)\.(?:max|limit_in_bytes)\S*:? no such file"
)
_WORDS = (
    (
        r"(?:container-init|catatonit|docker-init)\b.*(?:not found|no such file)|could not find \W?catatonit",
        "it has no program that serves as a container's init (catatonit, docker-init): "
        "install it there, or say init: false in the plan",
    ),
    (
        _CGROUPS,
        "it can't hold a limit on cpus, memory or processes: "
        "its kernel has that control group (cgroup) switched off",
    ),
    (
        r"could not select device driver|unresolvable CDI devices|no known GPU vendor",
        "it can't give GPUs to containers: install the toolkit of their maker there, "
        "or take gpus out of the plan",
    ),
    (
        r"(?:custom device|stat) \W?(/dev/[\w./-]+)\W*: no such file",
        "its host has no device {}: see the plan's devices",
    ),
    (
        rf"failed to initialize logging driver: (?!.*(?:{_RECEIVER_AWAY}))([^\n]{{1,120}})",
        "its log can't be kept so ({}): see the plan's logging",
    ),
    (
        r"logging driver does not support reading|is not logging output",
        "its log is kept elsewhere, or nowhere: see the plan's logging",
    ),
    (r"invalid log driver|no log driver named", "it has no such log driver: see the plan's logging"),
    (
        r"sysctl \S+ file|/proc/sys/\S+: no such file|sysctl \S+ is not (?:allowed|in a separate)",
        "its kernel has no such setting for containers: see the plan's sysctls",
    ),
    (
        r"apparmor is not enabled|apparmor.{0,40}not (?:loaded|supported)",
        "it has no such AppArmor profile: see security_opt",
    ),
    (
        r"(?:^|networking: )address already in use\.?$|requested ip address \S+ is already allocated",
        "another container of its network has the address it is to have: "
        "remove that one, or keep such addresses out of what its network gives to others",
    ),
    (
        r"no available (?:IPv[46] )?address|failed to find free IP",
        "its network has no free address: give the host a larger network, or remove other containers from it",
    ),
    (
        r"endpoint with name \S+ already exists in network (\S{1,64}?)\.?$",
        "the network {} still has a place for its earlier run: restart the engine, which gives that back",
    ),
    (
        r"non-overlapping IPv[46] address pool|address pools have been fully subnetted",
        "it has no range of addresses left for another network: see its default-address-pools",
    ),
    (
        r"(?:opening|decoding) seccomp profile failed",
        "it can't read the seccomp profile: see the plan's security_opt",
    ),
    (
        r"error setting rlimit",
        "it may not raise a limit that far: see the plan's ulimits, or the engine's own default ones",
    ),
    (
        r"minimum memory limit|unable to set memory limit to",
        "no container starts with so little memory: see the plan's",
    ),
    (r"unable to find user (\S{1,64}?):", "the image has no user {}: see the plan's user"),
    (
        r"unknown capability: \W?(?:CAP_)?(\w{1,40})",
        "it does not know the capability {}: see the plan's cap_add",
    ),
    (r"could not find \W?([\w-]{1,40})\W? in one of", "it lacks the program {}: install it there"),
    (
        r"\b(nft|iptables|ip6tables|runc|crun)\b\W{1,3}executable file not found",
        "it lacks the program {}: install it there",
    ),
    (
        r"(?:unknown or invalid|default OCI) runtime",
        "it has no such runtime for containers: install runc or crun there",
    ),
)
_LONGEST = 4000  # characters
_FORMS = tuple((re.compile(form, re.IGNORECASE), words) for form, words in _WORDS)


def lacks(text: str) -> str:
    """What is missing by an engine's refusal, as the end of a sentence; empty for any other refusal."""
    end = text[-_LONGEST:]  # causes are told innermost last
    for form, words in _FORMS:
        found = form.search(end)
        if found:
            return words.format(*found.groups())
    return ""
