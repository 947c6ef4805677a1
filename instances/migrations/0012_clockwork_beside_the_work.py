from django.db import migrations

TASKS = ("dockmgr.follow_up", "dockmgr.recover")


def leave_it_to_the_workers(apps, _schema_editor):
    """Every worker does these beside its work; a message for them would only stand in line."""
    schedule = apps.get_model("django_celery_beat", "PeriodicTask")
    schedule.objects.filter(task__in=TASKS).update(enabled=False)


def have_beat_send_them(apps, _schema_editor):
    schedule = apps.get_model("django_celery_beat", "PeriodicTask")
    schedule.objects.filter(task__in=TASKS).update(enabled=True)


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0011_causes_of_several_parts"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(leave_it_to_the_workers, have_beat_send_them)]
