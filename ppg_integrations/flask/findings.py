"""The words of what ``doctor`` finds in the configuration of an app: one table."""

from __future__ import annotations

from typing import Final

from ppg_integrations.problems import Row

#: An engine reads "SQLALCHEMY_DATABASE_URI" or "SQLALCHEMY_BINDS['analytics']".
TABLE: Final = {
    "app-not-loaded": Row(
        "warning",
        "the app cannot be loaded {why}",
        "Mend it and ask again: nothing of its configuration was looked at.",
    ),
    "engine-elsewhere": Row(
        "warning",
        "{engine} leads to {place} and not to the pair: requests and migrations go there",
        "Take it out, and PPG sets it; or give PPG the URLs of that database.",
    ),
    "engine-unmanaged": Row(
        "warning",
        "{engine} leads to a pooler, {place}, without PPG's options: the driver prepares"
        " statements, migrations stay on the pooler, and a rotation does not reach it",
        "{hint}",
    ),
    "bind-elsewhere": Row(
        "info",
        "{engine} leads to {place}, which PPG does not know: migrations and a rotation are its own"
        " affair",
        "If its provider gives it two URLs, put them into PPG_BINDS.",
    ),
    "prepared-statements": Row(
        "warning",
        "the pooled engine of {engine} has prepare_threshold={value}: a prepared statement is known"
        " to one server connection only, unless the pooler keeps track of it",
        "Take it out of the engine's options; PPG turns prepared statements off. Where `flask ppg"
        " doctor` says that the pooler keeps them: PPG_PREPARED=1.",
    ),
    "options-overridden": Row(
        "warning",
        "SQLAlchemy(engine_options=...) has {options}, and does not get its way: the options that"
        " PPG sets for {engine} win",
        "Set it in SQLALCHEMY_ENGINE_OPTIONS, or in PPG(options=...).",
    ),
    "pool-off": Row(
        "info",
        "the pooled engine of {engine} keeps no connection (NullPool): each checkout costs a login,"
        " which the provider's pooler does not save",
        "Take poolclass out of the engine's options, unless the process may be frozen between"
        " requests; then set PPG_SERVERLESS.",
    ),
    "pool-when-serverless": Row(
        "info",
        "the pooled engine of {engine} keeps connections ({pool}), and the process may be frozen"
        " between requests: they stay taken at the pooler until it drops them",
        "Take the pool's options out of the engine's, or set PPG_SERVERLESS to False.",
    ),
    "migrate-pooled": Row(
        "warning",
        "Flask-Migrate is in use, and `flask db` runs through the pooler: it loses locks and"
        " settings there",
        "Call ppg.init_migrate(migrate) after migrate.init_app(app, db).",
    ),
}
