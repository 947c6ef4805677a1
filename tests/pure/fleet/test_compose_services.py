"""What services of public compose files say: a plan says the same, or is refused by the name of the key."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from instances.errors import RequestError
from instances.fleet.file import parse

ACCEPTED = yaml.safe_load("""
- command: bundle exec puma -C config/puma.rb
- command: ["-I", "1M"]
- command: '"55 23 * * * gosu symbolicator symbolicator cleanup"'
- command: /bin/sh -c "envsubst < a > b && exec nginx -g 'daemon off;'"
- command: ["sh", "-c", 'redis-server --requirepass "$REDIS_PASSWORD"']
- command: []
- {entrypoint: [bash, -c], command: ["ls -1 apps > sites/apps.txt;"]}
- entrypoint: /opt/sentry/postgres-entrypoint.sh
- {shm_size: 256mb}
- {shm_size: 1073741824}
- {memory: 2g, cpus: "1.5"}
- {ulimits: {nofile: {soft: 10032, hard: 10032}}}
- {ulimits: {nproc: 65535, memlock: {soft: -1, hard: -1}}}
- {env: {MAX_MEMORY_USAGE_RATIO: 0.3, POSTGRES_PASSWORD: 123, ENABLED: true}}
- {env: ["TZ=UTC", "OPTIONS=a=b"]}
- {read_only: true, tmpfs: ["/run:size=16M,mode=1750,exec", "/tmp:size=16M,mode=1777,noexec"]}
- {tmpfs: /run}
- {tmpfs: {/run: 64m}}
- {labels: {service: web, job.command: '/bin/bash -c "[[ ${MASTER} == y ]]"'}}
- {labels: ["traefik.enable=true", "traefik.http.routers.x.rule=Host(`x`)"]}
- {sysctls: ["net.core.somaxconn=4096"]}
- {dns: 1.1.1.1}
- {cap_drop: [ALL], cap_add: [CHOWN, SETUID, SETGID]}
- {security_opt: ["no-new-privileges:true", "apparmor:unconfined"]}
- {user: 1000, hostname: rspamd, working_dir: /app, init: true, stop_signal: SIGINT}
- {user: "1000:1000"}
- {devices: ["/dev/dri:/dev/dri", "/dev/net/tun"], gpus: all}
- {extra_hosts: ["host.docker.internal:host-gateway"]}
- {logging: {driver: json-file, options: {max-size: 10m, max-file: 3}}}
- {volumes: ["config:/config", "media:/srv/media"]}
- {ports: [3000, "4000/udp"]}
""")

REFUSED: list[tuple[str, str]] = [
    ("volumes: ['./postgres14:/var/lib/postgresql/data']", "volumes: must be named volumes: a folder of"),
    ("volumes: ['/var/run/docker.sock:/var/run/docker.sock']", "volumes: must be named volumes: a folder"),
    ("volumes: [{type: bind, source: ./a, target: /a}]", "volumes: must be named volumes such as data:/data"),
    (
        "volumes: ['sentry-redis:/data']",
        "volumes: must have names of small letters, digits, _ and ., without",
    ),
    ("ports: ['127.0.0.1:3000:3000']", "ports: must name ports of the container alone: host ports are"),
    ("ports: ['10000:10000/udp']", "ports: must name ports of the container alone: host ports are allotted"),
    ("ports: [{target: 80, published: '8080'}]", "ports: must be such as {container: 9090}: host ports are"),
    ("env: {RETENTION_DAYS: }", "env: must have a value for RETENTION_DAYS: nothing is taken from elsewhere"),
    ("env: [TZ]", "env: must map names to texts, or be a list of NAME=value: nothing is taken"),
    ("environment: {A: b}", "environment: is not a known key: say env"),
    (
        "env_file: .env",
        "env_file: is not a known key: say env; what is a customer's own comes with provision",
    ),
    ("restart: always", "restart: is not a known key: dockmgr restarts what fails"),
    ("container_name: app", "container_name: is not a known key: it is made of the customer's id"),
    ("depends_on: [db]", "depends_on: is not a known key: a plan is one container"),
    ("healthcheck: {test: 'true'}", "healthcheck: is not a known key: say health, with kind docker for the"),
    ("expose: ['5222']", "expose: is not a known key: say container_port, and ports for further ones"),
    ("networks: [inner]", "networks: is not a known key: say network of the host"),
    ("network_mode: host", "network_mode: is not a known key: say network of the host"),
    ("mem_limit: 2g", "mem_limit: is not a known key: say memory"),
    ("deploy: {resources: {}}", "deploy: is not a known key: say cpus, memory, pids and gpus"),
    ("pids_limit: 200", "pids_limit: is not a known key: say pids"),
    ("stop_grace_period: 1m30s", "stop_grace_period: is not a known key: say stop_timeout, in seconds"),
    ("privileged: true", "privileged: is not a known key: customers are kept out of their host; say cap_add"),
    ("pid: host", "pid: is not a known key: customers are kept out of their host"),
    ("ipc: host", "ipc: is not a known key: customers are kept out of their host; say shm_size"),
    ("build: .", "build: is not a known key: build and push the image, and say image"),
    ("secrets: [db]", "secrets: is not a known key: say generate, or env by provision --env-file"),
    ("tty: true", "tty: is not a known key"),
    ("group_add: [video]", "group_add: is not a known key"),
    ("oom_score_adj: -500", "oom_score_adj: is not a known key"),
]


def plan(words: dict[str, Any]) -> str:
    return yaml.safe_dump({"plans": [{"name": "p", "image": "app:1", **words}]})


@pytest.mark.parametrize("words", ACCEPTED, ids=str)
def test_what_a_container_can_have_a_plan_can_say(words: dict[str, Any]) -> None:
    assert parse(plan(words)).plans[0].columns()


@pytest.mark.parametrize(("words", "sentence"), REFUSED, ids=[words for words, _ in REFUSED])
def test_what_it_cannot_have_is_refused_by_name(words: str, sentence: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(plan(yaml.safe_load(words)))
    assert str(refused.value).startswith(f"The fleet file is refused: plans.0.{sentence}")


def test_a_whole_compose_file_is_told_where_its_services_belong() -> None:
    with pytest.raises(RequestError, match="services: is not a known key: say plans"):
        parse("services: {web: {image: app}}")
