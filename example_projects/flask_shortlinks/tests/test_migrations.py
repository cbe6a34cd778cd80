from __future__ import annotations

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import text

from shortlinks.database import db

LINKS = """
INSERT INTO link (slug, target, clicks, created_at) VALUES
    ('busy', 'https://a.example', 7, '2026-01-31 23:30-02'),
    ('idle', 'https://b.example', 0, now())
"""


@pytest.fixture
def before(app: Flask):  # noqa: ANN201 - a generator
    """The tables as they were before clicks were counted by day. No rollback undoes a migration."""
    with app.app_context():
        flask_migrate.downgrade(revision="8c33bd40608f")
        yield
        flask_migrate.upgrade()
        with db.engine.begin() as connection:
            connection.execute(text("TRUNCATE link CASCADE"))


def test_the_clicks_so_far_are_of_the_day_on_which_the_link_was_made(before: None) -> None:
    with db.engine.begin() as connection:
        connection.execute(text(LINKS))
    flask_migrate.upgrade()
    with db.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT slug, day::text, count FROM clicks JOIN link ON link.id = link_id")
        ).all()
    assert rows == [("busy", "2026-02-01", 7)]  # in UTC
    flask_migrate.downgrade(revision="8c33bd40608f")
    with db.engine.connect() as connection:
        rows = connection.execute(text("SELECT slug, clicks FROM link ORDER BY id")).all()
    assert rows == [("busy", 7), ("idle", 0)]


def test_no_migration_is_missing(app: Flask) -> None:
    with app.app_context():
        flask_migrate.check()
