"""Orders for many instances, indexes for lists, the desk's permissions, and three groups to begin with."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

OWN = {
    "operate_instance": "Can check, restart, update, validate, pause and mute instances",
    "view_logs": "Can read the logs of instances",
    "view_env_names": "Can see the names of environment variables",
    "change_secrets": "Can set the values of environment variables",
    "decommission": "Can decommission instances",
}
SEEN = (
    "bulk", "channel", "health", "healthcheck", "host", "incident", "instance", "mute", "notification",
    "operation", "plan", "sweep",
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
    ("instances", ("apitoken", "channel", "host", "plan")),
    ("django_celery_beat", ("periodictask", "intervalschedule", "crontabschedule", "clockedschedule")),
    ("auth", ("user", "group")),
)
ADMIN = [
    *OPERATOR,
    *(("instances", "instance", name) for name in ("change_secrets", "decommission")),
    ("instances", "auditentry", "view_auditentry"),
    *(
        (app, model, f"{verb}_{model}")
        for app, models_ in EDITED
        for model in models_
        for verb in ("view", "add", "change", "delete")
    ),
]
GROUPS = {"viewer": VIEWER, "operator": OPERATOR, "admin": ADMIN}


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
    dependencies = [
        ("instances", "0004_incidents_and_access"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.CreateModel(
            name="Bulk",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("verb", models.CharField(choices=[("check", "check"), ("restart", "restart"), ("update", "update"), ("pause", "pause")], max_length=8)),
                ("by", models.CharField(max_length=64)),
                ("reason", models.CharField(blank=True, max_length=255)),
                ("created_at", models.DateTimeField()),
                ("instances", models.JSONField(default=list)),
                ("pending", models.JSONField(default=list)),
                ("refused", models.JSONField(default=dict)),
            ],
            options={"indexes": [models.Index(fields=["-created_at"], name="bulk_by_time")]},
        ),
        migrations.AlterModelOptions(name="instance", options={"permissions": list(OWN.items())}),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(condition=models.Q(("decommissioned_at", None)), fields=["host", "plan"], name="instance_by_place"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["customer_id"], name="instance_by_id_prefix", opclasses=["varchar_pattern_ops"]),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["subdomain"], name="instance_by_name_prefix", opclasses=["varchar_pattern_ops"]),
        ),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(fields=["-created_at"], name="operation_by_time"),
        ),
        migrations.AddIndex(
            model_name="healthcheck",
            index=models.Index(fields=["sweep", "-latency_ms"], name="check_by_sweep"),
        ),
        migrations.AlterField(
            model_name="healthcheck",
            name="sweep",
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="checks", to="instances.sweep"),
        ),
        migrations.RunPython(make_groups, migrations.RunPython.noop),
    ]
