"""Keys of a Compose service that a plan has under another name, or not at all: what to say instead. Pure."""

from __future__ import annotations

_ONE = "a plan is one container"
_OF_THE_HOST = "customers are kept out of their host"
INSTEAD = {
    "environment": "say env",
    "env_file": "say env; what is a customer's own comes with provision --env-file",
    "restart": "dockmgr restarts what fails",
    "container_name": "it is made of the customer's id",
    "healthcheck": "say health, with kind docker for the image's own check",
    "expose": "say container_port, and ports for further ones",
    "network_mode": "say network of the host",
    "networks": "say network of the host",
    "pids_limit": "say pids",
    "mem_limit": "say memory",
    "memswap_limit": "containers have no swap beyond their memory",
    "mem_reservation": "say memory",
    "cpu_count": "say cpus",
    "cpu_period": "say cpus",
    "cpu_quota": "say cpus",
    "cpu_shares": "say cpus",
    "deploy": "say cpus, memory, pids and gpus",
    "stop_grace_period": "say stop_timeout, in seconds",
    "runtime": "say gpus",
    "pull_policy": "an update pulls, nothing else does",
    "platform": "the image must have that of its host",
    "build": "build and push the image, and say image",
    "secrets": "say generate, or env by provision --env-file",
    "configs": "say env, or put it into the image",
    "privileged": f"{_OF_THE_HOST}; say cap_add or devices",
    "pid": _OF_THE_HOST,
    "ipc": f"{_OF_THE_HOST}; say shm_size",
    "uts": _OF_THE_HOST,
    "userns_mode": _OF_THE_HOST,
    "cgroup": _OF_THE_HOST,
    "cgroup_parent": _OF_THE_HOST,
    "depends_on": _ONE,
    "links": _ONE,
    "external_links": _ONE,
    "volumes_from": _ONE,
    "scale": _ONE,
    "profiles": _ONE,
    "extends": "write it out",
}
OF_A_FILE = {"services": "say plans", "volumes": "say volumes of a plan", "networks": "say network of a host"}


def instead_of(key: str, *, of_plan: bool) -> str:
    """What a plan, or the whole file, says in place of this key; empty where nothing can be told."""
    return (INSTEAD if of_plan else OF_A_FILE).get(key, "")
