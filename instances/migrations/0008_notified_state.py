from django.db import migrations


class Migration(migrations.Migration):
    """Only the class has another name; its table keeps the one it had."""

    dependencies = [("instances", "0007_selections_in_turns")]

    operations = [
        migrations.AlterModelTable(name="told", table="instances_told"),
        migrations.RenameModel(old_name="Told", new_name="NotifiedState"),
    ]
