from django.db import migrations

from django.db.models import JSONField


class Migration(migrations.Migration):
    dependencies = [("instances", "0017_outages_as_long_as_they_were")]

    operations = [
        migrations.AddField("plan", "options", JSONField(blank=True, default=dict)),
        migrations.AddField("instance", "further_ports", JSONField(blank=True, default=dict)),
    ]
