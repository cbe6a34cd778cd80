"""``init_migrate``: whatever Flask-Migrate does to the database, the pooler hears nothing of it."""

from __future__ import annotations

import flask_migrate
import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from ppg_integrations.errors import ConfigurationError, MissingDirectURLError, MissingURLError
from ppg_integrations.flask import PPG
from ppg_integrations.flask.migrate import routed
from tests.flask.projects import Project, Site

#: Flask-Migrate's templates try it first, for the sake of old versions.
pytestmark = pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")

#: What connects, in an order in which each has something to do.
STEPS = {
    "migrate": ("-m", "first"),
    "upgrade": (),
    "current": (),
    "check": (),
    "downgrade": (),
    "stamp": (),
    "show": ("current",),
    "history": ("--indicate-current",),
    "edit": ("current",),
}
CALLS = {
    "migrate": {"message": "first"},
    "show": {"revision": "current"},
    "history": {"indicate_current": True},
    "edit": {"revision": "current"},
}
#: What reads the revisions only.
OFFLINE = (
    ("history",),
    ("heads",),
    ("branches",),
    ("show", "head"),
    ("list-templates",),
    ("revision", "-m", "empty"),
    ("upgrade", "--sql"),
    ("downgrade", "--sql", "one:base"),
    ("stamp", "--sql", "head"),
)
TABLE = 'op.create_table("item", sa.Column("id", sa.Integer), sa.Column("name", sa.String))'


@pytest.fixture
def site(tmp_path, generated, servers):
    with Site(tmp_path, generated, servers) as site:
        yield site


@pytest.fixture
def bare(tmp_path, servers):
    """Without any URL."""
    with Site(tmp_path, None, servers) as site:
        yield site


@pytest.fixture
def stats(servers, generated):
    other = servers.generate("stats", database=f"{generated.pooled.database}_s")
    yield other
    servers.drop(other.pooled.database)


@pytest.fixture(autouse=True)
def editor(monkeypatch):
    monkeypatch.setenv("EDITOR", "true")


def counted(site, step):
    """The logins of one step, as (pooled, direct)."""
    before = site.logins()
    step()
    counters = site.logins() - before
    return counters.pooled_logins, counters.direct_logins


def test_the_real_command_in_its_own_process(tmp_path, generated, pooled_logins, direct_logins):
    project = Project(tmp_path, generated)
    project.flask("db", "init")
    assert "Detected added table 'item'" in project.flask("db", "migrate", "-m", "first").stderr
    project.flask("db", "upgrade")
    assert project.sql("SELECT to_regclass('item')::text") == [("item",)]
    assert direct_logins() == 2 + 1  # of the commands, and of the question
    assert pooled_logins() == 0


@pytest.mark.parametrize("template", [(), ("--multidb",)], ids=["single", "multidb"])
@pytest.mark.parametrize("way", ["command", "function"])
def test_each_command_logs_in_at_the_server_itself(
    tmp_path, generated, servers, stats, template, way
):
    def step(name):
        # env.py keeps a hook of the first run there; each command has its own process otherwise.
        site.app.extensions["migrate"].configure_args.pop("process_revision_directives", None)
        if way == "command":
            site.flask("db", name, *STEPS[name])
        else:
            with site.app.app_context():
                getattr(flask_migrate, name)(**CALLS.get(name, {}))

    with Site(tmp_path, generated, servers, stats=stats if template else None) as site:
        site.init(*template)
        databases = 2 if template else 1
        found = {name: counted(site, lambda name=name: step(name)) for name in STEPS}
        assert found == dict.fromkeys(STEPS, (0, databases))


def test_control_without_it_they_log_in_at_the_pooler(tmp_path, generated, servers, stats):
    with Site(tmp_path, generated, servers, stats=stats, routed=False) as site:
        site.init("--multidb")
        assert counted(site, lambda: site.flask("db", "migrate")) == (2, 0)
        assert not routed(site.app)


def test_each_database_gets_its_own_tables(tmp_path, generated, servers, stats):
    with Site(tmp_path, generated, servers, stats=stats) as site:
        site.init("--multidb")
        site.flask("db", "migrate")
        site.flask("db", "upgrade")
        with site.app.app_context():
            tables = {
                key: sorted(site.db.inspect(engine).get_table_names())
                for key, engine in site.db.engines.items()
            }
        assert tables == {None: ["alembic_version", "item"], "stats": ["alembic_version", "visit"]}


def test_what_reads_revisions_only_needs_no_url(bare):
    bare.init()
    bare.revision("one", TABLE)
    for args in OFFLINE:
        bare.flask("db", *args)
    assert "CREATE TABLE item" in bare.flask("db", "upgrade", "--sql", "one")


def test_without_a_pair_the_command_ends_with_what_to_set(bare):
    bare.init()
    output = bare.flask("db", "upgrade", status=1)
    assert output.startswith("Error: no database URL: looked for DATABASE_URL")
    assert "Traceback" not in output
    with bare.app.app_context(), pytest.raises(MissingURLError) as caught:
        flask_migrate.upgrade()
    assert type(caught.value) is MissingURLError


def test_without_a_direct_url_it_is_missed_where_something_connects(tmp_path, generated, servers):
    config = {"DIRECT_URL": None}
    with Site(tmp_path, generated, servers, config=config) as site:
        site.init()
        site.revision("one", TABLE)
        assert "CREATE TABLE item" in site.flask("db", "upgrade", "--sql")
        for args in (("upgrade",), ("current",), ("migrate",)):
            output = site.flask("db", *args, status=1)
            assert output.startswith("Error: this needs the direct URL"), output
            assert "Set DIRECT_URL" in output
            assert "Traceback" not in output
        with site.app.app_context(), pytest.raises(MissingDirectURLError):
            flask_migrate.upgrade()
        assert site.port() == generated.pooled.port  # which goes on as before


def test_a_command_can_still_tell_our_errors(bare):
    """They are what click prints, and what they were."""

    @bare.app.cli.command("ping")
    def ping():
        try:
            bare.db.engine.connect()
        except MissingURLError as error:
            raise RuntimeError(f"{type(error).__name__}: {error.hint}") from error

    done = bare.app.test_cli_runner().invoke(args=["ping"])
    assert str(done.exception).startswith("MissingURLError: Set DATABASE_URL (pooled)")
    assert type(done.exception.__cause__.__cause__) is MissingURLError


def test_ppg_direct_makes_everything_direct(tmp_path, generated, servers):
    with Site(tmp_path, generated, servers, config={"PPG_DIRECT": True}) as site:
        site.init()
        assert counted(site, lambda: site.flask("db", "migrate")) == (0, 1)
        assert site.port() == generated.direct.port


def test_a_database_of_the_users_own_is_left_alone(tmp_path, generated, servers):
    config = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/own.db"}
    with Site(tmp_path, generated, servers, config=config) as site:
        site.init()
        site.flask("db", "migrate")
        assert counted(site, lambda: site.flask("db", "upgrade")) == (0, 0)
        with site.app.app_context():
            assert "item" in site.db.inspect(site.db.engine).get_table_names()


def test_psycopg2(tmp_path, generated, servers):
    with Site(tmp_path, generated, servers, config={"PPG_DRIVER": "psycopg2"}) as site:
        site.init()
        assert counted(site, lambda: site.flask("db", "migrate")) == (0, 1)


@pytest.mark.parametrize("way", ["before", "twice", "at once"])
def test_the_order_of_calls_does_not_matter(tmp_path, generated, servers, way):
    """Before ``Migrate.init_app``, twice, or with ``Migrate(app, db)``."""
    migrate = flask_migrate.Migrate()
    if way == "before":
        PPG().init_migrate(migrate)
    with Site(tmp_path, generated, servers, migrate=migrate, routed=way != "before") as site:
        if way == "twice":
            site.ppg.init_migrate(migrate)
            assert len(migrate.configure_callbacks) == 1
        if way == "at once":
            site.ppg.init_migrate(
                flask_migrate.Migrate(site.app, site.db, str(tmp_path / "migrations"))
            )
        assert routed(site.app)
        site.init()
        assert counted(site, lambda: site.flask("db", "migrate")) == (0, 1)


def test_a_callback_that_hands_on_another_config(site):
    @site.migrate.configure
    def replace(config):
        other = flask_migrate.Config(config.config_file_name)
        other.set_main_option("script_location", config.get_main_option("script_location"))
        other.cmd_opts = config.cmd_opts
        return other

    site.init()
    for _ in range(2):
        assert counted(site, lambda: site.flask("db", "current")) == (0, 1)
    assert len(site.migrate.configure_callbacks) == 3


def test_apps_may_share_one_migrate(tmp_path, generated, servers, stats):
    """Each has its own pair, and one does not use PPG at all."""
    migrate = flask_migrate.Migrate()
    with (
        Site(tmp_path / "a", generated, servers, migrate=migrate) as one,
        Site(tmp_path / "b", stats, servers, migrate=migrate) as other,
    ):
        other.init()  # a Migrate has one folder, that of the last app
        for site in (one, other, one):
            assert counted(site, lambda site=site: site.flask("db", "current")) == (0, 1)
        assert len(migrate.configure_callbacks) == 1

        alone = Flask("alone")
        alone.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
        db = SQLAlchemy(alone)
        migrate.init_app(alone, db, directory=str(tmp_path / "b/migrations"))
        done = alone.test_cli_runner().invoke(args=["db", "current"])
        assert done.exit_code == 0, done.output
        with alone.app_context():
            db.engine.dispose()


def test_what_is_no_migrate_is_refused():
    with pytest.raises(ConfigurationError, match="got a SQLAlchemy, and needs the Migrate object"):
        PPG().init_migrate(SQLAlchemy())


def test_an_app_without_flask_migrate_is_not_routed():
    assert not routed(Flask("plain"))
