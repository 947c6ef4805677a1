"""Celery imports its application before Django is set up, in every process that begins anew."""

from __future__ import annotations

import subprocess
import sys

from celery.app.utils import filter_hidden_settings

import tasks.app  # noqa: F401  which says what is hidden

SENTINEL = "redis://user:s3ntinel@host/0"
SECRETS = "CELERY_BROKER_URL DATABASE_URL DATABASES ENCRYPTION_KEYS HEARTBEAT_URL METRICS_TOKEN SECRET_KEY"


def test_a_worker_that_is_ready_has_what_it_loaded_left_alone_by_the_garbage_collector() -> None:
    told = "gc.get_threshold() == dockmgr.celery.GARBAGE and gc.get_freeze_count() > 10_000"
    code = f"import gc, dockmgr.celery; dockmgr.celery.look_for_garbage_less_often(); print({told})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_what_celery_shows_of_the_settings_holds_no_secret() -> None:
    shown = filter_hidden_settings(dict.fromkeys(SECRETS.split(), SENTINEL) | {"CELERY_TIMEZONE": "UTC"})
    assert SENTINEL not in str(shown) and shown["CELERY_TIMEZONE"] == "UTC"
