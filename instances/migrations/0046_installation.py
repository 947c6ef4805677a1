"""The installation's name on engines is kept: not every way of copying a database takes its migrations along."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def keep(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    from instances.models.installation import NAME, from_the_beginning

    value = from_the_beginning(schema_editor.connection)
    if value:
        apps.get_model("instances", "Applied").objects.get_or_create(name=NAME, defaults={"value": value})


class Migration(migrations.Migration):
    dependencies = [("instances", "0045_made_with")]

    operations = [migrations.RunPython(keep, migrations.RunPython.noop)]
