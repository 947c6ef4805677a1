"""Wiring: settings, the Celery application, URLs. No domain lives here."""
