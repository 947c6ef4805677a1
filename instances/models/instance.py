"""One customer's container and its data volume."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.utils.crypto import salted_hmac

from instances.containers import adoption, host_access, image_fit, spec, timings
from instances.containers.options import NO_OPTIONS
from instances.containers.spec import PlanSpec
from instances.errors import UnreadableSecret
from instances.lib import placeholders
from instances.lib.redact import Redactor
from instances.lib.withhold import Withholding
from instances.models.check_subject import CheckSubject
from instances.models.encrypted import Encrypted
from instances.models.environment import WithEnvironment
from instances.models.fleet import Host, Plan
from instances.models.storable import CharField, CreatedAt, Excerpt, JSONField

PREFIX = ["varchar_pattern_ops"]
LEAVING = "leaving"  # stands in place of the health of what nobody looks after any more
# For `defer`: tokens that nobody opens need not be fetched.
SECRETS = ("env", "former_values", "adopted", "approved_image", "plan__env", "plan__former_values")


class InstanceQuerySet(models.QuerySet["Instance"]):
    def present(self) -> Self:
        """Instances that were not decommissioned, those still being provisioned included."""
        return self.filter(decommissioned_at=None)

    def active(self) -> Self:
        """Instances a sweep looks after: provisioned, present, not paused and not on their way out."""
        watched = self.present().filter(leaving_at=None, provisioned_at__isnull=False)
        return watched.exclude(health__status="paused")

    def shown_as(self, *statuses: str) -> Self:
        """Those shown as one of these: by their health, or as `leaving` whatever that is."""
        looked_after = Q(leaving_at=None, health__status__in=statuses)
        return self.filter(
            looked_after | Q(leaving_at__isnull=False) if LEAVING in statuses else looked_after
        )

    def without_secrets(self) -> Self:
        """With plan and host, for whoever looks at instances and makes no container: no secret is read."""
        return self.select_related("plan", "host").defer(*SECRETS)


class Instance(CheckSubject, WithEnvironment):
    """An instance is known by `customer_id` and by `subdomain`, each unique among present ones.

    `port` is the published address in force, `further_ports` those of the plan's `ports` (`9090/tcp`); the
    Port table holds the reservations. `made_with` is what of them its container publishes (`further_ports`)
    and at which of these its plan asked when it was made (`health_port`), of an adopted one its own port
    (`container_port`); None for one from before that was written down, and of no meaning where its
    `container_id` is another one. `failed_images`
    are ids of images an update was rolled back from; they are not tried again unasked. `image_digest`
    is where a registry has exactly the image that runs. `approved_image` is what a worker noted of that
    image: its id, its reference, and who allowed it. `volumes` maps the names of the volumes that
    hold its data to paths in the container; None for one from before that was written down.
    `leaving_at` is when its removal began: from then on nobody looks after it. `finding` says since when
    its container is `renamed` or `replaced` from outside (see `containers.identity`).

    An adopted instance's container was made by somebody else: `container` is its name, `adopted`
    what it has beyond its image (see `containers.adoption`) and, as `Port`, the container port health
    is asked at. Both are empty for containers dockmgr made from the plan. `host_access` is how it reaches its
    host, and who accepted that.
    """

    customer_id = CharField(max_length=63)
    subdomain = CharField(max_length=253)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="instances")
    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="instances")
    image = CharField(max_length=512, blank=True)
    port = models.PositiveIntegerField(null=True, blank=True)
    container = CharField(max_length=255, blank=True)
    adopted = Encrypted(null=True, default=None)
    container_id = CharField(max_length=64, blank=True)
    image_id = CharField(max_length=80, blank=True)
    image_digest = CharField(max_length=600, blank=True)
    further_ports = JSONField(default=dict, blank=True)
    made_with = JSONField(null=True, blank=True, default=None)
    volumes = JSONField(null=True, blank=True, default=None)
    approved_image = Encrypted(null=True, default=None, strict=True)
    host_access = Encrypted(null=True, default=None, strict=True)
    failed_images = JSONField(default=list, blank=True)
    finding = CharField(max_length=16, blank=True)
    finding_text = Excerpt(max_length=255, blank=True)
    finding_since = models.DateTimeField(null=True, blank=True)
    created_at = CreatedAt(auto_now_add=True)
    provisioned_at = models.DateTimeField(null=True, blank=True)
    leaving_at = models.DateTimeField(null=True, blank=True)
    decommissioned_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = Excerpt(max_length=128, blank=True)
    pause_reason = Excerpt(max_length=255, blank=True)

    objects = InstanceQuerySet.as_manager()

    class Meta:
        permissions = [
            ("operate_instance", "Can check, restart, update, validate, pause and mute instances"),
            ("view_logs", "Can read the logs of instances"),
            ("view_env_names", "Can see the names of environment variables"),
            ("change_secrets", "Can set the values of environment variables"),
            ("decommission", "Can decommission instances"),
            ("choose_image", "Can choose images outside of what a plan may run"),
        ]
        indexes = [
            models.Index(
                fields=["host", "plan"], condition=Q(decommissioned_at=None), name="instance_by_place"
            ),
            models.Index(
                fields=["leaving_at"], condition=Q(leaving_at__isnull=False), name="instance_leaving"
            ),
            # The beginning of a name is found by these, whatever the database's collation.
            models.Index(fields=["customer_id"], opclasses=PREFIX, name="instance_by_id_prefix"),
            models.Index(fields=["subdomain"], opclasses=PREFIX, name="instance_by_name_prefix"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["customer_id"], condition=Q(decommissioned_at=None), name="instance_customer_once"
            ),
            models.UniqueConstraint(
                fields=["subdomain"], condition=Q(decommissioned_at=None), name="instance_subdomain_once"
            ),
        ]

    def __str__(self) -> str:
        return self.customer_id

    @property
    def access_url(self) -> str:
        """Where the customer goes: the plan's public URL, else the published address.

        To a container that publishes nothing a proxy leads, by the subdomain.
        """
        if self.plan.public_url:
            return self.plan.public_url.replace("{subdomain}", self.subdomain)
        if self.is_adopted and not self.port:
            return f"https://{self.subdomain}"
        scheme = "https" if self.plan.health.get("kind") == "https" else "http"
        return f"{scheme}://{self._address(self.port or 0)}"

    @property
    def redactor(self) -> Redactor:
        """Hides the values of its environment; hides everything where they can't be read."""
        try:
            return Redactor(self.secret_values)
        except UnreadableSecret as error:
            return Withholding(str(error))

    @property
    def secret_values(self) -> list[str]:
        """Every value the container's environment has or had: what no text may show.

        The plan's as they stand there and as this container has them.
        """
        known = spec.words_of(
            self.customer_id, self.subdomain, self.plan.name, self.host.name, self.port or 0
        )
        filled = [placeholders.fill(value, known) for value in self.plan.env.values() if "{" in value]
        return [*self.own_secret_values, *self.plan.own_secret_values, *filled]

    def spec(self, port: int | None = None, image: str | None = None) -> spec.ContainerSpec:
        """The container this instance should have, by the one builder.

        `port` and `image` ask what it would be with those instead of its own.
        """
        return spec.build(
            self.plan.spec(),
            spec.InstanceSpec(
                customer_id=self.customer_id,
                bind_address=self.host.bind_address,
                port=port or self.port or 0,
                image=image or self.image or None,
                env=self.env,
                expires_at=self.expires_at.isoformat() if self.expires_at else None,
                container=self.container,
                adopted=self.adopted,
                subdomain=self.subdomain,
                host=self.host.name,
                further_ports=self.further_ports,
                network=self.host.network,
            ),
            salted_hmac("dockmgr.spec", "label", algorithm="sha256").digest(),
        )

    @property
    def reaches_host(self) -> dict[str, Any] | None:
        """How its container reaches its host, who accepted that and when; None where it does not.

        What a plan says is accepted by its saying so.
        """
        if not self.container:
            said = host_access.of_options(self.plan.options)
            return {"items": list(said), "by": f"plan {self.plan.name}", "at": None} if said else None
        try:
            accepted: dict[str, Any] | None = self.host_access
        except UnreadableSecret as error:
            return {"items": [str(error)], "by": "", "at": None}
        return accepted

    @property
    def container_port(self) -> int:
        """The port inside the container at which health is asked."""
        return int(self.adopted["Port"]) if self.adopted is not None else int(self.plan.container_port)

    @property
    def plan_in_force(self) -> PlanSpec:
        """What of the plan shapes its container: of an adopted one the plan's options shape nothing."""
        plan = replace(self.plan.spec(), container_port=self.container_port)
        return plan if self.adopted is None else replace(plan, options=NO_OPTIONS)

    @property
    def mount_points(self) -> set[str]:
        """Paths in the container at which something is mounted."""
        if self.adopted is not None:
            return adoption.mount_points(self.adopted)
        return image_fit.covered_by(self.plan.spec())

    @property
    def stop_timeout(self) -> int:
        """Seconds the container is given to stop: as its plan says where its own can't be read."""
        try:
            own = self.adopted["Config"].get("StopTimeout") if self.adopted is not None else None
        except UnreadableSecret:
            own = None
        return timings.stop_seconds(int(self.plan.stop_timeout if own is None else own))
