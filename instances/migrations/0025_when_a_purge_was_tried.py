"""Data that waits to be removed: when that was tried last."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0024_followed_engines")]

    operations = [
        migrations.AddField("pendingpurge", "tried_at", models.DateTimeField(blank=True, null=True)),
    ]
