from django.db import migrations

import instances.models.storable


class Migration(migrations.Migration):
    dependencies = [("instances", "0028_lists_where_events_fail")]

    operations = [
        migrations.AddField("apitoken", name, instances.models.storable.JSONField(blank=True, default=list))
        for name in ("customers", "plans", "hosts")
    ]
