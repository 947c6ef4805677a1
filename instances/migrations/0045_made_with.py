from django.db import migrations

from instances.models.storable import JSONField


class Migration(migrations.Migration):
    dependencies = [("instances", "0044_sweep_progress")]
    operations = [
        migrations.AddField(
            model_name="instance", name="made_with", field=JSONField(blank=True, default=None, null=True)
        )
    ]
