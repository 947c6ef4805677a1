"""Wiring: settings, the Celery application, URLs. No domain lives here."""

from dockmgr.celery import app as celery_app

__all__ = ["celery_app"]
