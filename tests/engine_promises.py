"""What every engine promises: the same tests run against the fake and against a real Docker Engine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from instances.containers import networks, option_drift
from instances.containers.facts import ContainerFacts
from instances.containers.options import Options
from instances.containers.spec import ContainerSpec
from instances.engine.owner_payloads import holder_name
from instances.engine.port import Engine
from instances.errors import (
    DataMissing,
    NameTaken,
    NotFoundOnEngine,
    OutOfReachError,
    PermanentError,
    PortTaken,
    RequestError,
)

OPTIONS = {
    "command": ["sleep", "60"], "entrypoint": ["/bin/sh", "-c"], "user": "1000:1000", "working_dir": "/srv",
    "hostname": "c1", "init": False, "stop_signal": "SIGINT", "tmpfs": {"/run": "64m"}, "shm_size": "128m",
    "ulimits": {"nofile": 4096}, "sysctls": {"net.core.somaxconn": "1024"}, "extra_hosts": ["db:10.0.0.7"],
    "dns": ["1.1.1.1"], "cap_add": ["NET_ADMIN"], "cap_drop": ["NET_RAW"], "read_only": True,
    "devices": ["/dev/fuse"], "logging": {"driver": "local", "options": {"max-size": "1m"}},
}  # fmt: skip
MakeSpec = Callable[..., ContainerSpec]
LogOf = Callable[[bytes], str]


def facts_of(engine: Engine, container: str) -> ContainerFacts:
    facts = engine.inspect(container)
    assert facts is not None
    return facts


class EnginePromises:
    """Needs the fixtures `engine`; `make_spec(**changes)`, a spec with a name and volume of its own and a
    port the engine chooses; `log_of(data)`, the name of an ended container that wrote `data`; and
    `unreachable_image` and `unknown_image`, references no registry answers for, or has; and
    `missing_source`, a path that the engine's host does not have; and `lose_network(name)`, which removes
    one as others do."""

    def test_an_engine_says_who_it_is_and_stays_the_same(self, engine: Engine) -> None:
        identity = engine.facts().id
        assert identity
        assert engine.facts().id == identity

    def test_a_running_container_says_what_it_uses(self, engine: Engine, make_spec: MakeSpec) -> None:
        assert engine.usage(make_spec().name) is None
        spec = make_spec(memory=64 * 1024**2)
        container = engine.create(spec)
        assert engine.usage(container) is None, "it does not run"
        engine.start(container)
        found = engine.usage(container)
        assert found
        assert found.cpu_ns > 0
        assert 0 < found.memory <= found.memory_limit == spec.memory
        assert found.pids >= 1

    def test_an_engine_says_what_containers_and_volumes_hold(
        self, engine: Engine, make_spec: MakeSpec
    ) -> None:
        spec = make_spec()
        container = engine.create(spec)
        found = engine.disk()
        assert found.containers[container] >= 0
        assert [found.volumes[name] >= 0 for name in spec.volumes] == [True]

    def test_ping_returns_when_the_engine_answers(self, engine: Engine) -> None:
        engine.ping()

    def test_a_missing_container_or_image_is_none(self, engine: Engine, make_spec: MakeSpec) -> None:
        name = make_spec().name
        assert engine.inspect(name) is None
        assert engine.image(f"{name}:none") is None
        assert (engine.inspect(""), engine.image("")) == (None, None)

    def test_nothing_is_found_by_the_beginning_of_its_id(self, engine: Engine, make_spec: MakeSpec) -> None:
        spec = make_spec()
        identity, image = engine.create(spec), engine.image(spec.image)
        assert image is not None
        assert [engine.inspect(identity[:length]) for length in (2, 12)] == [None, None]
        assert engine.image(image.id.removeprefix("sha256:")[:12]) is None
        assert engine.image(image.id) == image

    def test_a_name_that_a_container_has_is_given_to_no_other(
        self, engine: Engine, make_spec: MakeSpec
    ) -> None:
        spec = make_spec()
        engine.create(spec)
        with pytest.raises(NameTaken, match="is already in use"):
            engine.create(spec)

    def test_a_created_container_is_what_its_spec_says_and_does_not_run(
        self, engine: Engine, make_spec: MakeSpec
    ) -> None:
        spec = make_spec(nano_cpus=500_000_000, memory=64 << 20, pids_limit=99)
        identity = engine.create(spec)
        facts = facts_of(engine, spec.name)
        assert (facts.id, facts.name, facts.state) == (identity, spec.name, "created")
        assert (facts.exit_code, facts.started_at, facts.restart_count) == (None, None, 0)
        assert (facts.nano_cpus, facts.memory, facts.pids_limit) == (500_000_000, 64 << 20, 99)
        assert facts.labels.items() >= spec.labels.items()
        assert facts.env.items() >= spec.env.items()
        assert facts.volumes == spec.volumes
        assert facts.ports == {spec.container_port: (spec.bind_address, spec.host_port)}
        assert facts.restart_policy == "unless-stopped"
        assert facts.security_opt == ("no-new-privileges",)
        assert not facts.privileged
        image = engine.image(spec.image)
        assert image is not None
        assert (facts.image_ref, facts.image_id) == (spec.image, image.id)

    def test_options_come_back_as_they_were_asked_for(self, engine: Engine, make_spec: MakeSpec) -> None:
        spec = make_spec(options=Options.model_validate(OPTIONS), further_ports={"9090/tcp": 0, "53/udp": 0})
        engine.create(spec)
        facts, image = facts_of(engine, spec.name), engine.image(spec.image)
        assert image is not None
        compared = option_drift.differing(spec, facts.options, image.options)
        assert [word for word, same in compared if not same] == []
        assert sorted(name.removeprefix("CAP_") for name in facts.cap_add) == ["NET_ADMIN"]
        assert (sorted(facts.ports), sorted(facts.udp_ports)) == ([spec.container_port, 9090], [53])
        bare = make_spec()
        engine.create(bare)
        of_bare = option_drift.differing(spec, facts_of(engine, bare.name).options, image.options)
        assert {word for word, same in of_bare if not same} == set(OPTIONS) - {"cap_add"}

    def test_a_container_is_found_by_id_too(self, engine: Engine, make_spec: MakeSpec) -> None:
        spec = make_spec()
        assert facts_of(engine, engine.create(spec)).name == spec.name

    def test_an_image_is_found_by_id_and_can_be_run_by_it(self, engine: Engine, make_spec: MakeSpec) -> None:
        by_name = engine.image(make_spec().image)
        assert by_name is not None
        assert engine.image(by_name.id) == by_name
        spec = make_spec(image=by_name.id)
        engine.create(spec)
        assert facts_of(engine, spec.name).image_id == by_name.id

    def test_a_spec_without_a_volume_mounts_none(self, engine: Engine, make_spec: MakeSpec) -> None:
        spec = make_spec(volumes={})
        engine.create(spec)
        assert facts_of(engine, spec.name).volumes == {}

    def test_a_name_in_use_is_refused_and_its_holder_stays(self, engine: Engine, make_spec: MakeSpec) -> None:
        spec = make_spec()
        first = engine.create(spec)
        with pytest.raises(PermanentError):
            engine.create(spec)
        assert facts_of(engine, spec.name).id == first

    def test_creating_from_a_missing_image_leaves_nothing(self, engine: Engine, make_spec: MakeSpec) -> None:
        spec = make_spec(image="dockmgr-test-missing:1")
        with pytest.raises(NotFoundOnEngine):
            engine.create(spec)
        assert engine.inspect(spec.name) is None

    def test_a_mount_of_what_the_host_does_not_have_is_refused_as_missing_data(
        self, engine: Engine, make_spec: MakeSpec, missing_source: str
    ) -> None:
        mounts = [{"Type": "bind", "Source": missing_source, "Target": "/conf"}]
        raw = {"Config": {}, "HostConfig": {"Mounts": mounts}, "Networks": {}}
        spec = make_spec(raw=raw)
        with pytest.raises(DataMissing):
            engine.create(spec)
        assert engine.inspect(spec.name) is None

    def test_a_network_is_found_by_its_name_alone_and_made_once(
        self, engine: Engine, make_spec: MakeSpec
    ) -> None:
        name = make_spec().name
        assert engine.network(name) is None
        wanted = networks.options(name, engine.facts())
        engine.create_network(name, wanted, {"dockmgr.managed": "true"})
        found = engine.network(name)
        assert found and (found.driver, found.labels) == ("bridge", {"dockmgr.managed": "true"})
        assert found.options.items() >= wanted.items() and found.gateway and not networks.refusal(found)
        with pytest.raises(PermanentError):
            engine.create_network(name, wanted, {})
        assert engine.network(name) == found
        assert engine.network(found.id) is None

    def _started_in_a_network(self, engine: Engine, make_spec: MakeSpec) -> tuple[str, ContainerSpec]:
        name = make_spec().name
        engine.create_network(name, networks.options(name, engine.facts()), {})
        spec = make_spec(network=name)
        engine.create(spec)
        engine.start(spec.name)
        return name, spec

    def test_a_stopped_container_joins_the_network_that_came_in_the_place_of_its_own(
        self, engine: Engine, make_spec: MakeSpec, lose_network: Callable[[str], None]
    ) -> None:
        name, spec = self._started_in_a_network(engine, make_spec)
        first = facts_of(engine, spec.name).networks[name]
        engine.stop(spec.name, 1)
        lose_network(name)
        engine.create_network(name, networks.options(name, engine.facts()), {})
        with pytest.raises(PermanentError):
            engine.start(spec.name)
        for _ in range(2):
            engine.join_anew(spec.name, name)
        container = facts_of(engine, spec.name).id
        with closing(engine.events(1)) as events:
            left = next(e for e in events if e.action == "disconnect" and e.container_id == container)
        assert left.at > 1
        engine.start(spec.name)
        facts = facts_of(engine, spec.name)
        assert (facts.network_mode, list(facts.networks)) == (name, [name])
        assert facts.networks[name].network_id not in ("", first.network_id)

    def test_a_stopped_container_that_was_taken_out_of_its_network_joins_it_anew(
        self, engine: Engine, make_spec: MakeSpec, leave_network: Callable[[str, str], None]
    ) -> None:
        name, spec = self._started_in_a_network(engine, make_spec)
        leave_network(spec.name, name)
        assert not facts_of(engine, spec.name).networks
        engine.stop(spec.name, 1)
        engine.join_anew(spec.name, name)
        engine.start(spec.name)
        assert list(facts_of(engine, spec.name).networks) == [name]

    def test_starting_twice_starts_once(self, engine: Engine, make_spec: MakeSpec) -> None:
        spec = make_spec()
        engine.create(spec)
        engine.start(spec.name)
        facts = facts_of(engine, spec.name)
        assert (facts.state, facts.exit_code) == ("running", None)
        assert facts.started_at is not None
        assert facts.started_at.tzinfo is not None
        assert facts.ports[spec.container_port][1] > 0
        engine.start(spec.name)
        assert facts_of(engine, spec.name).started_at == facts.started_at

    def test_starting_a_missing_container_says_so(self, engine: Engine, make_spec: MakeSpec) -> None:
        with pytest.raises(NotFoundOnEngine):
            engine.start(make_spec().name)

    def test_a_taken_port_is_named_as_such_and_the_container_can_be_removed(
        self, engine: Engine, make_spec: MakeSpec
    ) -> None:
        holder = make_spec()
        engine.create(holder)
        engine.start(holder.name)
        port = facts_of(engine, holder.name).ports[holder.container_port][1]
        late = make_spec(host_port=port)
        engine.create(late)
        with pytest.raises(PortTaken):
            engine.start(late.name)
        assert facts_of(engine, late.name).state == "created"
        engine.remove(late.name)
        assert engine.inspect(late.name) is None
        assert facts_of(engine, holder.name).state == "running"

    def test_stopping_twice_or_nothing_at_all_is_fine(self, engine: Engine, make_spec: MakeSpec) -> None:
        spec = make_spec()
        engine.stop(spec.name, timeout=5)
        engine.create(spec)
        engine.stop(spec.name, timeout=5)
        engine.start(spec.name)
        engine.stop(spec.name, timeout=5)
        facts = facts_of(engine, spec.name)
        assert facts.state == "exited"
        assert facts.exit_code is not None
        engine.stop(spec.name, timeout=5)
        assert facts_of(engine, spec.name) == facts

    def test_removing_a_running_container_keeps_its_volume(self, engine: Engine, make_spec: MakeSpec) -> None:
        spec = make_spec()
        [volume] = spec.volumes
        assert engine.create_volume(volume, spec.labels)
        engine.create(spec)
        engine.start(spec.name)
        engine.remove(spec.name)
        assert engine.inspect(spec.name) is None
        assert not engine.create_volume(volume, spec.labels)
        engine.remove(spec.name)

    def test_a_volume_is_made_once_and_not_removed_while_in_use(
        self, engine: Engine, make_spec: MakeSpec
    ) -> None:
        spec = make_spec()
        [volume] = spec.volumes
        assert engine.volume_labels(volume) is None
        assert engine.create_volume(volume, spec.labels)
        assert not engine.create_volume(volume, {"other": "label"})
        assert engine.volume_labels(volume) == engine.managed_volumes()[volume] == spec.labels
        engine.create(spec)
        assert engine.volume_users(volume) == [spec.name]
        with pytest.raises(PermanentError):
            engine.remove_volume(volume)
        engine.remove(spec.name)
        assert engine.volume_users(volume) == []
        engine.remove_volume(volume)
        engine.remove_volume(volume)
        assert engine.create_volume(volume, spec.labels)

    def test_what_was_left_of_giving_a_volume_away_goes_with_the_next_call_and_with_the_volume(
        self, engine: Engine, make_spec: MakeSpec
    ) -> None:
        spec = make_spec()
        [volume] = spec.volumes
        engine.create_volume(volume, spec.labels)
        left = replace(spec, name=holder_name(volume))
        engine.create(left)
        engine.give_volume(volume, (1000, 1001), spec.image, spec.labels)
        assert engine.volume_users(volume) == []
        engine.create(left)
        engine.remove_volume(volume)
        assert engine.inspect(left.name) is None
        assert engine.volume_labels(volume) is None

    def test_renaming_moves_a_container_to_a_free_name_only(
        self, engine: Engine, make_spec: MakeSpec
    ) -> None:
        spec, other = make_spec(), make_spec()
        old = f"{spec.name}-old"
        identity = engine.create(spec)
        engine.rename(spec.name, old)
        assert engine.inspect(spec.name) is None
        assert facts_of(engine, old).id == identity
        engine.create(other)
        with pytest.raises(PermanentError):
            engine.rename(old, other.name)
        assert facts_of(engine, old).id == identity
        with pytest.raises(NotFoundOnEngine):
            engine.rename(spec.name, f"{spec.name}-new")

    def test_the_list_holds_all_containers_stopped_ones_included_and_tells_ours_by_their_label(
        self, engine: Engine, make_spec: MakeSpec
    ) -> None:
        stopped, running, foreign = make_spec(), make_spec(), make_spec()
        foreign = replace(foreign, labels={k: v for k, v in foreign.labels.items() if k != "dockmgr.managed"})
        for spec in (stopped, running, foreign):
            engine.create(spec)
        engine.start(running.name)
        listed = {summary.name: summary for summary in engine.list_containers()}
        assert listed[stopped.name].state == "created"
        assert listed[running.name].state == "running"
        assert listed[foreign.name].labels.get("dockmgr.managed") is None
        facts = facts_of(engine, running.name)
        summary = listed[running.name]
        assert summary == facts.summary

    def test_what_happened_to_a_container_is_told_from_any_moment_on(
        self, engine: Engine, make_spec: MakeSpec
    ) -> None:
        container = engine.create(make_spec())
        engine.start(container)
        engine.stop(container, 1)
        with closing(engine.events(1)) as events:
            ended = next(e for e in events if e.container_id == container and e.action == "die")
        engine.remove(container)
        with closing(engine.events(ended.at)) as events:
            gone = next(e for e in events if e.container_id == container and e.action == "destroy")
        assert 1 < ended.at <= gone.at

    def test_the_log_holds_the_last_lines_asked_for(self, engine: Engine, log_of: LogOf) -> None:
        name = log_of(b"one\ntwo\n\x1b[31mdr\xc3\xa9i\n")
        with closing(engine.logs(name, lines=2)) as log:
            assert b"".join(log) == b"two\n\x1b[31mdr\xc3\xa9i\n"
        with closing(engine.logs(name, lines=100, follow=True)) as log:
            assert b"".join(log) == b"one\ntwo\n\x1b[31mdr\xc3\xa9i\n"

    def test_a_log_closed_early_ends(self, engine: Engine, log_of: LogOf) -> None:
        log = engine.logs(log_of(b"one\ntwo\n"), lines=5)
        assert next(log)
        log.close()
        assert list(log) == []
        log.close()

    @pytest.mark.parametrize("lines", [0, -1, True, "5", "all", None, 2.0])
    def test_any_other_number_of_lines_is_refused(self, engine: Engine, lines: Any, log_of: LogOf) -> None:
        with pytest.raises(RequestError):
            engine.logs(log_of(b"one\n"), lines=lines)

    def test_the_log_of_a_missing_container_is_refused_at_once(
        self, engine: Engine, make_spec: MakeSpec
    ) -> None:
        with pytest.raises(NotFoundOnEngine):
            engine.logs(make_spec().name, lines=1)

    def test_a_registry_out_of_reach_is_worth_another_try(
        self, engine: Engine, unreachable_image: str
    ) -> None:
        with pytest.raises(OutOfReachError):
            engine.pull(unreachable_image)

    def test_an_unknown_tag_is_not(self, engine: Engine, unknown_image: str) -> None:
        with pytest.raises(NotFoundOnEngine):
            engine.pull(unknown_image)
        assert engine.image(unknown_image) is None

    def test_a_restart_policy_is_changed_and_changed_back(self, engine: Engine, make_spec: MakeSpec) -> None:
        spec = make_spec()
        engine.create(spec)
        engine.start(spec.name)
        before = engine.describe(spec.name)
        assert before
        engine.set_restart_policy(spec.name, {"Name": "no"})
        assert facts_of(engine, spec.name).restart_policy == "no"
        engine.set_restart_policy(spec.name, {"Name": "unless-stopped", "MaximumRetryCount": 0})
        after = engine.describe(spec.name)
        assert after
        assert after["HostConfig"] | {"RestartPolicy": None} == before["HostConfig"] | {"RestartPolicy": None}
        assert after["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
        with pytest.raises(NotFoundOnEngine):
            engine.set_restart_policy(f"{spec.name}-none", {"Name": "no"})
