"""The Django application that holds the domain."""

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    name = "instances"
    verbose_name = "Fleet"
