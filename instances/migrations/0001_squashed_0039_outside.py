"""What 0001 to 0039 made one after the other, made at once: a new installation begins with this one."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import instances.models.encrypted

MB = 1024 * 1024
PLANS = (("free", 0.5, 512 * MB), ("pro", 2.0, 2048 * MB), ("enterprise", 4.0, 4096 * MB))
# Every worker does what is not enabled beside its work; a message for it would only stand in line.
SCHEDULE = (
    ("dockmgr follow-up", "dockmgr.follow_up", 2, "seconds", False),
    ("dockmgr recover", "dockmgr.recover", 10, "seconds", False),
    ("dockmgr tidy up", "dockmgr.tidy_up", 1800, "seconds", True),
    ("dockmgr purge history", "dockmgr.purge_history", 1, "days", True),
    ("dockmgr sweep", "dockmgr.sweep", settings.SWEEP_INTERVAL, "seconds", True),
)
KWARGS = {"dockmgr.sweep": '{"requested_by": "beat"}'}

OWN = {
    "operate_instance": "Can check, restart, update, validate, pause and mute instances",
    "view_logs": "Can read the logs of instances",
    "view_env_names": "Can see the names of environment variables",
    "change_secrets": "Can set the values of environment variables",
    "decommission": "Can decommission instances",
    "choose_image": "Can choose images outside of what a plan may run",
}
SEEN = (
    "bulk",
    "channel",
    "health",
    "healthcheck",
    "host",
    "incident",
    "instance",
    "mute",
    "notification",
    "operation",
    "plan",
    "registry",
    "sweep",
)
VIEWER = [("instances", model, f"view_{model}") for model in SEEN] + [
    ("django_celery_beat", model, f"view_{model}") for model in ("periodictask", "intervalschedule")
]
OPERATOR = [
    *VIEWER,
    *(("instances", "instance", name) for name in ("operate_instance", "view_logs", "view_env_names")),
    ("instances", "incident", "change_incident"),
    ("instances", "mute", "change_mute"),
]
EDITED = (
    ("instances", ("apitoken", "channel", "host", "plan", "registry")),
    ("django_celery_beat", ("periodictask", "intervalschedule", "crontabschedule", "clockedschedule")),
    ("auth", ("user", "group")),
)
ADMIN = [
    *OPERATOR,
    *(("instances", "instance", name) for name in ("change_secrets", "decommission", "choose_image")),
    ("instances", "auditentry", "view_auditentry"),
    *(
        (app, model, f"{verb}_{model}")
        for app, models_ in EDITED
        for model in models_
        for verb in ("view", "add", "change", "delete")
    ),
]
GROUPS = {"viewer": VIEWER, "operator": OPERATOR, "admin": ADMIN}


def fill(apps, _schema_editor):
    """What is there already is left as it was edited."""
    for name, cpus, memory in PLANS:
        apps.get_model("instances", "Plan").objects.get_or_create(
            name=name, defaults={"cpus": cpus, "memory": memory}
        )
    apps.get_model("instances", "Host").objects.get_or_create(name="local")
    apps.get_model("instances", "Applied").objects.get_or_create(
        name="DOCKMGR_SWEEP_INTERVAL", defaults={"value": str(settings.SWEEP_INTERVAL)}
    )
    for name, task, every, period, enabled in SCHEDULE:
        schedule, _ = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
            every=every, period=period
        )
        apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
            name=name,
            defaults={
                "task": task,
                "interval": schedule,
                "kwargs": KWARGS.get(task, "{}"),
                "enabled": enabled,
            },
        )


def leave_room_for_updates(_apps, schema_editor):
    """Every check updates its row in place; room in the page keeps that from touching indexes."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE instances_health SET (fillfactor = 70)")


def make_groups(apps, _schema_editor):
    """A group that is there already is left as it was edited."""
    for name, permissions in GROUPS.items():
        group, new = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        if new:
            group.permissions.set(_permission(apps, *described) for described in permissions)


def _permission(apps, app, model, codename):
    """Django makes permissions only after all migrations; made here, they are found there."""
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label=app, model=model)
    named = apps.get_model(app, model)._meta.verbose_name_raw
    name = OWN.get(codename) or f"Can {codename.split('_')[0]} {named}"
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=kind, codename=codename, defaults={"name": name}
    )
    return permission


class Migration(migrations.Migration):
    replaces = [
        ("instances", "0001_initial"),
        ("instances", "0002_plans_host_and_schedule"),
        ("instances", "0003_adopt"),
        ("instances", "0004_incidents_and_access"),
        ("instances", "0005_permissions_and_groups"),
        ("instances", "0006_access"),
        ("instances", "0007_selections_in_turns"),
        ("instances", "0008_notified_state"),
        ("instances", "0009_operation_incidents"),
        ("instances", "0010_watched_operations"),
        ("instances", "0011_causes_of_several_parts"),
        ("instances", "0012_clockwork_beside_the_work"),
        ("instances", "0013_engine_identity_and_storage"),
        ("instances", "0014_channels_hear_of_everything"),
        ("instances", "0015_who_paused_and_request_ids"),
        ("instances", "0016_former_values"),
        ("instances", "0017_outages_as_long_as_they_were"),
        ("instances", "0018_container_options"),
        ("instances", "0019_health_and_generated_secrets"),
        ("instances", "0020_container_identity"),
        ("instances", "0021_told_that_it_was_seen"),
        ("instances", "0022_registries"),
        ("instances", "0023_ways_to_engines"),
        ("instances", "0024_followed_engines"),
        ("instances", "0025_when_a_purge_was_tried"),
        ("instances", "0026_refused_messages"),
        ("instances", "0027_orphans"),
        ("instances", "0028_lists_where_events_fail"),
        ("instances", "0029_host_network"),
        ("instances", "0030_image_policy"),
        ("instances", "0031_host_access"),
        ("instances", "0032_placement"),
        ("instances", "0033_token_limits"),
        ("instances", "0034_channel_events"),
        ("instances", "0035_last_words"),
        ("instances", "0036_usage"),
        ("instances", "0037_disk_and_ooms"),
        ("instances", "0038_event_feed"),
        ("instances", "0039_outside"),
    ]
    initial = True
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=64, unique=True)),
                (
                    "scope",
                    models.CharField(
                        choices=[("read", "read"), ("operate", "operate"), ("admin", "admin")], max_length=8
                    ),
                ),
                ("prefix", models.CharField(max_length=16)),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("created_by", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("customers", models.JSONField(blank=True, default=list)),
                ("plans", models.JSONField(blank=True, default=list)),
                ("hosts", models.JSONField(blank=True, default=list)),
            ],
        ),
        migrations.CreateModel(
            name="Applied",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("value", models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "surface",
                    models.CharField(
                        choices=[
                            ("admin", "admin"),
                            ("api", "api"),
                            ("command", "command"),
                            ("task", "task"),
                        ],
                        max_length=8,
                    ),
                ),
                ("actor", models.CharField(max_length=128)),
                ("address", models.GenericIPAddressField(null=True)),
                ("action", models.CharField(max_length=64)),
                ("target", models.CharField(blank=True, max_length=128)),
                ("reason", models.CharField(blank=True, max_length=255)),
                ("outcome", models.CharField(blank=True, max_length=255)),
                ("request_id", models.CharField(blank=True, max_length=128)),
            ],
            options={
                "verbose_name_plural": "audit log",
                "ordering": ("-at", "-pk"),
                "indexes": [
                    models.Index(fields=["-at"], name="audit_by_time"),
                    models.Index(fields=["target", "-at"], name="audit_by_target"),
                    models.Index(
                        condition=models.Q(("request_id", ""), _negated=True),
                        fields=["request_id"],
                        name="audit_by_request",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Bulk",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "verb",
                    models.CharField(
                        choices=[
                            ("check", "check"),
                            ("restart", "restart"),
                            ("update", "update"),
                            ("pause", "pause"),
                        ],
                        max_length=8,
                    ),
                ),
                ("by", models.CharField(max_length=64)),
                ("reason", models.CharField(blank=True, max_length=255)),
                ("created_at", models.DateTimeField()),
                ("instances", models.JSONField(default=list)),
                ("pending", models.JSONField(default=list)),
                ("refused", models.JSONField(default=dict)),
                ("due_at", models.DateTimeField(blank=True, null=True)),
                ("turn", models.PositiveIntegerField(default=0)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-created_at"], name="bulk_by_time"),
                    models.Index(
                        condition=models.Q(("due_at", None), _negated=True),
                        fields=["due_at"],
                        name="bulk_due",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Channel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=64, unique=True)),
                ("url", instances.models.encrypted.Encrypted(editable=False)),
                (
                    "min_level",
                    models.CharField(
                        choices=[("info", "info"), ("warning", "warning"), ("critical", "critical")],
                        default="info",
                        max_length=8,
                    ),
                ),
                ("customers", models.JSONField(blank=True, default=list)),
                ("disabled_reason", models.CharField(blank=True, max_length=255)),
                ("enabled", models.BooleanField(default=True)),
                ("escalate_after", models.FloatField(blank=True, null=True)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("hosts", models.JSONField(blank=True, default=list)),
                ("lease_expires_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("plans", models.JSONField(blank=True, default=list)),
                ("quiet_from", models.TimeField(blank=True, null=True)),
                ("quiet_to", models.TimeField(blank=True, null=True)),
                ("retry_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("timezone", models.CharField(default="UTC", max_length=64)),
                ("token", models.PositiveIntegerField(default=0, editable=False)),
                ("refusals", models.PositiveIntegerField(default=0, editable=False)),
                ("incidents", models.BooleanField(default=True)),
                ("operations", models.BooleanField(default=False)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("quiet_from", None), ("quiet_to", None)),
                            models.Q(("quiet_from__isnull", False), ("quiet_to__isnull", False)),
                            _connector="OR",
                        ),
                        name="quiet_hours_have_both_ends",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("incidents", True), ("operations", True), _connector="OR"),
                        name="channel_is_told_of_something",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Host",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=64, unique=True)),
                ("docker_url", models.CharField(blank=True, max_length=255)),
                ("tls", models.JSONField(blank=True, null=True)),
                ("address", models.CharField(default="127.0.0.1", max_length=253)),
                ("bind", models.CharField(blank=True, max_length=45)),
                ("max_instances", models.PositiveIntegerField(blank=True, null=True)),
                ("first_port", models.PositiveIntegerField(default=20000)),
                ("last_port", models.PositiveIntegerField(default=29999)),
                ("engine_id", models.CharField(blank=True, editable=False, max_length=128)),
                ("ssh", models.JSONField(blank=True, null=True)),
                ("insecure", models.BooleanField(default=False)),
                ("network", models.CharField(default="dockmgr", max_length=64)),
                ("cordoned", models.BooleanField(default=False)),
                ("max_memory", models.BigIntegerField(blank=True, null=True)),
                ("overcommit", models.FloatField(default=1.0)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("last_port__gte", models.F("first_port")), ("last_port__lte", 65535)
                        ),
                        name="host_port_range",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("engine_id", ""), _negated=True),
                        fields=("engine_id",),
                        name="host_engine_once",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Plan",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=64, unique=True)),
                ("image", models.CharField(blank=True, max_length=512)),
                ("cpus", models.FloatField(default=1.0)),
                ("memory", models.BigIntegerField(default=536870912)),
                ("pids", models.PositiveIntegerField(blank=True, null=True)),
                ("container_port", models.PositiveIntegerField(default=8080)),
                ("health_path", models.CharField(default="/healthz", max_length=255)),
                (
                    "health_expect",
                    models.CharField(
                        choices=[("auto", "auto"), ("json_ok", "json_ok"), ("http_2xx", "http_2xx")],
                        default="auto",
                        max_length=8,
                    ),
                ),
                ("start_grace", models.FloatField(default=60)),
                ("stop_timeout", models.PositiveIntegerField(default=10)),
                ("data_path", models.CharField(blank=True, default="/data", max_length=255, null=True)),
                ("env", instances.models.encrypted.Encrypted(default=dict, editable=False)),
                ("required_env", models.JSONField(blank=True, default=list)),
                ("public_url", models.CharField(blank=True, max_length=255)),
                (
                    "update_strategy",
                    models.CharField(
                        choices=[("recreate", "recreate"), ("start_first", "start_first")],
                        default="recreate",
                        max_length=12,
                    ),
                ),
                (
                    "former_values",
                    instances.models.encrypted.Encrypted(default=None, editable=False, null=True),
                ),
                ("options", models.JSONField(blank=True, default=dict)),
                ("health", models.JSONField(blank=True, default=dict)),
                (
                    "health_headers",
                    instances.models.encrypted.Encrypted(default=None, editable=False, null=True),
                ),
                ("generate", models.JSONField(blank=True, default=dict)),
                ("images", models.JSONField(blank=True, default=list)),
                ("disk", models.BigIntegerField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("cpus__gt", 0), ("memory__gt", 0)), name="plan_limits_positive"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Pulse",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Registry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255, unique=True)),
                ("username", models.CharField(blank=True, max_length=255)),
                ("password", instances.models.encrypted.Encrypted(default=None, editable=False, null=True)),
                ("token_file", models.CharField(blank=True, max_length=255)),
                ("helper", models.CharField(blank=True, max_length=64)),
                ("ca", models.CharField(blank=True, max_length=255)),
            ],
            options={
                "verbose_name_plural": "registries",
            },
        ),
        migrations.CreateModel(
            name="Sweep",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("slot", models.DateTimeField(null=True, unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "running"),
                            ("finished", "finished"),
                            ("incomplete", "incomplete"),
                        ],
                        default="running",
                        max_length=10,
                    ),
                ),
                ("requested_by", models.CharField(default="beat", max_length=64)),
                ("attended", models.BooleanField(default=False)),
                ("total", models.PositiveIntegerField(default=0)),
                ("done", models.PositiveIntegerField(default=0)),
                ("started_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [models.Index(fields=["-started_at"], name="sweep_by_start")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "running")), fields=("state",), name="one_running_sweep"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("key", models.CharField(max_length=96, primary_key=True, serialize=False)),
                ("value", models.PositiveBigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="ApiRequest",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("key", models.CharField(max_length=100, null=True)),
                ("fingerprint", models.CharField(max_length=64)),
                ("action", models.CharField(max_length=64)),
                ("target", models.CharField(max_length=128)),
                ("created_at", models.DateTimeField(db_index=True)),
                (
                    "token",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="requests",
                        to="instances.apitoken",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("token", "key"), name="request_once_per_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="FreedPort",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("freed_at", models.DateTimeField()),
                (
                    "host",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="freed_ports",
                        to="instances.host",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("host", "number"), name="freed_port_once")],
            },
        ),
        migrations.CreateModel(
            name="HostWatch",
            fields=[
                (
                    "host",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="watch",
                        serialize=False,
                        to="instances.host",
                    ),
                ),
                ("ask_at", models.DateTimeField(blank=True, null=True)),
                ("asked_at", models.DateTimeField(blank=True, null=True)),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                ("failing_since", models.DateTimeField(blank=True, null=True)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("error", models.CharField(blank=True, max_length=255)),
                ("events_by", models.CharField(blank=True, max_length=64)),
                ("events_until", models.DateTimeField(blank=True, null=True)),
                ("orphans_at", models.DateTimeField(blank=True, null=True)),
                ("events_heard_at", models.DateTimeField(blank=True, null=True)),
                ("listed_at", models.DateTimeField(blank=True, null=True)),
                ("disk_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("ask_at", None), _negated=True),
                        fields=["ask_at"],
                        name="host_to_ask",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Instance",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("customer_id", models.CharField(max_length=63)),
                ("subdomain", models.CharField(max_length=253)),
                ("image", models.CharField(blank=True, max_length=512)),
                ("env", instances.models.encrypted.Encrypted(default=dict, editable=False)),
                ("port", models.PositiveIntegerField(blank=True, null=True)),
                ("container_id", models.CharField(blank=True, max_length=64)),
                ("image_id", models.CharField(blank=True, max_length=80)),
                ("failed_images", models.JSONField(blank=True, default=list)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("provisioned_at", models.DateTimeField(blank=True, null=True)),
                ("decommissioned_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                (
                    "host",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="instances",
                        to="instances.host",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="instances",
                        to="instances.plan",
                    ),
                ),
                ("adopted", instances.models.encrypted.Encrypted(default=None, editable=False, null=True)),
                ("container", models.CharField(blank=True, max_length=255)),
                ("image_digest", models.CharField(blank=True, max_length=600)),
                ("leaving_at", models.DateTimeField(blank=True, null=True)),
                ("volumes", models.JSONField(blank=True, default=None, null=True)),
                ("pause_reason", models.CharField(blank=True, max_length=255)),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("paused_by", models.CharField(blank=True, max_length=128)),
                (
                    "former_values",
                    instances.models.encrypted.Encrypted(default=None, editable=False, null=True),
                ),
                ("further_ports", models.JSONField(blank=True, default=dict)),
                ("finding", models.CharField(blank=True, max_length=16)),
                ("finding_text", models.CharField(blank=True, max_length=255)),
                ("finding_since", models.DateTimeField(blank=True, null=True)),
                (
                    "approved_image",
                    instances.models.encrypted.Encrypted(
                        default=None, editable=False, null=True, strict=True
                    ),
                ),
                (
                    "host_access",
                    instances.models.encrypted.Encrypted(
                        default=None, editable=False, null=True, strict=True
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("decommissioned_at", None)),
                        fields=["host", "plan"],
                        name="instance_by_place",
                    ),
                    models.Index(
                        fields=["customer_id"],
                        name="instance_by_id_prefix",
                        opclasses=["varchar_pattern_ops"],
                    ),
                    models.Index(
                        fields=["subdomain"],
                        name="instance_by_name_prefix",
                        opclasses=["varchar_pattern_ops"],
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("decommissioned_at", None)),
                        fields=("customer_id",),
                        name="instance_customer_once",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("decommissioned_at", None)),
                        fields=("subdomain",),
                        name="instance_subdomain_once",
                    ),
                ],
                "permissions": [
                    ("operate_instance", "Can check, restart, update, validate, pause and mute instances"),
                    ("view_logs", "Can read the logs of instances"),
                    ("view_env_names", "Can see the names of environment variables"),
                    ("change_secrets", "Can set the values of environment variables"),
                    ("decommission", "Can decommission instances"),
                    ("choose_image", "Can choose images outside of what a plan may run"),
                ],
            },
        ),
        migrations.CreateModel(
            name="PendingPurge",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("volume", models.CharField(max_length=255)),
                ("customer_id", models.CharField(max_length=63)),
                ("asked_at", models.DateTimeField()),
                ("holders", models.CharField(blank=True, max_length=255)),
                (
                    "host",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pending_purges",
                        to="instances.host",
                    ),
                ),
                ("tried_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("host", "volume"), name="purge_once_per_volume")
                ],
            },
        ),
        migrations.CreateModel(
            name="Health",
            fields=[
                (
                    "instance",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="instances.instance",
                    ),
                ),
                ("revision", models.PositiveBigIntegerField(default=0)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("unknown", "unknown"),
                            ("starting", "starting"),
                            ("healthy", "healthy"),
                            ("suspect", "suspect"),
                            ("unhealthy", "unhealthy"),
                            ("restarting", "restarting"),
                            ("failed", "failed"),
                            ("paused", "paused"),
                        ],
                        default="unknown",
                        max_length=10,
                    ),
                ),
                ("failures", models.PositiveIntegerField(default=0)),
                ("successes", models.PositiveIntegerField(default=0)),
                ("restarts_used", models.PositiveIntegerField(default=0)),
                ("down_since", models.DateTimeField(blank=True, null=True)),
                ("recovered_at", models.DateTimeField(blank=True, null=True)),
                ("starting_since", models.DateTimeField(blank=True, null=True)),
                ("restart_not_before", models.DateTimeField(blank=True, null=True)),
                ("next_check_at", models.DateTimeField(blank=True, null=True)),
                ("checked_at", models.DateTimeField(blank=True, null=True)),
                ("last_healthy_at", models.DateTimeField(blank=True, null=True)),
                ("last_restart_at", models.DateTimeField(blank=True, null=True)),
                ("http_status", models.PositiveIntegerField(blank=True, null=True)),
                ("latency_ms", models.PositiveIntegerField(blank=True, null=True)),
                ("version", models.CharField(blank=True, max_length=64)),
                ("container_state", models.CharField(blank=True, max_length=16)),
                ("reason", models.CharField(blank=True, max_length=32)),
                ("error", models.CharField(blank=True, max_length=255)),
                ("flaps", models.PositiveIntegerField(default=0)),
                ("flaps_since", models.DateTimeField(blank=True, null=True)),
                ("restarts_helped", models.PositiveIntegerField(default=0)),
                ("noticed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "health",
                "indexes": [
                    models.Index(fields=["status"], name="health_status"),
                    models.Index(
                        condition=models.Q(("next_check_at", None), _negated=True),
                        fields=["next_check_at"],
                        name="health_next_check",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HealthCheck",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("outcome", models.CharField(max_length=8)),
                ("reason", models.CharField(blank=True, max_length=32)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("unknown", "unknown"),
                            ("starting", "starting"),
                            ("healthy", "healthy"),
                            ("suspect", "suspect"),
                            ("unhealthy", "unhealthy"),
                            ("restarting", "restarting"),
                            ("failed", "failed"),
                            ("paused", "paused"),
                        ],
                        max_length=10,
                    ),
                ),
                ("http_status", models.PositiveIntegerField(null=True)),
                ("latency_ms", models.PositiveIntegerField(null=True)),
                ("consecutive_failures", models.PositiveIntegerField()),
                ("container_state", models.CharField(blank=True, max_length=16)),
                ("error", models.CharField(blank=True, max_length=255)),
                ("checked_at", models.DateTimeField()),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="checks",
                        to="instances.instance",
                    ),
                ),
                (
                    "sweep",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="checks",
                        to="instances.sweep",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["instance", "-checked_at"], name="check_by_instance"),
                    models.Index(fields=["sweep", "-latency_ms"], name="check_by_sweep"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Incident",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=128)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("instance", "instance"),
                            ("host", "host"),
                            ("fleet", "fleet"),
                            ("self", "self"),
                            ("operation", "operation"),
                            ("container", "container"),
                            ("certificate", "certificate"),
                            ("orphans", "orphans"),
                            ("resources", "resources"),
                            ("outside", "outside"),
                        ],
                        max_length=16,
                    ),
                ),
                ("customer_id", models.CharField(blank=True, max_length=63)),
                (
                    "severity",
                    models.CharField(
                        choices=[("info", "info"), ("warning", "warning"), ("critical", "critical")],
                        default="info",
                        max_length=8,
                    ),
                ),
                ("cause", models.CharField(blank=True, max_length=128)),
                ("message", models.CharField(blank=True, max_length=255)),
                ("opened_at", models.DateTimeField()),
                ("down_since", models.DateTimeField(blank=True, null=True)),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("resolution", models.CharField(blank=True, max_length=255)),
                ("downtime", models.FloatField(default=0)),
                ("restarts", models.PositiveIntegerField(default=0)),
                ("flapping", models.BooleanField(default=False)),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                ("acknowledged_by", models.CharField(blank=True, max_length=64)),
                ("critical_at", models.DateTimeField(blank=True, null=True)),
                ("resolve_at", models.DateTimeField(blank=True, null=True)),
                ("notify_at", models.DateTimeField(blank=True, null=True)),
                (
                    "host",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="incidents",
                        to="instances.host",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="incidents",
                        to="instances.instance",
                    ),
                ),
                ("downtime_at_most", models.FloatField(default=0)),
                ("well_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ("-opened_at", "-pk"),
                "indexes": [
                    models.Index(fields=["-opened_at"], name="incident_by_time"),
                    models.Index(fields=["key", "-opened_at"], name="incident_by_key"),
                    models.Index(
                        condition=models.Q(("critical_at", None), _negated=True),
                        fields=["critical_at"],
                        name="incident_critical_due",
                    ),
                    models.Index(
                        condition=models.Q(("resolve_at", None), _negated=True),
                        fields=["resolve_at"],
                        name="incident_resolve_due",
                    ),
                    models.Index(
                        condition=models.Q(("notify_at", None), _negated=True),
                        fields=["notify_at"],
                        name="incident_notify_due",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("resolved_at", None)),
                        fields=("key",),
                        name="one_open_incident_per_key",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Mute",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("by", models.CharField(max_length=64)),
                ("reason", models.CharField(blank=True, max_length=255)),
                (
                    "host",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mutes",
                        to="instances.host",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mutes",
                        to="instances.instance",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mutes",
                        to="instances.plan",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["until"], name="mute_by_end")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("host", None), ("instance__isnull", False), ("plan", None)),
                            models.Q(("host__isnull", False), ("instance", None), ("plan", None)),
                            models.Q(("host", None), ("instance", None), ("plan__isnull", False)),
                            _connector="OR",
                        ),
                        name="mute_of_one_thing",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("until__gt", models.F("starts_at"))), name="mute_lasts"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Operation",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("provision", "provision"),
                            ("restart", "restart"),
                            ("decommission", "decommission"),
                            ("update", "update"),
                            ("adopt", "adopt"),
                        ],
                        max_length=16,
                    ),
                ),
                ("customer_id", models.CharField(max_length=63)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "queued"),
                            ("running", "running"),
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                            ("rolled_back", "rolled_back"),
                        ],
                        default="queued",
                        max_length=12,
                    ),
                ),
                ("request_id", models.CharField(max_length=128, null=True, unique=True)),
                ("requested_by", models.CharField(max_length=64)),
                ("reason", models.CharField(blank=True, max_length=255)),
                ("automatic", models.BooleanField(default=False)),
                ("params", models.JSONField(default=dict)),
                ("facts", models.JSONField(default=dict)),
                ("steps", models.JSONField(default=list)),
                ("undoing", models.BooleanField(default=False)),
                ("error", models.TextField(blank=True)),
                ("image_before", models.CharField(blank=True, max_length=80)),
                ("image_after", models.CharField(blank=True, max_length=80)),
                ("created_at", models.DateTimeField()),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("lease_owner", models.CharField(blank=True, max_length=128)),
                ("lease_expires_at", models.DateTimeField()),
                ("token", models.PositiveIntegerField(default=0)),
                ("tries", models.PositiveIntegerField(default=0)),
                (
                    "host",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="instances.host",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="operations",
                        to="instances.instance",
                    ),
                ),
                ("interrupts", models.BooleanField(default=False)),
                ("handed_over_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["customer_id", "-created_at"], name="operation_by_customer"),
                    models.Index(
                        condition=models.Q(("finished_at", None)),
                        fields=["lease_expires_at"],
                        name="operation_unfinished",
                    ),
                    models.Index(fields=["-created_at", "-id"], name="operation_by_time"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("finished_at", None)),
                        fields=("customer_id",),
                        name="one_unfinished_operation",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="OutsideCheck",
            fields=[
                (
                    "instance",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="outside",
                        serialize=False,
                        to="instances.instance",
                    ),
                ),
                ("next_at", models.DateTimeField(db_index=True)),
                ("asked_at", models.DateTimeField(null=True)),
                ("url", models.CharField(blank=True, max_length=600)),
                ("outcome", models.CharField(blank=True, max_length=8)),
                ("fault", models.CharField(blank=True, max_length=8)),
                ("error", models.CharField(blank=True, max_length=255)),
                ("http_status", models.PositiveIntegerField(null=True)),
                ("latency_ms", models.PositiveIntegerField(null=True)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("failing_since", models.DateTimeField(null=True)),
                ("proxy", models.CharField(blank=True, max_length=160)),
                ("zone", models.CharField(blank=True, max_length=253)),
                ("certificate", models.CharField(blank=True, max_length=64)),
                ("certificate_begins", models.DateTimeField(null=True)),
                ("certificate_ends", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="OutsideTransition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "availability",
                    models.CharField(
                        choices=[
                            ("up", "up"),
                            ("down", "down"),
                            ("unknown", "unknown"),
                            ("unwatched", "unwatched"),
                        ],
                        max_length=9,
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="instances.instance"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["instance", "-at"], name="outside_by_instance")],
            },
        ),
        migrations.CreateModel(
            name="Port",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "host",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="ports", to="instances.host"
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ports",
                        to="instances.instance",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("host", "number"), name="port_once_per_host")
                ],
            },
        ),
        migrations.CreateModel(
            name="Transition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "availability",
                    models.CharField(
                        choices=[
                            ("up", "up"),
                            ("down", "down"),
                            ("unknown", "unknown"),
                            ("unwatched", "unwatched"),
                        ],
                        max_length=9,
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="transitions",
                        to="instances.instance",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["instance", "-at"], name="transition_by_instance")],
            },
        ),
        migrations.CreateModel(
            name="Usage",
            fields=[
                ("seconds", models.FloatField(default=0)),
                ("cpu_seconds", models.FloatField(default=0)),
                ("memory_seconds", models.FloatField(default=0)),
                ("memory_peak", models.BigIntegerField(default=0)),
                ("received", models.BigIntegerField(default=0)),
                ("sent", models.BigIntegerField(default=0)),
                ("block_read", models.BigIntegerField(default=0)),
                ("block_written", models.BigIntegerField(default=0)),
                ("periods", models.BigIntegerField(default=0)),
                ("throttled", models.BigIntegerField(default=0)),
                (
                    "instance",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="instances.instance",
                    ),
                ),
                ("next_read_at", models.DateTimeField()),
                ("read_at", models.DateTimeField(null=True)),
                ("container_id", models.CharField(blank=True, max_length=64)),
                ("counters", models.JSONField(null=True)),
                ("cpu_percent", models.FloatField(null=True)),
                ("memory", models.BigIntegerField(null=True)),
                ("memory_limit", models.BigIntegerField(default=0)),
                ("pids", models.PositiveIntegerField(null=True)),
                ("pids_limit", models.BigIntegerField(default=0)),
                ("near", models.JSONField(default=dict)),
                ("warned", models.JSONField(default=list)),
                ("hour", models.DateTimeField(null=True)),
                ("disk", models.BigIntegerField(null=True)),
                ("disk_peak", models.BigIntegerField(default=0)),
                ("disk_read_at", models.DateTimeField(null=True)),
                ("disk_seconds", models.FloatField(default=0)),
                ("on_disk", models.JSONField(default=dict)),
                ("oom_at", models.DateTimeField(null=True)),
                ("oom_since", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "usage",
                "indexes": [
                    models.Index(
                        condition=models.Q(("oom_since", None), _negated=True),
                        fields=["oom_since"],
                        name="usage_oom_to_judge",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="UsageDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("seconds", models.FloatField(default=0)),
                ("cpu_seconds", models.FloatField(default=0)),
                ("memory_seconds", models.FloatField(default=0)),
                ("memory_peak", models.BigIntegerField(default=0)),
                ("received", models.BigIntegerField(default=0)),
                ("sent", models.BigIntegerField(default=0)),
                ("block_read", models.BigIntegerField(default=0)),
                ("block_written", models.BigIntegerField(default=0)),
                ("periods", models.BigIntegerField(default=0)),
                ("throttled", models.BigIntegerField(default=0)),
                ("at", models.DateTimeField()),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="instances.instance"
                    ),
                ),
                ("disk_peak", models.BigIntegerField(default=0)),
                ("disk_seconds", models.FloatField(default=0)),
            ],
            options={
                "indexes": [models.Index(fields=["at"], name="usage_day_by_time")],
                "constraints": [models.UniqueConstraint(fields=("instance", "at"), name="usage_once_a_day")],
            },
        ),
        migrations.CreateModel(
            name="UsageHour",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("seconds", models.FloatField(default=0)),
                ("cpu_seconds", models.FloatField(default=0)),
                ("memory_seconds", models.FloatField(default=0)),
                ("memory_peak", models.BigIntegerField(default=0)),
                ("received", models.BigIntegerField(default=0)),
                ("sent", models.BigIntegerField(default=0)),
                ("block_read", models.BigIntegerField(default=0)),
                ("block_written", models.BigIntegerField(default=0)),
                ("periods", models.BigIntegerField(default=0)),
                ("throttled", models.BigIntegerField(default=0)),
                ("at", models.DateTimeField()),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="instances.instance"
                    ),
                ),
                ("disk_peak", models.BigIntegerField(default=0)),
                ("disk_seconds", models.FloatField(default=0)),
            ],
            options={
                "indexes": [models.Index(fields=["at"], name="usage_hour_by_time")],
                "constraints": [
                    models.UniqueConstraint(fields=("instance", "at"), name="usage_once_an_hour")
                ],
            },
        ),
        migrations.CreateModel(
            name="FeedEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("change", models.CharField(max_length=16)),
                ("text", models.CharField(blank=True, max_length=255)),
                (
                    "incident",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="instances.incident",
                    ),
                ),
                (
                    "operation",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="instances.operation",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["at"], name="feed_by_time")],
            },
        ),
        migrations.CreateModel(
            name="IncidentEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("kind", models.CharField(max_length=16)),
                ("text", models.CharField(blank=True, max_length=255)),
                (
                    "incident",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="instances.incident",
                    ),
                ),
            ],
            options={
                "ordering": ("at", "pk"),
                "indexes": [models.Index(fields=["incident", "at"], name="event_by_incident")],
            },
        ),
        migrations.CreateModel(
            name="LastWords",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("customer_id", models.CharField(max_length=63)),
                ("container_id", models.CharField(max_length=64)),
                ("at", models.DateTimeField()),
                ("truncated", models.BooleanField(default=False)),
                ("packed", models.BinaryField()),
                (
                    "incident",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="last_words",
                        to="instances.incident",
                    ),
                ),
                (
                    "operation",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="last_words",
                        to="instances.operation",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "last words",
                "ordering": ("at", "pk"),
                "indexes": [models.Index(fields=["at"], name="last_words_by_time")],
            },
        ),
        migrations.CreateModel(
            name="Notification",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("kind", models.CharField(max_length=16)),
                (
                    "level",
                    models.CharField(
                        choices=[("info", "info"), ("warning", "warning"), ("critical", "critical")],
                        max_length=8,
                    ),
                ),
                ("payload", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField()),
                ("sent_at", models.DateTimeField(null=True)),
                ("given_up_at", models.DateTimeField(null=True)),
                ("tries", models.PositiveIntegerField(default=0)),
                ("error", models.CharField(blank=True, max_length=255)),
                (
                    "channel",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notifications",
                        to="instances.channel",
                    ),
                ),
                (
                    "digest",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="parts",
                        to="instances.notification",
                    ),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="notifications",
                        to="instances.incident",
                    ),
                ),
            ],
            options={
                "ordering": ("created_at", "pk"),
                "indexes": [
                    models.Index(
                        condition=models.Q(("given_up_at", None), ("sent_at", None)),
                        fields=["channel", "created_at"],
                        name="notification_waiting",
                    ),
                    models.Index(fields=["channel", "-sent_at"], name="notification_sent"),
                    models.Index(fields=["-created_at"], name="notification_by_time"),
                ],
            },
        ),
        migrations.CreateModel(
            name="NotifiedState",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("state", models.CharField(max_length=8)),
                ("at", models.DateTimeField()),
                (
                    "channel",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="told",
                        to="instances.channel",
                    ),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="told",
                        to="instances.incident",
                    ),
                ),
                ("acknowledged", models.BooleanField(default=False)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("incident", "channel"), name="told_once_per_channel")
                ],
                "db_table": "instances_told",
            },
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunPython(leave_room_for_updates, migrations.RunPython.noop),
        migrations.RunPython(make_groups, migrations.RunPython.noop),
    ]
