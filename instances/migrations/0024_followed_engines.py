from django.db import migrations, models

import instances.models.storable


class Migration(migrations.Migration):
    dependencies = [("instances", "0023_ways_to_engines")]

    operations = [
        migrations.AddField(
            "hostwatch",
            "events_by",
            instances.models.storable.CharField(blank=True, default="", max_length=64),
            preserve_default=False,
        ),
        migrations.AddField("hostwatch", "events_until", models.DateTimeField(blank=True, null=True)),
    ]
