"""The three plans, the default host, and the clockwork's schedule."""

from django.conf import settings
from django.db import migrations

MB = 1024 * 1024
PLANS = (("free", 0.5, 512 * MB), ("pro", 2.0, 2048 * MB), ("enterprise", 4.0, 4096 * MB))
SWEEP_KWARGS = {"dockmgr.sweep": '{"requested_by": "beat"}'}
SCHEDULE = (
    ("dockmgr follow-up", "dockmgr.follow_up", 2, "seconds"),
    ("dockmgr recover", "dockmgr.recover", 10, "seconds"),
    ("dockmgr tidy up", "dockmgr.tidy_up", 1800, "seconds"),
    ("dockmgr purge history", "dockmgr.purge_history", 1, "days"),
)


def fill(apps, _schema_editor):
    for name, cpus, memory in PLANS:
        apps.get_model("instances", "Plan").objects.get_or_create(
            name=name, defaults={"cpus": cpus, "memory": memory}
        )
    apps.get_model("instances", "Host").objects.get_or_create(name="local")
    interval = settings.SWEEP_INTERVAL
    apps.get_model("instances", "Applied").objects.get_or_create(
        name="DOCKMGR_SWEEP_INTERVAL", defaults={"value": str(interval)}
    )
    for name, task, every, period in (*SCHEDULE, ("dockmgr sweep", "dockmgr.sweep", interval, "seconds")):
        schedule, _ = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
            every=every, period=period
        )
        apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
            name=name, defaults={"task": task, "interval": schedule, "kwargs": SWEEP_KWARGS.get(task, "{}")}
        )


def leave_room_for_updates(_apps, schema_editor):
    """Every check updates its row in place; room in the page keeps that from touching indexes."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE instances_health SET (fillfactor = 70)")


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunPython(leave_room_for_updates, migrations.RunPython.noop),
    ]
