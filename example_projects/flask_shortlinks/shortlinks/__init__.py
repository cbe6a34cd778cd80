"""Short links, and how often they are followed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from . import config, errors, pages
from .database import db, migrate, ppg
from .forms import csrf
from .slugs import SlugConverter


def create_app(settings: Mapping[str, Any] | None = None) -> Flask:
    """The application; `settings` are laid over what the environment and ``.env`` say."""
    # Every name of ours begins with "/-/": no short link can have it.
    app = Flask(__name__, static_url_path="/-/static")
    app.config.from_mapping(config.from_environment(debug=app.debug))
    app.config.from_mapping(settings or {})

    ppg.init_app(app)  # first: `db` builds its engines right here
    db.init_app(app)
    migrate.init_app(app, db)
    ppg.init_migrate(migrate)

    csrf.init_app(app)
    app.url_map.converters["slug"] = SlugConverter
    app.register_blueprint(pages.blueprint)
    errors.register(app)
    if app.config["PROXIES"]:
        hops = app.config["PROXIES"]
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)
    return app
