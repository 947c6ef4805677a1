"""Rows are called at the desk as its menu calls them."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0046_installation"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="apitoken",
            options={"verbose_name": "API token"},
        ),
        migrations.AlterModelOptions(
            name="auditentry",
            options={"ordering": ("-at", "-pk"), "verbose_name_plural": "audit log entries"},
        ),
        migrations.AlterModelOptions(
            name="bulk",
            options={"verbose_name": "selection"},
        ),
        migrations.AlterModelOptions(
            name="pendingpurge",
            options={"verbose_name": "volume to be removed", "verbose_name_plural": "data to be removed"},
        ),
    ]
