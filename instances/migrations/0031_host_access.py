"""How adopted containers reach their hosts: what is there by now was accepted by whoever adopted them."""

from django.db import migrations

import instances.models.encrypted
from instances.containers import host_access
from instances.errors import UnreadableSecret


def accept_what_is_there(apps, _schema_editor):
    rows = apps.get_model("instances", "Instance").objects.filter(decommissioned_at=None)
    for row in rows.exclude(container="").only("adopted").iterator():
        try:
            found = host_access.reach((row.adopted or {}).get("HostConfig") or {})
        except UnreadableSecret:
            continue
        if found:
            row.host_access = {"items": list(found), "by": "before it was asked for", "at": ""}
            row.save(update_fields=["host_access"])


class Migration(migrations.Migration):
    dependencies = [("instances", "0030_image_policy")]
    operations = [
        migrations.AddField(
            model_name="instance",
            name="host_access",
            field=instances.models.encrypted.Encrypted(default=None, editable=False, null=True, strict=True),
        ),
        migrations.RunPython(accept_what_is_there, migrations.RunPython.noop),
    ]
