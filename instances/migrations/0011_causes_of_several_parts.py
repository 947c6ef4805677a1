from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0010_watched_operations")]

    operations = [migrations.AlterField("incident", "cause", models.CharField(blank=True, max_length=128))]
