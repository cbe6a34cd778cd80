# ruff: noqa: PT009 - `manage.py test` explains these failures, and not a plain assert's
from __future__ import annotations

from django.apps.registry import Apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import TestCase, TransactionTestCase


def migrate_to(name: str) -> Apps:
    executor = MigrationExecutor(connection)
    target = [("guestbook", name)]
    executor.migrate(target)
    return MigrationExecutor(connection).loader.project_state(target).apps


class EntryHouse(TransactionTestCase):
    """0002 adds a column and fills it in one transaction, on a table that has rows already."""

    def tearDown(self) -> None:
        migrate_to("0002_entry_house")

    def test_entries_from_before_get_the_first_house(self) -> None:
        before = migrate_to("0001_initial")
        before.get_model("guestbook", "Entry").objects.create(name="Ada", message="Early.")
        after = migrate_to("0002_entry_house")
        entry = after.get_model("guestbook", "Entry").objects.get()
        self.assertEqual(entry.house.slug, "lighthouse")


class Complete(TestCase):
    def test_no_migration_is_missing(self) -> None:
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)
