"""Hosts and plans: where instances run and what they have in common."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.signals import post_delete
from django.dispatch import receiver

from instances.containers import networks
from instances.containers.image_policy import ImagePolicy
from instances.containers.options import Options
from instances.containers.spec import PlanSpec, all_volumes
from instances.db.clock import SYSTEM
from instances.lib.addresses import is_ip
from instances.models.encrypted import Encrypted
from instances.models.environment import WithEnvironment
from instances.models.storable import CharField, Excerpt, JSONField

FIRST_PORT = 20000
LAST_PORT = 29999
LOOPBACK = "127.0.0.1"


class Host(models.Model):
    """A Docker Engine dockmgr can reach.

    An empty `docker_url` stands for the environment's DOCKER_HOST. `tls` and `ssh` are paths of files;
    TCP without TLS must be said to be `insecure`. `address` is where published ports are probed;
    `bind_address` is what they are published on, when the two differ. A host takes `max_instances`, whose
    plans promise no more than `max_memory` bytes times `overcommit`, and no new one while it is `cordoned`.
    `network` is the bridge its customers share. `engine_id` is what the engine calls itself, learnt at the
    first contact; another one there is not acted on.
    """

    name = CharField(max_length=64, unique=True)
    docker_url = CharField(max_length=255, blank=True)
    tls = JSONField(null=True, blank=True)
    ssh = JSONField(null=True, blank=True)
    insecure = models.BooleanField(default=False)
    address = CharField(max_length=253, default="127.0.0.1")
    bind = CharField(max_length=45, blank=True)
    network = CharField(max_length=64, default=networks.DEFAULT)
    max_instances = models.PositiveIntegerField(null=True, blank=True)
    max_memory = models.BigIntegerField(null=True, blank=True)
    overcommit = models.FloatField(default=1.0)
    cordoned = models.BooleanField(default=False)
    first_port = models.PositiveIntegerField(default=FIRST_PORT)
    last_port = models.PositiveIntegerField(default=LAST_PORT)
    engine_id = CharField(max_length=128, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["engine_id"], condition=~Q(engine_id=""), name="host_engine_once"
            ),
            models.CheckConstraint(
                condition=Q(last_port__gte=models.F("first_port"), last_port__lte=65535),
                name="host_port_range",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def engine_url(self) -> str:
        return self.docker_url or settings.DOCKER_HOST

    @property
    def bind_address(self) -> str:
        """The address ports are published on: as told, else `address` where that is an IP address.

        Loopback where what is told is none, because an engine would take that for all addresses of the host.
        """
        if self.bind:
            return self.bind if is_ip(self.bind) else LOOPBACK
        if is_ip(self.address):
            return str(ipaddress.ip_address(self.address))
        return LOOPBACK if self.address == "localhost" else "0.0.0.0"  # noqa: S104


class HostWatch(models.Model):
    """What dockmgr found when it asked the host's engine itself.

    `ask_at` is when it is to be asked next; None before the first time. `failures` in a row
    since `failing_since`. `orphans_at` is when somebody last looked for what belongs to nobody. The
    process `events_by` follows the engine's events until `events_until`; at `events_heard_at` its stream
    was open. `listed_at` is when containers were last listed in their stead, `disk_at` when somebody last
    asked what its disk holds.
    """

    host = models.OneToOneField(Host, on_delete=models.CASCADE, primary_key=True, related_name="watch")
    ask_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    error = Excerpt(max_length=255, blank=True)
    orphans_at = models.DateTimeField(null=True, blank=True)
    events_by = CharField(max_length=64, blank=True)
    events_until = models.DateTimeField(null=True, blank=True)
    events_heard_at = models.DateTimeField(null=True, blank=True)
    listed_at = models.DateTimeField(null=True, blank=True)
    disk_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["ask_at"], condition=~Q(ask_at=None), name="host_to_ask")]

    def __str__(self) -> str:
        return f"{self.host_id}: {self.failures} failures"


class Plan(WithEnvironment):
    """Image, limits, ports and health settings shared by customers. Sizes in bytes, times in seconds.

    Above `disk` on its host's disk an instance is warned of; nothing holds it there.

    `images` are those its containers may be made of (see `containers.image_policy`).
    `options` is the document of `containers.options.Options`, as that wrote it; `health` that of
    `health.question.Question`, whose path and expectation have columns of their own. `generate` maps names of
    variables to bytes of randomness. `log_alerts` are documents of `containers.log_alerts.LogAlert`.
    """

    EXPECT = (("auto", "auto"), ("json_ok", "json_ok"), ("http_2xx", "http_2xx"))
    STRATEGY = (("recreate", "recreate"), ("start_first", "start_first"))

    name = CharField(max_length=64, unique=True)
    image = CharField(max_length=512, blank=True)
    images = JSONField(default=list, blank=True)
    cpus = models.FloatField(default=1.0)
    memory = models.BigIntegerField(default=512 * 1024 * 1024)
    pids = models.PositiveIntegerField(null=True, blank=True)
    disk = models.BigIntegerField(null=True, blank=True)
    container_port = models.PositiveIntegerField(default=8080)
    health_path = CharField(max_length=255, default="/healthz")
    health_expect = CharField(max_length=8, choices=EXPECT, default="auto")
    health = JSONField(default=dict, blank=True)
    health_headers = Encrypted(null=True, default=None)
    start_grace = models.FloatField(default=60)
    stop_timeout = models.PositiveIntegerField(default=10)
    data_path = CharField(max_length=255, null=True, blank=True, default="/data")
    options = JSONField(default=dict, blank=True)
    generate = JSONField(default=dict, blank=True)
    required_env = JSONField(default=list, blank=True)
    public_url = CharField(max_length=255, blank=True)
    log_alerts = JSONField(default=list, blank=True)
    update_strategy = CharField(max_length=12, choices=STRATEGY, default="recreate")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(cpus__gt=0, memory__gt=0), name="plan_limits_positive")
        ]

    def __str__(self) -> str:
        return self.name

    def spec(self) -> PlanSpec:
        return PlanSpec(
            name=self.name,
            image=self.image,
            cpus=self.cpus,
            memory=self.memory,
            pids=self.pids,
            container_port=self.container_port,
            stop_timeout=self.stop_timeout,
            data_path=self.data_path,
            env=self.env,
            options=Options.model_validate(self.options),
            asks_docker=self.health.get("kind") == "docker",
        )

    @property
    def image_policy(self) -> ImagePolicy:
        """Which images its containers may be made of."""
        return ImagePolicy(self.name, self.image, tuple(self.images))

    @property
    def volumes(self) -> dict[str, str]:
        """Paths of its volumes by short name."""
        return all_volumes(self.data_path, self.options.get("volumes", {}))


class PendingPurge(models.Model):
    """A volume whose data is to go as soon as nobody uses it; `holders` names who did at the last try."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="pending_purges")
    volume = CharField(max_length=255)
    customer_id = CharField(max_length=63)
    asked_at = models.DateTimeField()
    tried_at = models.DateTimeField(null=True, blank=True)
    holders = Excerpt(max_length=255, blank=True)

    class Meta:
        verbose_name = "volume to be removed"
        verbose_name_plural = "data to be removed"
        constraints = [models.UniqueConstraint(fields=["host", "volume"], name="purge_once_per_volume")]

    def __str__(self) -> str:
        return f"{self.host_id}: {self.volume}"


class Port(models.Model):
    """A host port that is spoken for, whether its container runs or not."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="ports")
    number = models.PositiveIntegerField()
    instance = models.ForeignKey("instances.Instance", on_delete=models.CASCADE, related_name="ports")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "number"], name="port_once_per_host")]

    def __str__(self) -> str:
        return f"{self.host_id}:{self.number}"


class FreedPort(models.Model):
    """When a port of a host was given back: it is used again after all that were given back before it."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="freed_ports")
    number = models.PositiveIntegerField()
    freed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "number"], name="freed_port_once")]

    def __str__(self) -> str:
        return f"{self.host_id}:{self.number}"


@receiver(post_delete, sender=Port)
def note_freed(sender: type[Port], instance: Port, **_: object) -> None:
    """However a port is given back; one outside of the host's range is nobody else's to have."""
    host = Host.objects.filter(
        pk=instance.host_id, first_port__lte=instance.number, last_port__gte=instance.number
    )
    if host.exists():
        FreedPort.objects.update_or_create(
            host_id=instance.host_id, number=instance.number, defaults={"freed_at": SYSTEM.now()}
        )
