"""Which images plans may run; what runs by now goes on being allowed, and admins may choose others."""

from django.db import migrations, models

import instances.models.encrypted

PERMISSION = ("choose_image", "Can choose images outside of what a plan may run")


def allow_what_runs(apps, _schema_editor):
    """Each instance may go on with the image it has, which nobody had to be asked for."""
    rows = apps.get_model("instances", "Instance").objects.filter(decommissioned_at=None).exclude(image_id="")
    known = ("image", "image_id", "image_digest", "plan__image")
    for row in rows.select_related("plan").only(*known).iterator():
        row.approved_image = {
            "id": row.image_id,
            "ref": row.image or row.plan.image,
            "digest": row.image_digest,
            "by": "before there was a policy",
            "at": "",
        }
        row.save(update_fields=["approved_image"])


def let_admins_choose(apps, _schema_editor):
    """Django makes permissions only after all migrations; made here, it is found there."""
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="instances", model="instance"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=kind, codename=PERMISSION[0], defaults={"name": PERMISSION[1]}
    )
    for group in apps.get_model("auth", "Group").objects.filter(name="admin"):
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [("instances", "0029_host_network")]
    operations = [
        migrations.AlterModelOptions(
            name="instance",
            options={
                "permissions": [
                    ("operate_instance", "Can check, restart, update, validate, pause and mute instances"),
                    ("view_logs", "Can read the logs of instances"),
                    ("view_env_names", "Can see the names of environment variables"),
                    ("change_secrets", "Can set the values of environment variables"),
                    ("decommission", "Can decommission instances"),
                    PERMISSION,
                ]
            },
        ),
        migrations.AddField(
            model_name="instance",
            name="approved_image",
            field=instances.models.encrypted.Encrypted(default=None, editable=False, null=True, strict=True),
        ),
        migrations.AddField("plan", "images", models.JSONField(blank=True, default=list)),
        migrations.RunPython(allow_what_runs, migrations.RunPython.noop),
        migrations.RunPython(let_admins_choose, migrations.RunPython.noop),
    ]
