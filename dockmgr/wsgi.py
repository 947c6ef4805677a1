"""The WSGI entry for gunicorn: `gunicorn dockmgr.wsgi`."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

from dockmgr.start import warn_of_weak_key, wrong_keys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
REFUSED = 4  # gunicorn's code for an application that can't be loaded: it starts no second process

try:
    application = get_wsgi_application()
    refusal = wrong_keys()
    warn_of_weak_key()
except ImproperlyConfigured as error:
    refusal = str(error)
if refusal:
    sys.stderr.write(f"{refusal}\n")
    sys.exit(REFUSED)
