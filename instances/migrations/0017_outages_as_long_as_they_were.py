from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0016_former_values")]

    operations = [
        migrations.AddField("health", "restarts_helped", models.PositiveIntegerField(default=0)),
        migrations.AddField("health", "noticed_at", models.DateTimeField(null=True, blank=True)),
        migrations.AddField("incident", "downtime_at_most", models.FloatField(default=0)),
        migrations.AddField("incident", "well_at", models.DateTimeField(null=True, blank=True)),
    ]
