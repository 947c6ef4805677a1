from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import instances.models.storable

KINDS = ("instance", "host", "fleet", "self", "operation", "container", "certificate")


def keep_what_is_in_clear(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Hosts that are reached without TLS go on being reached; only new ones must be said to be."""
    hosts = apps.get_model("instances", "Host").objects.using(editor.connection.alias)
    hosts.filter(docker_url__startswith="tcp://", tls=None).update(insecure=True)


class Migration(migrations.Migration):
    dependencies = [("instances", "0022_registries")]

    operations = [
        migrations.AddField("host", "ssh", instances.models.storable.JSONField(blank=True, null=True)),
        migrations.AddField("host", "insecure", models.BooleanField(default=False)),
        migrations.AlterField(
            "incident",
            "kind",
            instances.models.storable.CharField(choices=[(kind, kind) for kind in KINDS], max_length=16),
        ),
        migrations.RunPython(keep_what_is_in_clear, migrations.RunPython.noop),
    ]
