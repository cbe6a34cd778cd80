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
NAIVE = "naive"


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
    """

    framework: str
    settings: str
    env_file: bool = False
    only: tuple[str, ...] = ()

    def site(self, folder: Path, pooled: PostgresURL, direct: PostgresURL, extra: str = "") -> Site:
        """Writes the project.

        Args:
            folder: its own, which exists.
            extra: more lines of settings, after those of the configuration.
        """
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


_GEVENT = ("gunicorn gevent",)

DJANGO: dict[str, Configuration] = {
    # https://github.com/jazzband/dj-database-url#usage: config() of DATABASE_URL, with nothing
    # else; connections are not kept then, as Django's documentation of CONN_MAX_AGE says.
    NAIVE: Configuration(
        "Django",
        """
        import dj_database_url
        DATABASES = {"default": dj_database_url.config()}
        """,
    ),
    # The same page's example in full.
    "dj-database-url": Configuration(
        "Django",
        """
        import dj_database_url
        DATABASES = {
            "default": dj_database_url.config(conn_max_age=600, conn_health_checks=True)
        }
        """,
    ),
    # https://django-environ.readthedocs.io/en/latest/quickstart.html#usage
    "django-environ": Configuration(
        "Django",
        """
        import environ
        env = environ.Env()
        DATABASES = {"default": env.db()}
        """,
    ),
    # https://docs.djangoproject.com/en/5.2/ref/databases/#connection-pool
    "native pool": Configuration(
        "Django",
        """
        import dj_database_url
        DATABASES = {"default": dj_database_url.config()}
        DATABASES["default"].setdefault("OPTIONS", {})["pool"] = True
        """,
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
    EXPERT: Configuration(
        "Django",
        """
        import dj_database_url
        DATABASES = {
            "default": dj_database_url.config(conn_max_age=None, disable_server_side_cursors=True),
            "direct": dj_database_url.config(env="DIRECT_URL"),
        }
        DATABASES["default"]["OPTIONS"]["prepare_threshold"] = None
        """,
    ),
    # Whoever knows as well that poolers restart.
    "expert, checked": Configuration(
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
    OURS: Configuration(
        "Django",
        """
        from ppg_integrations.django import databases
        INSTALLED_APPS = ["ppg_integrations.django", *INSTALLED_APPS]
        DATABASES = databases(env_file=BASE_DIR / ".env")
        """,
        env_file=True,
    ),
}

FLASK: dict[str, Configuration] = {
    # What serverless guides say, https://neon.com/docs/guides/sqlalchemy among them: the pooler
    # keeps connections, so do not.
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
    # As for Django: nothing but speed, and no prepared statements, which psycopg would make after
    # five executions and the pooler's next server not know.
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
    "expert, checked": Configuration(
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
    **{
        name: DJANGO[name]
        for name in (NAIVE, "django-environ", "native pool", "django-db-connection-pool")
    },
    # The pool bounded by what the plan has for one process, and of one size.
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
