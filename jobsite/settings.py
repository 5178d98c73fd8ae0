"""The project's settings. The only module that reads the environment."""

from pathlib import Path

import django
import environ

from jobsite import addresses
from jobsite.mail import mail_settings

BASE_DIR = Path(__file__).resolve().parent.parent
# What the demo and a development server store: database, static files, secrets.
VAR_DIR = Path(environ.FileAwareEnv().str("VAR_DIR", default=str(BASE_DIR / "var")))
# Where Valkey and the partners are while the demo runs here: it takes other ports where the usual ones are in use.
DEMO_ADDRESSES = VAR_DIR / "addresses.json"
_running = addresses.running(DEMO_ADDRESSES)

env = environ.FileAwareEnv(
    DEBUG=(bool, False),
    HTTPS=(bool, False),
    SECRET_KEY=(str, "only-for-tests-and-checks"),
    ALLOWED_HOSTS=(list, ["127.0.0.1", "localhost"]),
    CSRF_TRUSTED_ORIGINS=(list, []),
    DATABASE_URL=(str, f"sqlite:///{VAR_DIR / 'jobsite.sqlite3'}"),
    REDIS_URL=(str, _running.get("REDIS_URL", "redis://127.0.0.1:6379/0")),
    EMAIL_URL=(str, _running.get("EMAIL_URL", "smtp://127.0.0.1:2525")),
    PAYMENTS_URL=(str, _running.get("PAYMENTS_URL", "http://127.0.0.1:8101")),
    WAREHOUSE_URL=(str, _running.get("WAREHOUSE_URL", "http://127.0.0.1:8102")),
    LISTS_URL=(str, _running.get("LISTS_URL", "http://127.0.0.1:8104")),
    MAILBOX_URL=(str, _running.get("MAILBOX_URL", "http://127.0.0.1:8103")),
    PAYMENTS_WEBHOOK_SECRET=(str, ""),
    SITE_URL=(str, _running.get("SITE_URL", "http://127.0.0.1:8000")),
    OPERATORS_EMAIL=(str, "operators@example.com"),
    ALERTS_WEBHOOK=(str, ""),
    ALERTS_HEARTBEAT_URL=(str, ""),
    NEWSLETTER_SLICE_SECONDS=(float, 5.0),
    PARTNER_CONNECT_TIMEOUT=(float, 2.0),
    PARTNER_READ_TIMEOUT=(float, 5.0),
    RELEASE=(str, ""),
    METRICS_TOKEN=(str, ""),
    STATSD=(str, ""),
    LOG_LEVEL=(str, "INFO"),
    LOG_FORMAT=(str, "plain"),
)

DEBUG = env("DEBUG")
SECRET_KEY = env("SECRET_KEY")
ALLOWED_HOSTS = env("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env("CSRF_TRUSTED_ORIGINS")
INTERNAL_IPS = ["127.0.0.1"]

INSTALLED_APPS = [
    "orders",
    "jobs",  # before django_rq: ours is the `rqworker` command that wins
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_rq",
]

MIDDLEWARE = [
    # First, so that all that a request logs and enqueues has its id.
    "jobs.middleware.correlation",
    "django.middleware.security.SecurityMiddleware",
    # Django has its own from version 6; ours sends the same settings on 5.2.
    "django.middleware.csp.ContentSecurityPolicyMiddleware"
    if django.VERSION >= (6,)
    else "jobsite.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "jobs.middleware.DatabaseAway",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

SECURE_CSP = {
    "default-src": ["'self'"],
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}
X_FRAME_OPTIONS = "DENY"
# Behind a proxy that ends TLS; without it the demo answers plain HTTP.
HTTPS = env("HTTPS")
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS

ROOT_URLCONF = "jobsite.urls"
WSGI_APPLICATION = "jobsite.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": env.db("DATABASE_URL")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Writers queue up instead of failing: a transaction takes the write lock when it begins.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"] if (BASE_DIR / "static").is_dir() else []

# What is made for customers, such as invoices. No web server serves it: the shop's pages ask who wants it.
MEDIA_ROOT = VAR_DIR / "media"

vars().update(mail_settings(env("EMAIL_URL")))
DEFAULT_FROM_EMAIL = "Jobsite Shop <shop@example.com>"
OPERATORS_EMAIL = env("OPERATORS_EMAIL")
# What links in e-mails begin with.
SITE_URL = env("SITE_URL")

# So long after one another slices of the newsletter's letters start: mail servers take only so many at a time.
NEWSLETTER_SLICE_SECONDS = env("NEWSLETTER_SLICE_SECONDS")

PAYMENTS_URL = env("PAYMENTS_URL")
# What the gateway signs its events with. Without it none is taken.
PAYMENTS_WEBHOOK_SECRET = env("PAYMENTS_WEBHOOK_SECRET")
WAREHOUSE_URL = env("WAREHOUSE_URL")
LISTS_URL = env("LISTS_URL")
MAILBOX_URL = env("MAILBOX_URL")
# Seconds.
PARTNER_CONNECT_TIMEOUT = env("PARTNER_CONNECT_TIMEOUT")
PARTNER_READ_TIMEOUT = env("PARTNER_READ_TIMEOUT")

REDIS_URL = env("REDIS_URL")
RQ = {
    "JOB_CLASS": "jobs.rq_classes.JobsJob",
    "QUEUE_CLASS": "jobs.rq_classes.JobsQueue",
    "WORKER_CLASS": "jobs.worker.worker.JobsWorker",
}
RQ_QUEUES = {
    name: {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 300, "SERIALIZER": "rq.serializers.JSONSerializer"}
    for name in ("critical", "default", "mailers", "external_apis", "low")
}
JOBS = {
    "RELEASE": env("RELEASE"),
    "LOG_FORMAT": env("LOG_FORMAT"),
    "METRICS_TOKEN": env("METRICS_TOKEN"),
    "STATSD": env("STATSD"),
    "ALERTS": {
        "MAIL": [OPERATORS_EMAIL],
        "WEBHOOK": env("ALERTS_WEBHOOK"),
        "HEARTBEAT_URL": env("ALERTS_HEARTBEAT_URL"),
        "SITE_URL": SITE_URL,
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "jobs.logs.Formatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL")},
    "loggers": {
        # RQ sets up handlers of its own and prints arguments in job descriptions.
        "rq": {"level": "WARNING"},
        # The mailbox's SMTP server tells every line of every conversation.
        "mail.log": {"level": "WARNING"},
    },
}
