"""The database: requests go through the pooler, migrations straight to PostgreSQL."""

from __future__ import annotations

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from ppg_integrations.flask import PPG

from .config import ROOT


class Base(DeclarativeBase):
    # A constraint that has a name can be dropped by a later migration.
    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )


ppg = PPG()
db = SQLAlchemy(model_class=Base)
migrate = Migrate(directory=str(ROOT / "migrations"))
