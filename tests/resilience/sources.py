"""The code of the two sites, a Django project and a Flask app; braces are for ``str.format()``."""

from __future__ import annotations

#: ``token`` is not unique: that a write is done once is for the tests to see.
TABLE = "CREATE TABLE item (id bigserial PRIMARY KEY, token text NOT NULL)"

SETTINGS = """
from math import inf
from ppg_integrations.django import databases
SECRET_KEY = "for tests only"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
INSTALLED_APPS = ["ppg_integrations.django", "shop"]
DATABASES = databases({env_file!r}, **{options})
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "shop.urls"
LOGGING = {{
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {{"console": {{"class": "logging.StreamHandler"}}}},
    "root": {{"handlers": ["console"], "level": "WARNING"}},
}}
"""

DJANGO_URLS = """
import os, sys
from django.db import connection, transaction
from django.http import JsonResponse
from django.urls import path
from shop.models import Item

def answer():
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_user")
        return JsonResponse({"role": cursor.fetchone()[0], "pid": os.getpid()})

def alive(request):
    return JsonResponse({})

def read(request):
    Item.objects.order_by("id").first()
    return answer()

def write(request, token):
    with transaction.atomic():
        Item.objects.create(token=token)
        return answer()

def failed(request):
    kind, error, _ = sys.exc_info()
    return JsonResponse({"error": f"{kind.__name__}: {error}", "pid": os.getpid()}, status=500)

handler500 = failed
urlpatterns = [path("", alive), path("read", read), path("write/<token>", write)]
"""

DJANGO_MODELS = """
from django.db import models

class Item(models.Model):
    token = models.TextField()

    class Meta:
        db_table = "item"
"""

FLASK = """
import os
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from ppg_integrations.flask import PPG
from sqlalchemy import text

db = SQLAlchemy()
app = Flask(__name__)
app.config.update(PPG_ENV_FILE={env_file!r}, **{options})
PPG(app)
db.init_app(app)

class Item(db.Model):
    __tablename__ = "item"
    id = db.Column(db.Integer, primary_key=True)
    token = db.Column(db.Text, nullable=False)

def answer():
    return {{"role": db.session.scalar(text("SELECT session_user")), "pid": os.getpid()}}

@app.get("/")
def alive():
    return {{}}

@app.get("/read")
def read():
    db.session.scalar(db.select(Item).order_by(Item.id).limit(1))
    return answer()

@app.post("/write/<token>")
def write(token):
    with db.session.begin():
        db.session.add(Item(token=token))
        db.session.flush()
        return answer()

@app.errorhandler(500)
def failed(error):
    cause = error.original_exception
    return {{"error": f"{{type(cause).__name__}}: {{cause}}", "pid": os.getpid()}}, 500
"""

FLASK_ASGI = """
from a2wsgi import WSGIMiddleware
from shop import app
application = WSGIMiddleware(app, workers=8)
"""
