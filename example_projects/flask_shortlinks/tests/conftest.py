from __future__ import annotations

import flask_migrate
import pytest
from flask import Flask
from flask.testing import FlaskClient

from shortlinks import create_app


@pytest.fixture(scope="session")
def app(ppg_database: object) -> Flask:
    """The application on a test database, which is made and dropped on the direct URL."""
    app = create_app({"TESTING": True, "SECRET_KEY": "for tests", "SESSION_COOKIE_SECURE": False})
    with app.app_context():
        flask_migrate.upgrade()
    return app


@pytest.fixture
def client(app: Flask, ppg_rollback: None) -> FlaskClient:
    """A browser, in a test whose writes are undone."""
    return app.test_client()
