"""The code of the sites, but for how they connect: :mod:`.sites`."""

from __future__ import annotations

DJANGO_SETTINGS = """\
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for benchmarks only"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
INSTALLED_APPS = ["shop"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING_CONFIG = None
"""

DJANGO_MODELS = """\
from django.db import models

class Item(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.TextField()
    count = models.IntegerField()

    class Meta:
        db_table = "item"
"""

DJANGO_URLS = """\
import itertools, sys
from django.db.models import F
from django.http import HttpResponse, JsonResponse
from django.urls import path
from shop.models import Item

turn = itertools.count()

def one_of(number):
    return Item.objects.get(pk=number % 100 + 1).name

def alive(request):
    return JsonResponse({})

def one(request):
    return JsonResponse({"name": one_of(next(turn))})

def ten(request):
    first = next(turn)
    return JsonResponse({"names": [one_of(first + more) for more in range(10)]})

def write(request):
    Item.objects.filter(pk=next(turn) % 100 + 1).update(count=F("count") + 1)
    return JsonResponse({})

def failed(request):
    kind, error, _ = sys.exc_info()
    return HttpResponse(f"{kind.__name__}: {error}", status=500, content_type="text/plain")

handler500 = failed
urlpatterns = [path("", alive), path("one", one), path("ten", ten), path("write", write)]
"""

#: What stands before the lines that connect, and after them.
FLASK_APP = (
    """\
import itertools, os
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
# As SQLAlchemy 2.0 and 2.1 both take it for psycopg 3.
URI = os.environ.get("DATABASE_URL", "").replace("postgresql://", "postgresql+psycopg://", 1)
""",
    """
db = SQLAlchemy(app)
turn = itertools.count()

class Item(db.Model):
    __tablename__ = "item"
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.Text, nullable=False)
    count = db.Column(db.Integer, nullable=False)

def one_of(number):
    return db.session.scalars(db.select(Item).filter_by(id=number % 100 + 1)).one().name

@app.get("/")
def alive():
    return {}

@app.get("/one")
def one():
    return {"name": one_of(next(turn))}

@app.get("/ten")
def ten():
    first = next(turn)
    return {"names": [one_of(first + more) for more in range(10)]}

@app.get("/write")
def write():
    found = db.update(Item).filter_by(id=next(turn) % 100 + 1).values(count=Item.count + 1)
    db.session.execute(found)
    db.session.commit()
    return {}

@app.errorhandler(500)
def failed(error):
    cause = error.original_exception
    return f"{type(cause).__name__}: {cause}", 500
""",
)

ASGI = {
    "Django": (
        "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
    ),
    "Flask": (
        "from a2wsgi import WSGIMiddleware\nfrom shop import app\n"
        "application = WSGIMiddleware(app, workers=8)\n"
    ),
}
