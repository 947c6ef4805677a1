"""Wiring: settings, the Celery application, URLs. No domain lives here."""

__version__ = "0.2.0.dev0"  # `.devN` until CHANGELOG.md gives it a heading of its own
