from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0027_orphans")]

    operations = [
        migrations.AddField("hostwatch", "events_heard_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("hostwatch", "listed_at", models.DateTimeField(blank=True, null=True)),
    ]
