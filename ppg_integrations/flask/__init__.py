"""Flask on two URLs: requests through the pooler, migrations straight to the server.

In an app factory::

    from ppg_integrations.flask import PPG

    ppg = PPG()


    def create_app():
        app = Flask(__name__)
        ppg.init_app(app)  # before db.init_app(app): that is where engines are built
        db.init_app(app)
        migrate.init_app(app, db)
        ppg.init_migrate(migrate)
        return app
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .extension import PPG

__all__ = ["PPG"]


# Looked up on first use: Flask loads the package for its `ppg` command in every app of the
# environment, and whatever does not use PPG must not pay for it.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "PPG":
            from .extension import PPG

            return PPG
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
