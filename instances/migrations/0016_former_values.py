from django.db import migrations

from instances.models.encrypted import Encrypted


class Migration(migrations.Migration):
    dependencies = [("instances", "0015_who_paused_and_request_ids")]

    operations = [
        migrations.AddField("instance", "former_values", Encrypted(default=None, editable=False, null=True)),
        migrations.AddField("plan", "former_values", Encrypted(default=None, editable=False, null=True)),
    ]
