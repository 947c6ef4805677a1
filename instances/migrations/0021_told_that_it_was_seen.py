"""Services with incidents of their own are told once that one of ours was acknowledged."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0020_container_identity")]

    operations = [
        migrations.AddField("notifiedstate", "acknowledged", models.BooleanField(default=False)),
    ]
