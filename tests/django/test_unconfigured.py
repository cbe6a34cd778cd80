"""No URL yet: what needs no database works, and what does says which variable to set."""

from __future__ import annotations

import pytest


def test_collectstatic_in_an_image_build(bare):
    bare.settings("INSTALLED_APPS += ['django.contrib.staticfiles']")
    bare.write("shop/static/shop.css", "body {}")
    bare.manage("collectstatic", "--no-input")
    assert (bare.folder / "collected/shop.css").exists()


def test_every_use_says_what_to_set(bare):
    found = bare.python(
        """
        from django.core.exceptions import ImproperlyConfigured
        from ppg_integrations.errors import MissingURLError
        from ppg_integrations.django import state
        def message(function):
            try:
                function()
            except ImproperlyConfigured as error:
                assert isinstance(error.__cause__, MissingURLError)
                return str(error)
        def atomic():
            with transaction.atomic():
                pass
        result({
            "query": message(Item.objects.count),
            "cursor": message(connection.cursor),
            "connect": message(connection.connect),
            "atomic": message(atomic),
            "direct": message(Item.objects.using("direct").count),
            "shell": message(lambda: connection.client.runshell([])),
            "env_file": state.current().env_file,
            "pair": state.current().pair,
        })
        """
    )
    assert found.pop("pair") is None
    assert found.pop("env_file") == str(bare.folder / ".env")
    for where, message in found.items():
        assert message is not None, where
        assert "DATABASE_URL" in message
        assert str(bare.folder / ".env") in message
        assert "ppg_connect create" in message


@pytest.mark.parametrize("command", ["migrate", "dbshell"])
def test_direct_commands_say_so_without_a_traceback(bare, command):
    done = bare.manage(command, status=1)
    assert "CommandError: no database URL" in done.stderr
    assert "ppg_connect create" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("alias", ["default", "direct"])
def test_check_of_a_database_refuses(bare, alias):
    done = bare.manage("check", "--database", alias, status=1)
    assert "ppg.E001" in done.stderr
    assert "DATABASE_URL" in done.stderr


def test_makemigrations_needs_no_database(bare):
    models = (bare.folder / "shop/models.py").read_text()
    bare.write("shop/models.py", models + "    size = models.IntegerField(null=True)\n")
    done = bare.manage("makemigrations", "shop", "-n", "size")
    assert (bare.folder / "shop/migrations/0002_size.py").exists()
    assert "ppg.W013" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_reports_it(bare):
    done = bare.manage("check")
    assert "ppg.W013" in done.stderr
    assert "DATABASE_URL" in done.stderr
    assert "ppg_connect create" in done.stderr


def test_runserver_can_start_for_pages_that_need_no_database(bare):
    """Its own look at the migrations finds a database that is not configured, as Django's does."""
    found = bare.python(
        """
        from django.core.management.base import BaseCommand
        BaseCommand().check_migrations()
        result("checked")
        """
    )
    assert found == "checked"


def test_requests_run_without_a_direct_url(project, pooled_logins):
    # The pooler's host (127.0.0.1) does not tell what the direct one is.
    found = project.python(
        """
        from django.core.exceptions import ImproperlyConfigured
        from ppg_integrations.errors import MissingDirectURLError
        ports = [port()]
        try:
            connections["direct"].ensure_connection()
        except ImproperlyConfigured as error:
            ports.append(str(error))
        try:
            with direct_connection():
                pass
        except MissingDirectURLError as error:
            ports.append(str(error))
        result(ports)
        """,
        DIRECT_URL=None,
    )
    assert found[0] == project.generated.pooled.port
    assert "Set DIRECT_URL" in found[1]
    assert "Set DIRECT_URL" in found[2]
    assert pooled_logins() == 1
    assert "ppg.I001" in project.manage("check", DIRECT_URL=None).stderr
