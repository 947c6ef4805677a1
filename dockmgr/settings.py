"""Django and Celery settings; the only reader of the environment (names in docs/settings.md)."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from urllib.parse import quote

from django.core.management.utils import get_random_secret_key
from kombu import Exchange, Queue

from dockmgr import __version__, forms, keys
from dockmgr.broker import broker
from dockmgr.database import SQLITE_OPTIONS as SQLITE_OPTIONS
from dockmgr.database import database
from dockmgr.environment import TEN_YEARS, Environment
from dockmgr.packages import folder_of
from dockmgr.web_names import web_names
from instances.limits import LONGEST_WATCH
from tasks.policies import POLICIES

DAY, LONGEST_TIMEOUT = 86400, 300  # seconds
env = Environment(os.environ)
BASE_DIR = Path(__file__).resolve().parent.parent

# --- dockmgr -----------------------------------------------------------------------------------
VERSION = __version__
HOME = env.path("DOCKMGR_HOME", Path("~/.dockmgr"))
STATE_FILE = env.path("DOCKMGR_STATE_FILE", Path("~/.openclaw/data/docker-manager-state.json"))
DOCKER_HOST = forms.engine("DOCKER_HOST", env.text("DOCKER_HOST", "unix:///var/run/docker.sock"))

SWEEP_INTERVAL = env.whole("DOCKMGR_SWEEP_INTERVAL", 900, least=1, most=TEN_YEARS)
RECHECK_INTERVAL = env.seconds("DOCKMGR_RECHECK_INTERVAL", 30, least=0.1)
PROBE_TIMEOUT = env.seconds("DOCKMGR_PROBE_TIMEOUT", 5, least=0.1, most=LONGEST_TIMEOUT)
CHECKS = env.choice("DOCKMGR_CHECKS", "BULK", ("BULK", "STOCK")).lower()
FAILURE_THRESHOLD = env.whole("DOCKMGR_FAILURE_THRESHOLD", 3, least=1)
SUCCESS_THRESHOLD = env.whole("DOCKMGR_SUCCESS_THRESHOLD", 2, least=1)
RESTART_LIMIT = env.whole("DOCKMGR_RESTART_LIMIT", 3)
RESTART_BACKOFF = env.seconds("DOCKMGR_RESTART_BACKOFF", 20, most=DAY)
SLOW_RETRY = env.seconds("DOCKMGR_SLOW_RETRY", 900, least=1, most=3600)
SLOW_RETRY_EVERY = env.seconds("DOCKMGR_SLOW_RETRY_EVERY", 3600, least=1, most=3600)
CRITICAL_AFTER = env.seconds("DOCKMGR_CRITICAL_AFTER", 600)
HOLD = env.seconds("DOCKMGR_HOLD", 30)
REOPEN_WITHIN = env.seconds("DOCKMGR_REOPEN_WITHIN", 600)
FLAPS_ALLOWED = env.whole("DOCKMGR_FLAPS_ALLOWED", 3, least=1)
FLAP_WINDOW = env.seconds("DOCKMGR_FLAP_WINDOW", 3600)
FLAPPING_CLEAN = env.seconds("DOCKMGR_FLAPPING_CLEAN", 900)
HOST_ASK_INTERVAL = env.seconds("DOCKMGR_HOST_ASK_INTERVAL", 10, least=0.1)
HOST_INTERVAL = env.seconds("DOCKMGR_HOST_INTERVAL", 60, least=1, most=240)
ORPHANS_INTERVAL = env.seconds("DOCKMGR_ORPHANS_INTERVAL", 900)
CERTIFICATE_DAYS = env.days("DOCKMGR_CERTIFICATE_DAYS", 14)
HOST_GRACE = env.seconds("DOCKMGR_HOST_GRACE", 120)
WAVE_WINDOW = env.seconds("DOCKMGR_WAVE_WINDOW", 120)
WAVE_LEAST = env.whole("DOCKMGR_WAVE_LEAST", 5, least=2)
WAVE_PERCENT = env.whole("DOCKMGR_WAVE_PERCENT", 30, least=1)
REMIND_CRITICAL = env.seconds("DOCKMGR_REMIND_CRITICAL", 3600, least=1)
REMIND_WARNING = env.seconds("DOCKMGR_REMIND_WARNING", 4 * 3600, least=1)
WATCH_INTERVAL = env.seconds("DOCKMGR_WATCH_INTERVAL", 2, least=0.1, most=LONGEST_WATCH)
EVENTS = env.flag("DOCKMGR_EVENTS", True)
LOOK_INTERVAL = env.seconds("DOCKMGR_LOOK_INTERVAL", 60)  # 0: none
USAGE_INTERVAL = env.seconds("DOCKMGR_USAGE_INTERVAL", 60)  # 0: none
DISK_INTERVAL = env.seconds("DOCKMGR_DISK_INTERVAL", 3600)  # 0: none
OUTSIDE_INTERVAL = env.seconds("DOCKMGR_OUTSIDE_INTERVAL", 900)  # 0: none
OUTSIDE_PRIVATE = env.flag("DOCKMGR_OUTSIDE_PRIVATE", False)
LOG_STREAMS = env.whole("DOCKMGR_LOG_STREAMS", 1000)  # 0: none
LIST_INTERVAL = env.seconds("DOCKMGR_LIST_INTERVAL", 30)  # 0: none
DELIVERY_TIMEOUT = env.seconds("DOCKMGR_DELIVERY_TIMEOUT", 10, least=0.5, most=LONGEST_TIMEOUT)
DELIVERY_GIVE_UP = env.seconds("DOCKMGR_DELIVERY_GIVE_UP", 24 * 3600)
ALIVE_FILE = env.optional_path("DOCKMGR_ALIVE_FILE")
OPERATOR = env.text("DOCKMGR_AS", "")
ASK_WHO = env.flag("DOCKMGR_ASK_WHO", False)
PUBLIC_URL = env.text("DOCKMGR_PUBLIC_URL", "").rstrip("/")
HEARTBEAT_URL = forms.address("DOCKMGR_HEARTBEAT_URL", env.secret("DOCKMGR_HEARTBEAT_URL"))
METRICS_TOKEN = forms.token("DOCKMGR_METRICS_TOKEN", env.secret("DOCKMGR_METRICS_TOKEN"))
ENGINE_TIMEOUT = env.seconds("DOCKMGR_ENGINE_TIMEOUT", 10, least=0.5, most=LONGEST_TIMEOUT)
RESTARTS_PER_HOST = env.whole("DOCKMGR_RESTARTS_PER_HOST", 4, least=1)
HISTORY_EVERY = env.seconds("DOCKMGR_HISTORY_EVERY", 600)  # 0: each check
HISTORY_DAYS = env.days("DOCKMGR_HISTORY_DAYS", 7, least=1)
HOURLY_DAYS = env.days("DOCKMGR_HOURLY_DAYS", 35, least=3)
DAILY_DAYS = env.days("DOCKMGR_DAILY_DAYS", 730, least=35)
LAST_WORDS_DAYS = env.days("DOCKMGR_LAST_WORDS_DAYS", 30, least=1)
RECORD_DAYS = env.days("DOCKMGR_RECORD_DAYS", 400, least=1)
API_RATE = env.whole("DOCKMGR_API_RATE", 600, least=1)
TRUSTED_PROXIES = env.whole("DOCKMGR_TRUSTED_PROXIES", 0)
LEASE_SECONDS = env.seconds("DOCKMGR_LEASE", 30, least=1, most=3600)

SECRET_KEY = env.secret("DOCKMGR_SECRET_KEY") or keys.kept(HOME / "secret.key", get_random_secret_key)
ENCRYPTION_KEYS = keys.fernet_keys(
    "DOCKMGR_ENCRYPTION_KEYS",
    env.secret("DOCKMGR_ENCRYPTION_KEYS") or keys.kept(HOME / "encryption.key", keys.new_fernet_key),
)

# --- Django ------------------------------------------------------------------------------------
DEBUG = env.flag("DOCKMGR_DEBUG", False)
NAMES = web_names("DOCKMGR_PUBLIC_URL", PUBLIC_URL)
FORCE_SCRIPT_NAME = NAMES.prefix or None
ALLOWED_HOSTS = forms.hosts("DOCKMGR_ALLOWED_HOSTS", env.words("DOCKMGR_ALLOWED_HOSTS", NAMES.hosts))
CSRF_TRUSTED_ORIGINS = forms.origins(
    "DOCKMGR_TRUSTED_ORIGINS", env.words("DOCKMGR_TRUSTED_ORIGINS", NAMES.origins)
)
API_PAGES = folder_of("ninja")  # no app: every command would import it, and only the web serves the API
ROOT_URLCONF = "dockmgr.urls"
WSGI_APPLICATION = "dockmgr.wsgi.application"
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin.apps.SimpleAdminConfig",  # the desk is imported with the URLs, by who serves it
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "instances",
]
MIDDLEWARE = [
    "dockmgr.headers.head_middleware",
    "dockmgr.probes.probes_middleware",
    "instances.api.middleware.ApiMiddleware",
    "dockmgr.headers.charset_middleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "instances.admin.signed_out.signed_out_middleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "dockmgr.headers.headers_middleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Ours come before those of the admin they replace.
        "DIRS": [BASE_DIR / "instances" / "templates", API_PAGES / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "dockmgr.formats"
STATIC_URL = f"{NAMES.prefix}/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [folder for folder in [API_PAGES / "static"] if folder.is_dir()]  # the image collected it
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
UNFOLD = {
    "SITE_TITLE": "dockmgr",
    "SITE_HEADER": "dockmgr",
    "SITE_SYMBOL": "dock",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "instances.admin.dashboard.fill",
    "SIDEBAR": {"navigation": "instances.admin.navigation.groups"},
}

# --- Web security ------------------------------------------------------------------------------
HTTPS = env.flag("DOCKMGR_HTTPS", NAMES.https)
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]  # asked from inside, where there is no TLS
SECURE_HSTS_SECONDS = env.whole("DOCKMGR_HSTS", 365 * 86400, most=TEN_YEARS) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = env.whole("DOCKMGR_SESSION", 12 * 3600, least=60, most=TEN_YEARS)
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
LOGIN_FAILURES_ALLOWED = env.whole("DOCKMGR_LOGIN_FAILURES", 10, least=1)  # per address and user name
LOGIN_FAILURE_WINDOW = env.seconds("DOCKMGR_LOGIN_WINDOW", 600, least=1)
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # bytes; no more are waited for (web_worker, deploy/Caddyfile)
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"

# --- Database ----------------------------------------------------------------------------------
STATEMENT_SECONDS = env.seconds("DOCKMGR_STATEMENT_TIMEOUT", 8, least=1, most=3600)
DATABASE_URL = env.secret("DATABASE_URL") or f"sqlite:///{quote(str(HOME / 'dockmgr.sqlite3'))}"
DATABASES = {"default": database(DATABASE_URL, STATEMENT_SECONDS)}

# --- Celery ------------------------------------------------------------------------------------
EMBEDDED_BROKER = HOME / "redis.sock"
CELERY_BROKER_URL = broker(
    env.secret("DOCKMGR_BROKER_URL") or f"redis+socket://{quote(str(EMBEDDED_BROKER))}"
)
BROKER_PREFIX = forms.prefix(
    "DOCKMGR_BROKER_PREFIX", env.text("DOCKMGR_BROKER_PREFIX", "")
)  # keeps several installations on one Redis apart
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_RESULT_EXPIRES = 3600
CELERY_RESULT_BACKEND_THREAD_SAFE = True
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"global_keyprefix": BROKER_PREFIX}
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # a refusal of Redis passes; it would end the worker else
# The visibility timeout is longer than any task. A killed worker's operation does not wait for it:
# its lease in the database runs out first, and any worker takes it over.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": BROKER_PREFIX,
    "visibility_timeout": 3600,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "max_connections": 300,
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_TASK_DEFAULT_QUEUE = "operations"
# `notifications` carries what tells somebody outside on request: a channel's test, a sweep's ping.
# `celery` is where other services' messages land that name a task and no queue.
CELERY_TASK_QUEUES = [
    Queue(name, Exchange(name), routing_key=name)
    for name in ("health", "operations", "notifications", "celery")
]
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_ROUTES = {name: {"queue": policy.queue} for name, policy in POLICIES.items()}
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = env.whole("DOCKMGR_WORKER_THREADS", 50, least=1, most=1000)
CELERY_WORKER_PREFETCH_MULTIPLIER = 2
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BEAT_SCHEDULER = "tasks.beat:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
CELERY_IMPORTS = (
    "tasks.inspection",
    "tasks.checks",
    "tasks.heartbeat",
    "tasks.operations",
    "tasks.bulk",
    "tasks.maintenance",
)
DJANGO_CELERY_BEAT_TZ_AWARE = True

# --- Logs --------------------------------------------------------------------------------------
LOG_LEVEL = env.choice("DOCKMGR_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
# A person at a terminal gets the command's own output; its log only when it is a warning or asked for.
COMMAND_LOG_LEVEL = env.choice("DOCKMGR_LOG_LEVEL", "WARNING", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_FORMAT = env.choice("DOCKMGR_LOG_FORMAT", "PLAIN", ("PLAIN", "JSON")).lower()
QUIET = ("celery.app.trace", "celery.worker.strategy", "celery.beat", "celery.pool", "kombu", "amqp")
OF_THE_BROKER = (
    *("celery.worker", "celery.worker.consumer.connection", "celery.worker.request", "celery.bootsteps"),
    *("kombu.transport.redis", "kombu.asynchronous.hub", "py.warnings"),
)
logging.raiseExceptions = False  # a log that can't be written would show the line past the filter
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "redact": {"()": "instances.lib.redact.RedactingFilter"},
        "bodiless": {"()": "dockmgr.logs.filters.BodilessFilter"},
        "brief": {"()": "dockmgr.logs.filters.BriefFilter"},
        "broker": {"()": "dockmgr.logs.filters.BrokerFilter"},
        "refusal": {"()": "dockmgr.logs.filters.RefusalFilter"},
    },
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "json": {"()": "dockmgr.logs.format.JsonFormatter"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "filters": ["redact", "refusal"],
            "formatter": LOG_FORMAT,
        },
        "nowhere": {"class": "logging.NullHandler"},
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        **{name: {"level": LOG_LEVEL} for name in ("instances", "tasks", "dockmgr", "celery")},
        # A line per message would cost more than its check; the pool's would show what messages hold.
        **{name: {"level": "WARNING", "filters": ["broker"]} for name in QUIET},
        # These show hosts and parts of URLs, which are secrets.
        "apprise": {"level": "WARNING", "handlers": ["nowhere"], "propagate": False},
        "urllib3": {"level": "CRITICAL", "handlers": ["nowhere"], "propagate": False},
        "django_celery_beat.schedulers": {"filters": ["brief"]},
        "celery.worker.consumer.consumer": {"filters": ["broker", "bodiless"]},
        **{name: {"filters": ["broker"]} for name in OF_THE_BROKER},
    },
}
