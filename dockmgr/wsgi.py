"""The WSGI entry for gunicorn: `gunicorn dockmgr.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
application = get_wsgi_application()
