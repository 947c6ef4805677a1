from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("instances", "0033_token_limits")]

    operations = [
        migrations.AddField("channel", "incidents", models.BooleanField(default=True)),
        migrations.AddField("channel", "operations", models.BooleanField(default=False)),
        migrations.AddConstraint(
            "channel",
            models.CheckConstraint(
                condition=Q(incidents=True) | Q(operations=True), name="channel_is_told_of_something"
            ),
        ),
    ]
