"""A Django project and a Flask app, the same in every configuration but for its database settings.

    with database() as made, tempfile.TemporaryDirectory() as folder:
        site = DJANGO["expert"].site(Path(folder), made.pooled, made.direct)

Each configuration is what its own documentation, named in a comment, tells people to write. All of
them connect through the pooler, with the ``sslmode=require`` of the URL: on loopback
``databases()`` and ``PPG`` take what the URL says.

The views: ``/one`` reads a row, ``/ten`` ten, each by a query of its own; ``/write`` adds one to a
row. ``/`` asks the database nothing. What fails is a status 500 whose body is the error.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ppg_integrations.urls import PostgresURL
from tests.resilience.sites import Site as TestSite

from .sources import ASGI, DJANGO_MODELS, DJANGO_SETTINGS, DJANGO_URLS, FLASK_APP

OURS = "ppg-integrations"
#: The fastest that the settings of an expert get: what nobody can beat by settings alone.
EXPERT = "expert"
#: A login in each request.
NAIVE = "naive: a connection a request"
#: The line of the README of whatever the framework's users take.
README = {"Django": "dj-database-url", "Flask": "Flask-SQLAlchemy"}
CHECKED = "expert, checked"


@dataclass(frozen=True)
class Site(TestSite):
    """One with variables of its own."""

    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """Of its server. Bytecode is written, as everywhere else."""
        made = {**super().environ, **self.variables}
        del made["PYTHONDONTWRITEBYTECODE"]
        return made


@dataclass(frozen=True)
class Configuration:
    """How one project connects.

    Attributes:
        framework: "Django" or "Flask".
        settings: the lines that make the difference.
        env_file: the URLs stand in ``.env``, as this package's README has them; in the
            environment otherwise.
        only: the servers that it is documented for; empty for every one.
        swapped: by mistake each URL stands where the other should.
    """

    framework: str
    settings: str
    env_file: bool = False
    only: tuple[str, ...] = ()
    swapped: bool = False

    def site(self, folder: Path, pooled: PostgresURL, direct: PostgresURL, extra: str = "") -> Site:
        """Writes the project.

        Args:
            folder: its own, which exists.
            extra: more lines of settings, after those of the configuration.
        """
        if self.swapped:
            pooled, direct = direct, pooled
        urls = {"DATABASE_URL": pooled.reveal(), "DIRECT_URL": direct.reveal()}
        env_file = folder / ".env"
        if self.env_file:
            env_file.write_text("".join(f"{name}={url}\n" for name, url in urls.items()))
        site = Site(
            folder,
            env_file,
            "shop.wsgi:application",
            "shop.asgi:application",
            (),
            variables={} if self.env_file else urls,
        )
        lines = textwrap.dedent(self.settings) + extra
        site.write("shop/asgi.py", ASGI[self.framework])
        if self.framework == "Django":
            site.write("shop/__init__.py", "")
            site.write("shop/settings.py", DJANGO_SETTINGS + lines)
            site.write("shop/models.py", DJANGO_MODELS)
            site.write("shop/urls.py", DJANGO_URLS)
            site.write(
                "shop/wsgi.py",
                "from django.core.wsgi import get_wsgi_application\n"
                "application = get_wsgi_application()\n",
            )
        else:
            before, after = FLASK_APP
            site.write("shop/__init__.py", before + lines + after)
            site.write("shop/wsgi.py", "from shop import app as application\n")
        return site


_GTHREAD, _GEVENT = ("gunicorn gthread",), ("gunicorn gevent",)
_POOL = """
import dj_database_url
DATABASES = {{"default": dj_database_url.config()}}
DATABASES["default"].setdefault("OPTIONS", {{}})["pool"] = {}
"""
_EXPERT = """
import dj_database_url
DATABASES = {
    "default": dj_database_url.config(conn_max_age=None, disable_server_side_cursors=True),
    "direct": dj_database_url.config(env="DIRECT_URL"),
}
DATABASES["default"]["OPTIONS"]["prepare_threshold"] = None
"""
_OURS = """
from ppg_integrations.django import databases
INSTALLED_APPS = ["ppg_integrations.django", *INSTALLED_APPS]
DATABASES = databases(env_file=BASE_DIR / ".env")
"""

DJANGO: dict[str, Configuration] = {
    # Django's default, CONN_MAX_AGE=0, which a URL without more gives. The line is that of
    # https://django-environ.readthedocs.io/en/latest/quickstart.html#usage
    NAIVE: Configuration(
        "Django",
        """
        import environ
        env = environ.Env()
        DATABASES = {"default": env.db()}
        """,
    ),
    # https://github.com/jazzband/dj-database-url#usage
    "dj-database-url": Configuration(
        "Django",
        """
        import dj_database_url
        DATABASES = {
            "default": dj_database_url.config(conn_max_age=600, conn_health_checks=True)
        }
        """,
    ),
    # https://docs.djangoproject.com/en/5.2/ref/databases/#connection-pool: four connections
    "native pool": Configuration("Django", _POOL.format(True)),
    # The same for those who count their threads.
    "native pool of 8": Configuration(
        "Django", _POOL.format({"min_size": 8, "max_size": 8}), only=_GTHREAD
    ),
    # https://github.com/altairbow/django-db-connection-pool#postgresql
    "django-db-connection-pool": Configuration(
        "Django",
        """
        import dj_database_url
        DATABASES = {
            "default": dj_database_url.config(engine="dj_db_conn_pool.backends.postgresql")
        }
        """,
    ),
    # https://github.com/jneight/django-db-geventpool#settings
    "django-db-geventpool": Configuration(
        "Django",
        """
        import dj_database_url
        DATABASES = {
            "default": dj_database_url.config(
                engine="django_db_geventpool.backends.postgresql_psycopg3", conn_max_age=0
            )
        }
        DATABASES["default"]["ATOMIC_REQUESTS"] = False
        DATABASES["default"].setdefault("OPTIONS", {}).update(
            {"MAX_CONNS": 20, "REUSE_CONNS": 10, "pool": False}
        )
        """,
        only=_GEVENT,
    ),
    # Whoever knows PgBouncer in transaction mode, and wants nothing but speed: connections are
    # kept for ever, nothing is checked, nothing is left to a session. Migrations go by --database.
    EXPERT: Configuration("Django", _EXPERT),
    # The same under the server of django-db-geventpool: what the server is worth, without a pool.
    "expert, gevent": Configuration("Django", _EXPERT, only=_GEVENT),
    # Whoever knows as well that poolers restart.
    CHECKED: Configuration(
        "Django",
        """
        import dj_database_url
        DATABASES = {
            "default": dj_database_url.config(
                conn_max_age=600, conn_health_checks=True, disable_server_side_cursors=True
            ),
            "direct": dj_database_url.config(env="DIRECT_URL"),
        }
        DATABASES["default"]["OPTIONS"]["prepare_threshold"] = None
        """,
    ),
    # README.md
    OURS: Configuration("Django", _OURS, env_file=True),
}

FLASK: dict[str, Configuration] = {
    # What guides to poolers advise: https://github.com/orgs/supabase/discussions/27071 and
    # https://pablomarti.dev/sqlalchemy-pgbouncer/ among them. The pooler keeps connections, so do
    # not.
    NAIVE: Configuration(
        "Flask",
        """
        from sqlalchemy.pool import NullPool
        app.config["SQLALCHEMY_DATABASE_URI"] = URI
        app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"poolclass": NullPool}
        """,
    ),
    # https://flask-sqlalchemy.readthedocs.io/en/stable/quickstart/#configure-the-extension
    "Flask-SQLAlchemy": Configuration(
        "Flask",
        """
        app.config["SQLALCHEMY_DATABASE_URI"] = URI
        """,
    ),
    # As for Django: nothing but speed, a connection for each thread, and no prepared statements,
    # which psycopg would make after five executions and the pooler's next server not know.
    EXPERT: Configuration(
        "Flask",
        """
        app.config["SQLALCHEMY_DATABASE_URI"] = URI
        app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
            "pool_size": 10,
            "max_overflow": 0,
            "pool_use_lifo": True,
            "connect_args": {"prepare_threshold": None},
        }
        """,
    ),
    # https://docs.sqlalchemy.org/en/20/core/pooling.html#disconnect-handling-pessimistic
    CHECKED: Configuration(
        "Flask",
        """
        app.config["SQLALCHEMY_DATABASE_URI"] = URI
        app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
            "pool_size": 10,
            "max_overflow": 0,
            "pool_use_lifo": True,
            "pool_recycle": 300,
            "pool_pre_ping": True,
            "connect_args": {"prepare_threshold": None},
        }
        """,
    ),
    # docs/reference/flask.md
    OURS: Configuration(
        "Flask",
        """
        from ppg_integrations.flask import PPG
        PPG(app)
        """,
        env_file=True,
    ),
}

FRAMEWORKS = {"Django": DJANGO, "Flask": FLASK}

#: Under ASGI nothing closes persistent connections, and Django's documentation turns them off
#: there: https://docs.djangoproject.com/en/5.2/ref/databases/#persistent-connections. The ways to
#: keep some are Django's pool, and pools like it.
ASGI_DJANGO: dict[str, Configuration] = {
    **{name: DJANGO[name] for name in (NAIVE, "native pool", "django-db-connection-pool")},
    # The pool of one size, half of the clients that ask at once: more are not faster, as
    # ``pooled_asgi`` shows.
    EXPERT: Configuration(
        "Django",
        """
        import dj_database_url
        DATABASES = {
            "default": dj_database_url.config(conn_max_age=0, disable_server_side_cursors=True),
            "direct": dj_database_url.config(env="DIRECT_URL"),
        }
        DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 4, "max_size": 4}
        """,
    ),
    OURS: DJANGO[OURS],
}
