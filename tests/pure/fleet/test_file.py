"""What the fleet file may say, and that a refusal is one sentence without a secret."""

from __future__ import annotations

import pytest

from instances.containers.timings import Bounds
from instances.errors import RequestError
from instances.fleet.channel_entry import ChannelEntry
from instances.fleet.file import FleetFile, HostEntry, Tls, parse
from instances.fleet.plan_entry import PlanEntry
from instances.lib.sizes import in_bytes

GIB = 1024**3
SECRET = "s3ntinel-value"

EXAMPLE = """\
hosts:
  - name: local
    docker_url: unix:///var/run/docker.sock   # or tcp://…:2376 with tls: {ca, cert, key}, or ssh://user@host
    address: 127.0.0.1        # where published ports are probed
    max_instances: 30         # optional
plans:
  - name: pro
    image: registry.example.com/agent:latest
    cpus: 2
    memory: 2g
    pids: 512                 # optional
    disk: 10g
    container_port: 8080
    health_path: /healthz
    health_expect: auto       # auto | json_ok | http_2xx
    start_grace: 60           # seconds
    stop_timeout: 10
    data_path: /data          # named volume mounted here; null for none
    env: {TZ: UTC}
    required_env: [API_KEY, GATEWAY_TOKEN]
    public_url: "https://{subdomain}"   # optional; where validate_deployment asks
    update_strategy: recreate # recreate | start_first
channels:
  - name: ops
    url: "json://127.0.0.1:9000/hook"   # any Apprise URL
    min_level: warning        # info | warning | critical
"""


def plan(rest: str) -> str:
    return f"plans: [{{name: pro, {rest}}}]"


def host(rest: str) -> str:
    return f"hosts: [{{name: local, {rest}}}]"


def channel(rest: str) -> str:
    return f"channels: [{{name: ops, {rest}}}]"


def refusal(text: str) -> str:
    """The refusal of a file: always one sentence, never a secret."""
    with pytest.raises(RequestError) as refused:
        parse(text)
    sentence = str(refused.value)
    assert sentence.startswith("The fleet file is ") and "\n" not in sentence
    assert sentence.endswith(".") and not sentence.endswith("..")
    assert SECRET not in sentence
    return sentence


def test_the_documented_example_is_read_as_written() -> None:
    assert parse(EXAMPLE) == FleetFile(
        hosts=[
            HostEntry(
                name="local",
                docker_url="unix:///var/run/docker.sock",
                address="127.0.0.1",
                max_instances=30,
            )
        ],
        plans=[
            PlanEntry(
                name="pro",
                image="registry.example.com/agent:latest",
                cpus=2,
                memory=2 * GIB,
                pids=512,
                disk=10 * 1024**3,
                container_port=8080,
                health_path="/healthz",
                health_expect="auto",
                start_grace=60,
                stop_timeout=10,
                data_path="/data",
                env={"TZ": "UTC"},
                required_env=["API_KEY", "GATEWAY_TOKEN"],
                public_url="https://{subdomain}",
                update_strategy="recreate",
            )
        ],
        channels=[ChannelEntry(name="ops", url="json://127.0.0.1:9000/hook", min_level="warning")],
    )


def test_what_a_file_leaves_out_is_told_apart_from_what_it_says() -> None:
    [entry] = parse("plans: [{name: pro, cpus: 1}]").plans
    assert entry.model_dump(exclude_unset=True) == {"name": "pro", "cpus": 1.0}


@pytest.mark.parametrize("text", ["", "# nothing", "null", "{}", "hosts: []", "---\n"])
def test_an_empty_file_asks_for_nothing(text: str) -> None:
    assert parse(text) == FleetFile()


@pytest.mark.parametrize(
    "url", ["unix:///run/docker.sock", "tcp://10.0.0.1:2376", "ssh://user@host", "ssh://user@host:22"]
)
def test_engines_are_reached_in_three_ways(url: str) -> None:
    [entry] = parse(host(f"docker_url: '{url}', tls: {{ca: /a, cert: /b, key: /c}}")).hosts
    assert (entry.docker_url, entry.tls) == (url, Tls(ca="/a", cert="/b", key="/c"))


def test_the_volume_called_data_is_the_data_path() -> None:
    [entry] = parse(plan("volumes: {data: /srv, more: /more}, shm_size: 2g")).plans
    assert entry.columns() == {
        "name": "pro", "data_path": "/srv", "options": {"volumes": {"more": "/more"}, "shm_size": 2 * GIB},
    }  # fmt: skip
    assert parse(plan("volumes: {more: /more}")).plans[0].columns()["data_path"] is None
    assert parse(plan("volumes: {more: /more}, data_path: /d")).plans[0].columns()["data_path"] == "/d"
    assert "say it once" in refusal(plan("volumes: {data: /a}, data_path: /b"))
    assert "plans.0.privileged: is not a known key" in refusal(plan("privileged: true"))


def test_a_plan_may_do_without_data() -> None:
    assert parse(plan("data_path: null")).plans[0].data_path is None


def test_what_may_be_empty_is_taken_back_by_null() -> None:
    keys = ("images", "env", "generate", "required_env", "public_url", "log_alerts")
    [entry] = parse(plan(": null, ".join(keys) + ": null")).plans
    assert entry.columns() == {"name": "pro", "images": [], "env": {}, "generate": {}, "required_env": [],
                               "public_url": "", "log_alerts": []}  # fmt: skip


def test_numbers_in_an_environment_become_texts() -> None:
    assert parse(plan("env: {PORT: 8080, RATE: 0.5, NAME: '007'}")).plans[0].env == {
        "PORT": "8080",
        "RATE": "0.5",
        "NAME": "007",
    }


SIZES: dict[object, int] = {
    "2g": 2 * GIB,
    "2G": 2 * GIB,
    "2gb": 2 * GIB,
    "512m": 512 * 1024**2,
    "1.5g": 3 * GIB // 2,
    " 64m ": 64 * 1024**2,
    "65536k": 64 * 1024**2,
    "1t": 1024 * GIB,
    "1048576b": 1024**2,
    536870912: 512 * 1024**2,
    "0": 0,
}


@pytest.mark.parametrize(("size", "expected"), SIZES.items(), ids=map(str, SIZES))
def test_a_size_is_read_as_bytes(size: object, expected: int) -> None:
    assert in_bytes(size) == expected


@pytest.mark.parametrize(
    "size", ["", "g", "-1g", "2x", "2 g", "1,5g", "1e9", "2gg", "0x10", "nan", "inf", True, None, [], {}]
)
def test_what_is_no_size_is_refused(size: object) -> None:
    with pytest.raises(ValueError, match="512m or 2g"):
        in_bytes(size)


# name: (file, what the sentence names)
WRONG: dict[str, tuple[str, str]] = {
    "unknown key at the top": (f"secrets: {{a: {SECRET}}}", "secrets"),
    "unknown key of a plan": (plan(f"enviroment: {{A: {SECRET}}}"), "plans.0.enviroment"),
    "unknown key of a host": (host(f"token: {SECRET}"), "hosts.0.token"),
    "unknown key of a channel": (channel(f"url: 'json://{SECRET}', urls: x"), "channels.0.urls"),
    "unknown key of tls": (host(f"tls: {{ca: a, cert: b, key: c, pass: {SECRET}}}"), "tls.pass"),
    "an empty file of tls": (
        host("docker_url: 'tcp://h', tls: {ca: /a, cert: '', key: /c}"),
        "tls.cert: must name a file",
    ),
    "half of tls": (host(f"docker_url: 'tcp://h', tls: {{ca: {SECRET}}}"), "tls.cert"),
    "plans is no list": (f"plans: {{pro: {{env: {{A: {SECRET}}}}}}}", "plans"),
    "a plan is no mapping": (f"plans: [{SECRET}]", "plans.0"),
    "no name": (f"plans: [{{env: {{A: {SECRET}}}}}]", "plans.0.name"),
    "a malformed name": (f"plans: [{{name: '{SECRET}\\n'}}]", "plans.0.name"),
    "env is a text": (plan(f"env: A={SECRET}"), "plans.0.env"),
    "env is a list without names": (plan(f"env: ['{SECRET}']"), "plans.0.env"),
    "env holds a list": (plan(f"env: {{A: ['{SECRET}']}}"), "plans.0.env"),
    "env holds nothing": (plan(f"env: {{A: {SECRET}, B: null}}"), "plans.0.env"),
    "env has a bad name": (plan(f"env: {{'A={SECRET}': x}}"), "plans.0.env"),
    "env has a number for a name": (plan(f"env: {{1: {SECRET}}}"), "plans.0.env"),
    "env holds a zero byte": (plan(f'env: {{A: "{SECRET}\\0"}}'), "plans.0.env"),
    "env is too long": (plan(f"env: {{A: {SECRET * 3000}}}"), "plans.0.env"),
    "url without a scheme": (channel(f"url: {SECRET}"), "channels.0.url"),
    "url of a wrong form": (channel(f"url: ['json://{SECRET}']"), "channels.0.url"),
    "url of two lines": (channel(f'url: "json://a\\n{SECRET}"'), "channels.0.url"),
    "no url": ("channels: [{name: ops}]", "channels.0.url"),
    "a good url and a wrong level": (channel(f"url: 'json://{SECRET}', min_level: loud"), "min_level"),
    "an engine over http": (host(f"docker_url: 'http://u:{SECRET}@h'"), "docker_url"),
    "an address with a slash": (host("address: 10.0.0.1/24"), "hosts.0.address"),
    "ports the wrong way round": (host("first_port: 30000, last_port: 20000"), "last_port"),
    "the engine's own network": (host("network: bridge"), "hosts.0.network"),
    "the host's network": (host("network: host"), "hosts.0.network"),
    "negative room": (host("max_instances: -1"), "max_instances"),
    "no CPU": (plan("cpus: 0"), "cpus"),
    "less of a CPU than a kernel takes": (plan("cpus: 0.005"), "cpus"),
    "a truth in place of CPUs": (plan("cpus: true"), "cpus"),
    "a truth in place of a port": (plan("container_port: true"), "container_port"),
    "a truth in place of processes": (plan("pids: true"), "pids"),
    "a truth in place of instances": (host("max_instances: true"), "max_instances"),
    "a log of no size": (plan("logging: {options: {max-size: abc}}"), "max-size of logging"),
    "a log of less than nothing": (plan("logging: {driver: local, options: {max-size: -1}}"), "max-size"),
    "a log of no files": (plan("logging: {options: {max-file: 0}}"), "max-file of logging"),
    "a log of files without room": (plan("logging: {options: {max-size: 0k}}"), "more than 0"),
    "a log of one file and packed ones": (
        plan("logging: {driver: local, options: {max-file: 1, compress: true}}"),
        "a max-file of 2 or more",
    ),
    "a log that may be compressed": (plan("logging: {options: {compress: maybe}}"), "compress of logging"),
    "CPUs that are no number": (plan("cpus: .nan"), "cpus"),
    "CPUs without end": (plan("cpus: .inf"), "cpus"),
    "memory the engine refuses": (plan("memory: 5m"), "memory"),
    "memory that is no size": (plan("memory: lots"), "memory"),
    "memory that is a truth": (plan("memory: true"), "memory"),
    "memory without end": (plan(f"memory: {'9' * 400}g"), "memory"),
    "memory no database holds": (plan("memory: 9000000t"), "memory"),
    "processes no database holds": (plan("pids: 99999999999"), "pids"),
    "room no database holds": (host("max_instances: 99999999999"), "max_instances"),
    "no processes": (plan("pids: 0"), "pids"),
    "no disk": (plan("disk: 0"), "disk"),
    "a disk that is no size": (plan("disk: much"), "disk"),
    "a pattern that is none": (
        plan("log_alerts: [{match: '('}]"),
        "plans.0.log_alerts.0.match: is no pattern",
    ),
    "a pattern that stands twice": (plan("log_alerts: [{match: a}, {match: a}]"), "each pattern once"),
    "a pattern by itself": (plan("log_alerts: 'ERROR'"), "must be a list of patterns"),
    "more patterns than are few": (
        plan(f"log_alerts: [{', '.join(f'{{match: a{n}}}' for n in range(11))}]"),
        "log_alerts",
    ),
    "port 0": (plan("container_port: 0"), "container_port"),
    "port 65536": (plan("container_port: 65536"), "container_port"),
    "a health path without a slash": (plan("health_path: healthz"), "health_path"),
    "a health path with a newline": (plan('health_path: "/a\\nb"'), "health_path"),
    "an unknown expectation": (plan("health_expect: maybe"), "health_expect"),
    "grace below zero": (plan("start_grace: -1"), "start_grace"),
    "grace that is no number": (plan("start_grace: .nan"), "start_grace"),
    "grace shorter than a check": (plan("start_grace: 4.9"), "plans.0: start_grace (4.9 s) is shorter"),
    "grace longer than any operation": (plan("start_grace: 1500"), "no operation may take longer"),
    "grace and stop too long together": (plan("start_grace: 1000, stop_timeout: 600"), "rolled back"),
    "a relative data path": (plan("data_path: data"), "data_path"),
    "a data path with options": (plan("data_path: '/data:ro'"), "data_path"),
    "a required name that is none": (plan("required_env: ['NOT A NAME']"), "required_env"),
    "a required name with a value": (plan(f"required_env: ['API_KEY={SECRET}']"), "required_env"),
    "required names in one text": (plan("required_env: API_KEY"), "required_env"),
    "a public url of another kind": (plan("public_url: 'ftp://x'"), "public_url"),
    "an unknown strategy": (plan("update_strategy: hope"), "update_strategy"),
    "an image that can be none": (plan("image: 'a b'"), "image"),
    "an image with a way up": (plan("image: 'a/../../containers/b'"), "image"),
}


@pytest.mark.parametrize(("text", "named"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_thing_is_named_in_one_sentence(text: str, named: str) -> None:
    assert named in refusal(text)


SLOW_CHECKS = Bounds(probe_timeout=70, successes=5, poll=20)


def test_timings_are_held_against_the_installation_that_reads_the_file() -> None:
    with pytest.raises(RequestError, match=r"than one check may take .70 s.* 5 checks in a row .* .80 s"):
        parse(plan("start_grace: 65"), SLOW_CHECKS)
    parse(plan("start_grace: 80"), SLOW_CHECKS)
    parse(plan("start_grace: 1"), Bounds(probe_timeout=1))


@pytest.mark.parametrize("rest", ["cpus: 1", "data_path: null"])
def test_a_plan_that_says_nothing_about_timings_keeps_them_unjudged(rest: str) -> None:
    assert parse(plan(rest), SLOW_CHECKS).plans[0].start_grace == 60


def test_of_several_wrong_things_the_first_is_named_and_the_rest_counted() -> None:
    assert "2 more" in refusal("plans: [{name: a, x: 1}, {name: b, x: 1}, {name: c, x: 1}]")


DUPLICATES = {
    "hosts": "hosts: [{name: a}, {name: a}]",
    "plans": "plans: [{name: a}, {name: b}, {name: a}]",
    "channels": "channels: [{name: a, url: 'json://x'}, {name: a, url: 'json://y'}]",
}


@pytest.mark.parametrize(("kind", "text"), DUPLICATES.items())
def test_a_name_may_stand_once_in_its_list(kind: str, text: str) -> None:
    assert f"{kind} has a name twice" in refusal(text)


def test_one_name_may_stand_for_a_host_a_plan_and_a_channel() -> None:
    fleet = parse("hosts: [{name: a}]\nplans: [{name: a}]\nchannels: [{name: a, url: 'json://x'}]")
    assert [fleet.hosts[0].name, fleet.plans[0].name, fleet.channels[0].name] == ["a", "a", "a"]


@pytest.mark.parametrize(
    "text",
    [
        "plans: [{name: a}]\nhosts: []\nplans: [{name: b}]\n",
        plan("cpus: 1, cpus: 2"),
        plan(f"env: {{A: '1', A: {SECRET}}}"),
    ],
    ids=["a whole list", "a setting", "a variable"],
)
def test_a_key_given_twice_is_refused_and_not_silently_dropped(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize(
    "rest",
    [
        "address: '10.0.0.7:80'",
        "address: '[::1]'",
        "address: a..b",
        "bind: 1.2.3",
        "bind: 10.0.0.300",
        "bind: h7",
    ],
)
def test_an_address_that_leads_nowhere_or_to_everybody_is_refused(rest: str) -> None:
    assert f"hosts.0.{rest.partition(':')[0]}: " in refusal(host(rest))


@pytest.mark.parametrize(
    "rest", ["address: '::1'", "address: h7.example.com", "bind: '::'", "bind: ''", "bind: 172.17.0.1"]
)
def test_an_address_of_either_kind_is_taken(rest: str) -> None:
    assert len(parse(host(rest)).hosts) == 1
