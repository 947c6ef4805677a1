from django.db import migrations, models

import instances.models.storable

KINDS = ("instance", "host", "fleet", "self", "operation", "container", "certificate", "orphans")


class Migration(migrations.Migration):
    dependencies = [("instances", "0026_refused_messages")]

    operations = [
        migrations.AddField("hostwatch", "orphans_at", models.DateTimeField(blank=True, null=True)),
        migrations.AlterField(
            "incident",
            "kind",
            instances.models.storable.CharField(choices=[(kind, kind) for kind in KINDS], max_length=16),
        ),
    ]
