from django.db import migrations, models

from instances.models.encrypted import Encrypted


class Migration(migrations.Migration):
    dependencies = [("instances", "0018_container_options")]

    operations = [
        migrations.AddField("plan", "health", models.JSONField(blank=True, default=dict)),
        migrations.AddField("plan", "health_headers", Encrypted(default=None, editable=False, null=True)),
        migrations.AddField("plan", "generate", models.JSONField(blank=True, default=dict)),
    ]
