"""Ways from a container to its host: which count, and which are any container's."""

from __future__ import annotations

from typing import Any

import pytest

from instances.containers import host_access

REACHING: list[tuple[dict[str, Any], str]] = [
    ({"Privileged": True}, "privileged"),
    ({"PidMode": "host"}, "the host's processes"),
    ({"NetworkMode": "host"}, "the host's network"),
    ({"IpcMode": "host"}, "the host's shared memory"),
    ({"UTSMode": "host"}, "the host's host name"),
    ({"UsernsMode": "host"}, "the host's users"),
    ({"Binds": ["/var/run/docker.sock:/var/run/docker.sock"]}, "mount /var/run/docker.sock"),
    ({"Binds": ["/srv/proxy/docker.sock:/s:ro"]}, "mount /srv/proxy/docker.sock"),
    ({"Binds": ["/:/host:ro"]}, "mount /"),
    ({"Binds": ["//:/host:ro"]}, "mount /"),
    ({"Binds": ["/srv/..:/host"]}, "mount /"),
    ({"Binds": ["/etc:/e:ro"]}, "mount /etc"),
    ({"Binds": ["/etc/app:/e"]}, "mount /etc/app"),
    ({"Binds": ["/etc/shadow:/e:ro"]}, "mount /etc/shadow"),
    ({"Binds": ["/etc/systemd/system:/e:ro"]}, "mount /etc/systemd/system"),
    ({"Binds": ["/proc:/p"]}, "mount /proc"),
    ({"Binds": ["/sys/fs/cgroup:/c:ro"]}, "mount /sys/fs/cgroup"),
    ({"Binds": ["/var:/v"]}, "mount /var"),
    ({"Binds": ["/var/lib:/v"]}, "mount /var/lib"),
    ({"Binds": ["/var/lib/docker/volumes/a/_data:/d"]}, "mount /var/lib/docker/volumes/a/_data"),
    ({"Binds": ["/root/app:/d"]}, "mount /root/app"),
    ({"Binds": ["/home/ada/.ssh:/d:ro"]}, "mount /home/ada/.ssh"),
    ({"Binds": ["/dev:/dev"]}, "mount /dev"),
    ({"Binds": ["/srv/app:/d:rw,rshared"]}, "mounts made below /srv/app"),
    ({"Mounts": [{"Type": "bind", "Source": "/boot", "Target": "/b", "ReadOnly": True}]}, "mount /boot"),
    (
        {"Mounts": [{"Type": "bind", "Source": "/a", "BindOptions": {"Propagation": "shared"}}]},
        "mounts made below /a",
    ),
    (
        {"Mounts": [{"Type": "volume", "VolumeOptions": {"DriverConfig": {"Options": {"device": "/"}}}}]},
        "mount /",
    ),
    ({"VolumesFrom": ["other:ro"]}, "volumes of container other"),
    ({"Devices": [{"PathOnHost": "/dev/sda"}]}, "device /dev/sda"),
    ({"DeviceCgroupRules": ["c 1:3 rwm"]}, "device rule c 1:3 rwm"),
    ({"DeviceRequests": [{"Count": -1}]}, "GPU"),
    ({"CapAdd": ["CAP_SYS_ADMIN"]}, "capability SYS_ADMIN"),
    ({"CapAdd": ["all"]}, "capability ALL"),
    ({"SecurityOpt": ["seccomp=unconfined"]}, "security option seccomp=unconfined"),
    ({"SecurityOpt": ["apparmor:unconfined"]}, "security option apparmor=unconfined"),
    ({"SecurityOpt": ["label=disable"]}, "security option label=disable"),
    ({"SecurityOpt": ['seccomp={"a": 1}']}, "security option seccomp with a profile of its own"),
    ({"MaskedPaths": []}, "system paths unmasked"),
]


@pytest.mark.parametrize(("host", "item"), REACHING)
def test_a_way_to_the_host_is_named(host: dict[str, Any], item: str) -> None:
    assert host_access.reach(host) == (item,)


USUAL: list[dict[str, Any]] = [
    {},
    {"NetworkMode": "bridge", "IpcMode": "private", "PidMode": "", "CgroupnsMode": "host"},
    {"PidMode": "container:other"},
    {"Binds": ["data:/data", "/srv/app:/data", "/opt/app/conf:/conf:ro", "/home/ada/site:/www"]},
    {"Binds": ["/etc/localtime:/etc/localtime:ro", "/etc/app:/conf:ro", "/variable:/v", "/developer:/d"]},
    {"Mounts": [{"Type": "volume", "Source": "data", "Target": "/data"}]},
    {"Devices": [{"PathOnHost": "/dev/null"}], "CapAdd": ["CHOWN", "NET_BIND_SERVICE"]},
    {"SecurityOpt": ["no-new-privileges", "apparmor=docker-default"], "MaskedPaths": ["/proc/kcore"]},
    {"SecurityOpt": ["no-new-privileges=false", "seccomp=builtin"], "Privileged": False},
]


@pytest.mark.parametrize("host", USUAL)
def test_what_any_container_has_is_no_way(host: dict[str, Any]) -> None:
    assert host_access.reach(host) == ()


def test_what_another_container_lent_counts() -> None:
    lent = [{"Type": "bind", "Source": "/etc", "Destination": "/e", "RW": False}]
    assert host_access.reach({}, lent) == ("mount /etc",)


def test_only_a_plan_s_own_words_are_accepted_by_its_saying_them() -> None:
    options = {"cap_add": ["SYS_ADMIN"], "devices": ["/dev/kvm:/dev/kvm:rw"], "gpus": -1}
    said = host_access.of_options({**options, "security_opt": ["seccomp=unconfined"]})
    assert host_access.by_plan(said) == list(said) and len(said) == 4
    assert host_access.by_plan(["privileged", "mount /", "the host's network"]) == []
    assert host_access.unaccepted(["privileged", "GPU"], ["GPU"]) == ["privileged"]
