from django.db import migrations, models

from instances.models.encrypted import Encrypted

VERBS = ("view", "add", "change", "delete")


def permit(apps, _schema_editor):
    """As for channels: who may see those sees these, and who may edit those edits these."""
    of = apps.get_model("contenttypes", "ContentType").objects
    kind, _ = of.get_or_create(app_label="instances", model="registry")
    permissions = apps.get_model("auth", "Permission").objects
    for group in apps.get_model("auth", "Group").objects.filter(name__in=("viewer", "operator", "admin")):
        for verb in VERBS:
            if group.permissions.filter(codename=f"{verb}_channel").exists():
                made, _ = permissions.get_or_create(
                    content_type=kind, codename=f"{verb}_registry", defaults={"name": f"Can {verb} registry"}
                )
                group.permissions.add(made)


class Migration(migrations.Migration):
    dependencies = [("instances", "0021_told_that_it_was_seen")]

    operations = [
        migrations.CreateModel(
            name="Registry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=255, unique=True)),
                ("username", models.CharField(blank=True, max_length=255)),
                ("password", Encrypted(default=None, editable=False, null=True)),
                ("token_file", models.CharField(blank=True, max_length=255)),
                ("helper", models.CharField(blank=True, max_length=64)),
                ("ca", models.CharField(blank=True, max_length=255)),
            ],
            options={"verbose_name_plural": "registries"},
        ),
        migrations.RunPython(permit, migrations.RunPython.noop),
    ]
