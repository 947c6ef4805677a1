from django.db import migrations

import instances.models.storable


class Migration(migrations.Migration):
    dependencies = [("instances", "0032_placement")]

    operations = [
        migrations.AddField("apitoken", name, instances.models.storable.JSONField(blank=True, default=list))
        for name in ("customers", "plans", "hosts")
    ]
