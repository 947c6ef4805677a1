from django.db import migrations, models

import instances.models.storable

KINDS = ("instance", "host", "fleet", "self", "operation", "container")


class Migration(migrations.Migration):
    dependencies = [("instances", "0019_health_and_generated_secrets")]

    operations = [
        migrations.AddField(
            "instance",
            "finding",
            instances.models.storable.CharField(blank=True, default="", max_length=16),
            preserve_default=False,
        ),
        migrations.AddField(
            "instance",
            "finding_text",
            instances.models.storable.Excerpt(blank=True, default="", max_length=255),
            preserve_default=False,
        ),
        migrations.AddField("instance", "finding_since", models.DateTimeField(blank=True, null=True)),
        migrations.AlterField(
            "incident",
            "kind",
            instances.models.storable.CharField(choices=[(kind, kind) for kind in KINDS], max_length=16),
        ),
    ]
