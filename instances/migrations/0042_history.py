"""The history of checks in a table of its own, partitioned by day on PostgreSQL, and its sums.

Nothing is done to the table there is: processes of the former release go on writing to it, and what is in
it is moved on in small steps afterwards (`instances/fleet/former_checks.py`). So this takes no time and
locks nothing, however long the history is.
"""

from datetime import UTC, datetime

import django.db.models.deletion
from django.db import migrations, models

from instances.db import partitions

SCHEDULE = ("dockmgr keep history", "dockmgr.keep_history", 300)
PARTITIONED = """
CREATE SEQUENCE instances_check_id_seq;
CREATE TABLE instances_check (
    checked_at timestamp with time zone NOT NULL,
    id bigint NOT NULL DEFAULT nextval('instances_check_id_seq'),
    instance_id bigint NOT NULL,
    sweep_id uuid,
    latency_ms integer,
    http_status smallint,
    consecutive_failures smallint NOT NULL,
    outcome smallint NOT NULL,
    status smallint NOT NULL,
    container_state smallint NOT NULL,
    reason varchar(32) NOT NULL,
    error varchar(255) NOT NULL
) PARTITION BY RANGE (checked_at);
ALTER SEQUENCE instances_check_id_seq OWNED BY instances_check.id;
CREATE INDEX check_of_instance ON instances_check (instance_id);
CREATE INDEX check_at_time ON instances_check USING brin (checked_at, id) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE instances_check_default PARTITION OF instances_check DEFAULT
"""


class CreatePartitioned(migrations.CreateModel):
    """`CreateModel`, by PostgreSQL with partitions and with a summary by blocks in place of an index by time."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        for statement in PARTITIONED.split(";\n"):
            schema_editor.execute(statement)


def fill(apps, editor):
    if editor.connection.vendor == "postgresql":
        partitions.make("instances_check", partitions.wanted(datetime.now(UTC).date()))
    name, task, seconds = SCHEDULE
    interval_schedule = apps.get_model("django_celery_beat", "IntervalSchedule")
    interval, _ = interval_schedule.objects.get_or_create(every=seconds, period="seconds")
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=name, defaults={"task": task, "interval": interval}
    )


def sums(name, number):
    return migrations.CreateModel(
        name=name,
        fields=[
            ("at", models.DateTimeField()),
            (
                "instance",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="+",
                    to="instances.instance",
                ),
            ),
            ("latency_min", models.IntegerField(null=True)),
            ("latency_avg", models.IntegerField(null=True)),
            ("latency_max", models.IntegerField(null=True)),
            (
                "pk",
                models.CompositePrimaryKey(
                    "instance_id", "at", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("kept", number(default=0)),
            ("failures", number(default=0)),
            ("unknown", number(default=0)),
            ("up", number(default=0)),
            ("down", number(default=0)),
        ],
        options={"abstract": False},
    )


class Migration(migrations.Migration):

    dependencies = [
        ("instances", "0041_last_sweep"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RenameModel("HealthCheck", "FormerCheck"),
                migrations.AlterModelTable("FormerCheck", "instances_healthcheck"),
                migrations.AlterModelOptions("FormerCheck", {"default_permissions": ()}),
                migrations.AlterField(
                    "FormerCheck", "status", models.CharField(max_length=10)
                ),
                migrations.AlterField(
                    "FormerCheck",
                    "instance",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="instances.instance",
                    ),
                ),
                migrations.AlterField(
                    "FormerCheck",
                    "sweep",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="instances.sweep",
                    ),
                ),
            ],
        ),
        CreatePartitioned(
            name="HealthCheck",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("checked_at", models.DateTimeField()),
                (
                    "instance",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="checks",
                        to="instances.instance",
                    ),
                ),
                (
                    "sweep",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="checks",
                        to="instances.sweep",
                    ),
                ),
                ("latency_ms", models.IntegerField(null=True)),
                ("http_status", models.SmallIntegerField(null=True)),
                ("consecutive_failures", models.SmallIntegerField()),
                ("outcome", models.SmallIntegerField()),
                ("status", models.SmallIntegerField()),
                ("container_state", models.SmallIntegerField()),
                ("reason", models.CharField(blank=True, max_length=32)),
                ("error", models.CharField(blank=True, max_length=255)),
            ],
            options={
                "db_table": "instances_check",
                "indexes": [
                    models.Index(fields=["instance"], name="check_of_instance"),
                    models.Index(fields=["checked_at"], name="check_at_time"),
                ],
            },
        ),
        sums("CheckHour", models.SmallIntegerField),
        sums("CheckDay", models.IntegerField),
        migrations.CreateModel(
            name="HistoryProgress",
            fields=[
                ("name", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("instance_id", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
