from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0009_operation_incidents")]

    operations = [
        migrations.AddField("operation", "interrupts", models.BooleanField(default=False)),
        migrations.AddField("operation", "handed_over_at", models.DateTimeField(null=True)),
    ]
