"""Settings of the guestbook. Values come from the environment first, then from ``.env``."""

import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key
from dotenv import dotenv_values

from ppg_integrations.django import databases

BASE_DIR = Path(__file__).resolve().parent.parent
ENV = {**dotenv_values(BASE_DIR / ".env"), **os.environ}

DEBUG = (ENV.get("DEBUG") or "0").lower() in {"1", "true", "yes", "on"}
# A new key at each start is fine for development (it only ends sessions). Without DEBUG the key
# stays empty until SECRET_KEY is set, and Django refuses to use it: several workers that each made
# up a key of their own would not accept each other's sessions.
SECRET_KEY = ENV.get("SECRET_KEY") or (get_random_secret_key() if DEBUG else "")
# With DEBUG on and nothing listed, Django itself allows localhost and nothing else.
ALLOWED_HOSTS = (ENV.get("ALLOWED_HOSTS") or "").replace(",", " ").split()
CSRF_TRUSTED_ORIGINS = (ENV.get("CSRF_TRUSTED_ORIGINS") or "").replace(",", " ").split()
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE = not DEBUG

INSTALLED_APPS = [
    "ppg_integrations.django",  # first, so that its `migrate` and friends win
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "guestbook",
]

# Requests use the pooled URL, migrations and the other direct commands the direct one.
DATABASES = databases(env_file=BASE_DIR / ".env")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
TIME_ZONE = "UTC"
USE_TZ = True

# Django's default sends errors to ADMINS only; a container wants them on standard error.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
