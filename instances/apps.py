"""The Django application that holds the domain."""

from typing import Any

from django.apps import AppConfig
from django.core.exceptions import ValidationError


class InstancesConfig(AppConfig):
    name = "instances"
    verbose_name = "Fleet"

    def ready(self) -> None:
        """A crontab whose time zone this machine does not know is read all the same, with the zone's name.

        Which there are depends on the machine. One that is not there would end every look at the schedule.
        """
        from django_celery_beat.models import CrontabSchedule

        field: Any = CrontabSchedule._meta.get_field("timezone")
        zone_of = field.to_python

        def zone_or_name(value: Any, *_context: Any) -> Any:
            try:
                return zone_of(value)
            except ValidationError:
                return value

        field.to_python = field.from_db_value = zone_or_name
