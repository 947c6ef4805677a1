from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0025_when_a_purge_was_tried")]

    operations = [
        migrations.AddField(
            "channel", "refusals", models.PositiveIntegerField(default=0, editable=False)
        ),
    ]
